using NativeEngine.Tests.Support;

namespace NativeEngine.Tests;

public sealed class MissingPathTests
{
    [Fact]
    public void Hint_AName_IsCorrectedPartByPart()
    {
        using var folder = new TemporaryFolder();
        folder.Write("runs/first/config.json", "{}");
        folder.Write("runs/notes.txt", "");
        Assert.Equal($"did you mean '{folder.File("runs/first/config.json")}'?", MissingPath.Hint(folder.File("rusn/first/config.json")));
        Assert.Equal($"did you mean '{folder.File("runs/first")}'?", MissingPath.Hint(folder.File("runs/frist"), folder: true));
        Assert.Equal($"there is no folder '{folder.File("elsewhere")}'", MissingPath.Hint(folder.File("elsewhere/data.jsonl")));
        Assert.Null(MissingPath.Hint(folder.File("runs/first/config.json")));
    }

    [Fact]
    public void Hint_NothingNear_TellsWhatIsThereOfTheKind()
    {
        using var folder = new TemporaryFolder();
        foreach (string name in (string[])["train.jsonl", "valid.jsonl.gz", "notes.txt", "first/config.json", "second/other.json"])
        {
            folder.Write(name, "");
        }
        Assert.Equal($"there are {folder.File("train.jsonl")}, {folder.File("valid.jsonl.gz")}", MissingPath.Hint(folder.File("mathematics.jsonl")));
        Assert.Equal($"there is {folder.File("first")}", MissingPath.Hint(folder.File("something-else"), holding: "config.json"));
        Assert.Null(MissingPath.Hint(folder.File("features.npy")));
    }

    [Theory]
    [InlineData("run", "bin", false)]
    [InlineData("run", "ran", true)]
    [InlineData("trian", "train", true)]
    public void Nearest_ShortNames_DifferByOneLetterAtMost(string typed, string known, bool near) => Assert.Equal(near ? known : null, Suggestion.Nearest(typed, [known]));
}
