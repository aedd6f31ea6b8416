using NativeEngine.Formats;
using NativeEngine.Tests.Support;

namespace NativeEngine.Tests.Cli;

/// <summary>The verb diff-selections as a process, on what select wrote.</summary>
public sealed class DiffSelectionsTests : IDisposable
{
    private const int N = 120, H = 6;

    private readonly TemporaryFolder _folder = new();

    public DiffSelectionsTests()
    {
        var random = new CounterRandom(47, RandomPurpose.Test);
        NpyWriter.WriteFloat32(_folder.File("f.npy"), [N, H], Enumerable.Range(0, N * H).Select(i => (float)random.Normal((ulong)i)).ToArray());
        File.WriteAllLines(_folder.File("s.txt"), Enumerable.Range(0, N).Select(i => i % 10 == 0 ? "rare" : i % 3 == 0 ? "code" : "prose"));
        Select("a.json", "--budget", "40", "--keep", "rare");
        Select("b.json", "--budget", "50", "--metric", "l2");
    }

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void DiffSelections_TwoResults_TextJsonAndPageAgree()
    {
        string[] args = ["diff-selections", _folder.File("a.json"), _folder.File("b.json"), "--features", _folder.File("f.npy")];
        var json = NEngine.Run([.. args, "--json", "--report", _folder.File("r.html")]).Expect(0).Json();
        int both = json.GetProperty("both").GetInt32(), entered = json.GetProperty("entered").GetArrayLength(), left = json.GetProperty("left").GetArrayLength();
        Assert.Equal((40, 50), (both + left, both + entered));
        Assert.Equal(both / (double)(both + left + entered), json.GetProperty("jaccard").GetDouble());
        var random = json.GetProperty("random");
        var sources = json.GetProperty("sources").EnumerateArray().ToArray();
        Assert.Equal(["code", "prose", "rare"], sources.Select(s => s.GetProperty("source").GetString()!));
        Assert.Equal(sources.Sum(s => s.GetProperty("random_both").GetDouble()), random.GetProperty("both").GetDouble(), 1e-9);
        Assert.Equal([true, false], sources[2].GetProperty("kept").EnumerateArray().Select(k => k.GetBoolean()));
        Assert.Equal(sources[0].GetProperty("claimed_objective")[0].GetDouble(), sources[0].GetProperty("objective")[0].GetDouble(), 1e-4);
        Assert.False(json.GetProperty("compared_alike").GetBoolean());

        var said = NEngine.Run(args).Expect(0);
        Assert.Contains($"{both} are in both, {entered} entered, {left} left", said.StdOut, StringComparison.Ordinal);
        Assert.Contains("kept in the first", said.StdOut, StringComparison.Ordinal);
        Assert.Contains("compare features in different ways", said.StdErr, StringComparison.Ordinal);
        string page = File.ReadAllText(_folder.File("r.html"));
        Assert.Contains("Which sources gained or lost?", page, StringComparison.Ordinal);
        Assert.True(File.Exists(_folder.File("r_files/coverage.svg")));
        Assert.Equal(entered + 1, File.ReadAllLines(_folder.File("r_files/entered.csv")).Length);
    }

    [Fact]
    public void DiffSelections_TheSameTwice_SaysSo()
    {
        var json = NEngine.Run("diff-selections", _folder.File("a.json"), _folder.File("a.json"), "--json").Expect(0).Json();
        Assert.True(json.GetProperty("same").GetBoolean());
        Assert.Equal(1, json.GetProperty("jaccard").GetDouble());
        Assert.False(json.TryGetProperty("objective", out _));
        Assert.Contains("they select the same examples", NEngine.Run("diff-selections", _folder.File("a.json"), _folder.File("a.json")).Expect(0).StdOut, StringComparison.Ordinal);
    }

    [Fact]
    public void DiffSelections_OfADataFile_TellsLinesAndNames()
    {
        // A blank line: the fifth example is line 6.
        File.WriteAllLines(_folder.File("d.jsonl"), Enumerable.Range(0, 24).Select(i => (i == 4 ? "\n" : "") + $$"""{"id": "e{{i}}", "source": "s{{i % 2}}", "prompt": "{{i * i}} plus {{i}}", "completion": "{{(i * i) + i}}"}"""));
        string[] select = ["select", _folder.File("d.jsonl"), "--id-field", "id", "--quiet"];
        NEngine.Run([.. select, "--budget", "6", "--output", _folder.File("x.json")]).Expect(0);
        NEngine.Run([.. select, "--budget", "14", "--output", _folder.File("y.json")]).Expect(0);
        var moved = NEngine.Run("diff-selections", _folder.File("x.json"), _folder.File("y.json"), "--json").Expect(0).Json().GetProperty("entered").EnumerateArray().ToArray();
        Assert.NotEmpty(moved);
        Assert.All(moved, m =>
        {
            int i = m.GetProperty("index").GetInt32();
            Assert.Equal((i + (i < 4 ? 1 : 2), $"e{i}", $"s{i % 2}"), (m.GetProperty("line").GetInt32(), m.GetProperty("id").GetString(), m.GetProperty("source").GetString()));
        });
        Assert.Contains("the first selection is of 24 examples, the second of 120", NEngine.Run("diff-selections", _folder.File("x.json"), _folder.File("a.json")).Expect(3).StdErr, StringComparison.Ordinal);
    }

    [Fact]
    public void DiffSelections_Mistakes_AreToldInASentence()
    {
        NpyWriter.WriteFloat32(_folder.File("g.npy"), [N, 2], new float[N * 2]);
        Assert.Contains("the selections are of 120 x 6 features, these are ",
            NEngine.Run("diff-selections", _folder.File("a.json"), _folder.File("b.json"), "--features", _folder.File("g.npy")).Expect(3).StdErr, StringComparison.Ordinal);
        Assert.Contains("add --features", NEngine.Run("diff-selections", _folder.File("a.json"), _folder.File("b.json"), "--state", _folder.File("h.safetensors")).Expect(2).StdErr, StringComparison.Ordinal);
        NEngine.Run("diff-selections", _folder.File("a.json"), _folder.File("f.npy")).Expect(3);
    }

    private void Select(string output, params string[] more) => NEngine.Run(
        ["select", "--features", _folder.File("f.npy"), "--sources", _folder.File("s.txt"), "--output", _folder.File(output), "--quiet", .. more]).Expect(0);
}
