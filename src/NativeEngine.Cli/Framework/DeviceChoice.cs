using System.Text.RegularExpressions;
using NativeEngine.Devices;
using NativeEngine.Devices.Cpu;

namespace NativeEngine.Cli;

/// <summary>What --device asks for: <c>auto</c>, <c>cpu</c>, <c>cuda[:i]</c> or <c>opencl[:p.d]</c>.</summary>
internal static partial class DeviceChoice
{
    /// <summary>Refuses what is no device name (usage) and what this build cannot give (device unavailable).</summary>
    public static void Check(string asked)
    {
        if (asked is "auto" or "cpu")
        {
            return;
        }
        if (!GpuName().IsMatch(asked))
        {
            throw new EngineException(ErrorKind.Usage, $"--device expects auto, cpu, cuda[:i] or opencl[:p.d], got '{asked}'", "nengine doctor shows the devices");
        }
        throw new EngineException(
            ErrorKind.DeviceUnavailable,
            $"the device '{asked}' cannot be used: this build has only the CPU device",
            "use --device cpu, or --device auto to take the best there is");
    }

    /// <summary>Opens the device; the only place that decides what auto means. An allocation past the limit is refused.</summary>
    public static Device Open(string asked, int threads, long memoryLimit, TalkWriter talk, Func<IKernels, IKernels>? decorate = null)
    {
        Check(asked);
        var device = new CpuDevice(threads, decorate: decorate) { MemoryLimit = memoryLimit };
        talk.Detail(asked == "auto" ? $"device: auto chose {device.Description}" : $"device: {device.Description}");
        return device;
    }

    [GeneratedRegex(@"^(cuda(:\d{1,3})?|opencl(:\d{1,3}\.\d{1,3})?)$", RegexOptions.CultureInvariant)]
    private static partial Regex GpuName();
}
