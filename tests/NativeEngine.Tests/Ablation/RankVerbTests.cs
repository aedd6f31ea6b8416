using System.Text.Json;
using NativeEngine.Tests.Support;

namespace NativeEngine.Tests.Ablation;

/// <summary>rank, confirm and report as a user runs them.</summary>
public sealed class RankVerbTests
{
    private const string Sections = """
        candidates:
          all_subsets: true
          dirichlet: {count: 12, step: 0.05}
        evaluation:
          levels: [2, k^0.5]
          resamples: 100
        search:
          finalists: 8
          keep: 2
          surrogate: 10
          descent: {steps: 4}
        confirm:
          best: 2
          spread: 4
          mixtures: [[numbers.1, letters]]
        """;

    [Fact]
    public void Study_FromPlanToReport_EveryFigureHasItsKey()
    {
        using var kit = new AblationKit();
        kit.Write(rest: Sections);
        string output = kit.File("out");
        Run("train", kit, output).Expect(0);
        var ranked = Run("rank", kit, output).Expect(0).Json();
        Assert.True(ranked.GetProperty("candidates").GetInt32() > 15);
        byte[] rank = File.ReadAllBytes(Path.Combine(output, "rank.json"));
        var confirmed = Run("confirm", kit, output).Expect(0).Json();
        Assert.Equal(7, confirmed.GetProperty("mixtures").GetInt32());
        byte[] confirm = File.ReadAllBytes(Path.Combine(output, "confirm.json"));
        Run("report", kit, output).Expect(0);
        var report = Json(output, "report.json");
        string[] keys = [.. report.GetProperty("trainings").EnumerateArray().Select(t => t.GetProperty("key").GetString()!)];
        Assert.Equal(1 + 4 + 7, keys.Length);
        Assert.All(keys, key => Assert.True(Directory.Exists(Path.Combine(output, "cache", "entries", key)), key));
        Assert.All(Json(output, "rank.json").GetProperty("units").EnumerateArray(), u => Assert.Contains(u.GetProperty("key").GetString(), keys));
        string markdown = File.ReadAllText(Path.Combine(output, "report.md"));
        Assert.Contains("7 mixtures were truly trained", markdown, StringComparison.Ordinal);
        Assert.DoesNotContain("NaN", markdown, StringComparison.Ordinal);
        int columns = Columns(File.ReadLines(Path.Combine(output, "ranking.csv")).First());
        Assert.All(File.ReadLines(Path.Combine(output, "ranking.csv")), line => Assert.Equal(columns, Columns(line)));
        Assert.Equal(1 + (7 * 3), File.ReadLines(Path.Combine(output, "confirmed.csv")).Count());
        CheckIntervals(Json(output, "rank.json"));

        // Without the cached losses, with other threads, and once more with everything there: the same bytes.
        Directory.Delete(Path.Combine(output, "losses"), recursive: true);
        Run("rank", kit, output, "--threads", "2").Expect(0);
        Assert.Equal(rank, File.ReadAllBytes(Path.Combine(output, "rank.json")));
        Run("rank", kit, output, "--threads", "3").Expect(0);
        Assert.Equal(rank, File.ReadAllBytes(Path.Combine(output, "rank.json")));
        Assert.Equal(0, Run("confirm", kit, output, "--threads", "3").Expect(0).Json().GetProperty("trained").GetInt32());
        Assert.Equal(confirm, File.ReadAllBytes(Path.Combine(output, "confirm.json")));
    }

    [Fact]
    public void Verbs_OutOfOrder_SayWhatComesFirst()
    {
        using var kit = new AblationKit();
        kit.Write(rest: Sections);
        string output = kit.File("out");
        Assert.Contains("ablate train", Run("rank", kit, output).Expect(2).StdOut, StringComparison.Ordinal);
        Assert.Contains("ablate rank", Run("confirm", kit, output).Expect(2).StdOut, StringComparison.Ordinal);
        Assert.Contains("ablate rank", Run("report", kit, output).Expect(2).StdOut, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("candidates: {k_off_n: 2}", "did you mean 'k_of_n'")]
    [InlineData("candidates: {must: [nombers]}", "candidates.must names 'nombers'")]
    [InlineData("candidates: {k_of_n: 9}", "from 1 to 4")]
    [InlineData("evaluation: {levels: [k2]}", "is no level")]
    [InlineData("evaluation: {domains: [letter]}", "did you mean 'letters'")]
    [InlineData("search: {greedy: forwards}", "did you mean 'forward'")]
    [InlineData("candidates: {caps: 0.1}", "raise a cap")]
    public void Study_Mistakes_AreNamed(string section, string expected)
    {
        using var kit = new AblationKit();
        kit.Write(rest: section);
        var result = Run("rank", kit, kit.File("out"), "--dry-run");
        Assert.InRange(result.ExitCode, 2, 3);
        Assert.Contains(expected, result.StdOut, StringComparison.Ordinal);
    }

    // Commas outside quotes, and one.
    private static int Columns(string line) => 1 + line.Split('"').Where((_, i) => i % 2 == 0).Sum(part => part.Count(c => c == ','));

    private static void CheckIntervals(JsonElement rank)
    {
        var rows = rank.GetProperty("mixtures").EnumerateArray().ToList();
        Assert.Equal(1, rows.Sum(r => r.GetProperty("probability_of_best").GetDouble()), 1e-9);
        Assert.All(rows, r => Assert.Equal(1, r.GetProperty("weights").EnumerateObject().Sum(w => w.Value.GetDouble()), 1e-9));
        Assert.All(rows.Skip(1).Where(r => !r.GetProperty("separated_from_best").GetBoolean()),
            r => Assert.True(r.GetProperty("documents_to_separate") is var times && (times.ValueKind is JsonValueKind.Null || times.GetDouble() >= 1)));
        Assert.False(rows[0].GetProperty("dominated").GetBoolean());
        double[] scores = [.. rows.Select(r => r.GetProperty("score").GetDouble())];
        Assert.Equal(scores.Order(), scores);
        // Descent and searches are no worse than where they began, on the documents they looked at.
        double[] descent = [.. rank.GetProperty("descent").GetProperty("scores").EnumerateArray().Select(s => s.GetDouble())];
        Assert.True(rank.GetProperty("descent").GetProperty("score").GetDouble() <= descent[0]);
    }

    private static JsonElement Json(string folder, string name)
    {
        using var document = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(folder, name)));
        return document.RootElement.Clone();
    }

    private static NEngineResult Run(string verb, AblationKit kit, string output, params string[] more) =>
        NEngine.Run(["ablate", verb, kit.StudyPath, "--output", output, "--json", .. more.Contains("--threads") ? more : [.. more, "--threads", "1"]]);
}
