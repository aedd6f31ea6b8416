using System.Globalization;
using System.Runtime.InteropServices;
using NativeEngine.Devices;
using NativeEngine.Selection;

namespace NativeEngine.CApi;

/// <summary>Options, history and step of a selection.</summary>
internal sealed class SelectorResource(DeviceResource parent, SelectionOptions options, SmallSourceRule keep, long maxMemory, IGradientNormalizer normalizer) : DeviceChild(parent)
{
    public override ResourceKind Kind => ResourceKind.Selector;

    public SelectionOptions Options { get; } = options;

    public SmallSourceRule Keep { get; } = keep;

    public long MaxMemory { get; } = maxMemory;

    public IGradientNormalizer Normalizer { get; } = normalizer;

    /// <summary>Selections done.</summary>
    public long Step { get; set; }

    /// <summary>Selects from rows as the select verb does.</summary>
    public SelectionResult Select(Matrix rows, int[] ids, int[] kept, CancellationToken cancellation)
    {
        var device = Parent.Device;
        var options = Options with
        {
            KeptSources = kept,
            ExactLimit = SelectionMemory.ExactLimit(MaxMemory, rows.Rows, rows.Columns, !Normalizer.IsIdentity, ids.Any(id => id != 0) || Options.Top > 0, Parent.Threads),
        };
        var selector = new CoresetSelector(device, options, Normalizer);
        var need = SelectionMemory.Of(selector.Plan(ids, Step), rows.Columns, !Normalizer.IsIdentity, Parent.Threads);
        RequireFits(need.ProcessBytes);
        using var all = rows.On(device);
        var matrix = all.View.Reshape(rows.Rows, rows.Columns);
        var plan = selector.PlanFinite(ids, Step, matrix);
        if (plan.Candidates.Count == rows.Rows)
        {
            return selector.Select(plan, matrix, cancellation);
        }
        using var picked = device.Allocate<int>(plan.Candidates.ToArray(), MemoryUse.Selection);
        using var candidates = device.Allocate<float>((long)plan.Candidates.Count * rows.Columns, MemoryUse.Selection);
        var some = new Tensor<float>(candidates, 0, new Shape(plan.Candidates.Count, rows.Columns));
        device.Kernels.GatherRows(matrix, picked.View, some);
        return selector.Select(plan, some, cancellation);
    }

    /// <summary>Refuses what is beyond the limit, before anything is read.</summary>
    public void RequireFits(long bytes)
    {
        if (bytes > MaxMemory)
        {
            throw new EngineException(
                ErrorKind.WillNotFit, $"this selection needs {bytes:N0} bytes and may use {MaxMemory:N0}", "raise max_memory, use the streaming selection, or select from fewer examples at a time");
        }
    }

    protected override void DestroyOwn() => Normalizer.Dispose();
}

internal static unsafe class SelectorExports
{
    [UnmanagedCallersOnly(EntryPoint = "ne_selector_create")]
    public static int Create(nint device, SelectOptionsStruct* options, nint* selector) => Guard.Call(() =>
    {
        using var lease = Handles.Use<DeviceResource>(device);
        Arguments.Need(selector, "selector");
        var o = Arguments.Read(options, "the selection options");
        var read = new SelectionOptions
        {
            Budget = Arguments.Number(o.Budget, "the budget", 1),
            Top = Arguments.Number(o.Top, "top", 0),
            Seed = o.Seed,
            Metric = Metric(o.Metric),
            Quota = Quota(o.Quota),
            Rounding = Rounding(o.Rounding),
            Overflow = Arguments.Choice(o.Overflow, "overflow", OverflowPolicy.First, OverflowPolicy.Random),
            Algorithm = Arguments.Choice(
                o.Algorithm, "algorithm", SelectionAlgorithm.Auto, SelectionAlgorithm.Exact, SelectionAlgorithm.Stochastic, SelectionAlgorithm.Partitioned, SelectionAlgorithm.Sparse),
            Parts = Arguments.Number(o.Parts, "parts", 0),
            Neighbours = Arguments.Number(o.Neighbours, "neighbours", 0),
        };
        read.Validate();
        long memory = o.MaxMemory > 0 ? o.MaxMemory : o.MaxMemory == 0 ? Math.Min(lease.Value.Device.MemoryLimit, GC.GetGCMemoryInfo().TotalAvailableMemoryBytes)
            : throw new CallException(Status.Argument, $"max_memory is {o.MaxMemory}");
        var keep = SmallSourceRule.Parse(Arguments.Text(o.Keep, "keep") ?? "none");
        using var turn = lease.Value.Gate.Enter();
        *selector = Handles.Add(new SelectorResource(lease.Value, read, keep, memory, Normalizer(lease.Value.Device, o)));
    });

