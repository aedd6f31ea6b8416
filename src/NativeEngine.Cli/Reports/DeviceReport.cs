using System.Text.Json;
using NativeEngine.Devices.Cpu;
using NativeEngine.Devices.Gpu;
using NativeEngine.Formats;

namespace NativeEngine.Cli;

/// <summary>
/// What doctor tells of devices: the CPU, every device that CUDA and OpenCL list, each after a self-test, and where their libraries were looked for.
/// </summary>
internal sealed class DeviceReport
{
    // A device that nobody asked for may not keep doctor waiting for its compiler.
    private static readonly TimeSpan _patience = TimeSpan.FromSeconds(0.5);

    private readonly GpuBackend[] _backends;
    private readonly List<Row> _rows = [];

    public DeviceReport(VerbContext context)
    {
        _backends = [CudaBackend.Find(), OpenClBackend.Find()];
        _rows.Add(Cpu(context));
        foreach (var backend in _backends)
        {
            _rows.AddRange(backend.Problem is { } problem ? [new Row(backend.Name, false, problem, null)] : backend.Devices.Select(d => Gpu(backend, d, IsNamed(context.DeviceName, d) ? null : _patience)));
        }
    }

    private sealed record Row(string Name, bool Available, string Detail, SelfTestResult? Test);

    public void WriteText(Action<string, string> line)
    {
        string heading = "devices";
        foreach (var row in _rows)
        {
            line(heading, row.Detail.StartsWith(row.Name, StringComparison.Ordinal) ? row.Detail : $"{row.Name}: {row.Detail}");
            if (row.Test is { } test)
            {
                line("", test.Skipped == 0 ? $"  {test}" : $"  {test}; {test.Skipped} more are not compiled yet: nengine doctor --device {row.Name} tests all");
            }
            heading = "";
        }
        heading = "libraries";
        foreach (var backend in _backends)
        {
            foreach (var attempt in backend.Search.Tried)
            {
                line(heading, $"{backend.Name}: {attempt.Path}: {attempt.Outcome}");
                heading = "";
            }
        }
    }

    public void WriteJson(Utf8JsonWriter json)
    {
        json.Objects("devices", _rows, row =>
        {
            json.WriteString("name", row.Name);
            json.WriteBoolean("available", row.Available);
            json.WriteString("detail", row.Detail);
            if (row.Test is { } test)
            {
                json.WriteStartObject("self_test");
                json.WriteBoolean("passed", test.Problem is null);
                json.WriteString("problem", test.Problem);
                json.WriteNumber("kernels", test.Kernels);
                json.WriteNumber("skipped", test.Skipped);
                json.WriteNumber("seconds", test.Seconds);
                json.WriteEndObject();
            }
        });
        json.Objects("libraries", _backends, backend =>
        {
            json.WriteString("name", backend.Name);
            json.WriteString("path", backend.Search.Path);
            json.Objects("tried", backend.Search.Tried, attempt =>
            {
                json.WriteString("path", attempt.Path);
                json.WriteString("outcome", attempt.Outcome);
            });
        });
    }

    private static Row Cpu(VerbContext context)
    {
        try
        {
            using var device = new CpuDevice(context.Threads.Count, context.Width);
            return new Row("cpu", true, device.Description, null);
        }
        catch (EngineException error)
        {
            return new Row("cpu", false, $"unavailable: {error.Message}", null);
        }
    }

    private static bool IsNamed(string asked, GpuInfo device) => asked == device.Name || asked == device.Name[..device.Name.IndexOf(':', StringComparison.Ordinal)];

    private static Row Gpu(GpuBackend backend, GpuInfo info, TimeSpan? limit)
    {
        if (info.Problem is not null)
        {
            return new Row(info.Name, false, $"{info.Description}: {info.Problem}", null);
        }
        try
        {
            using var device = backend.Open(info.Name);
            var test = GpuSelfTest.Run(device, limit);
            return new Row(info.Name, test.Problem is null, device.Description, test);
        }
        catch (EngineException error)
        {
            return new Row(info.Name, false, error.Message, null);
        }
    }
}
