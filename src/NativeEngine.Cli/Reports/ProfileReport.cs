using System.Text.Json;
using NativeEngine.Devices;
using NativeEngine.Formats;
using NativeEngine.Profiling;

namespace NativeEngine.Cli;

/// <summary>How the results of profile are told.</summary>
internal static class ProfileReport
{
    /// <summary>Kernels against roofs, as a table.</summary>
    public static void WriteText(TextWriter text, KernelProfile profile)
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
        text.WriteLine($"{"kernel".PadRight(name)}  {"size".PadRight(size)}        time     GB/s  GFLOP/s   share  of");
        foreach (var m in profile.Measurements)
        {
            text.WriteLine(FormattableString.Invariant(
                $"{m.Row.Name.PadRight(name)}  {SizeText(m.Size).PadRight(size)}  {Time(m.Seconds),10}  {m.BytesPerSecond / 1e9,7:0.0}  {(m.Flops == 0 ? "-" : FormattableString.Invariant($"{m.FlopsPerSecond / 1e9:0.0}")),7}  {100 * m.Share(roofs),4:0} %  {m.Bound(roofs)}{Noise(m)}"));
        }
        foreach (var skipped in profile.Skipped)
        {
            text.WriteLine($"left out: {skipped.Row.Name} {SizeText(skipped.Size)}: {skipped.Reason}");
        }
        foreach (var m in profile.AboveRoof)
        {
            text.WriteLine($"IMPOSSIBLE: {Impossible(m, roofs)}");
        }
    }

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
