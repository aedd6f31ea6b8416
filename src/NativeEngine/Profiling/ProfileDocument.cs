using System.Text.Json;
using NativeEngine.Devices;
using NativeEngine.Formats;

namespace NativeEngine.Profiling;

/// <summary>A profile as JSON members: roofs in units per second, one entry a row and size.</summary>
public static class ProfileDocument
{
    /// <summary>Writes the members into an open object; with a baseline each row has its earlier time and whether it is slower.</summary>
    public static void Write(Utf8JsonWriter json, KernelProfile profile, ProfileBaseline? baseline = null)
    {
        json.Objects("roofs", profile.SingleThread is { } single ? [profile.Roofs, single] : new[] { profile.Roofs }, roofs => WriteRoofs(json, roofs));
        json.Objects("rows", profile.Measurements, m => WriteRow(json, m, profile.Roofs, baseline));
        json.Objects("skipped", profile.Skipped, skipped =>
        {
            json.WriteString("kernel", skipped.Row.Name);
            json.WriteString("size", skipped.Size.ToString());
            json.WriteString("reason", skipped.Reason);
        });
        json.Objects("above_roof", profile.AboveRoof, m => WriteRow(json, m, profile.Roofs, baseline));
    }

    private static void WriteRoofs(Utf8JsonWriter json, MachineRoofs roofs)
    {
        json.WriteString("device", roofs.Device ?? "cpu");
        json.WriteNumber("threads", roofs.Threads);
        json.WriteString("simd", roofs.Width);
        json.WriteNumber("copy_bytes_per_second", Math.Round(roofs.CopyBandwidth));
        json.WriteNumber("fma_flops_per_second", Math.Round(roofs.FusedMultiplyAdd));
        json.WriteNumber("min_add_terms_per_second", Math.Round(roofs.MinimumAddTerms));
        json.WriteNumber("sub_fma_flops_per_second", Math.Round(roofs.SubtractMultiplyAdd));
        json.Objects("levels", roofs.Levels(), level =>
        {
            json.WriteString("name", level.Name);
            json.WriteNumber("bytes_per_second", Math.Round(level.BytesPerSecond));
        });
        json.Objects("bandwidths", roofs.Bandwidths, point =>
        {
            json.WriteNumber("footprint_bytes", point.Footprint);
            json.WriteNumber("read", Math.Round(point.Read));
            json.WriteNumber("write", Math.Round(point.Write));
            json.WriteNumber("copy", Math.Round(point.Copy));
            json.WriteNumber("update", Math.Round(point.Update));
        });
    }

    private static void WriteRow(Utf8JsonWriter json, KernelMeasurement m, MachineRoofs roofs, ProfileBaseline? baseline)
    {
        json.WriteString("kernel", m.Row.Name);
        json.WriteStartObject("size");
        foreach (var (name, value) in m.Size.Dimensions)
        {
            json.WriteNumber(name, value);
        }
        json.WriteEndObject();
        json.WriteNumber("seconds", m.Seconds);
        json.WriteNumber("spread", m.Spread);
        json.WriteNumber("samples", m.Samples);
        json.WriteNumber("bytes", m.Bytes);
        json.WriteNumber("flops", m.Flops);
        json.WriteNumber("bytes_per_second", m.BytesPerSecond);
        json.WriteNumber("flops_per_second", m.FlopsPerSecond);
        if (m.Row.Arithmetic == ArithmeticKind.MinimumAdd)
        {
            json.WriteNumber("terms_per_second", m.FlopsPerSecond / 2);
        }
        json.WriteString("bound", m.Bound(roofs));
        json.WriteNumber("share", m.Share(roofs));
        if (baseline?.Seconds(m) is { } seconds)
        {
            json.WriteNumber("baseline_seconds", seconds);
            json.WriteBoolean("slower", baseline.IsSlower(m));
        }
    }
}
