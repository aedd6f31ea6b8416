using System.Text.Json;
using NativeEngine.Devices;
using NativeEngine.Formats;
using NativeEngine.Profiling;

namespace NativeEngine.Cli;

/// <summary>How the results of profile are told.</summary>
internal static class ProfileReport
{
    /// <summary>Kernels against roofs, as a table; with a baseline also against their earlier times.</summary>
    public static void WriteText(TextWriter text, KernelProfile profile, ProfileBaseline? baseline)
    {
        var roofs = profile.Roofs;
        text.WriteLine($"roofs of {roofs.Who}, measured in this process:");
        WriteRoofs(text, roofs);
        if (profile.SingleThread is { } single)
        {
            text.WriteLine("and of one thread:");
            WriteRoofs(text, single);
        }
        text.WriteLine();
        int name = Math.Max(6, profile.Measurements.Select(m => m.Row.Name.Length).DefaultIfEmpty().Max());
        int size = Math.Max(4, profile.Measurements.Select(m => SizeText(m.Size).Length).DefaultIfEmpty().Max());
        text.WriteLine($"{"kernel".PadRight(name)}  {"size".PadRight(size)}        time     GB/s  GFLOP/s   share  {(baseline is null ? "" : "  then  ")}of");
        foreach (var m in profile.Measurements)
        {
            text.WriteLine(FormattableString.Invariant(
                $"{m.Row.Name.PadRight(name)}  {SizeText(m.Size).PadRight(size)}  {Time(m.Seconds),10}  {m.BytesPerSecond / 1e9,7:0.0}  {(m.Flops == 0 ? "-" : FormattableString.Invariant($"{m.FlopsPerSecond / 1e9:0.0}")),7}  {100 * m.Share(roofs),4:0} %  {Then(m, baseline)}{m.Bound(roofs)}{Noise(m)}"));
        }
        foreach (var skipped in profile.Skipped)
        {
            text.WriteLine($"left out: {skipped.Row.Name} {SizeText(skipped.Size)}: {skipped.Reason}");
        }
        if (baseline is not null)
        {
            text.WriteLine();
            text.WriteLine(Compared(profile, baseline));
        }
        foreach (var m in profile.AboveRoof)
        {
            text.WriteLine($"IMPOSSIBLE: {Impossible(m, roofs)}");
        }
    }

    /// <summary>The rows of the kernel table: what they compute, and the counts of every size.</summary>
    public static void WriteKernels(TextWriter text, IReadOnlyList<KernelRow> rows)
    {
        int width = rows.SelectMany(r => r.BenchmarkSizes).Max(s => SizeText(s).Length);
        foreach (var row in rows)
        {
            text.WriteLine($"{row.Name}: {row.Formula}");
            foreach (var size in row.BenchmarkSizes)
            {
                text.WriteLine(FormattableString.Invariant($"  {SizeText(size).PadRight(width)}  {row.Flops(size),9:0.00e+0} FLOP  {row.Bytes(size),9:0.00e+0} bytes  {row.Flops(size) / row.Bytes(size),7:0.00} FLOP/byte"));
            }
        }
    }

    /// <summary>The same as JSON.</summary>
    public static void WriteKernels(Utf8JsonWriter json, IReadOnlyList<KernelRow> rows)
    {
        json.Objects("rows", rows, row =>
        {
            json.WriteString("kernel", row.Name);
            json.WriteString("formula", row.Formula);
            json.Objects("sizes", row.BenchmarkSizes, size =>
            {
                json.WriteString("size", size.ToString());
                json.WriteNumber("flops", row.Flops(size));
                json.WriteNumber("bytes", row.Bytes(size));
            });
        });
    }

    /// <summary>What a comparison comes to, and the rows that are slower.</summary>
    private static string Compared(KernelProfile profile, ProfileBaseline baseline)
    {
        double[] ratios = [.. profile.Measurements.Select(baseline.Ratio).OfType<double>().Order()];
        if (ratios.Length == 0)
        {
            return $"{baseline.Name} has none of these kernels at these sizes";
        }
        string sum = FormattableString.Invariant($"{ratios.Length} times beside {baseline.Name} ({baseline.Machine}): the median is {ratios[ratios.Length / 2]:0.00} times the earlier one, from {ratios[0]:0.00} to {ratios[^1]:0.00}; ");
        var slower = profile.Measurements.Where(baseline.IsSlower).OrderByDescending(baseline.Ratio).ToArray();
        return sum + (slower.Length == 0 ? "none is slower beyond the noise"
            : $"{slower.Length} slower beyond the noise: " + string.Join(", ", slower.Select(m => FormattableString.Invariant($"{m.Row.Name} {SizeText(m.Size)} ({baseline.Ratio(m):0.00})"))));
    }

    private static string Then(KernelMeasurement m, ProfileBaseline? baseline) => baseline is null ? ""
        : (baseline.Ratio(m) is { } ratio ? FormattableString.Invariant($"{ratio,5:0.00}x") : "     -") + "  ";

