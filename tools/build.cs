// The project's chores in one file:  dotnet run tools/build.cs -- build|test|check|kernels|kills [N] [VERBS]|faults [VERBS]|chaos [SEEDS]|sweeps [N]|fuzz [COUNT] [FORMAT]|differential [COUNT]|determinism [SEEDS|update]|properties [TIMES]|capi [native]|gpu-pack
using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Security.Cryptography;
using System.Text;
using System.Xml.Linq;

return args switch
{
    ["build"] => Build(),
    ["test"] => Test(),
    ["kernels"] => Kernels(),
    ["kills"] => Kills("20", ""),
    ["kills", var count] => Kills(count, ""),
    ["kills", var count, var verbs] => Kills(count, verbs),
    ["fuzz"] => Fuzz("1000000", ""),
    ["fuzz", var count] => Fuzz(count, ""),
    ["fuzz", var count, var format] => Fuzz(count, format),
    ["differential"] => Tests("DifferentialTests", ("DIFFERENTIAL_COUNT", "1000000")),
    ["differential", var count] => Tests("DifferentialTests", ("DIFFERENTIAL_COUNT", count)),
    ["determinism"] => Tests("DeterminismTests", ("DETERMINISM_SEEDS", "100")),
    ["determinism", "update"] => Tests("DeterminismTests", ("DETERMINISM_UPDATE", "1")),
    ["determinism", var seeds] => Tests("DeterminismTests", ("DETERMINISM_SEEDS", seeds)),
    ["properties"] => Tests("Tests.Properties", ("PROPERTY_TIMES", "100")),
    ["properties", var times] => Tests("Tests.Properties", ("PROPERTY_TIMES", times)),
    ["faults"] => Faults(""),
    ["faults", var verbs] => Faults(verbs),
    ["chaos"] => Chaos("100"),
    ["chaos", var seeds] => Chaos(seeds),
    ["sweeps"] => First(() => Kills("1000", ""), () => Faults("")),
    ["sweeps", var count] => First(() => Kills(count, ""), () => Faults("")),
    ["check"] => First(Build, Format, Test),
    ["capi"] => CApi("v3", "v4"),
    ["capi", "native"] => CApi("native"),
    ["gpu-pack"] => GpuPack(),
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

// Kills processes of every verb that writes: N over all of them in the middle of a change on disk or at a random moment, a twentieth of N each of a longer training, of whole
// studies and of a shared cache besides; what they end with is compared with undisturbed runs. VERBS ("train,ablate train") does the share of some verbs alone.
static int Kills(string count, string verbs) =>
    Sweep(verbs.Length > 0 ? "FullyQualifiedName~DiskSweepTests.Run_KilledAtAnyMoment" : "FullyQualifiedName~KilledAtAnyMoment", ("TEST_KILLS", count), ("TEST_VERBS", verbs));

// Every change on disk of every verb fails once: a full disk that stays full, one that has space again, one that is broken; and file systems that are too small.
// Checkpoints are cut, zeroed and scrambled in every sector.
static int Faults(string verbs)
{
    bool small = verbs.Length == 0 || verbs.Split(',').Intersect(["train", "merge", "select"]).Any();
    return Sweep(
        "FullyQualifiedName~DiskSweepTests.Run_TheNth" + (small ? "|FullyQualifiedName~DiskSweepTests.Run_OnASmall" : "") + (verbs.Length == 0 ? "|FullyQualifiedName~TornWrite" : ""),
        ("TEST_FAULTS", "all"), ("TEST_VERBS", verbs));
}

// nengine chaos with many seeds, each of which must end with the bits of its undisturbed run.
static int Chaos(string seeds) => Sweep("FullyQualifiedName~ChaosTests", ("TEST_CHAOS", seeds));

// Tests that do all of a sweep when variables (without their prefix NENGINE_) say so. They append lines of "KIND, COUNT, sentence" to a file, which are printed as they come and
// added up in the last line.
static int Sweep(string filter, params (string Name, string Value)[] settings)
{
    string report = Path.GetTempFileName();
    Set([.. settings, ("TEST_PATIENCE", "900"), ("SWEEP_REPORT", report)]);
    var totals = new SortedDictionary<string, int>(StringComparer.Ordinal);
    var clock = Stopwatch.StartNew();
    var tests = Task.Run(() => DotNet("test", "-c", "Release", "tests/NativeEngine.Tests", "--nologo", "--filter", filter));
    using (var reader = new StreamReader(new FileStream(report, FileMode.Open, FileAccess.Read, FileShare.ReadWrite)))
    {
        for (bool last = false; ; last = tests.IsCompleted)
        {
            while (reader.ReadLine()?.Split('\t', 3) is [var kind, var count, var sentence])
            {
                Console.WriteLine($"{clock.Elapsed:hh\\:mm\\:ss} {sentence}");
                if (kind.Length > 0)
                {
                    totals[kind] = totals.GetValueOrDefault(kind) + int.Parse(count);
                }
            }
            if (last)
            {
                break;
            }
            Thread.Sleep(200);
        }
    }
    File.Delete(report);
    int code = totals.Count == 0 && tests.Result == 0 ? 1 : tests.Result;
    Console.WriteLine($"{string.Join(", ", totals.Select(t => $"{t.Value} {t.Key}").DefaultIfEmpty("no sweep"))} in {clock.Elapsed:hh\\:mm\\:ss}: {(code == 0 ? "all as they should be" : totals.Count == 0 ? "nothing was tried" : "SOME FAILED, see above")}");
    return code;
}

// COUNT mutants of every format that is read (or of one), on all processors: docs/reliability.md says what they are held to. Rows of formats that are done stand in
// artifacts/fuzz/COUNT.md, so that a run that was broken off goes on with the next one; a format that is named is read again. Without the file all are.
static int Fuzz(string count, string format)
{
    string report = Path.Combine(Root(), "artifacts", "fuzz", $"{count}.md");
    Directory.CreateDirectory(Path.GetDirectoryName(report)!);
    string[] done = File.Exists(report) ? File.ReadAllLines(report) : [];
    File.WriteAllLines(report, done.Where(row => format.Length == 0 || !row.StartsWith($"| {format} |", StringComparison.Ordinal)));
    Set(("FUZZ_COUNT", count), ("FUZZ_FORMAT", format), ("FUZZ_REPORT", report));
    int code = DotNet("test", "-c", "Release", "tests/NativeEngine.Tests", "--filter", "FullyQualifiedName~FuzzTests.Read_Mutants");
    Console.WriteLine("| format | mutants | accepted | kinds of reasons | most allocated in all | beyond 4 × input + 1 MiB in all | largest object of these | processor time | failed | commit |");
    Console.WriteLine("|---|---|---|---|---|---|---|---|---|---|");
    Console.WriteLine(string.Join('\n', File.ReadLines(report).Order(StringComparer.Ordinal)));
    return code;
}

// Variables of the tests, named without their prefix.
static void Set(params (string Name, string Value)[] variables)
{
    foreach (var (name, value) in variables)
    {
        Environment.SetEnvironmentVariable("NENGINE_" + name, value);
    }
}

// Tests that are longer when variables (without their prefix NENGINE_) say so, and what they report.
static int Tests(string filter, params (string Name, string Value)[] variables)
{
    string report = Path.GetTempFileName();
    Set([.. variables, (variables[0].Name.Split('_')[0] + "_REPORT", report)]);
    int code = DotNet("test", "-c", "Release", "tests/NativeEngine.Tests", "--filter", $"FullyQualifiedName~{filter}");
    Console.WriteLine(string.Join('\n', File.ReadLines(report).Order(StringComparer.Ordinal)));
    File.Delete(report);
    return code;
}

// A folder for a machine with a GPU, without .NET and without a network: the check program, nengine, PyTorch's script, and the command "check".
static int GpuPack()
{
    string folder = Path.Combine(Root(), "artifacts", "gpu-check");
    if (Directory.Exists(folder))
    {
        Directory.Delete(folder, recursive: true);
    }
    foreach (string project in (string[])["src/NativeEngine.Cli", "tools/gpu"])
    {
        int code = DotNet("publish", project, "-c", "Release", "-r", "linux-x64", "--self-contained", "true", "-p:SelfContained=true", "-p:PublishReadyToRun=false", "-o", folder);
        if (code != 0)
        {
            return code;
        }
    }
    foreach (string file in (string[])["check", "pytorch.py"])
    {
        File.Copy(Path.Combine(Root(), "tools", "gpu", file), Path.Combine(folder, file), overwrite: true);
    }
    string archive = folder + ".tar.gz";
    int packed = Run("tar", "-czf", archive, "-C", Path.GetDirectoryName(folder)!, Path.GetFileName(folder));
    Console.WriteLine($"{archive}: {new FileInfo(archive).Length:N0} bytes. On the machine with the card: tar -xzf gpu-check.tar.gz && gpu-check/check");
    return packed;
}

// kernels/*.cu to kernels/ptx/*.ptx with clang 19 (no CUDA toolkit). The first line of each holds the hash of what it was made from.
static int Kernels()
{
    string folder = Path.Combine(Root(), "kernels"), header = Path.Combine(folder, "portable.h");
    foreach (string source in Directory.GetFiles(folder, "*.cu").Order())
    {
        string target = Path.Combine(folder, "ptx", Path.ChangeExtension(Path.GetFileName(source), ".ptx"));
        string made = Path.GetTempFileName();
        try
        {
            int code = Run("clang-19", $"@{Path.Combine(folder, "clang.options")}", "-include", header, "-o", made, source);
            if (code != 0)
            {
                return code;
            }
            byte[] text = [.. File.ReadAllBytes(header), .. File.ReadAllBytes(source)];
            string first = $"// {Path.GetFileName(source)} sha256 {Convert.ToHexStringLower(SHA256.HashData(text))}\n";
            File.WriteAllText(target, first + File.ReadAllText(made), new UTF8Encoding(false));
        }
        finally
        {
            File.Delete(made);
        }
        Console.WriteLine($"{Path.GetRelativePath(Root(), target)}: {new FileInfo(target).Length:N0} bytes");
    }
    return 0;
}

// The C library, compiled beforehand for processors with AVX2 (v3) and with AVX-512 (v4), which it cannot find out when it runs. The layout of artifacts/capi is the
// dynamic loader's own: where lib/ is on the library path (or in a program's RUNPATH), glibc takes the v4 library on processors that have it, and lib/libnative_engine.so on others. "native" builds the one for this machine only.
static int CApi(params string[] levels)
{
    if (!OperatingSystem.IsLinux())
    {
        Console.WriteLine("skipped: the C library is built on Linux");
        return 0;
    }
    if (!new[] { "clang", "gcc" }.Any(OnPath))
    {
        Console.WriteLine("skipped: the C library needs clang or gcc as its linker (apt-get install gcc libc6-dev), and neither is on the path");
        return 0;
    }
    bool x64 = RuntimeInformation.ProcessArchitecture == Architecture.X64;
    string artifacts = Path.Combine(Root(), "artifacts"), work = Path.Combine(artifacts, "capi-build"), target = Path.Combine(artifacts, "capi");
    if (Directory.Exists(Path.Combine(target, "lib")))
    {
        Directory.Delete(Path.Combine(target, "lib"), recursive: true);
    }
    foreach (string level in x64 ? levels : ["native"])
    {
        // The compiler's output does not depend on the instruction set by name, so what was compiled for another one goes first.
        string native = Path.Combine(work, "obj", "NativeEngine.CApi", x64 ? "release_linux-x64" : "release_linux-arm64", "native");
        if (Directory.Exists(native))
        {
            Directory.Delete(native, recursive: true);
        }
        string published = Path.Combine(work, "publish", level);
        string[] set = x64 ? [$"-p:IlcInstructionSet=x86-x64-{(level != "native" ? level : Vector512.IsHardwareAccelerated ? "v4" : "v3")}"] : [];
        // .NET 9's native runtime package exists where .NET 10's does not.
        int code = DotNet(["publish", "src/NativeEngine.CApi", "-c", "Release", "-r", x64 ? "linux-x64" : "linux-arm64", "-p:EngineFramework=net9.0", .. set, "--artifacts-path", work, "-o", published, "-v", "q", "--nologo"]);
        if (code != 0)
        {
            return code;
        }
        string folder = Path.Combine(target, "lib", level == "v4" ? Path.Combine("glibc-hwcaps", "x86-64-v4") : "");
        Directory.CreateDirectory(folder);
        string library = Path.Combine(folder, "libnative_engine.so");
        File.Copy(Path.Combine(published, "native_engine.so"), library, overwrite: true);
        Console.WriteLine($"{Path.GetRelativePath(Root(), library)}: {new FileInfo(library).Length / 1e6:0.0} MB");
    }
    foreach (var (from, to) in new[] { ("src/NativeEngine.CApi/include/native_engine.h", "include"), ("tools/python/native_engine.py", "python") })
    {
        Directory.CreateDirectory(Path.Combine(target, to));
        File.Copy(Path.Combine(Root(), from), Path.Combine(target, to, Path.GetFileName(from)), overwrite: true);
    }
    return 0;
}

static bool OnPath(string program) =>
    (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator).Any(folder => File.Exists(Path.Combine(folder, program)));

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
    Console.Error.WriteLine("usage: dotnet run tools/build.cs -- build|test|check|kernels|kills [N] [VERBS]|faults [VERBS]|chaos [SEEDS]|sweeps [N]|fuzz [COUNT] [FORMAT]|differential [COUNT]|determinism [SEEDS|update]|properties [TIMES]|capi [native]|gpu-pack");
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

static int DotNet(params string[] arguments) => Run("dotnet", arguments);

static int Run(string program, params string[] arguments)
{
    Console.WriteLine($"== {program} {string.Join(' ', arguments)}");
    using var process = Process.Start(new ProcessStartInfo(program, arguments) { WorkingDirectory = Root() })
        ?? throw new InvalidOperationException($"{program} did not start");
    process.WaitForExit();
    return process.ExitCode;
}

static string Root([CallerFilePath] string file = "") => Path.GetDirectoryName(Path.GetDirectoryName(file))!;
