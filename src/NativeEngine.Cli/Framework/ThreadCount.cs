using System.Globalization;

namespace NativeEngine.Cli;

/// <summary>How many CPU threads to use, and where the number comes from.</summary>
internal sealed record ThreadCount(int Count, string Source)
{
    /// <summary>
    /// The first of: <paramref name="asked"/> (--threads), SLURM_CPUS_PER_TASK, OMP_NUM_THREADS (its first number), the cgroup's
    /// quota rounded up, all processors. A variable that holds no positive number is passed over, and <paramref name="warn"/> says so.
    /// </summary>
    public static ThreadCount Resolve(
        int? asked, Func<string, string?> environment, CgroupLimits limits, int processors, Action<string> warn)
    {
        if (asked is { } count)
        {
            return new ThreadCount(count, "--threads");
        }
        foreach (string name in (string[])["SLURM_CPUS_PER_TASK", "OMP_NUM_THREADS"])
        {
            string? value = environment(name);
            if (string.IsNullOrWhiteSpace(value))
            {
                continue;
            }
            if (int.TryParse(value.Split(',')[0].Trim(), NumberStyles.None, CultureInfo.InvariantCulture, out int number) && number is > 0 and <= 4096)
            {
                return new ThreadCount(number, name);
            }
            warn($"{name}='{value}' is no number of threads and is passed over");
        }
        // The runtime's own processor count already honours affinity and, rounded up, the quota.
        int quota = limits.Processors is { } share ? Math.Max(1, (int)Math.Ceiling(share)) : int.MaxValue;
        return quota <= processors ? new ThreadCount(quota, "cgroup quota") : new ThreadCount(processors, "processors");
    }
}
