using System.Globalization;

namespace NativeEngine.Ablation;

/// <summary>
/// Which process this is, told so that another process on the same system can see whether it still runs: host, boot, process namespace, number and
/// start. Processes of other systems cannot be judged.
/// </summary>
internal sealed record ProcessIdentity(string System, int Process, string Start)
{
    private const char Separator = '|';

    /// <summary>This process.</summary>
    public static ProcessIdentity Current { get; } = new(ThisSystem(), Environment.ProcessId, StartOf(Environment.ProcessId) ?? "");

    /// <summary>As text.</summary>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{System}{Separator}{Process}{Separator}{Start}");

    /// <summary>From text; null when it is no identity.</summary>
    public static ProcessIdentity? Parse(string text) =>
        text.Split(Separator) is [var system, var number, var start] && int.TryParse(number, NumberStyles.None, CultureInfo.InvariantCulture, out int process)
            ? new ProcessIdentity(system, process, start) : null;

    /// <summary>Whether it runs; null when it belongs to another system.</summary>
    public bool? IsAlive() => System != ThisSystem() ? null : StartOf(Process) is { } start && (start == Start || Start.Length == 0);

    private static string ThisSystem()
    {
        string boot = "", space = "";
        try
        {
            boot = File.ReadAllText("/proc/sys/kernel/random/boot_id").Trim();
            space = new FileInfo("/proc/self/ns/pid").LinkTarget ?? "";
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // Not Linux, or a container that hides them: the host's name alone.
        }
        return $"{Environment.MachineName.Replace(Separator, '_')}/{boot}/{space}";
    }

    // Field 22 of /proc/PID/stat, clock ticks after boot: the same for whoever reads it, unlike a start time computed from the clock.
    private static string? StartOf(int process)
    {
        try
        {
            string stat = File.ReadAllText(string.Create(CultureInfo.InvariantCulture, $"/proc/{process}/stat"));
            string[] fields = stat[(stat.LastIndexOf(')') + 1)..].Split(' ', StringSplitOptions.RemoveEmptyEntries);
            // A zombie has ended; only its parent does not know yet.
            return fields is [var state, ..] && state is "Z" or "X" ? null : fields.ElementAtOrDefault(19);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return OperatingSystem.IsLinux() ? null : StartElsewhere(process);
        }
    }

    private static string? StartElsewhere(int process)
    {
        try
        {
            using var other = global::System.Diagnostics.Process.GetProcessById(process);
            return other.StartTime.ToUniversalTime().ToString("yyyyMMddHHmmss", CultureInfo.InvariantCulture);
        }
        catch (Exception e) when (e is ArgumentException or InvalidOperationException or global::System.ComponentModel.Win32Exception)
        {
            return null;
        }
    }
}
