using System.Globalization;

namespace NativeEngine.Cli;

/// <summary>
/// stdin, stdout and stderr, unless this program was started without them: then the first file that anybody opens gets their number, and what is said would be written into it.
/// </summary>
internal static class StandardStreams
{
    /// <summary>stdin, or nothing.</summary>
    public static Stream Input() => WasGiven(0) ? Console.OpenStandardInput() : Stream.Null;

    /// <summary>stdout, or nothing.</summary>
    public static Stream Output() => WasGiven(1) ? Console.OpenStandardOutput() : Stream.Null;

    /// <summary>stderr, or nothing.</summary>
    public static Stream Error() => WasGiven(2) ? Console.OpenStandardError() : Stream.Null;

    // What is closed when a program begins (O_CLOEXEC) cannot have come from outside. Where the system does not tell, it is believed.
    private static bool WasGiven(int descriptor)
    {
        const long CloseOnExec = 0x80000;
        try
        {
            if (!Directory.Exists("/proc/self/fdinfo"))
            {
                return true;
            }
            string file = string.Create(CultureInfo.InvariantCulture, $"/proc/self/fdinfo/{descriptor}");
            string flags = File.ReadLines(file).First(line => line.StartsWith("flags:", StringComparison.Ordinal))[6..].Trim();
            return (Convert.ToInt64(flags, 8) & CloseOnExec) == 0;
        }
        catch (FileNotFoundException)
        {
            return false;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or InvalidOperationException or FormatException)
        {
            return true;
        }
    }
}
