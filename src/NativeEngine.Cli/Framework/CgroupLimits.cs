using System.Globalization;

namespace NativeEngine.Cli;

/// <summary>
/// The limits a container or a batch system sets on this process, from cgroup v2 (<c>cpu.max</c>, <c>memory.max</c>) or v1
/// (<c>cpu.cfs_quota_us</c>, <c>memory.limit_in_bytes</c>). Every ancestor's limit holds, so the smallest counts.
/// </summary>
internal sealed record CgroupLimits(double? Processors, long? MemoryBytes)
{
    /// <summary>Reads the limits; null where there is none or the system has no cgroups. The roots are parameters for tests.</summary>
    public static CgroupLimits Read(string membershipFile = "/proc/self/cgroup", string root = "/sys/fs/cgroup")
    {
        double? processors = null;
        long? memory = null;
        foreach (string line in ReadLines(membershipFile))
        {
            // "0::/path" is v2; "4:cpu,cpuacct:/path" is a v1 hierarchy mounted under its controllers' names.
            string[] parts = line.Split(':', 3);
            if (parts.Length != 3)
            {
                continue;
            }
            foreach (string folder in Ancestors(Mount(root, parts[1]), parts[2]))
            {
                processors = Least(processors, Quota(folder));
                memory = Least(memory, Number(Path.Combine(folder, parts[1].Length == 0 ? "memory.max" : "memory.limit_in_bytes")));
            }
        }
        // v1 says "no limit" with a number near 2^63.
        return new CgroupLimits(processors, memory < 1L << 60 ? memory : null);
    }

    private static string Mount(string root, string controllers)
    {
        if (controllers.Length == 0)
        {
            return root;
        }
        string whole = Path.Combine(root, controllers);
        return Directory.Exists(whole) ? whole : Path.Combine(root, controllers.Split(',')[0]);
    }

    private static IEnumerable<string> Ancestors(string mount, string path)
    {
        for (string relative = path.Trim('/'); ; relative = relative.Contains('/') ? relative[..relative.LastIndexOf('/')] : "")
        {
            yield return Path.Combine(mount, relative);
            if (relative.Length == 0)
            {
                yield break;
            }
        }
    }

    private static double? Quota(string folder)
    {
        if (ReadLines(Path.Combine(folder, "cpu.max")) is [var line, ..] && line.Split(' ') is [var quota, var period])
        {
            return Ratio(Parse(quota), Parse(period));
        }
        return Ratio(Number(Path.Combine(folder, "cpu.cfs_quota_us")), Number(Path.Combine(folder, "cpu.cfs_period_us")));
    }

    private static double? Ratio(long? quota, long? period) => quota > 0 && period > 0 ? (double)quota / period : null;

    private static long? Number(string file) => ReadLines(file) is [var line, ..] ? Parse(line) : null;

    private static long? Parse(string text) =>
        long.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out long value) ? value : null;

    private static T? Least<T>(T? a, T? b)
        where T : struct, IComparable<T> => a is { } x && b is { } y ? (x.CompareTo(y) <= 0 ? x : y) : a ?? b;

    private static string[] ReadLines(string file)
    {
        try
        {
            return File.Exists(file) ? File.ReadAllLines(file) : [];
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            return [];
        }
    }
}