    /// <summary>The sentence about a point above its roof.</summary>
    public static string Impossible(KernelMeasurement m, MachineRoofs roofs) => FormattableString.Invariant(
        $"{m.Row.Name} {m.Size} reaches {m.Share(roofs):0.00} times its roof ({m.Bound(roofs)}): its count of operations or bytes is wrong");

    /// <summary>Where the time of a piece of work went, as a table.</summary>
    public static void WriteText(TextWriter text, string work, double seconds, IReadOnlyList<KernelTotal> totals)
    {
        double kernels = totals.Sum(t => t.Seconds);
        int name = Math.Max(17, totals.Select(t => t.Name.Length).DefaultIfEmpty().Max());
        text.WriteLine(FormattableString.Invariant($"{work}: {Time(seconds)}, of which kernels {100 * kernels / seconds:0.0} %"));
        text.WriteLine($"{"kernel".PadRight(name)}   calls        time   share  GFLOP/s     GB/s");
        foreach (var t in totals)
        {
            text.WriteLine(FormattableString.Invariant(
                $"{t.Name.PadRight(name)}  {t.Calls,6}  {Time(t.Seconds),10}  {100 * t.Seconds / seconds,4:0.0} %  {t.Flops / t.Seconds / 1e9,7:0.0}  {t.Bytes / t.Seconds / 1e9,7:0.0}"));
        }
        text.WriteLine(FormattableString.Invariant($"{"(between kernels)".PadRight(name)}  {"",6}  {Time(seconds - kernels),10}  {100 * (1 - (kernels / seconds)),4:0.0} %"));
    }

    /// <summary>The same as JSON members.</summary>
    public static void WriteJson(Utf8JsonWriter json, string work, double seconds, IReadOnlyList<KernelTotal> totals)
    {
        json.WriteStartObject("work");
        json.WriteString("name", work);
        json.WriteNumber("seconds", seconds);
        json.Objects("kernels", totals, t =>
        {
            json.WriteString("kernel", t.Name);
            json.WriteNumber("calls", t.Calls);
            json.WriteNumber("seconds", t.Seconds);
            json.WriteNumber("share", t.Seconds / seconds);
            json.WriteNumber("flops_per_second", t.Flops / t.Seconds);
            json.WriteNumber("bytes_per_second", t.Bytes / t.Seconds);
        });
        json.WriteEndObject();
    }

    /// <summary>What the figures were taken on.</summary>
    public static void WriteMachine(Utf8JsonWriter json, VerbContext context, Device device)
    {
        json.WriteStartObject("machine");
        json.WriteString("version", BuildFacts.Version);
        json.WriteString("runtime", BuildFacts.Runtime);
        json.WriteString("system", BuildFacts.System);
        json.WriteString("device", device.Description);
        json.WriteNumber("threads", context.Threads.Count);
        json.WriteNumber("processors", Environment.ProcessorCount);
        json.Objects("caches", CacheLevel.Read(), cache =>
        {
            json.WriteNumber("level", cache.Level);
            json.WriteNumber("bytes", cache.Bytes);
        });
        json.WriteEndObject();
    }

    private static void WriteRoofs(TextWriter text, MachineRoofs roofs)
    {
        text.WriteLine($"  bandwidth   {string.Join(", ", roofs.Levels().Select(l => FormattableString.Invariant($"{l.Name} {l.BytesPerSecond / 1e9:0.0} GB/s")))} (read and written, the fastest pattern)");
        var far = roofs.Bandwidths[^1];
        text.WriteLine(FormattableString.Invariant(
            $"  memory      read {far.Read / 1e9:0.0}, write {far.Write / 1e9:0.0}, copy {far.Copy / 1e9:0.0}, update {far.Update / 1e9:0.0} GB/s at {ByteSize.Format(far.Footprint)}"));
        text.WriteLine(FormattableString.Invariant(
            $"  arithmetic  fma {roofs.FusedMultiplyAdd / 1e9:0.0} GFLOP/s, min+add {roofs.MinimumAddTerms / 1e9:0.0} G terms/s, sub+fma {roofs.SubtractMultiplyAdd / 1e9:0.0} GFLOP/s"));
    }

    // Zeros say that something is not used.
    private static string SizeText(KernelSize size) => string.Join(' ', size.Dimensions.Where(d => d.Value != 0).Select(d => $"{d.Name}={d.Value}"));

    private static string Noise(KernelMeasurement m) => m.Spread > 0.5 ? FormattableString.Invariant($"  (noisy: {100 * m.Spread:0} %)") : "";

    private static string Time(double seconds) => seconds switch
    {
        < 1e-3 => FormattableString.Invariant($"{seconds * 1e6:0.00} us"),
        < 1 => FormattableString.Invariant($"{seconds * 1e3:0.00} ms"),
        _ => FormattableString.Invariant($"{seconds:0.00} s"),
    };
}
