using NativeEngine.Ablation;
using NativeEngine.Training;

namespace NativeEngine.Tests.Ablation;

public sealed class StudyFileTests
{
    private const string Smallest = """
        data:
          train: mix.jsonl
        seed:
          model: preset:0.2m
          steps: 10
        units:
          tokens: 1000
        training:
          steps: 5
        """;

    [Fact]
    public void StudyFile_Smallest_HasTheDocumentedDefaults()
    {
        var study = StudyFile.Parse(Smallest);
        Assert.Equal(["mix.jsonl"], study.Data.Train);
        Assert.Equal(0.1, study.Data.HeldOut);
        Assert.Equal(0.1, study.Seed.Share);
        Assert.Equal(ScheduleShape.Cosine, study.Seed.Budget!.Schedule);
        Assert.Equal(ScheduleShape.Constant, study.Training.Budget.Schedule);
        Assert.Equal([0.25, 0.5, 1], study.Training.Fractions);
        Assert.Equal([1UL], study.Training.Seeds);
        Assert.Equal(256, study.Units.Length);
        Assert.Null(study.Section("candidates"));
    }

    [Theory]
    [InlineData("  tokens: 1000", "  tokns: 1000", "study.yaml:7: units has no key 'tokns'", "did you mean 'tokens'?")]
    [InlineData("training:", "trainign:", "study.yaml:8: a study has no key 'trainign'", "did you mean 'training'?")]
    [InlineData("  tokens: 1000", "  tokens: 0", "study.yaml:7: units.tokens must be a whole number of at least 1, got '0'", null)]
    [InlineData("  steps: 5", "  steps: 5\n  schedule: constnt", "study.yaml:10: training.schedule is one of constant, cosine, linear, got 'constnt'", "did you mean 'constant'?")]
    [InlineData("  steps: 5", "  steps: 5\n  pull: 1\n  lora_rank: 2", "study.yaml:10: training.pull and lora_rank exclude each other", null)]
    [InlineData("  steps: 10", "  tokenizer: bytes", "study.yaml:4: seed has no steps", "steps: 300")]
    [InlineData("  train: mix.jsonl", "  train: mix.jsonl\n  eval: v.jsonl\n  held_out: 0.2", "study.yaml:4: data.held_out and eval exclude each other", null)]
    [InlineData("data:\n  train: mix.jsonl\n", "", "study.yaml:1: the study has no data", "data: {train: FILE.jsonl}")]
    public void StudyFile_Mistake_IsNamedWithItsLine(string right, string wrong, string sentence, string? hint)
    {
        Assert.Contains(right, Smallest, StringComparison.Ordinal);
        var error = Assert.Throws<EngineException>(() => StudyFile.Parse(Smallest.Replace(right, wrong, StringComparison.Ordinal)));
        Assert.Equal(ErrorKind.BadInput, error.Kind);
        Assert.Contains(sentence, error.Message, StringComparison.Ordinal);
        Assert.Contains(hint ?? "", error.Hint ?? "", StringComparison.Ordinal);
    }

    [Fact]
    public void StudyFile_SectionsOfOthers_AreLeftAsTheyStand()
    {
        var study = StudyFile.Parse(Smallest + "\ncandidates:\n  anything: [1, 2]\n");
        Assert.Equal(["1", "2"], study.Section("candidates")!.Members("anything")["anything"].Texts());
    }
}
