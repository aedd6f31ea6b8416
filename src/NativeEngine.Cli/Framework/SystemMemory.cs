using System.Globalization;

namespace NativeEngine.Cli;

/// <summary>Bytes of memory of this machine: all of it, and what is free or freeable now (null where the system does not say).</summary>
internal sealed record SystemMemory(long Total, long? Available)
{
    /// <summary>From /proc/meminfo, elsewhere from the runtime.</summary>
    public static SystemMemory Read(string file = "/proc/meminfo")
    {
        var fields = new Dictionary<string, long>();
        foreach (string line in File.Exists(file) ? File.ReadLines(file) : [])
        {
            // "MemTotal:       24684100 kB"
            string[] parts = line.Split((char[])[':', ' '], StringSplitOptions.RemoveEmptyEntries);
            if (parts.Length == 3 && long.TryParse(parts[1], NumberStyles.None, CultureInfo.InvariantCulture, out long kilobytes))
            {
                fields[parts[0]] = kilobytes * 1024;
            }
        }
        return new SystemMemory(
            fields.TryGetValue("MemTotal", out long total) ? total : GC.GetGCMemoryInfo().TotalAvailableMemoryBytes,
            fields.TryGetValue("MemAvailable", out long available) ? available : null);
    }
}
