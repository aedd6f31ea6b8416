using System.Globalization;
using NativeEngine.Tests.Support;
using Xunit.Abstractions;

namespace NativeEngine.Tests.Fuzz;

/// <summary>
/// Every format that is read, held to what docs/reliability.md promises on seeded mutants: no exception but the documented one, with a reason; no allocation over
/// 4 × input + 1 MiB; no long parse. Tests read 100,000 mutants of every format; the command
/// <c>dotnet run tools/build.cs -- fuzz [COUNT] [FORMAT]</c> reads more, through the same list.
/// </summary>
public class FuzzTests(ITestOutputHelper output)
{
    private const long MutantsInTests = 100_000;

    // No test fails because a machine is slow: in tests only what takes ten times too long does.
    private const double SlowMilliseconds = 100, SlowInTests = 1000;

    private static readonly long? _count = Number("NENGINE_FUZZ_COUNT");
    private static readonly ulong _seed = (ulong)(Number("NENGINE_FUZZ_SEED") ?? 1);
    private static readonly string? _only = Environment.GetEnvironmentVariable("NENGINE_FUZZ_FORMAT"), _report = Environment.GetEnvironmentVariable("NENGINE_FUZZ_REPORT");

    public static TheoryData<string> Formats => [.. FuzzFormats.All.Select(f => f.Name).Where(name => string.IsNullOrEmpty(_only) || name == _only)];

    public static TheoryData<string> Crashers => [.. Directory.EnumerateFiles(CrasherFolder, "*", SearchOption.AllDirectories).Select(f => Path.GetRelativePath(CrasherFolder, f)).Order(StringComparer.Ordinal)];

    private static string CrasherFolder => RepositoryPaths.InRepository("tests/NativeEngine.Tests/Fuzz/Crashers");

    [Theory]
    [MemberData(nameof(Formats))]
    public void Read_Mutants_OnlyAcceptedOrRefusedWithAReason(string name)
    {
        // A long run that was broken off goes on with the formats that its report lacks.
        if (_report is { Length: > 0 } && File.Exists(_report) && File.ReadLines(_report).Any(line => line.StartsWith($"| {name} |", StringComparison.Ordinal)))
        {
            output.WriteLine($"{name} stands in {_report} already");
            return;
        }
        var format = Find(name);
        var run = new FuzzRun(format, _seed, _count is null ? SlowInTests : SlowMilliseconds);
        if (Number("NENGINE_FUZZ_INDEX") is { } index)
        {
            run.Read(index, 1, threads: 1);
        }
        else
        {
            run.Read(Number("NENGINE_FUZZ_FIRST") ?? 0, _count ?? MutantsInTests, threads: (int)(Number("NENGINE_FUZZ_THREADS") ?? Environment.ProcessorCount));
        }
        output.WriteLine(run.ToString());
        output.WriteLine(run.Reasons());
        if (_report is { Length: > 0 })
        {
            File.AppendAllText(_report, run + "\n");
        }
        Assert.True(run.Failures.Count == 0, string.Join("\n\n", run.Failures.Select(f => Failure(format, f))));
        if (run.Accepted + run.Refused >= 1000)
        {
            double share = (double)run.Accepted / (run.Accepted + run.Refused);
            Assert.True(share is > 0.005 and < 0.995, $"{share:P1} of the mutants of {name} are accepted: they do not get deep, or they are not damaged");
        }
    }

    [Theory]
    [MemberData(nameof(Crashers))]
    public void Read_WhatOnceFailed_IsAcceptedOrRefusedWithAReason(string file)
    {
        var format = Find(Path.GetDirectoryName(file)!);
        var run = new FuzzRun(format, _seed, SlowInTests);
        run.Read(File.ReadAllBytes(Path.Combine(CrasherFolder, file)));
        Assert.True(run.Failures.Count == 0, string.Join("\n", run.Failures.Select(f => f.What)));
    }

    [Fact]
    public void LargestObjects_OfCallsThatAllocateMuch_SeesEachArrayExactly()
    {
        int[] bytes = [1200 << 10, 200 << 10, 40, 5 << 20, 0];
        long[] largest = LargestObjects.Of(600, call =>
        {
            for (int i = 0; i < 5; i++)
            {
                GC.KeepAlive(new byte[30_000]);
            }
            GC.KeepAlive(new byte[bytes[call % bytes.Length]]);
        });
        Assert.All(Enumerable.Range(0, 600), call => Assert.True(
            bytes[call % bytes.Length] < LargestObjects.Seen ? largest[call] < LargestObjects.Seen : largest[call] - bytes[call % bytes.Length] is >= 0 and < 64,
            $"call {call} made an array of {bytes[call % bytes.Length]} bytes, {largest[call]} were seen"));
    }

    [Fact]
    public void Read_FormatWhoseReaderAllocatesAtOnce_Fails()
    {
        // 2 MiB in all are allowed here, at once they are not.
        var greedy = FuzzFormats.All.Single(f => f.Name == "safetensors") with { TotalFactor = 1 << 20, Open = () => bytes => GC.KeepAlive(new byte[2 << 20]) };
        var run = new FuzzRun(greedy, _seed, SlowInTests);
        run.Read([1, 2, 3]);
        Assert.Contains("at once", Assert.Single(run.Failures).What, StringComparison.Ordinal);
    }

    [Fact]
    public void Mutant_OfASeedAFormatAndAnIndex_IsAlwaysTheSame()
    {
        foreach (var format in FuzzFormats.All)
        {
            byte[] early = new Mutator(format, 7).Make(123_456_789_012);
            var again = new Mutator(format, 7);
            again.Make(3);
            Assert.Equal(early, again.Make(123_456_789_012));
        }
    }

    [Fact]
    public void Seeds_OfEveryFormat_AreAccepted() =>
        Assert.All(FuzzFormats.All.SelectMany(f => f.Seeds.Select(seed => (f, seed))), pair => Assert.Null(Record.Exception(() => pair.f.Open()(pair.seed))));

    private static FuzzFormat Find(string name) => FuzzFormats.All.Single(f => f.Name == name);

    // The bytes go to a file, from where a reader that was mended takes them into the past crashers.
    private static string Failure(FuzzFormat format, FuzzFailure failure)
    {
        string folder = RepositoryPaths.InRepository(Path.Combine("artifacts", "fuzz", format.Name));
        Directory.CreateDirectory(folder);
        string file = Path.Combine(folder, string.Create(CultureInfo.InvariantCulture, $"{_seed}-{failure.Index}"));
        File.WriteAllBytes(file, new Mutator(format, _seed).Make(failure.Index));
        return $"{format.Name}, seed {_seed}, mutant {failure.Index} ({file}): {failure.What}";
    }

    private static long? Number(string variable) => long.TryParse(Environment.GetEnvironmentVariable(variable), NumberStyles.None, CultureInfo.InvariantCulture, out long value) ? value : null;
}
