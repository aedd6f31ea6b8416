using System.Globalization;
using NativeEngine.Benchmarks.Works;
using NativeEngine.Devices;
using NativeEngine.Formats;

namespace NativeEngine.Benchmarks.Goals;

/// <summary>The goals of selection, training and merging as lines to measure, each with its reason beside the number.</summary>
internal sealed class GoalRows(GoalsOptions options, string folder)
{
    // CoLM's own function (torch.cdist, submodlib) and the best combination of peers (torch.pdist, a lazy greedy), divided by the goal, as they
    // were measured together on a Zen 4 of two cores: 0.0207 and 0.0019 s against 0.0003 s at N = 128, and so on.
    private static readonly (int Rows, double Colm, double? Best)[] _selectionGoals =
    [
        (128, 0.0207 / 0.0003, 0.0019 / 0.0003), (512, 0.293 / 0.0040, 0.027 / 0.0040), (2048, 4.96 / 0.060, 0.53 / 0.060),
        (8192, 85.3 / 1.0, 11.3 / 1.0), (16384, 320 / 4.0, null),
    ];

    // A step: the ratios as the goals state them. Forward only: PyTorch's 177, 505 and 439 ms against 125, 350 and 300 ms.
    private static readonly (TrainingShape Shape, double Step, double Forward)[] _trainingGoals =
        [(TrainingShape.Bytes, 1.4, 177.0 / 125), (TrainingShape.Words, 1.7, 505.0 / 350), (TrainingShape.Gpt2, 1.8, 439.0 / 300)];

    private const int Columns = 2560;

    public IEnumerable<GoalRow> All() =>
        new[] { Selection(), Training(), Merging(), Kernels() }.SelectMany(rows => rows).Where(row => options.Only.Contains(row.Section));

    /// <summary>An .npy file of the features of a selection, written when first asked for.</summary>
    public string FeatureFile(int rows)
    {
        string path = Path.Combine(folder, $"features-{rows}.npy");
        if (!File.Exists(path))
        {
            NpyWriter.WriteFloat32(path, [rows, Columns], SelectionWork.Features(rows, Columns));
        }
        return path;
    }

    private IEnumerable<GoalRow> Selection()
    {
        int most = options.Quick ? 128 : options.Large ? int.MaxValue : 2048;
        foreach (var (rows, colm, best) in _selectionGoals.Where(g => g.Rows <= most))
        {
            yield return Select(rows, "CoLM's function", "colm", colm);
            if (best is { } ratio)
            {
                yield return Select(rows, "the best combination", "best", ratio);
            }
        }
        var (n, d, top) = options.Quick ? (64, 16_384, 512) : (512, 327_680, Columns);
        yield return new GoalRow("selection", $"Adam-normalise and top {top} of [{n} x {d}]", () => new NormalizeWork(n, d, top, options.Threads))
        {
            Peer = ("PyTorch", "normalize_topk.py", () => ["--n", Text(n), "--d", Text(d), "--top", Text(top)]),
            GoalRatio = 10,
            Roof = ("copy bandwidth", (work, roofs) => ((NormalizeWork)work).Bytes / (roofs.CopyGigabytes * 1e9)),
        };
    }

    private GoalRow Select(int rows, string peer, string what, double goal) => new(
        "selection", $"select N={rows}, d={Columns}, budget N/2; against {peer}",
        () => new SelectionWork(SelectionWork.Features(rows, Columns), rows, options.Threads))
    {
        Peer = ($"{peer} (stand-in greedy)", "selection.py", () => ["--what", what, "--features", FeatureFile(rows)]),
        GoalRatio = goal,
        Roof = ("min+fma of half the pairs", (_, roofs) => 0.5 * rows * (rows - 1) * Columns / (roofs.MinFmaGterms * 1e9)),
        Quality = ("objective", work => ((SelectionWork)work).Objective),
    };

