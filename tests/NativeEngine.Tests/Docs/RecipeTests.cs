using System.Text.Json;
using System.Text.RegularExpressions;
using NativeEngine.Ablation;
using NativeEngine.Data;
using NativeEngine.Tests.Support;

namespace NativeEngine.Tests.Docs;

/// <summary>recipes/: each is read as it stands, and run with its sizes cut down.</summary>
public sealed partial class RecipeTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public RecipeTests()
    {
        JsonlWriter.Write(_folder.File("train.jsonl"), MixtureSynthesizer.Generate(200, 2, SynthesisSplit.Train));
        JsonlWriter.Write(_folder.File("valid.jsonl"), MixtureSynthesizer.Generate(20, 2, SynthesisSplit.Valid));
    }

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Folder_EveryRecipe_IsOneOfThoseTriedHere() => Assert.Equal(
        ["ablation-0.2m.yaml", "ablation-1m.yaml", "ablation.yaml", "colm-0.2m.yaml", "colm-1m.yaml", "colm.yaml"],
        Directory.EnumerateFiles(RepositoryPaths.InRepository("recipes")).Select(Path.GetFileName).Order(StringComparer.Ordinal));

    [Theory]
    [InlineData("colm.yaml", "feature=zo directions=1 top=2560 lora-rank=128 lora-alpha=512 lr=2e-5 steps=1024 pool=128 batch=64 metric=l1")]
    [InlineData("colm-0.2m.yaml", "feature=grad pool=128 batch=64 metric=l1")]
    [InlineData("colm-1m.yaml", "feature=grad pool=128 batch=64 metric=l1")]
    public void Colm_AsConfiguration_TrainsWithItsConstants(string name, string constants)
    {
        string recipe = RepositoryPaths.InRepository($"recipes/{name}"), output = _folder.File("run");
        string[] line = ["train", "--config", recipe, "--model", "preset:0.2m", "--data", _folder.File("train.jsonl"), "--eval-data", _folder.File("valid.jsonl"), "--output", output];
        string printed = NEngine.Run([.. line, "--print-config"]).Expect(0).StdOut;
        Assert.All(constants.Split(' '), pair => Assert.Contains($"  {pair.Replace("=", ": ", StringComparison.Ordinal)}\n", printed, StringComparison.Ordinal));
        NEngine.Run([.. line, "--set", "steps=2", "--set", "train.pool=8", "--set", "batch=4", "--set", "seq-len=48", "--set", "eval-every=0"]).Expect(0);
        using var run = JsonDocument.Parse(File.ReadAllText(Path.Combine(output, "run.json")));
        Assert.True(run.RootElement.GetProperty("complete").GetBoolean());
        Assert.Equal("2", run.RootElement.GetProperty("options").GetProperty("steps").GetString());
    }

    [Theory]
    [InlineData("ablation.yaml", 500, 2048, 6e-5)]
    [InlineData("ablation-0.2m.yaml", 40, 16, 5e-4)]
    [InlineData("ablation-1m.yaml", 60, 16, 3e-4)]
    public void Ablation_WithSmallSizes_IsPlannedAndRanked(string name, long steps, int batch, double rate)
    {
        string text = File.ReadAllText(RepositoryPaths.InRepository($"recipes/{name}"));
        var budget = StudyFile.Parse(text, name).Training.Budget;
        Assert.Equal((steps, batch, rate), (budget.Steps, budget.Batch, budget.LearningRate));
        string study = _folder.Write(name, Sizes().Replace(text, size => $"{size.Groups[1].Value}: " + size.Groups[1].Value switch
        {
            "train" => "train.jsonl",
            "order_by" => "prompt",
            "model" => "preset:0.2m",
            "tokenizer" => "bytes",
            "tokens" => "1000000",
            "length" => "16",
            "documents" => "2",
            "held_out" => "0.1",
            _ => "2",
        }));
        NEngine.Run(["ablate", "plan", study, "--output", _folder.File("study")]).Expect(0);
        if (name == "ablation-0.2m.yaml")
        {
            NEngine.Run(["ablate", "train", study, "--output", _folder.File("study"), "--quiet"]).Expect(0);
            NEngine.Run(["ablate", "rank", study, "--output", _folder.File("study"), "--quiet"]).Expect(0);
            NEngine.Run(["ablate", "confirm", study, "--output", _folder.File("study"), "--dry-run"]).Expect(0);
        }
        NEngine.Run(["ablate", "rank", study, "--output", _folder.File("study"), "--dry-run"]).Expect(0);
    }

    [GeneratedRegex(@"(?<=^  )(train|order_by|model|tokenizer|tokens|length|documents|held_out|steps|batch): [^ \n]+", RegexOptions.Multiline)]
    private static partial Regex Sizes();
}
