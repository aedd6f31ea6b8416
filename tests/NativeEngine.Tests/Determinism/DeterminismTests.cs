using System.Globalization;
using NativeEngine.Devices.Cpu;
using NativeEngine.Tests.Support;
using Xunit.Abstractions;

namespace NativeEngine.Tests.Determinism;

/// <summary>
/// The table of hashes: every computation × seeds × threads 1, 2, 3, 7, 16 × register widths × cuts gives one hash, and that is the one in hashes.txt. Tests take the first seeds;
/// <c>dotnet run tools/build.cs -- determinism [SEEDS]</c> takes more, and with "update" writes the table.
/// </summary>
public class DeterminismTests(ITestOutputHelper output)
{
    private const int SeedsInTests = 2;
    private static readonly int[] _threads = [1, 2, 3, 7, 16];
    private static readonly string _table = RepositoryPaths.InRepository("tests/NativeEngine.Tests/Determinism/hashes.txt");

    public static TheoryData<string> Names => [.. DeterminismSubject.All.Select(s => s.Name)];

    [Theory]
    [MemberData(nameof(Names))]
    public void Run_AnyThreadsWidthAndCut_TheHashOfTheTable(string name)
    {
        var subject = DeterminismSubject.All.Single(s => s.Name == name);
        bool update = Environment.GetEnvironmentVariable("NENGINE_DETERMINISM_UPDATE") == "1";
        int seeds = int.TryParse(Environment.GetEnvironmentVariable("NENGINE_DETERMINISM_SEEDS"), CultureInfo.InvariantCulture, out int asked) ? asked : SeedsInTests;
        var known = Known();
        int runs = 0;
        for (ulong seed = 1; seed <= (ulong)seeds; seed++)
        {
            var cuts = Cuts(subject).ToList();
            string first = subject.Hash(seed, cuts[0]);
            foreach (var cut in cuts.Skip(1))
            {
                string hash = subject.Hash(seed, cut);
                Assert.True(hash == first, $"{name}, seed {seed}: {hash} with {cut}, {first} with {cuts[0]}");
            }
            runs += cuts.Count;
            string key = $"{name} seed {seed}";
            if (update && seed <= SeedsInTests)
            {
                known[key] = first;
            }
            Assert.True(
                !known.TryGetValue(key, out string? expected) || expected == first,
                $"{key}: the hash is {first}, {_table} has {expected}. If the arithmetic was meant to change: dotnet run tools/build.cs -- determinism update, and say so where versions are described");
        }
        if (update)
        {
            File.WriteAllLines(_table, known.Select(k => $"{k.Value} {k.Key}"));
        }
        output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{name}: {runs} runs, {seeds} hashes, each the same for every cut"));
        if (Environment.GetEnvironmentVariable("NENGINE_DETERMINISM_REPORT") is { Length: > 0 } report)
        {
            File.AppendAllText(report, string.Create(CultureInfo.InvariantCulture, $"| {name} | {seeds} | {runs} | {subject.Hash(1, new Cut(1, CpuDevice.Widest, 0))} |\n"));
        }
    }

    [Fact]
    public void Table_EverySubjectAndSeed_HasAHashOfItsOwn()
    {
        var known = Known();
        string[] keys = [.. DeterminismSubject.All.SelectMany(s => Enumerable.Range(1, SeedsInTests).Select(seed => $"{s.Name} seed {seed}"))];
        Assert.Equal(keys.Order(StringComparer.Ordinal), known.Keys);
        // Equal hashes would mean that a seed or a method does nothing.
        Assert.Equal(known.Count, known.Values.Distinct().Count());
    }

    // Every number of threads once, every width once, every piece with two numbers of threads.
    private static IEnumerable<Cut> Cuts(DeterminismSubject subject)
    {
        foreach (int threads in _threads)
        {
            yield return new Cut(threads, CpuDevice.Widest, 0);
        }
        foreach (var width in Enum.GetValues<SimdWidth>().Where(w => w < CpuDevice.Widest))
        {
            yield return new Cut(2, width, subject.Pieces[^1]);
        }
        foreach (int piece in subject.Pieces.Where(p => p > 0))
        {
            yield return new Cut(1, CpuDevice.Widest, piece);
            yield return new Cut(3, CpuDevice.Widest, piece);
        }
    }

    private static SortedDictionary<string, string> Known() => new(
        File.Exists(_table) ? File.ReadAllLines(_table).ToDictionary(line => line[(line.IndexOf(' ') + 1)..], line => line[..line.IndexOf(' ')]) : [], StringComparer.Ordinal);
}
