// The project's chores in one file:  dotnet run tools/build.cs -- build|test|check|kills [N]
using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Xml.Linq;

return args switch
{
    ["build"] => Build(),
    ["test"] => Test(),
    ["kills"] => Kills("20"),
    ["kills", var count] => Kills(count),
    ["check"] => First(Build, Format, Test),
    _ => Usage(),
};

// Release; warnings are errors (Directory.Build.props).
static int Build() => DotNet("build", "NativeEngine.sln", "-c", "Release");

// Programs of one file belong to no project, so they are looked at as files.
static int Format() => First(
    () => DotNet("format", "NativeEngine.sln", "--verify-no-changes", "--no-restore"),
    () => DotNet("format", "whitespace", ".", "--folder", "--verify-no-changes", "--include", "benchmarks/", "tools/"));

// The README's test command, with its results summed up: each skipped test with its reason, and the counts on the last line.
static int Test()
{
    var results = Directory.CreateTempSubdirectory("nengine-results-");
    try
    {
        int code = DotNet("test", "-c", "Release", "NativeEngine.sln", "--logger", "trx", "--results-directory", results.FullName);
        return Summarize(results, code);
    }
    finally
    {
        results.Delete(recursive: true);
    }
}

// Kills a training run N times at random moments, half of them while a checkpoint is being saved, and compares what it ends with.
static int Kills(string count)
{
    Environment.SetEnvironmentVariable("NENGINE_TEST_KILLS", count);
    return DotNet("test", "-c", "Release", "NativeEngine.sln", "--filter", "FullyQualifiedName~Run_KilledAtAnyMoment", "--logger", "console;verbosity=detailed");
}

static int Summarize(DirectoryInfo results, int code)
{
    int passed = 0, failed = 0, skipped = 0;
    foreach (var file in results.EnumerateFiles("*.trx"))
    {
        foreach (var result in XDocument.Load(file.FullName).Descendants().Where(element => element.Name.LocalName == "UnitTestResult"))
        {
            switch ((string?)result.Attribute("outcome"))
            {
                case "Passed":
                    passed++;
                    break;
                case "NotExecuted":
                    skipped++;
                    string reason = string.Join(' ', result.Descendants().Where(element => !element.HasElements).Select(element => element.Value.Trim()));
                    Console.WriteLine($"skipped: {(string?)result.Attribute("testName")}: {reason}");
                    break;
                default:
                    failed++;
                    Console.WriteLine($"failed: {(string?)result.Attribute("testName")}");
                    break;
            }
        }
    }
    Console.WriteLine();
    Console.WriteLine($"{passed} passed, {failed} failed, {skipped} skipped");
    return code != 0 ? code : failed > 0 || passed == 0 ? 1 : 0;
}

static int Usage()
{
    Console.Error.WriteLine("usage: dotnet run tools/build.cs -- build|test|check|kills [N]");
    return 2;
}

static int First(params Func<int>[] steps)
{
    foreach (var step in steps)
    {
        if (step() is var code and not 0)
        {
            return code;
        }
    }
    return 0;
}

static int DotNet(params string[] arguments)
{
    Console.WriteLine($"== dotnet {string.Join(' ', arguments)}");
    using var process = Process.Start(new ProcessStartInfo("dotnet", arguments) { WorkingDirectory = Root() })
        ?? throw new InvalidOperationException("dotnet did not start");
    process.WaitForExit();
    return process.ExitCode;
}

static string Root([CallerFilePath] string file = "") => Path.GetDirectoryName(Path.GetDirectoryName(file))!;
