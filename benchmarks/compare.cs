// This project beside its peers, in one run:  dotnet run benchmarks/compare.cs -- [--only selection,training] [--quick] [--output FOLDER]
// Builds in Release first; everything else is in NativeEngine.Benchmarks/Goals. README.md in this folder tells how to read the result.
using System.Diagnostics;
using System.Runtime.CompilerServices;

string root = Path.GetDirectoryName(Path.GetDirectoryName(File()))!;

// Building raises the load average, so it is read before.
string[] load = System.IO.File.Exists("/proc/loadavg") ? ["--load", System.IO.File.ReadAllText("/proc/loadavg").Split(' ')[0]] : [];
string[] projects = ["src/NativeEngine.Cli", "benchmarks/NativeEngine.Benchmarks"];
foreach (string project in projects)
{
    if (DotNet("build", Path.Combine(root, project), "-c", "Release", "-v", "quiet", "--nologo", "-clp:NoSummary") is var failure and not 0)
    {
        return failure;
    }
}
return DotNet([Path.Combine(root, projects[1], "bin", "Release", "net10.0", "NativeEngine.Benchmarks.dll"), "goals", .. args, .. load]);

static int DotNet(params string[] arguments)
{
    using var process = Process.Start("dotnet", arguments);
    process.WaitForExit();
    return process.ExitCode;
}

static string File([CallerFilePath] string file = "") => file;
