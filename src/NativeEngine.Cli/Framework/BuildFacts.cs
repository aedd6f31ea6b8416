using System.Reflection;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

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

    /// <summary>The widest vectors the processor and runtime have.</summary>
    public static string Simd => Vector512.IsHardwareAccelerated ? "512 bits"
        : Vector256.IsHardwareAccelerated ? "256 bits"
        : Vector128.IsHardwareAccelerated ? "128 bits" : "none";
}
