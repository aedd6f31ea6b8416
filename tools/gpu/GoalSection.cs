using System.Globalization;
using System.Text.Json;
using NativeEngine.Devices;
using NativeEngine.Devices.Gpu;
using NativeEngine.Profiling;

namespace NativeEngine.GpuCheck;

/// <summary>The goals: rates of kernels against the card's own roofs, measured in the same process, and PyTorch on the same card beside them.</summary>
internal static class GoalSection
{
    private enum Bound
    {
        Copy,
        MinAdd,
        Fma,
        TimesOfPyTorch,
        ShareOfPyTorch,
    }

    private sealed record Goal(string Row, KernelSize Size, KernelSize Small, Bound Bound, double Value, string PyTorch = "", MatMulPrecision Precision = MatMulPrecision.Float32);

    private static readonly Goal[] _goals =
    [
        new("similarity_l1", Size(("n", 16384), ("h", 2560)), Size(("n", 128), ("h", 256)), Bound.MinAdd, 0.48, "l1"),
        new("distances_l1", Size(("m", 16384), ("p", 16384), ("h", 2560)), Size(("m", 128), ("p", 128), ("h", 256)), Bound.MinAdd, 0.48),
        new("adam_normalize", Size(("n", 512), ("d", 327_680), ("picked", 512)), Size(("n", 16), ("d", 4096), ("picked", 16)), Bound.Copy, 0.8),
        new("column_importance", Size(("n", 512), ("d", 327_680), ("picked", 512)), Size(("n", 16), ("d", 4096), ("picked", 16)), Bound.Copy, 0.8),
        new("top_k", Size(("n", 1), ("d", 6_553_600), ("h", 2560)), Size(("n", 1), ("d", 65_536), ("h", 256)), Bound.Copy, 0.8),
        new("facility_location", Size(("n", 16384), ("k", 8192)), Size(("n", 256), ("k", 128)), Bound.Copy, 0.8),
        new("weighted_sum", Size(("K", 8), ("n", 1 << 26)), Size(("K", 8), ("n", 1 << 16)), Bound.Copy, 0.8),
        new("adamw", Size(("n", 124_000_000)), Size(("n", 1 << 18)), Bound.Copy, 0.8, "adamw"),
        new("matmul_nn", Size(("m", 8192), ("n", 8192), ("k", 8192)), Size(("m", 256), ("n", 256), ("k", 256)), Bound.Fma, 0.5, "matmul_fp32"),
        new("matmul_nn", Size(("m", 8192), ("n", 8192), ("k", 8192)), Size(("m", 256), ("n", 256), ("k", 256)), Bound.ShareOfPyTorch, 0.6, "matmul_bf16", MatMulPrecision.BFloat16),
        new("attention", Size(("sequences", 8), ("length", 1024), ("heads", 12), ("kv_heads", 12), ("h", 64), ("cached", 0), ("uneven", 0)), Size(("sequences", 1), ("length", 128), ("heads", 2), ("kv_heads", 2), ("h", 64), ("cached", 0), ("uneven", 0)), Bound.TimesOfPyTorch, 2, "attention"),
        new("attention_backward", Size(("sequences", 8), ("length", 1024), ("heads", 12), ("kv_heads", 12), ("h", 64), ("cached", 0), ("uneven", 0)), Size(("sequences", 1), ("length", 128), ("heads", 2), ("kv_heads", 2), ("h", 64), ("cached", 0), ("uneven", 0)), Bound.TimesOfPyTorch, 2, "attention_backward"),
    ];

    public static void Run(CheckReport report, GpuBackend backend, string name, CheckOptions options)
    {
        var peer = PyTorch(report, name, options);
        MachineRoofs roofs;
        using (var device = backend.Open(name))
        {
            roofs = MachineRoofs.Measure(device, options.Quick);
            report.Fact(string.Create(CultureInfo.InvariantCulture,
                $"roofs measured on it: copy {CheckReport.Quantity(roofs.CopyBandwidth, "B/s")}, fma {CheckReport.Quantity(roofs.FusedMultiplyAdd, "FLOP/s")}, min+add {CheckReport.Quantity(roofs.MinimumAddTerms, " terms/s")}"));
        }
        foreach (var goal in _goals)
        {
            Measure(report, backend, name, goal, roofs, peer, options);
        }
        TrainingStep(report, name, peer, options);
    }

    private static KernelSize Size(params (string, long)[] dimensions) => new(dimensions);

    private static void Measure(
        CheckReport report, GpuBackend backend, string name, Goal goal, MachineRoofs roofs, Dictionary<string, double> peer, CheckOptions options)
    {
        var row = KernelTable.All.First(r => r.Name == goal.Row);
        var size = options.Quick ? goal.Small : goal.Size;
        string what = goal.Precision == MatMulPrecision.Float32 ? goal.Row : $"{goal.Row} bf16";
        if (goal.Precision != MatMulPrecision.Float32 && !name.StartsWith("cuda", StringComparison.Ordinal))
        {
            report.Add("rate", what, null, "tensor cores are for CUDA only");
            return;
        }
        try
        {
            using var device = backend.Open(name, precision: goal.Precision);
            var m = new KernelProfiler(device, options.Quick ? ProfileOptions.Quick : new ProfileOptions()).Measure(row, size);
            report.Add(Rate(goal, what, m, roofs, goal.PyTorch.Length > 0 && peer.TryGetValue(goal.PyTorch, out double seconds) ? seconds : null), options);
        }
        catch (EngineException error) when (error.Kind == ErrorKind.WillNotFit)
        {
            report.Add("rate", what, null, error.Message);
        }
    }