    private IEnumerable<GoalRow> Training()
    {
        var goals = options.Quick ? [(Shape: TrainingShape.Tiny, Step: 1.4, Forward: 1.4)] : _trainingGoals;
        foreach (var (shape, step, forward) in goals)
        {
            yield return Train(shape, TrainingPart.Step, "forward + backward + AdamW", step, 3);
            yield return Train(shape, TrainingPart.Forward, "forward only", forward, 1);
        }
        var optimized = options.Quick ? TrainingShape.Tiny : TrainingShape.Gpt2;
        yield return new GoalRow("training", $"AdamW alone, {optimized.Name}", () => new TrainingWork(optimized, TrainingPart.Optimizer, options.Threads))
        {
            Peer = ("PyTorch", "adamw.py",
                () => ["--layers", Text(optimized.Layers), "--width", Text(optimized.Width), "--middle", Text(optimized.Middle), "--vocabulary", Text(optimized.Vocabulary)]),
            // 90 ms for 124 M parameters are 38.7 GB/s, where copying reached 30 to 40 GB/s.
            GoalShare = 0.95,
            Roof = ("copy bandwidth", (work, roofs) => ((TrainingWork)work).OptimizerBytes / (roofs.CopyGigabytes * 1e9)),
        };
    }

    private GoalRow Train(TrainingShape shape, TrainingPart part, string what, double goal, double passes) => new(
        "training", $"{shape.Name}: {what}", () => new TrainingWork(shape, part, options.Threads))
    {
        Peer = ("PyTorch eager", "training_step.py",
            () =>
            [
                "--layers", Text(shape.Layers), "--width", Text(shape.Width), "--heads", Text(shape.Heads), "--middle", Text(shape.Middle),
                "--vocabulary", Text(shape.Vocabulary), "--length", Text(shape.Length), "--batch", Text(shape.Batch),
                .. part == TrainingPart.Forward ? ["--forward"] : Array.Empty<string>(),
            ]),
        PeerUsesBlas = true,
        GoalRatio = goal,
        Roof = ("FMA peak", (_, roofs) => passes * shape.ForwardFlops / (roofs.FmaGflops * 1e9)),
    };

    private IEnumerable<GoalRow> Merging()
    {
        var (shape, models) = options.Quick ? (TrainingShape.Tiny, 3) : (TrainingShape.Gpt2, 8);
        MergeWork? files = null;
        string what = $"linear merge of {models} x {shape.Config.ParameterCount / 1e6:0.0} M parameters, float32, from the page cache";
        string[] Arguments(bool onDisk) => ["--folder", files!.Folder, "--models", Text(models), .. onDisk ? ["--on-disk"] : Array.Empty<string>()];
        yield return new GoalRow("merging", $"{what}, result written", () => files = new MergeWork(shape, models, options.Threads))
        {
            Peer = ("PyTorch or numpy, mapped", "merging.py", () => Arguments(false)),
            Bytes = work => ((MergeWork)work).InputBytes,
            // 14 GB of input a second, where mapped PyTorch reached 5.2 to 8.5.
            GoalRatio = 14 / 8.5,
            Roof = ("reading the mapped files and writing as much", (work, _) => ((MergeWork)work).LeastSeconds()),
        };
        yield return new GoalRow("merging", $"{what}, result forced to disk and published", () => files = new MergeWork(shape, models, options.Threads, onDisk: true))
        {
            Peer = ("PyTorch or numpy, mapped, with fsync", "merging.py", () => Arguments(true)),
            Bytes = work => ((MergeWork)work).InputBytes,
        };
    }

    private IEnumerable<GoalRow> Kernels()
    {
        // 1024 cubed, then what the steps above are made of: projections and feed-forward of both widths, and a chunk of logits.
        (long M, long N, long K, double Goal)[] products = options.Quick
            ? [(128, 128, 128, 0.9)]
            : [(1024, 1024, 1024, 0.9), (1024, 384, 384, 0.85), (1024, 1024, 384, 0.85), (256, 2048, 768, 0.85), (64, 50257, 768, 0.85)];
        var row = KernelTable.All.Single(r => r.Name == "matmul_nt");
        foreach (var (m, n, k, goal) in products)
        {
            var size = new KernelSize(("m", m), ("n", n), ("k", k));
            yield return new GoalRow("kernels", $"C = A B^T, m={m} n={n} k={k}", () => new KernelWork(new KernelCase(row, size), options.Threads))
            {
                Peer = ("PyTorch's BLAS", "matmul.py", () => ["--shape", $"{m}x{n}x{k}t"]),
                PeerUsesBlas = true,
                GoalShare = goal,
                Roof = ("FMA peak", (_, roofs) => row.Flops(size) / (roofs.FmaGflops * 1e9)),
            };
        }
    }

    private static string Text(int value) => value.ToString(CultureInfo.InvariantCulture);
}
