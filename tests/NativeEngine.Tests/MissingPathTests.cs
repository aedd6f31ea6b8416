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
        Assert.Equal($"there is no folder '{folder.File("elsewhere")}'; find {folder.Path} -name 'data.jsonl' looks for the file", MissingPath.Hint(folder.File("elsewhere/data.jsonl")));
        Assert.Equal($"did you mean '{folder.File("runs/notes.txt")}'?", MissingPath.Hint(folder.File("runs/elsewhere/notes.txt")));
        Assert.Null(MissingPath.Hint(folder.File("elsewhere/model"), folder: true));
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

    [Fact]
    public void Hint_APathOfAnotherSystem_IsWrittenAsItIsHere()
    {
        Assert.Equal("only a word that begins with ~ is completed by the shell; write $HOME/no/such", MissingPath.Hint("~/no/such"));
        if (Path.DirectorySeparatorChar == '/')
        {
            using var folder = new TemporaryFolder();
            folder.Write("data/mine.jsonl", "");
            Assert.Equal($"did you mean '{folder.File("data/mine.jsonl")}'?", MissingPath.Hint(folder.File("data\\mine.jsonl")));
            Assert.Equal("parts of a path are parted by / here: /mnt/c/data/a-file.of-no-other-ending", MissingPath.Hint("C:\\data\\a-file.of-no-other-ending"));
        }
    }

    [Theory]
    [InlineData("meta-llama/Llama-2-7b-hf", true)]
    [InlineData("runs/first", false)]
    [InlineData("/a/B", false)]
    [InlineData("Llama", false)]
    public void Download_OnlyANameOfHuggingFace_GivesTheCommand(string name, bool told) =>
        Assert.Equal(told ? $"nothing is downloaded by itself: hf download {name} --local-dir {name}" : null, MissingPath.Download(name));

    [Theory]
    [InlineData("run", "bin", false)]
    [InlineData("run", "ran", true)]
    [InlineData("trian", "train", true)]
    public void Nearest_ShortNames_DifferByOneLetterAtMost(string typed, string known, bool near) => Assert.Equal(near ? known : null, Suggestion.Nearest(typed, [known]));
}
