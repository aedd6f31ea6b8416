using System.Text.Json;
using NativeEngine.Devices;

namespace NativeEngine.Profiling;

/// <summary>A profile as JSON members: roofs in units per second, one entry a row and size.</summary>
public static class ProfileDocument
{
    /// <summary>Writes the members into an open object; with a baseline each row has its earlier time and whether it is slower.</summary>
    public static void Write(Utf8JsonWriter json, KernelProfile profile, ProfileBaseline? baseline = null)
    {
        json.WriteStartArray("roofs");
        WriteRoofs(json, profile.Roofs);
        if (profile.SingleThread is { } single)
        {
            WriteRoofs(json, single);
        }
        json.WriteEndArray();
        json.WriteStartArray("rows");
        foreach (var m in profile.Measurements)
        {
            WriteRow(json, m, profile.Roofs, baseline);
        }
        json.WriteEndArray();
        json.WriteStartArray("skipped");
        foreach (var skipped in profile.Skipped)
        {
            json.WriteStartObject();
            json.WriteString("kernel", skipped.Row.Name);
            json.WriteString("size", skipped.Size.ToString());
            json.WriteString("reason", skipped.Reason);
            json.WriteEndObject();
        }
        json.WriteEndArray();
        json.WriteStartArray("above_roof");
        foreach (var m in profile.AboveRoof)
        {
            WriteRow(json, m, profile.Roofs, baseline);
        }
        json.WriteEndArray();
    }

    private static void WriteRoofs(Utf8JsonWriter json, MachineRoofs roofs)
    {
        json.WriteStartObject();
        json.WriteString("device", roofs.Device ?? "cpu");
        json.WriteNumber("threads", roofs.Threads);
        json.WriteString("simd", roofs.Width);
        json.WriteNumber("copy_bytes_per_second", Math.Round(roofs.CopyBandwidth));
        json.WriteNumber("fma_flops_per_second", Math.Round(roofs.FusedMultiplyAdd));
        json.WriteNumber("min_add_terms_per_second", Math.Round(roofs.MinimumAddTerms));
        json.WriteNumber("sub_fma_flops_per_second", Math.Round(roofs.SubtractMultiplyAdd));
        json.WriteStartArray("levels");
        foreach (var (name, bytesPerSecond) in roofs.Levels())
        {
            json.WriteStartObject();
            json.WriteString("name", name);
            json.WriteNumber("bytes_per_second", Math.Round(bytesPerSecond));
            json.WriteEndObject();
        }
        json.WriteEndArray();
        json.WriteStartArray("bandwidths");
        foreach (var point in roofs.Bandwidths)
        {
            json.WriteStartObject();
            json.WriteNumber("footprint_bytes", point.Footprint);
            json.WriteNumber("read", Math.Round(point.Read));
            json.WriteNumber("write", Math.Round(point.Write));
            json.WriteNumber("copy", Math.Round(point.Copy));
            json.WriteNumber("update", Math.Round(point.Update));
            json.WriteEndObject();
        }
        json.WriteEndArray();
        json.WriteEndObject();
    }

    private static void WriteRow(Utf8JsonWriter json, KernelMeasurement m, MachineRoofs roofs, ProfileBaseline? baseline)
    {
        json.WriteStartObject();
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
        json.WriteEndObject();
    }
}
