using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Text.RegularExpressions;

namespace NativeEngine.Benchmarks.Goals;

/// <summary>The processor and the software of a run: what a table must say to be read later.</summary>
internal sealed partial record MachineFacts(string Processor, string Folder, string Memory, string System, string Runtime, string Commit, bool HasAvx512)
{
    public static MachineFacts Read(string repository)
    {
        var cpu = CpuInfo();
        string model = cpu.GetValueOrDefault("model name", RuntimeInformation.ProcessArchitecture.ToString());
        string kind = cpu.TryGetValue("cpu family", out string? family) ? $" family {family} model {cpu.GetValueOrDefault("model", "?")}" : "";
        // What a hypervisor calls a processor may be no more than its make: family and model tell which it is.
        string processor = $"{model}{kind}, {Environment.ProcessorCount} processors";
        string folder = Separators().Replace($"{model}{kind} {Environment.ProcessorCount}x", "-").Trim('-').ToLowerInvariant();
        return new MachineFacts(
            processor, folder, $"{GC.GetGCMemoryInfo().TotalAvailableMemoryBytes / 1e9:0.0} GB", RuntimeInformation.OSDescription,
            RuntimeInformation.FrameworkDescription, Git(repository), cpu.GetValueOrDefault("flags", "").Contains("avx512f", StringComparison.Ordinal));
    }

    private static Dictionary<string, string> CpuInfo()
    {
        const string Path = "/proc/cpuinfo";
        var facts = new Dictionary<string, string>();
        foreach (string line in File.Exists(Path) ? File.ReadLines(Path) : [])
        {
            string[] parts = line.Split(':', 2, StringSplitOptions.TrimEntries);
            if (parts.Length == 2)
            {
                facts.TryAdd(parts[0], parts[1]);
            }
        }
        return facts;
    }

    private static string Git(string repository)
    {
        try
        {
            string commit = Output("rev-parse", "--short", "HEAD"), changed = Output("status", "--porcelain", "--untracked-files=no");
            return changed.Length == 0 ? commit : $"{commit} with changes";
        }
        catch (System.ComponentModel.Win32Exception)
        {
            return "unknown";
        }

        string Output(params string[] arguments)
        {
            using var process = Process.Start(new ProcessStartInfo("git", ["-C", repository, .. arguments]) { RedirectStandardOutput = true })!;
            string text = process.StandardOutput.ReadToEnd().Trim();
            process.WaitForExit();
            return text;
        }
    }

    [GeneratedRegex("[^A-Za-z0-9.]+")]
    private static partial Regex Separators();
}

/// <summary>How busy the machine is with other work: at the start, and during a run.</summary>
internal sealed class MachineLoad(double? before)
{
    /// <summary>A machine with more than this at the start, or with more taken by others during the run, gives no clean figures.</summary>
    public const double MostLoad = 0.5;

    public const double MostTaken = 0.05;

    private readonly (double Busy, double Stolen, double Total, double Own) _start = Read();

    /// <summary>The one-minute load average at the start; null where the system does not tell.</summary>
    public double? AtStart { get; } = before ?? Average();

    /// <summary>The system's one-minute load average.</summary>
    public static double? Average() => File.Exists("/proc/loadavg")
        ? double.Parse(File.ReadAllText("/proc/loadavg").Split(' ')[0], CultureInfo.InvariantCulture)
        : null;

    /// <summary>Share of all processor time since the start that other processes used, and share that the hypervisor kept.</summary>
    public (double Others, double Stolen) Taken()
    {
        var now = Read();
        double total = Math.Max(1, now.Total - _start.Total);
        double others = now.Busy - _start.Busy - (now.Own - _start.Own);
        return (Math.Max(0, others / total), (now.Stolen - _start.Stolen) / total);
    }

    // /proc/stat: user nice system idle iowait irq softirq steal; /proc/self/stat: fields 14 to 17, own and waited-for children's time.
    private static (double Busy, double Stolen, double Total, double Own) Read()
    {
        if (!File.Exists("/proc/stat"))
        {
            return default;
        }
        double[] all = [.. File.ReadLines("/proc/stat").First().Split(' ', StringSplitOptions.RemoveEmptyEntries)[1..9].Select(Parse)];
        string self = File.ReadAllText("/proc/self/stat");
        double own = self[(self.LastIndexOf(')') + 2)..].Split(' ')[11..15].Sum(Parse);
        return (all[0] + all[1] + all[2] + all[5] + all[6], all[7], all.Sum(), own);

        static double Parse(string text) => double.Parse(text, CultureInfo.InvariantCulture);
    }
}