    private static RateLine Rate(Goal goal, string what, KernelMeasurement m, MachineRoofs roofs, double? peer)
    {
        string Of(double share, string of) => string.Create(CultureInfo.InvariantCulture, $"{100 * share:0} % of {of}");
        string torch = peer is { } p ? string.Create(CultureInfo.InvariantCulture, $"{p * 1e3:0.000} ms") : "not measured";
        string flops = CheckReport.Quantity(m.FlopsPerSecond, "FLOP/s");
        switch (goal.Bound)
        {
            case Bound.Copy:
                double copy = m.BytesPerSecond / roofs.CopyBandwidth;
                return Line(CheckReport.Quantity(m.BytesPerSecond, "B/s"), Of(copy, "copy"), Of(goal.Value, "copy"), copy >= goal.Value);
            case Bound.MinAdd:
                double terms = m.FlopsPerSecond / 2, share = terms / roofs.MinimumAddTerms;
                return Line(CheckReport.Quantity(terms, " terms/s"), Of(share, "min+add"), Of(goal.Value, "min+add"), share >= goal.Value);
            case Bound.Fma:
                double peak = m.FlopsPerSecond / roofs.FusedMultiplyAdd;
                return Line(flops, Of(peak, "fma"), Of(goal.Value, "fma"), peak >= goal.Value);
            case Bound.ShareOfPyTorch:
                return Line(flops, peer is { } q ? Of(q / m.Seconds, "PyTorch") : "-", Of(goal.Value, "PyTorch"), peer is { } r ? r / m.Seconds >= goal.Value : null);
            default:
                return Line(
                    flops, peer is { } s ? string.Create(CultureInfo.InvariantCulture, $"{m.Seconds / s:0.00} times PyTorch's time") : "-",
                    string.Create(CultureInfo.InvariantCulture, $"{goal.Value:0.#} times PyTorch's time"), peer is { } t ? m.Seconds / t <= goal.Value : null);
        }

        RateLine Line(string rate, string share, string aim, bool? met) =>
            new(what, m.Size.ToString(), m.Seconds, rate, share, torch, aim, met switch { true => "met", false => "missed", _ => "no peer" });
    }

    // The goal is for bfloat16, which takes CUDA; PyTorch's step is that of pytorch.py.
    private static void TrainingStep(CheckReport report, string name, Dictionary<string, double> peer, CheckOptions options)
    {
        string preset = options.Quick ? "preset:0.2m" : "preset:124m", batch = options.Quick ? "4" : "64";
        double? torch = peer.TryGetValue("step_tokens_per_second", out double value) ? value : null;
        foreach (string precision in name.StartsWith("cuda", StringComparison.Ordinal) ? (string[])["float32", "bf16"] : ["float32"])
        {
            var folder = Directory.CreateTempSubdirectory("gpu-check-");
            try
            {
                string few = CheckData.Few(folder.FullName);
                string[] data = options.Quick ? [few, "--eval-data", few, "--seq-len", "48"] : ["builtin"];
                var (code, output, error) = Programs.Run(
                    Programs.NEngine, ["train", "--model", preset, "--data", .. data, "--selection", "full", "--pool", batch, "--batch", batch, "--steps", options.Quick ? "2" : "30",
                    "--matmul", precision, "--json", "--quiet", "--device", name, "--output", Path.Combine(folder.FullName, "run")]);
                if (code != 0)
                {
                    report.Add("rate", $"training, {precision}", false, $"exit code {code}: {error.Trim()}");
                    continue;
                }
                using var document = JsonDocument.Parse(output);
                double rate = document.RootElement.GetProperty("tokens_per_second").GetDouble();
                report.Add(new RateLine(
                    $"training, {precision}", $"{preset}, batches of {batch} examples", 1 / rate, string.Create(CultureInfo.InvariantCulture, $"{rate:0} tokens/s"),
                    torch is { } t ? string.Create(CultureInfo.InvariantCulture, $"{100 * rate / t:0} % of PyTorch") : "-",
                    torch is { } u ? string.Create(CultureInfo.InvariantCulture, $"{u:0} tokens/s (bf16, eager)") : "not measured", "50 % of PyTorch",
                    torch is { } v ? (rate >= v / 2 ? "met" : "missed") : "no peer"), options);
            }
            finally
            {
                folder.Delete(recursive: true);
            }
        }
    }

    private static Dictionary<string, double> PyTorch(CheckReport report, string name, CheckOptions options)
    {
        string script = Path.Combine(AppContext.BaseDirectory, "pytorch.py");
        if (!name.StartsWith("cuda", StringComparison.Ordinal) || !File.Exists(script))
        {
            report.Add("PyTorch", "the same work on the same card", null, File.Exists(script) ? "for CUDA only" : "pytorch.py is not beside this program");
            return [];
        }
        var (code, output, error) = Programs.Run("python3", script, name, options.Quick ? "quick" : "full");
        if (code != 0)
        {
            report.Add("PyTorch", "the same work on the same card", null, error.Split('\n', StringSplitOptions.RemoveEmptyEntries).LastOrDefault("python3 is not installed").Trim());
            return [];
        }
        var found = new Dictionary<string, double>();
        using var document = JsonDocument.Parse(output);
        foreach (var member in document.RootElement.EnumerateObject())
        {
            if (member.Value.ValueKind == JsonValueKind.Number)
            {
                found[member.Name] = member.Value.GetDouble();
            }
            else
            {
                report.Fact($"PyTorch {member.Name}: {member.Value}");
            }
        }
        return found;
    }
}
