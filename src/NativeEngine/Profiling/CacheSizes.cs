using System.Globalization;

namespace NativeEngine.Profiling;

/// <summary>One level of data cache as the system describes it.</summary>
/// <param name="Level">1, 2, 3.</param>
/// <param name="Bytes">Size of one instance.</param>
public sealed record CacheLevel(int Level, long Bytes)
{
    /// <summary>
    /// The data caches of the first processor, smallest first; empty where the system does not tell (only Linux does). They only place the
    /// names L1, L2, L3 on a measured curve, and say how large "far larger than the caches" is.
    /// </summary>
    public static IReadOnlyList<CacheLevel> Read(string folder = "/sys/devices/system/cpu/cpu0/cache")
    {
        var levels = new SortedDictionary<int, CacheLevel>();
        try
        {
            foreach (string index in Directory.Exists(folder) ? Directory.EnumerateDirectories(folder, "index*") : [])
            {
                string type = Text(index, "type"), size = Text(index, "size");
                if (type is "Data" or "Unified" && size.EndsWith('K')
                    && int.TryParse(Text(index, "level"), NumberStyles.None, CultureInfo.InvariantCulture, out int level)
                    && long.TryParse(size.AsSpan(..^1), NumberStyles.None, CultureInfo.InvariantCulture, out long kilobytes) && kilobytes > 0)
                {
                    levels[level] = new CacheLevel(level, kilobytes * 1024);
                }
            }
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            return [];
        }
        return [.. levels.Values];

        static string Text(string index, string name) => File.ReadAllText(Path.Combine(index, name)).Trim();
    }
}
