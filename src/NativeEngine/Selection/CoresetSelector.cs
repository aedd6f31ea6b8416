using System.Diagnostics;
using NativeEngine.Devices;

namespace NativeEngine.Selection;

/// <summary>
/// CoLM's selection (arXiv 2407.19580, steps D to J): keeps small sources whole, normalises the candidates' features like the optimiser, keeps
/// the most important columns of each source, and picks each source's quota by greedy facility location. The picks are the same for any
/// number of threads. First <see cref="Plan"/>, then features of the plan's candidates only, then <see cref="Select"/>.
/// </summary>
public sealed class CoresetSelector : IDisposable
{
    private readonly SelectionScratch _scratch;
    private readonly SelectionRun _run;

    /// <summary>A selector on a device. The normaliser stays the caller's to dispose.</summary>
    public CoresetSelector(Device device, SelectionOptions options, IGradientNormalizer normalizer)
        : this(device, options, normalizer, null)
    {
    }

    /// <summary>A selector that keeps its memory and takes its floats from a workspace, for one selection after another.</summary>
    internal CoresetSelector(Device device, SelectionOptions options, IGradientNormalizer normalizer, Workspace? workspace)
    {
        options.Validate();
        if (options.Precision != SelectionPrecision.Fp32 && device.Screen is null)
        {
            throw new EngineException(
                ErrorKind.Usage, $"{device.Name} has no distances of lower precision than float32", "use --precision fp32, or --device cpu");
        }
        Options = options;
        _scratch = new SelectionScratch(device, workspace);
        _run = new SelectionRun(device, options, normalizer, _scratch);
    }

    /// <summary>The options.</summary>
    public SelectionOptions Options { get; }

    /// <summary>Decides what can be decided without features; see <see cref="SelectionPlan.Create"/>.</summary>
    public SelectionPlan Plan(ReadOnlySpan<int> sources, long step, params IReadOnlyCollection<int> nonFinite) =>
        SelectionPlan.Create(Options, sources, step, nonFinite);

    /// <summary>The same where the features of all examples [n,d] are there: rows with NaN or infinity are dropped before quotas are shared.</summary>
    public SelectionPlan PlanFinite(ReadOnlySpan<int> sources, long step, Tensor<float> features)
    {
        var device = features.Buffer.Device;
        using var flags = device.Allocate<int>(features.Rows, MemoryUse.Selection);
        device.Kernels.RowsFinite(features, flags.View);
        int[] finite = device.Download(flags.View);
        return Plan(sources, step, [.. Enumerable.Range(0, finite.Length).Where(i => finite[i] == 0)]);
    }

    /// <summary>
    /// Selects. Row r of features [plan.Candidates.Count, d] belongs to pool position plan.Candidates[r]; rows with NaN or infinity are dropped
    /// before any statistic and the quotas shared anew. Unless nothing was picked, the normaliser's history then takes in the mean of the picks.
    /// Features are not changed. Memory: as much as the features for their normalised copy (none without a normaliser), and for
    /// the largest source 4 n^2 bytes, or 24 bytes for each neighbour kept where <see cref="SelectionChoice"/> avoids the matrix. Errors: Usage for a row count that differs, WillNotFit, Numerical when distances overflow.
    /// </summary>
    public SelectionResult Select(SelectionPlan plan, Tensor<float> features, CancellationToken cancellation = default)
    {
        long start = Stopwatch.GetTimestamp();
        var run = Run(plan, features, cancellation);
        return SelectionResult.Of(run.Plan, run.Picked, run.Timing with { Total = Stopwatch.GetElapsedTime(start).TotalMilliseconds });
    }

    /// <summary>The same without a result of its own: what it returns is valid until the next selection.</summary>
    internal SelectionRun Run(SelectionPlan plan, Tensor<float> features, CancellationToken cancellation)
    {
        if (features.Rows != plan.CandidateList.Count)
        {
            throw new EngineException(ErrorKind.Usage, $"{features.Rows} feature rows were given for {plan.Candidates.Count} candidates");
        }
        try
        {
            _run.Execute(plan, features, cancellation);
            return _run;
        }
        catch
        {
            _scratch.Release();
            throw;
        }
    }

    /// <summary>Gives back what a selector with a workspace kept; others keep nothing.</summary>
    public void Dispose() => _scratch.Dispose();
}
