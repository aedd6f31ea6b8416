using System.Text.Json;
using NativeEngine.Formats;
using NativeEngine.Native;

namespace NativeEngine.Cli;

/// <summary>What doctor tells: one line a fact, the same facts as JSON.</summary>
internal sealed class MachineReport(VerbContext context, string? ortLib)
{
    private readonly SystemMemory _memory = SystemMemory.Read();
    private readonly string _temporary = Path.GetTempPath();
    private readonly string? _temporaryProblem = WriteProblem(Path.GetTempPath());

    private readonly DeviceReport _devices = new(context);
    private readonly OnnxRuntimeLibrary _onnxRuntime = OnnxRuntimeLibrary.Find(ortLib);

    private static string? Forced => Environment.GetEnvironmentVariable("NENGINE_SIMD") is { Length: > 0 } value ? value : null;

    public void WriteText(TextWriter text)
    {
        Line(text, "version", BuildFacts.Version);
        Line(text, "runtime", BuildFacts.Runtime);
        Line(text, "system", BuildFacts.System);
        Line(text, "simd", $"{BuildFacts.Simd} registers");
        Line(text, "", $"NENGINE_SIMD: {Forced ?? "not set"}");
        _devices.WriteText((name, value) => Line(text, name, value));
        Line(text, "threads", $"{context.Threads.Count} (from {context.Threads.Source}; {Environment.ProcessorCount} processors)");
        Line(text, "cpu quota", context.Limits.Processors is { } share ? FormattableString.Invariant($"{share:0.##} processors (cgroup)") : "none");
        Line(text, "memory", ByteSize.Format(_memory.Total) + (_memory.Available is { } free ? $", {ByteSize.Format(free)} available now" : ""));
        Line(text, "memory limit", context.Limits.MemoryBytes is { } bytes ? $"{ByteSize.Format(bytes)} (cgroup)" : "none");
        if (context.AddressSpace is { } left)
        {
            Line(text, "", $"{ByteSize.Format(left)} of address space left (ulimit -v)");
        }
        Line(text, "max memory", ByteSize.Format(context.MaxMemory));
        Line(text, "temporary", $"{_temporary} ({_temporaryProblem ?? "writable"})");
        Line(text, "onnx runtime", _onnxRuntime.IsFound ? $"{_onnxRuntime.Version}, {string.Join(", ", _onnxRuntime.Providers)}" : "not found");
        foreach (var attempt in _onnxRuntime.Attempts)
        {
            Line(text, "", $"{attempt.Path}: {attempt.Outcome}");
        }
        Line(text, "seed", FormattableString.Invariant($"{context.Seed}"));
    }

    public void WriteJson(Utf8JsonWriter json)
    {
        json.WriteNumber("schema", 1);
        json.WriteString("version", BuildFacts.Version);
        json.WriteString("runtime", BuildFacts.Runtime);
        json.WriteString("system", BuildFacts.System);
        json.WriteString("simd", BuildFacts.Simd);
        json.WriteString("simd_forced", Forced);
        _devices.WriteJson(json);
        json.WriteStartObject("threads");
        json.WriteNumber("count", context.Threads.Count);
        json.WriteString("source", context.Threads.Source);
        json.WriteNumber("processors", Environment.ProcessorCount);
        json.Number("cgroup_quota", context.Limits.Processors);
        json.WriteEndObject();
        json.WriteStartObject("memory");
        json.WriteNumber("total_bytes", _memory.Total);
        json.Number("available_bytes", _memory.Available);
        json.Number("cgroup_limit_bytes", context.Limits.MemoryBytes);
        json.WriteNumber("max_bytes", context.MaxMemory);
        json.WriteEndObject();
        json.WriteStartObject("temporary");
        json.WriteString("path", _temporary);
        json.WriteBoolean("writable", _temporaryProblem is null);
        json.WriteString("problem", _temporaryProblem);
        json.WriteEndObject();
        json.WriteStartObject("onnxruntime");
        json.WriteBoolean("available", _onnxRuntime.IsFound);
        json.WriteString("path", _onnxRuntime.Path);
        json.WriteString("version", _onnxRuntime.Version);
        json.Strings("providers", _onnxRuntime.Providers);
        json.Objects("tried", _onnxRuntime.Attempts, attempt =>
        {
            json.WriteString("path", attempt.Path);
            json.WriteString("outcome", attempt.Outcome);
        });
        json.WriteEndObject();
        json.WriteNumber("seed", context.Seed);
    }

    private static void Line(TextWriter text, string name, string value) => text.WriteLine($"{name,-14}{value}");

    private static string? WriteProblem(string folder)
    {
        try
        {
            string probe = Path.Combine(folder, $"nengine-doctor-{Environment.ProcessId}");
            using var file = File.Create(probe, 1, FileOptions.DeleteOnClose);
            file.WriteByte(1);
            return null;
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            return $"not writable: {error.Message}";
        }
    }
}
