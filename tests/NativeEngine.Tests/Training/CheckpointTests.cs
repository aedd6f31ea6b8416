using System.Text.Json;
using NativeEngine.Tests.Support;
using NativeEngine.Training;

namespace NativeEngine.Tests.Training;

/// <summary>A run that is interrupted ends like one that is not.</summary>
public sealed class CheckpointTests : IDisposable
{
    private static readonly Dictionary<string, string> _options = new() { ["lr"] = "0.003", ["pool"] = "24" };
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData(BatchSelection.Full, OptimizerKind.AdamW, 0)]
    [InlineData(BatchSelection.Random, OptimizerKind.Sgd, 0)]
    [InlineData(BatchSelection.Composition, OptimizerKind.Lion, 0)]
    [InlineData(BatchSelection.Colm, OptimizerKind.AdamW, 0)]
    [InlineData(BatchSelection.Colm, OptimizerKind.Sgd, 0)]
    [InlineData(BatchSelection.Colm, OptimizerKind.Lion, 0)]
    [InlineData(BatchSelection.Colm, OptimizerKind.AdamW, 3)]
    public void Restore_IntoANewTrainer_ContinuesToTheBit(BatchSelection selection, OptimizerKind optimizer, int loraRank)
    {
        var options = TinyTraining.Options(selection) with { Optimizer = new OptimizerOptions(optimizer, WeightDecay: 0.01f) };
        using var whole = new TinyTraining(options, loraRank: loraRank);
        whole.Train(5);
        using (var first = new TinyTraining(options, loraRank: loraRank))
        {
            first.Train(2);
            Checkpoint.Save(_folder.Path, first.Trainer, _options);
        }
        using var second = new TinyTraining(options, threads: 3, loraRank: loraRank);
        second.Train(1);
        Checkpoint.Restore(Newest()!, second.Trainer, _options);
        Assert.Equal(2, second.Trainer.StepsDone);
        second.Train(3);
        Assert.Equal(whole.State(), second.State());
    }

    [Fact]
    public void Restore_RawFeatures_ContinuesToTheBit()
    {
        var options = TinyTraining.Options() with { NormalizeFeatures = false };
        using var whole = new TinyTraining(options);
        whole.Train(2);
        Checkpoint.Save(_folder.Path, whole.Trainer, _options);
        whole.Train(1);
        using var second = new TinyTraining(options);
        Checkpoint.Restore(Newest()!, second.Trainer, _options);
        second.Train(1);
        Assert.Equal(whole.State(), second.State());
    }

    [Fact]
    public void Restore_BeforeTheFirstStep_ContinuesToTheBit()
    {
        using var whole = new TinyTraining(TinyTraining.Options());
        Checkpoint.Save(_folder.Path, whole.Trainer, _options);
        whole.Train(2);
        using var second = new TinyTraining(TinyTraining.Options());
        Checkpoint.Restore(Newest()!, second.Trainer, _options);
        second.Train(2);
        Assert.Equal(whole.State(), second.State());
    }

    [Fact]
    public void Run_InterruptedAndResumed_SameStateAndMetricsWithoutGaps()
    {
        string whole = _folder.File("whole"), parts = _folder.File("parts");
        var options = TinyTraining.Options();
        byte[] expected = Finish(whole, stopAfter: -1), got = Finish(parts, stopAfter: 2);
        Assert.Null(got);
        // What a crash leaves: a line past the checkpoint, and one cut short.
        File.AppendAllText(Path.Combine(parts, "metrics.jsonl"), "{\"step\":3,\"loss\":9}\n{\"step\":4,\"lo");
        got = Finish(parts, stopAfter: -1);
        Assert.Equal(expected, got);
        var lines = Metrics(whole);
        Assert.Equal(["0e", "1", "2", "2e", "3", "4", "4e", "5", "5e"], lines.Select(l => l.Name));
        Assert.Equal(lines, Metrics(parts));

        byte[] Finish(string output, int stopAfter)
        {
            Directory.CreateDirectory(output);
            using var tiny = new TinyTraining(options);
            if (Checkpoint.FindNewest(output, Assert.Fail) is { } folder)
            {
                Checkpoint.Restore(folder, tiny.Trainer, _options);
            }
            using var stop = new CancellationTokenSource();
            var run = new TrainingRun(tiny.Trainer, tiny.Model, TinyTraining.Mixture(40), options, new RunSettings(output, 2, 2, 2, _options))
            {
                OnStep = step =>
                {
                    if (step.Step == stopAfter)
                    {
                        stop.Cancel();
                    }
                },
            };
            if (stopAfter >= 0)
            {
                Assert.Throws<OperationCanceledException>(() => run.Run(stop.Token));
                return null!;
            }
            var result = run.Run(CancellationToken.None);
            Assert.Equal(5, result.Steps);
            Assert.Equal(["checkpoint-000004", "checkpoint-000005"], Directory.GetDirectories(output).Select(Path.GetFileName).Order());
            return tiny.State();
        }
    }

    [Fact]
    public void Restore_OtherOptions_IsRefusedWithNameAndBothValues()
    {
        using var tiny = new TinyTraining(TinyTraining.Options());
        tiny.Train(1);
        Checkpoint.Save(_folder.Path, tiny.Trainer, _options);
        Refused("lr = 0.003", "0.004", new(_options) { ["lr"] = "0.004" });
        Refused("pool = 24", "nothing", new() { ["lr"] = "0.003" });
        Refused("seed = nothing", "5", new(_options) { ["seed"] = "5" });

        void Refused(string saved, string now, Dictionary<string, string> options)
        {
            var error = Assert.Throws<EngineException>(() => Checkpoint.Restore(Newest()!, tiny.Trainer, options));
            Assert.Equal(ErrorKind.Usage, error.Kind);
            Assert.Contains(saved, error.Message, StringComparison.Ordinal);
            Assert.Contains(now, error.Message, StringComparison.Ordinal);
        }
    }

    [Theory]
    [InlineData("parameters.safetensors")]
    [InlineData("optimizer.v.safetensors")]
    [InlineData("selector.safetensors")]
    [InlineData("state.json")]
    [InlineData("checksums.json")]
    public void FindNewest_Damaged_SaysSoAndTakesTheOneBefore(string file)
    {
        using var tiny = new TinyTraining(TinyTraining.Options());
        tiny.Train(1);
        string older = Checkpoint.Save(_folder.Path, tiny.Trainer, _options);
        tiny.Train(1);
        string newer = Checkpoint.Save(_folder.Path, tiny.Trainer, _options);
        Assert.Equal(newer, Newest());
        string path = Path.Combine(newer, file);
        byte[] bytes = File.ReadAllBytes(path);
        bytes[bytes.Length / 2] ^= 1;
        File.WriteAllBytes(path, bytes);
        var said = new List<string>();
        Assert.Equal(older, Checkpoint.FindNewest(_folder.Path, said.Add));
        Assert.Contains(newer, Assert.Single(said), StringComparison.Ordinal);
        if (file != "checksums.json")
        {
            Assert.Contains(file, said[0], StringComparison.Ordinal);
        }
    }

    [Fact]
    public void FindNewest_PastAMillionSteps_GoesByNumber()
    {
        using var tiny = new TinyTraining(TinyTraining.Options());
        foreach (long step in new[] { 999_999L, 1_000_000L })
        {
            tiny.Trainer.StepsDone = step;
            Checkpoint.Save(_folder.Path, tiny.Trainer, _options);
        }
        Directory.CreateDirectory(_folder.File("checkpoint-mine"));
        Assert.EndsWith("checkpoint-1000000", Newest(), StringComparison.Ordinal);
        Checkpoint.Prune(_folder.Path, 1, 1_000_000);
        Assert.Equal(["checkpoint-1000000", "checkpoint-mine"], Directory.GetDirectories(_folder.Path).Select(Path.GetFileName).Order());
    }

    [Fact]
    public void Prune_AfterResumingPastADamagedOne_KeepsTheNewGoodOne()
    {
        using var tiny = new TinyTraining(TinyTraining.Options());
        foreach (long step in new[] { 10L, 20L, 15L })
        {
            tiny.Trainer.StepsDone = step;
            Checkpoint.Save(_folder.Path, tiny.Trainer, _options);
        }
        File.Delete(_folder.File("checkpoint-000020/state.json"));
        Checkpoint.Prune(_folder.Path, 1, 15);
        Assert.EndsWith("checkpoint-000015", Checkpoint.FindNewest(_folder.Path, Assert.Fail), StringComparison.Ordinal);
    }

    [Fact]
    public void Save_ParametersNotFinite_IsRefusedNamingTheTensor()
    {
        using var tiny = new TinyTraining(TinyTraining.Options() with { LearningRate = 1e38, Schedule = ScheduleShape.Constant, WarmupRatio = 0 });
        var error = Assert.Throws<EngineException>(() =>
        {
            tiny.Train(2);
            Checkpoint.Save(_folder.Path, tiny.Trainer, _options);
        });
        Assert.Equal(ErrorKind.Numerical, error.Kind);
        Assert.Contains("after step 1", error.Message, StringComparison.Ordinal);
        using var other = new TinyTraining(TinyTraining.Options());
        float[] weights = other.Device.Download(other.Trainer.Trained.Flat);
        weights[5] = float.NaN;
        other.Device.Upload<float>(weights, other.Trainer.Trained.Flat);
        error = Assert.Throws<EngineException>(() => Checkpoint.Save(_folder.Path, other.Trainer, _options));
        Assert.Equal(ErrorKind.Numerical, error.Kind);
        Assert.Contains("element 5 of model.embed_tokens.weight is NaN", error.Message, StringComparison.Ordinal);
        Assert.Empty(Directory.GetFileSystemEntries(_folder.Path));
    }

    private string? Newest() => Checkpoint.FindNewest(_folder.Path, Assert.Fail);

    /// <summary>Every line without its times, and without the memory, which tells what earlier steps left in use too.</summary>
    private static List<(string Name, string Line)> Metrics(string output) =>
    [
        .. File.ReadLines(Path.Combine(output, "metrics.jsonl")).Select(line =>
        {
            using var json = JsonDocument.Parse(line);
            var members = json.RootElement.EnumerateObject().Where(m => !m.Name.EndsWith("seconds", StringComparison.Ordinal) && m.Name != "activation_bytes").Select(m => $"{m.Name}={m.Value}");
            return (json.RootElement.GetProperty("step").GetInt64() + (json.RootElement.TryGetProperty("eval_loss", out _) ? "e" : ""), string.Join(' ', members));
        }),
    ];
}