    [UnmanagedCallersOnly(EntryPoint = "ne_select")]
    public static int Select(nint selector, MatrixStruct* features, int* sources, ControlStruct* control, SelectionStruct* result) => Guard.Call(() =>
    {
        using var lease = Handles.Use<SelectorResource>(selector);
        var own = lease.Value;
        var rows = new Matrix(features, "the features");
        own.RequireFits((long)rows.Rows * rows.Columns * sizeof(float));
        var output = new SelectionOutput(result, Math.Min(own.Options.Budget, rows.Rows), rows.Rows);
        using var run = new Control(control);
        using var turn = own.Parent.Gate.Enter();
        run.Report("select"u8, 0, rows.Rows);
        var (ids, names) = DenseSources(sources, rows.Rows);
        var selection = own.Select(rows, ids, Kept(own.Keep, ids, names), run.Token);
        own.Step++;
        output.Write(selection);
        // It is done: a callback that cancels now is too late, and says so by its return value being ignored.
        try
        {
            run.Report("select"u8, rows.Rows, rows.Rows);
        }
        catch (OperationCanceledException)
        {
        }
    });

    [UnmanagedCallersOnly(EntryPoint = "ne_selector_step")]
    public static int Step(nint selector, long* step) => Guard.Call(() =>
    {
        using var lease = Handles.Use<SelectorResource>(selector);
        Arguments.Need(step, "step");
        using var turn = lease.Value.Parent.Gate.Enter();
        *step = lease.Value.Step;
    });

    [UnmanagedCallersOnly(EntryPoint = "ne_selector_set_step")]
    public static int SetStep(nint selector, long step) => Guard.Call(() =>
    {
        using var lease = Handles.Use<SelectorResource>(selector);
        using var turn = lease.Value.Parent.Gate.Enter();
        lease.Value.Step = step >= 0 ? step : throw new CallException(Status.Argument, $"the step is {step}; it must not be negative");
    });

    [UnmanagedCallersOnly(EntryPoint = "ne_selector_state")]
    public static int State(nint selector, byte* moment, float* values, long length) => Guard.Call(() =>
    {
        using var lease = Handles.Use<SelectorResource>(selector);
        using var turn = lease.Value.Parent.Gate.Enter();
        var normalizer = lease.Value.Normalizer;
        string name = Moment(normalizer, moment);
        int count = Arguments.Number(length, "the length", 1);
        if (normalizer.Dimension is not 0 and var dimension && dimension != count)
        {
            throw new CallException(Status.Argument, $"the history has {dimension} elements, {count} were asked for");
        }
        normalizer.Save(name, count).CopyTo(new Span<float>(Arguments.Need(values, "values"), count));
    });

    [UnmanagedCallersOnly(EntryPoint = "ne_selector_set_state")]
    public static int SetState(nint selector, byte* moment, float* values, long length) => Guard.Call(() =>
    {
        using var lease = Handles.Use<SelectorResource>(selector);
        using var turn = lease.Value.Parent.Gate.Enter();
        string name = Moment(lease.Value.Normalizer, moment);
        var given = new ReadOnlySpan<float>(Arguments.Need(values, "values"), Arguments.Number(length, "the length", 1));
        foreach (float value in given)
        {
            if (!float.IsFinite(value) || (name == "v" && value < 0))
            {
                throw new CallException(Status.Numerical, $"the history vector {name} has the element {value.ToString(CultureInfo.InvariantCulture)}");
            }
        }
        lease.Value.Normalizer.Load(name, given);
    });

    [UnmanagedCallersOnly(EntryPoint = "ne_selector_save")]
    public static int Save(nint selector, byte* path, long dimension) => Guard.Call(() =>
    {
        using var lease = Handles.Use<SelectorResource>(selector);
        using var turn = lease.Value.Parent.Gate.Enter();
        RequireHistory(lease.Value.Normalizer);
        SelectorState.Save(Arguments.NeedText(path, "path"), lease.Value.Normalizer, Arguments.Number(dimension, "the dimension", 1), lease.Value.Step, lease.Value.Options.Seed);
    });

