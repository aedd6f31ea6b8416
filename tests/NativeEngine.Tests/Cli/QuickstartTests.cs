using System.Text.Json;
using System.Text.RegularExpressions;
using NativeEngine.Tests.Support;

namespace NativeEngine.Tests.Cli;

public sealed class QuickstartTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [FactOnUnix]
    public void Run_StoppedAndRunAgain_EndsWithAReportOfTheFilesItMade()
    {
        string output = _folder.File("tour");
        string[] args = ["quickstart", "--output", output, "--steps", "12", "--json"];
        using (var process = NEngine.Start(args))
        {
            var stdout = process.StandardOutput.ReadToEndAsync();
            var stderr = process.StandardError.ReadToEndAsync();
            Assert.True(TrainRuns.WaitForSteps(process, Path.Combine(output, "random"), 3), "the tour ended before it could be stopped");
            NEngine.Signal(process, 2);
            var stopped = NEngine.Finish(process, stdout, stderr).Expect(75);
            Assert.Contains("run the same command again", stopped.StdErr, StringComparison.Ordinal);
        }
        var run = NEngine.Run(args).Expect(0);
        Assert.Contains("[1/11] a mixture of eight sources of different size: done before", run.StdErr, StringComparison.Ordinal);
        using var numbers = JsonDocument.Parse(File.ReadAllText(Path.Combine(output, "report_files", "numbers.json")));
        using var last = JsonDocument.Parse(File.ReadLines(Path.Combine(output, "colm", "metrics.jsonl")).Last());
        Assert.Equal(last.RootElement.GetProperty("eval_macro_loss").GetDouble(), numbers.RootElement.GetProperty("facts").GetProperty("CoLM batches, mean held-out loss").GetDouble());
        Assert.Equal(12, File.ReadLines(Path.Combine(output, "random", "metrics.jsonl")).Count(l => l.Contains("\"loss\"", StringComparison.Ordinal)));
        string page = File.ReadAllText(Path.Combine(output, "report.html"));
        foreach (string question in (string[])["Random batches or chosen ones?", "What did CoLM pick?", "Which mixture wins", "How well did merging predict", "What did the best mixture bring?"])
        {
            Assert.Contains(question, page, StringComparison.Ordinal);
        }
        Assert.True(File.Exists(Path.Combine(output, "ablation", "report.html")) && File.Exists(Path.Combine(output, "merged.html")) && File.Exists(Path.Combine(output, "eval.html")));
        // What it says to type next can be typed; a third run has nothing to do.
        var next = run.Json().GetProperty("next").EnumerateArray().Select(n => n.GetString()!).ToArray();
        Assert.Equal(3, next.Length);
        Assert.All(next, line => NEngine.Run([.. line.Split(' ')[1..], "--print-config"]).Expect(0));
        Assert.Equal(11, Regex.Count(NEngine.Run(args).Expect(0).StdErr, "done before"));
        NEngine.Run("quickstart", "--output", output, "--steps", "13").Expect(2);
    }
}
