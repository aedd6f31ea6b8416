using NativeEngine.Tests.Support;

namespace NativeEngine.Tests.Cli;

public sealed class ClusterVerbTests(TrainRuns runs) : IClassFixture<TrainRuns>
{
    [Fact]
    public void Run_WithLabelsReportAndDrift_WritesThemAll()
    {
        runs.Undisturbed.Expect(0);
        string sources = runs.NewFolder() + ".txt", labelled = runs.NewFolder() + ".jsonl", page = runs.NewFolder() + ".html";
        string[] args =
        [
            "cluster", "--model", runs.UndisturbedFolder, "--data", runs.Data, "--clusters", "4", "--output", sources, "--labelled", labelled, "--compare", runs.Valid, "--json",
        ];
        var json = NEngine.Run([.. args, "--report", page, "--threads", "1"]).Expect(0).Json();
        string[] names = File.ReadAllLines(sources);
        Assert.Equal(300, names.Length);
        int[] sizes = [.. json.GetProperty("sizes").EnumerateArray().Select(s => s.GetInt32())];
        Assert.Equal(sizes, Enumerable.Range(0, 4).Select(c => names.Count(n => n == $"{c}")));
        Assert.Equal(sizes.OrderDescending(), sizes);
        Assert.Equal(60, json.GetProperty("drift").GetProperty("sizes").EnumerateArray().Sum(s => s.GetInt32()));
        Assert.Equal(4, json.GetProperty("examples").GetArrayLength());
        Assert.Contains("Do the clusters agree", File.ReadAllText(page), StringComparison.Ordinal);
        // The same file again, on more threads; and data that inspect and train take.
        Assert.Equal(json.GetRawText(), NEngine.Run([.. args, "--threads", "2"]).Expect(0).Json().GetRawText());
        var inspected = NEngine.Run("data", "inspect", labelled, "--json").Expect(0).Json();
        Assert.Contains("\"0\"", inspected.GetRawText(), StringComparison.Ordinal);
    }
}