    [UnmanagedCallersOnly(EntryPoint = "ne_selector_load")]
    public static int Load(nint selector, byte* path, long dimension) => Guard.Call(() =>
    {
        using var lease = Handles.Use<SelectorResource>(selector);
        using var turn = lease.Value.Parent.Gate.Enter();
        RequireHistory(lease.Value.Normalizer);
        var state = SelectorState.Load(Arguments.NeedText(path, "path"), lease.Value.Normalizer, Arguments.Number(dimension, "the dimension", 1));
        lease.Value.Step = state.Step ?? lease.Value.Step;
    });

    [UnmanagedCallersOnly(EntryPoint = "ne_selector_free")]
    public static int Free(nint selector) => Guard.Call(() => Handles.Free<SelectorResource>(selector));

    internal static DistanceMetric Metric(int value) => Arguments.Choice(value, "metric", DistanceMetric.L1, DistanceMetric.L2, DistanceMetric.Cosine);

    internal static QuotaRule Quota(int value) => Arguments.Choice(value, "quota", QuotaRule.Proportional, QuotaRule.Balanced, QuotaRule.None);

    internal static QuotaRounding Rounding(int value) => Arguments.Choice(value, "rounding", QuotaRounding.Floor, QuotaRounding.Ceil);

    private static IGradientNormalizer Normalizer(Device device, SelectOptionsStruct o)
    {
        double Beta(double value, string what, double usual) =>
            Arguments.Real(value, what, usual) is >= 0 and < 1 and var beta ? beta : throw new CallException(Status.Argument, $"{what} is {value}; it must lie in [0, 1)");
        return Arguments.Choice(o.Normalize, "normalize", 0, 1, 2, 3) switch
        {
            0 => GradientNormalizer.None(),
            1 => GradientNormalizer.Adam(device, Beta(o.Beta1, "beta1", 0.9), Beta(o.Beta2, "beta2", 0.999), Arguments.Real(o.Epsilon, "epsilon", 1e-8)),
            2 => GradientNormalizer.Momentum(device, Beta(o.Beta1, "beta1", 0.9)),
            _ => GradientNormalizer.Lion(device, Beta(o.Beta1, "beta1", 0.9), Beta(o.Beta2, "beta2", 0.99)),
        };
    }

    /// <summary>Ids from 0 in the order of the caller's ids, as the program gives them to the names of its sources.</summary>
    private static (int[] Ids, int[] Names) DenseSources(int* sources, int rows)
    {
        if (sources is null)
        {
            return (new int[rows], [0]);
        }
        var given = new ReadOnlySpan<int>(Arguments.Aligned(sources, "sources"), rows).ToArray();
        int[] names = [.. given.Distinct().Order()];
        var ids = new Dictionary<int, int>();
        for (int i = 0; i < names.Length; i++)
        {
            ids[names[i]] = i;
        }
        return (Array.ConvertAll(given, s => ids[s]), names);
    }

    private static int[] Kept(SmallSourceRule rule, int[] ids, int[] names)
    {
        if (rule.Kind == SmallSourceKind.Listed)
        {
            foreach (int missing in rule.Sources.Except(names))
            {
                Log.Warning($"no example has the source {missing} that keep names");
            }
            return [.. rule.Sources.Select(s => Array.IndexOf(names, s)).Where(id => id >= 0)];
        }
        var sizes = new int[names.Length];
        foreach (int id in ids)
        {
            sizes[id]++;
        }
        return rule.Apply(sizes, ids.Length);
    }

    private static string Moment(IGradientNormalizer normalizer, byte* moment)
    {
        RequireHistory(normalizer);
        string name = Arguments.NeedText(moment, "moment");
        return normalizer.Moments.Contains(name) ? name
            : throw new CallException(Status.Argument, $"the history has no vector '{name}'", $"it has {string.Join(" and ", normalizer.Moments)}");
    }

    private static void RequireHistory(IGradientNormalizer normalizer)
    {
        if (normalizer.IsIdentity)
        {
            throw new CallException(Status.State, "a selector that does not normalize has no history", "set normalize in its options");
        }
    }
}
