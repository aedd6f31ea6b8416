namespace NativeEngine.GpuCheck;

/// <summary>The kernels once more under NVIDIA's compute-sanitizer, where it is installed: accesses, races, uninitialised memory, barriers.</summary>
internal static class SanitizerSection
{
    public static void Run(CheckReport report, string device)
    {
        string? sanitizer = device.StartsWith("cuda", StringComparison.Ordinal) ? Programs.Find("compute-sanitizer") : null;
        foreach (string tool in (string[])["memcheck", "racecheck", "initcheck", "synccheck"])
        {
            if (sanitizer is null)
            {
                report.Add("compute-sanitizer", tool, null, device.StartsWith("cuda", StringComparison.Ordinal) ? "not installed (it comes with the CUDA toolkit)" : "for CUDA only");
                continue;
            }
            var (code, output, error) = Programs.Run(
                sanitizer, "--tool", tool, "--error-exitcode", "9", Environment.ProcessPath!, "--device", device, "--quick", "--only", "kernels");
            string last = (output + error).Split('\n', StringSplitOptions.RemoveEmptyEntries).LastOrDefault(l => l.Contains("SUMMARY", StringComparison.Ordinal)) ?? $"exit code {code}";
            report.Add("compute-sanitizer", tool, code == 0, last.Trim());
        }
    }
}
