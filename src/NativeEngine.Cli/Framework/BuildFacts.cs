using System.Reflection;
using System.Runtime.InteropServices;
using NativeEngine.Devices.Cpu;

namespace NativeEngine.Cli;

/// <summary>What this build is and runs on.</summary>
internal static class BuildFacts
{
    /// <summary>The version without the commit that the SDK appends.</summary>
    public static string Version { get; } =
        typeof(BuildFacts).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion.Split('+')[0] ?? "0";

    /// <summary>".NET 10.0.1".</summary>
    public static string Runtime => RuntimeInformation.FrameworkDescription;

    /// <summary>"Debian GNU/Linux 13 (trixie)" and its architecture.</summary>
    public static string System => $"{RuntimeInformation.OSDescription.Trim()} ({RuntimeInformation.ProcessArchitecture})";

    /// <summary>The widest vector registers of the processor.</summary>
    public static string Simd => CpuDevice.NameOf(CpuDevice.Widest);
}
