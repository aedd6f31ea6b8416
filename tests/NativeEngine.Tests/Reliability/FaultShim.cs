using System.Diagnostics;
using NativeEngine.Tests.Support;

namespace NativeEngine.Tests.Reliability;

/// <summary>
/// faults.c, compiled and put before the C library of a process: its n-th change below a folder fails, or kills it. Every way to write a file passes there,
/// whoever wrote it, so nothing in the program has to know of faults.
/// </summary>
internal sealed class FaultShim : IDisposable
{
    public const int NoSpace = 28, InputOutput = 5;
    private readonly TemporaryFolder _folder = new();
    private readonly string _library;

    public FaultShim()
    {
        _library = _folder.File("faults.so");
        string source = RepositoryPaths.InRepository("tests/NativeEngine.Tests/Reliability/faults.c");
        using var gcc = Process.Start(new ProcessStartInfo("gcc", ["-shared", "-fPIC", "-O1", "-o", _library, source]) { RedirectStandardError = true })!;
        string said = gcc.StandardError.ReadToEnd();
        gcc.WaitForExit();
        Assert.True(gcc.ExitCode == 0, said);
    }

    /// <summary>Why there is none here, or null.</summary>
    public static string? Missing { get; } =
        !OperatingSystem.IsLinux() ? "needs Linux: faults come by LD_PRELOAD"
        : !(Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator).Any(folder => File.Exists(Path.Combine(folder, "gcc"))) ? "needs gcc, which is not on the path" : null;

    /// <summary>The environment of a process whose n-th change below a folder fails with an error, or, with 0, ends it; n = 0 counts only.</summary>
    public Dictionary<string, string?> Environs(string under, int at, int error = 0, bool stays = false)
    {
        File.Delete(Told(under));
        File.Delete(Counted(under));
        return new Dictionary<string, string?>
        {
            ["LD_PRELOAD"] = _library,
            ["FAULTS_UNDER"] = under + "/",
            ["FAULTS_AT"] = at.ToString(),
            ["FAULTS_ERRNO"] = error.ToString(),
            ["FAULTS_STAYS"] = stays ? "1" : null,
            ["FAULTS_TOLD"] = Told(under),
            ["FAULTS_COUNT"] = Counted(under),
        };
    }

    /// <summary>What the last process below a folder was hit in, or null when it ended before: "write /some/path".</summary>
    public static string? Hit(string under) => File.Exists(Told(under)) ? File.ReadAllText(Told(under)).Trim() : null;

    /// <summary>Changes and deletions of the last process below a folder, which only counted.</summary>
    public static (int Changes, int Deletions) Counts(string under) => File.ReadAllText(Counted(under)).Split(' ') is [var changes, var deletions] ? (int.Parse(changes), int.Parse(deletions)) : default;

    private static string Told(string under) => under + ".told";

    private static string Counted(string under) => under + ".count";

    public void Dispose() => _folder.Dispose();
}

/// <summary>A theory that needs <see cref="FaultShim"/>; skipped, and printed as skipped, where it cannot be had.</summary>
public sealed class TheoryWithFaultsAttribute : TheoryAttribute
{
    public TheoryWithFaultsAttribute() => Skip = FaultShim.Missing;
}
