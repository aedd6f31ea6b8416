using System.Globalization;
using System.Text.Json;
using NativeEngine.Cli.Verbs;
using NativeEngine.Reporting;
using NativeEngine.Tests.Support;
using Xunit.Abstractions;

namespace NativeEngine.Tests.Reliability;

public sealed class ChaosTests(ITestOutputHelper talk) : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    // One seed here with a trouble of each kind, a full disk before all others; the chore "chaos" asks for more.
    [FactOnLinux]
    public void Run_AnySeed_EndsAsTheUndisturbedRun()
    {
        int seeds = Sweep.Chaos ?? 1, processes = 0, disturbed = 0;
        long repeated = 0;
        string[] size = Sweep.Chaos is null ? ["--steps", "16", "--troubles", "7"] : [];
        Sweep.Run("seeds of chaos", seed => seed >= seeds, (_, seed) =>
        {
            string output = _folder.File($"chaos-{seed}");
            var json = NEngine.Run(["chaos", "--seed", $"{seed + (Sweep.Chaos is null ? 3 : 1)}", "--output", output, "--threads", "1", "--json", .. size]).Expect(0).Json();
            Assert.True(json.GetProperty("same").GetBoolean());
            Assert.Equal(File.ReadAllBytes(Path.Combine(output, "calm", "model.safetensors")), File.ReadAllBytes(Path.Combine(output, "run", "model.safetensors")));
            var attempts = json.GetProperty("processes").EnumerateArray().ToArray();
            Assert.Equal(0, attempts[^1].GetProperty("exit_code").GetInt32());
            Assert.All(attempts[..^1], a => Assert.Contains(a.GetProperty("exit_code").GetInt32(), (int[])[4, 75, 137]));
            AssertDamageIsTold(attempts);
            AssertPage(output, attempts);
            Interlocked.Add(ref processes, attempts.Length);
            Interlocked.Add(ref disturbed, attempts.Length - 1);
            Interlocked.Add(ref repeated, json.GetProperty("repeated_steps").GetInt64());
            Directory.Delete(output, recursive: true);
        });
        Assert.True(disturbed > 0);
        Sweep.Report(talk, "seeds", seeds, $"chaos: {seeds} seeds, {processes} processes, {disturbed} disturbances, {repeated} steps done twice: every run ended as the undisturbed one");
    }

    [Fact]
    public void Plan_AnySeed_IsItsFunctionAndHasEveryKindInTurn()
    {
        var plan = PlannedTrouble.Plan(42, 14, 60);
        Assert.Equal(plan, PlannedTrouble.Plan(42, 14, 60));
        Assert.NotEqual(plan, PlannedTrouble.Plan(43, 14, 60));
        Assert.All(plan.Chunk(7), seven => Assert.Equal(7, seven.DistinctBy(t => t.Kind).Count()));
        Assert.All(plan, t => Assert.InRange(t.AfterSteps, 1, 8));
    }

    [Fact]
    public void Page_RunThatEndedOtherwise_SaysWhatDiffers()
    {
        ChaosAttempt[] attempts = [new(0, 1, 0, 5, "killed", "killed at a random moment", 137, []), new(1, 3, 4, 10, null, "came to the end", 0, ["resuming"])];
        var report = ChaosPage.Of(attempts, 10, 1, new string('a', 64), "the loss of step 7 differs", []);
        Assert.Contains("the loss of step 7 differs", report.Subtitle, StringComparison.Ordinal);
        Assert.Contains(report.Facts, f => f is { Label: "the same as undisturbed", Text: "no" });
        Assert.Contains(report.Facts, f => f is { Label: "steps done twice", Value: 1 });
    }

    // The process after one whose newest checkpoint was damaged names that checkpoint.
    private static void AssertDamageIsTold(JsonElement[] attempts)
    {
        for (int i = 0; i + 1 < attempts.Length; i++)
        {
            string[] words = attempts[i].GetProperty("event").GetString()!.Split(' ');
            if (words.FirstOrDefault(w => w.StartsWith("checkpoint-", StringComparison.Ordinal)) is { } file)
            {
                Assert.Contains(attempts[i + 1].GetProperty("said").EnumerateArray(), s => s.GetString()!.StartsWith($"warning: {file.Split('/')[0]}", StringComparison.Ordinal));
            }
        }
    }

    private static void AssertPage(string output, JsonElement[] attempts)
    {
        using var numbers = JsonDocument.Parse(File.ReadAllText(Path.Combine(output, "report_files", "numbers.json")));
        Assert.Equal(attempts.Length - 1, numbers.RootElement.GetProperty("facts").GetProperty("disturbances").GetInt32());
        string[] rows = File.ReadAllLines(Path.Combine(output, "report_files", "processes.csv"));
        Assert.Equal(attempts.Select(a => a.GetProperty("to").GetInt64().ToString(CultureInfo.InvariantCulture)), rows.Skip(1).Select(r => r.Split(',')[2]));
    }
}
