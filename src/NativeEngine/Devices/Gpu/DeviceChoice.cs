using System.Text.RegularExpressions;
using NativeEngine.Devices.Cpu;

namespace NativeEngine.Devices.Gpu;

/// <summary>Who hears what a choice of device has to say: at length, for information, as a warning.</summary>
public sealed record DeviceTalk(Action<string> Detail, Action<string> Info, Action<string> Warn);

/// <summary>
/// What the name of a device asks for: <c>auto</c>, <c>cpu</c>, <c>cuda[:i]</c> or <c>opencl[:p.d]</c>. The only place that decides what auto means: the first
/// CUDA device, else the first GPU of OpenCL, whose kernels pass a self-test; else the CPU. A CPU behind OpenCL is taken only by its name.
/// </summary>
public sealed partial class DeviceChoice
{
    private readonly string _asked;
    private readonly MatMulPrecision _precision;
    private readonly GpuBackend? _backend;

    /// <summary>
    /// Refuses what is no device name, and bfloat16 where no CUDA device is named (usage); a named device that is not there or cannot be used (device unavailable).
    /// </summary>
    public DeviceChoice(string asked, MatMulPrecision precision = MatMulPrecision.Float32)
    {
        (_asked, _precision) = (asked, precision);
        if (precision != MatMulPrecision.Float32 && !asked.StartsWith("cuda", StringComparison.Ordinal))
        {
            throw new EngineException(ErrorKind.Usage, $"matrix products of bfloat16 need the tensor cores of a CUDA device, the device is '{asked}'", "name the device: --device cuda");
        }
        if (asked is "auto" or "cpu")
        {
            return;
        }
        if (!IsName(asked))
        {
            throw new EngineException(ErrorKind.Usage, $"a device is auto, cpu, cuda[:i] or opencl[:p.d], got '{asked}'", "nengine doctor shows the devices");
        }
        _backend = asked.StartsWith("cuda", StringComparison.Ordinal) ? CudaBackend.Find() : OpenClBackend.Find();
        Named = _backend.Choose(asked);
    }

    /// <summary>Whether a text has the form of a device's name.</summary>
    public static bool IsName(string text) => text is "auto" or "cpu" || GpuName().IsMatch(text);

    /// <summary>The GPU that was named, or null for auto and cpu.</summary>
    public GpuInfo? Named { get; }

    /// <summary>
    /// Opens the device. An allocation past the limit is refused: <paramref name="memoryLimit"/> where the user set one, else what the device has
    /// (a GPU) or <paramref name="processMemory"/>. <paramref name="decorate"/> may put a profiler around the kernels; threads and register width are the CPU's.
    /// </summary>
    public Device Open(int threads, long? memoryLimit, long processMemory, DeviceTalk talk, Func<IKernels, IKernels>? decorate = null, SimdWidth? width = null)
    {
        if (_backend is not null)
        {
            var named = _backend.Open(_asked, memoryLimit ?? long.MaxValue, decorate, _precision);
            talk.Detail($"device: {named.Description}");
            return named;
        }
        if (_asked == "auto" && FirstGpu(memoryLimit ?? long.MaxValue, talk, decorate) is { } gpu)
        {
            return gpu;
        }
        var device = new CpuDevice(threads, width, decorate) { MemoryLimit = memoryLimit ?? processMemory };
        talk.Detail(_asked == "auto" ? $"device: auto chose {device.Description}" : $"device: {device.Description}");
        return device;
    }

    private static GpuDevice? FirstGpu(long memoryLimit, DeviceTalk talk, Func<IKernels, IKernels>? decorate)
    {
        foreach (var find in new Func<GpuBackend?>[] { CudaBackend.Find, () => OpenClBackend.MayHaveGpu() ? OpenClBackend.Find() : null })
        {
            var backend = find();
            foreach (var info in backend?.Devices.Where(d => d.IsGpu && d.Problem is null) ?? [])
            {
                GpuDevice? device = null;
                try
                {
                    device = backend!.Open(info.Name, memoryLimit, decorate);
                    var test = GpuSelfTest.Run(device);
                    if (test.Problem is null)
                    {
                        talk.Info($"device: auto chose {device.Description}; {test}");
                        return device;
                    }
                    talk.Warn($"auto passed {info.Name} over: {test}");
                }
                catch (EngineException error)
                {
                    talk.Warn($"auto passed {info.Name} over: {error.Message}");
                }
                device?.Dispose();
            }
        }
        return null;
    }

    [GeneratedRegex(@"^(cuda(:\d{1,3})?|opencl(:\d{1,3}\.\d{1,3})?)$", RegexOptions.CultureInvariant)]
    private static partial Regex GpuName();
}
