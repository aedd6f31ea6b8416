using System.Runtime.InteropServices;
using System.Security.Cryptography;
using NativeEngine.Devices;
using NativeEngine.Devices.Cpu;
using NativeEngine.Merging;
using NativeEngine.Selection;
using NativeEngine.Tests.Merging;
using NativeEngine.Tests.Training;
using NativeEngine.Training;

namespace NativeEngine.Tests.Determinism;

/// <summary>How a computation is cut: threads, lanes, and pieces (tokens, rows or elements at a time; 0: all).</summary>
internal sealed record Cut(int Threads, SimdWidth Width, int Piece);

/// <summary>A computation whose result must have the same bits however it is cut; <see cref="Run"/> gives all of the result as bytes.</summary>
internal sealed record DeterminismSubject(string Name, int[] Pieces, Func<ulong, Cut, byte[]> Run)
{
    /// <summary>Every computation of the table.</summary>
    public static IReadOnlyList<DeterminismSubject> All { get; } =
    [
        Train("train full adamw", BatchSelection.Full, OptimizerKind.AdamW), Train("train random sgd", BatchSelection.Random, OptimizerKind.Sgd),
        Train("train composition lion", BatchSelection.Composition, OptimizerKind.Lion), Train("train colm adamw", BatchSelection.Colm, OptimizerKind.AdamW),
        Train("train colm sgd", BatchSelection.Colm, OptimizerKind.Sgd), Train("train colm lion", BatchSelection.Colm, OptimizerKind.Lion),
        Select("select l1 adam", DistanceMetric.L1, adam: true), Select("select l2", DistanceMetric.L2, adam: false), Select("select cosine", DistanceMetric.Cosine, adam: false), Stream(),
        Merge("merge linear"), Merge("merge ties"), Merge("merge dare_ties"), Merge("merge karcher"), Merge("merge model_stock"), Merge("merge sce"),
    ];

    /// <summary>The first 16 hexadecimal digits of the SHA-256 of the result.</summary>
    public string Hash(ulong seed, Cut cut) => Convert.ToHexStringLower(SHA256.HashData(Run(seed, cut)))[..16];

    // Losses, norms, objectives, picks, then parameters, moments, history and position. Untied, so that the cut into micro-batches changes no bit.
    private static DeterminismSubject Train(string name, BatchSelection selection, OptimizerKind optimizer) => new(name, [0, 60, 1], (seed, cut) =>
    {
        var options = TinyTraining.Options(selection) with
        {
            Optimizer = new OptimizerOptions(optimizer),
            Seed = seed,
            MicroBatchTokens = cut.Piece == 0 ? 1 << 20 : cut.Piece,
            FeatureTokens = cut.Piece == 0 ? 4096 : 100,
        };
        using var tiny = new TinyTraining(options, cut.Threads, cut.Width, tied: false);
        var steps = tiny.Train(3);
        using var all = new MemoryStream();
        foreach (var step in steps)
        {
            // The loss is summed over micro-batches in double: its last bits may tell them apart, those of what is trained may not.
            Write<double>(all, [(float)step.Loss, step.GradientNorm, step.Objective]);
            Write<int>(all, [.. step.Chosen]);
        }
        all.Write(tiny.State());
        return all.ToArray();
    });

    private static DeterminismSubject Select(string name, DistanceMetric metric, bool adam) => new(name, [0], (seed, cut) =>
    {
        const int N = 150, Width = 67;
        using var device = new CpuDevice(cut.Threads, cut.Width);
        using var normalizer = adam ? GradientNormalizer.Adam(device) : GradientNormalizer.None();
        int[] sources = Sources(seed, N);
        var selector = new CoresetSelector(device, new SelectionOptions { Budget = 40, Metric = metric, Top = 48, KeptSources = [3], Seed = seed }, normalizer);
        using var all = new MemoryStream();
        // The second step also rests on the history of the first.
        for (int step = 0; step < 2; step++)
        {
            float[] x = Rows(seed + (ulong)step, N, Width);
            var plan = selector.Plan(sources, step);
            using var features = device.Allocate<float>([.. plan.Candidates.SelectMany(i => x[(i * Width)..((i + 1) * Width)])], MemoryUse.Selection);
            var result = selector.Select(plan, features.View.Reshape(plan.Candidates.Count, Width));
            Write<int>(all, [.. result.Indices, .. result.Weights, .. result.Owners]);
            Write<double>(all, [.. result.Gains.Select(g => g ?? -1), result.Objective, result.Certificate!.UpperBound, result.Certificate.Ratio]);
        }
        return all.ToArray();
    });

    private static DeterminismSubject Stream() => new("select stream", [0, 1, 17], (seed, cut) =>
    {
        const int N = 400, Width = 13;
        using var device = new CpuDevice(cut.Threads, cut.Width);
        using var selector = new StreamingSelector(device, new StreamingOptions { Budget = 24, Rows = 90, Keep = SmallSourceRule.BelowMean, Seed = seed }, Width);
        float[] x = Rows(seed, N, Width);
        int[] sources = Sources(seed, N);
        int chunk = cut.Piece == 0 ? N : cut.Piece;
        for (int i = 0; i < N; i += chunk)
        {
            int count = Math.Min(chunk, N - i);
            selector.Add(x.AsSpan(i * Width, count * Width), sources.AsSpan(i, count));
        }
        var result = selector.Result();
        using var all = new MemoryStream();
        Write<long>(all, [.. result.Indices, .. result.Weights]);
        Write<double>(all, [.. result.Gains.Select(g => g ?? -1), result.Objective, result.UpperBound, result.Cost, result.Displacement]);
        return all.ToArray();
    });

    private static DeterminismSubject Merge(string name) => new(name, [0, 1, 999], (seed, cut) =>
    {
        const int Count = 31 * 101;
        string method = name["merge ".Length..];
        using var kit = new MergeKit(cut.Threads);
        double[][] models = [.. Enumerable.Range(0, 3).Select(m => MergeKit.Normal((uint)((seed * 10) + (ulong)m), Count))];
        bool based = MergeMethods.Find(method)!.Base == BaseRule.Required;
        double[] merged = kit.Merge(method, models, based ? MergeKit.Normal((uint)((seed * 10) + 9), Count) : null, Settings(method), [31, 101], cut.Piece == 0 ? Count : cut.Piece, seed: seed);
        return MemoryMarshal.AsBytes<double>(merged).ToArray();
    });

    private static (string, object)[] Settings(string method) =>
        [.. MergeMethods.Find(method)!.Parameters.Select(p => p.Name).Where(p => p is "weight" or "density").Select(p => (p, p == "weight" ? (object)new[] { 0.5, 0.8, 0.3 } : 0.6))];

    private static float[] Rows(ulong seed, int n, int width)
    {
        var random = new CounterRandom(seed, RandomPurpose.Test, 5);
        return [.. Enumerable.Range(0, n * width).Select(i => (float)random.Normal((ulong)i))];
    }

    private static int[] Sources(ulong seed, int n)
    {
        var random = new CounterRandom(seed, RandomPurpose.Test, 6);
        return [.. Enumerable.Range(0, n).Select(i => (int)Math.Min(random.Below((ulong)i, 4), random.Below((ulong)(i + n), 5)))];
    }

    private static void Write<T>(Stream to, T[] values)
        where T : unmanaged => to.Write(MemoryMarshal.AsBytes<T>(values));
}
