using System.Globalization;

namespace NativeEngine.Cli;

/// <summary>The limit of <c>ulimit -v</c>, which batch systems set too: on addresses, of which .NET reserves about half for its own heap, used or not.</summary>
internal static class AddressSpaceLimit
{
    /// <summary>Bytes that can still be mapped, or null where there is no limit or the system does not say. The files are parameters for tests.</summary>
    public static long? Left(string limits = "/proc/self/limits", string sizes = "/proc/self/statm")
    {
        const string Name = "Max address space";
        try
        {
            // "Max address space         4096000000           unlimited            bytes": the soft limit comes first.
            string? line = File.Exists(limits) ? File.ReadLines(limits).FirstOrDefault(l => l.StartsWith(Name, StringComparison.Ordinal)) : null;
            return line?[Name.Length..].Split(' ', StringSplitOptions.RemoveEmptyEntries) is [var soft, ..] && long.TryParse(soft, NumberStyles.None, CultureInfo.InvariantCulture, out long limit)
                && long.TryParse(File.ReadAllText(sizes).Split(' ')[0], NumberStyles.None, CultureInfo.InvariantCulture, out long pages)
                ? Math.Max(0, limit - (pages * Environment.SystemPageSize)) : null;
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }
}
