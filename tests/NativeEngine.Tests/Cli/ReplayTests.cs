using NativeEngine.Tests.Support;

namespace NativeEngine.Tests.Cli;

/// <summary>diff-runs --replay on real runs, whole and with faults planted into what they wrote.</summary>
public sealed class ReplayTests(TrainRuns runs) : IClassFixture<TrainRuns>
{
    [Theory]
    [InlineData("--seed", "2", "random_numbers")]
    [InlineData("--metric", "l2", "options")]
    public void DiffRuns_RunsThatWereToldOtherThings_BothRepeat(string option, string value, string cause)
    {
        string other = runs.NewFolder();
        NEngine.Run(runs.Args(other, option, value, "--steps", "40")).Expect(0);
        runs.Undisturbed.Expect(0);
        var found = NEngine.Run("diff-runs", runs.UndisturbedFolder, other, "--replay", "--json").Expect(7).Json();
        var replay = found.GetProperty("replay");
        Assert.Equal(cause, replay.GetProperty("cause").GetString());
        Assert.True(replay.GetProperty("a").GetProperty("same").GetBoolean() && replay.GetProperty("b").GetProperty("same").GetBoolean());
        Assert.Equal(0, replay.GetProperty("a").GetProperty("from").GetInt64());
    }

    [Theory]
    [InlineData(40, "grad_norm")]
    [InlineData(2, "loss")]
    [InlineData(5, "pool")]
    [InlineData(40, "batch")]
    public void DiffRuns_ALineThatIsNotWhatTheStepGives_IsAFaultOfThatRun(int step, string member)
    {
        string copy = runs.CopyOfUndisturbed(), metrics = Path.Combine(copy, "metrics.jsonl");
        File.WriteAllLines(metrics, File.ReadLines(metrics).Select(line => line.StartsWith($"{{\"step\":{step},\"loss\"", StringComparison.Ordinal)
            ? System.Text.RegularExpressions.Regex.Replace(line, $"(\"{member}\":\"?[0-9a-f.]*)([0-8])", m => m.Groups[1].Value + (char)(m.Groups[2].Value[0] + 1)) : line).ToList());
        var found = NEngine.Run("diff-runs", runs.UndisturbedFolder, copy, "--replay", "--json").Expect(7).Json();
        var replay = found.GetProperty("replay");
        Assert.Equal(member == "pool" ? "data_order" : "fault", replay.GetProperty("cause").GetString());
        Assert.True(replay.GetProperty("a").GetProperty("same").GetBoolean());
        Assert.False(replay.GetProperty("b").GetProperty("same").GetBoolean());
        Assert.Equal(step, replay.GetProperty("to").GetInt64());
        // The newest checkpoint before; two are kept, after steps 39 and 40.
        Assert.Equal(step == 40 ? 39 : 0, replay.GetProperty("a").GetProperty("from").GetInt64());
    }

    [Fact]
    public void DiffRuns_DataThatChangedSince_IsRefusedByName()
    {
        string copy = runs.CopyOfUndisturbed(), manifest = Path.Combine(copy, "run.json"), metrics = Path.Combine(copy, "metrics.jsonl"), data = runs.NewFolder() + ".jsonl";
        File.Copy(runs.Valid, data);
        File.WriteAllText(manifest, File.ReadAllText(manifest).Replace(runs.Data, data, StringComparison.Ordinal));
        File.WriteAllText(metrics, File.ReadAllText(metrics).Replace("\"loss\":", "\"loss\":1", StringComparison.Ordinal));
        Assert.Contains("content of the data (sha256)", NEngine.Run("diff-runs", runs.UndisturbedFolder, copy, "--replay").Expect(3).StdErr, StringComparison.Ordinal);
    }
}
