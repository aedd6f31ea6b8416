using System.IO.Compression;
using System.Text;
using NativeEngine.Data;
using NativeEngine.Tests.Support;

namespace NativeEngine.Tests.Data;

public class JsonlReaderTests
{
    private static readonly JsonlOptions _skip = new() { OnBadLine = BadLinePolicy.Skip };

    private static JsonlReader Over(string text, JsonlOptions? options = null) => Over(Encoding.UTF8.GetBytes(text), options);

    private static JsonlReader Over(byte[] bytes, JsonlOptions? options = null) => new("d.jsonl", () => new MemoryStream(bytes), options);

    [Fact]
    public void Read_BothForms_GivesExamplesWithLines()
    {
        var reader = Over("\uFEFF{\"prompt\":\"p\",\"completion\":\"c\",\"source\":\"a\"}\r\n\n  \n{\"text\":\"t\\u00e9\",\"source\":2.5,\"other\":{}}");
        var examples = reader.Read().ToList();
        Assert.Equal(["p\nc", "té"], examples.Select(static e => e.Text));
        Assert.Equal(["a", "2.5"], examples.Select(static e => e.Source));
        Assert.Equal([1L, 4L], examples.Select(static e => e.Line));
        Assert.Equal([2, 0], examples.Select(static e => e.CompletionStart));
        Assert.Equal((4, 2, 0), (reader.LineCount, reader.ExampleCount, reader.BadLineCount));
    }

    [Fact]
    public void Read_RenamedFields_AreUsed()
    {
        var options = new JsonlOptions { PromptField = "q", CompletionField = "a", SourceField = "task", TextField = "body" };
        var examples = Over("{\"q\":\"1\",\"a\":\"2\",\"task\":7,\"prompt\":3}\n{\"body\":\"b\",\"task\":\"x\"}", options).Read().ToList();
        Assert.Equal(["1\n2", "b"], examples.Select(static e => e.Text));
        Assert.Equal(["7", "x"], examples.Select(static e => e.Source));
    }

    [Theory]
    [InlineData("nonsense", "JSON")]
    [InlineData("{\"text\":\"a\"", "JSON")]
    [InlineData("{\"text\":\"a\"} {}", "JSON")]
    [InlineData("[1]", "an array")]
    [InlineData("{\"text\":3,\"source\":\"a\"}", "a number")]
    [InlineData("{\"text\":\"\",\"source\":\"a\"}", "empty")]
    [InlineData("{\"prompt\":\"x\",\"source\":\"a\"}", "without \"completion\"")]
    [InlineData("{\"completion\":\"x\",\"prompt\":null,\"source\":\"a\"}", "without \"prompt\"")]
    [InlineData("{\"prompt\":\"x\",\"completion\":[],\"source\":\"a\"}", "an array")]
    [InlineData("{\"source\":\"a\"}", "neither")]
    [InlineData("{\"text\":\"x\",\"source\":\"\"}", "empty")]
    [InlineData("{\"text\":\"x\",\"source\":true}", "a boolean")]
    [InlineData("{\"text\":\"x\"}", "lacks")]
    [InlineData("{\"text\":\"x\",\"source\":null}", "lacks")]
    [InlineData("{\"text\":\"x\",\"text\":\"y\",\"source\":\"a\"}", "JSON")]
    [InlineData("{\"text\":\"\\ud800\",\"source\":\"a\"}", "surrogate")]
    public void Read_BadLine_IsNamedOrSkipped(string bad, string reason)
    {
        string text = "{\"text\":\"first\",\"source\":\"a\"}\n" + bad + "\n{\"text\":\"last\",\"source\":\"a\"}\n";
        var error = Assert.Throws<EngineException>(() => Over(text).Read().Count());
        Assert.Equal(ErrorKind.BadInput, error.Kind);
        Assert.StartsWith("d.jsonl:2: ", error.Message);
        Assert.Contains(reason, error.Message);
        var reader = Over(text, _skip);
        Assert.Equal(["first", "last"], reader.Read().Select(static e => e.Text));
        Assert.Equal((1, 2), (reader.BadLineCount, reader.BadLines[0].Line));
    }

    [Fact]
    public void Read_InvalidUtf8_IsABadLine()
    {
        byte[] bytes = [.. "{\"text\":\"a\"}\n{\"text\":\""u8, 0xC3, 0x28, .. "\"}"u8];
        Assert.Contains("d.jsonl:2: it is not valid UTF-8", Assert.Throws<EngineException>(() => Over(bytes).Read().Count()).Message);
    }

    [Fact]
    public void Read_NoSourceAnywhere_AllBelongToDefault()
    {
        string text = string.Concat(Enumerable.Repeat("{\"text\":\"x\"}\n", JsonlReader.SourceWindow + 5));
        Assert.All(Over(text).Read(), static e => Assert.Equal(JsonlReader.DefaultSource, e.Source));
        var late = Over(text + "{\"text\":\"y\",\"source\":\"s\"}", _skip);
        Assert.Equal(JsonlReader.SourceWindow + 5, late.Read().Count());
        Assert.Contains("none of the first", late.BadLines[0].Reason);
    }

    [Fact]
    public void Read_SourceAppearsRightAfterTheWindow_ThatLineIsBad()
    {
        string text = string.Concat(Enumerable.Repeat("{\"text\":\"x\"}\n", JsonlReader.SourceWindow)) + "{\"text\":\"y\",\"source\":\"s\"}";
        var reader = Over(text, _skip);
        Assert.All(reader.Read(), static e => Assert.Equal(JsonlReader.DefaultSource, e.Source));
        Assert.Equal((JsonlReader.SourceWindow, 1), (reader.ExampleCount, reader.BadLineCount));
        Assert.Equal(JsonlReader.SourceWindow + 1, reader.BadLines[0].Line);
    }

    [Fact]
    public void Read_SourceAppearsWithinTheWindow_EarlierLinesWithoutAreBad()
    {
        const string Text = "{\"text\":\"x\"}\n{\"text\":\"y\",\"source\":\"s\"}\n{\"text\":\"z\"}";
        Assert.StartsWith("d.jsonl:1: it lacks", Assert.Throws<EngineException>(() => Over(Text).Read().Count()).Message);
        var reader = Over(Text, _skip);
        Assert.Equal(["y"], reader.Read().Select(static e => e.Text));
        Assert.Equal([1L, 3L], reader.BadLines.Select(static b => b.Line));
    }

    [Fact]
    public void Read_ManyBadLines_AreCountedWithTheFirstReasonsKept()
    {
        var reader = Over(string.Concat(Enumerable.Repeat("x\n", 50)) + "{\"text\":\"a\"}", _skip);
        Assert.Single(reader.Read());
        Assert.Equal((50, 10), (reader.BadLineCount, reader.BadLines.Count));
        Assert.Single(reader.Read());
        Assert.Equal(50, reader.BadLineCount);
    }

    [Theory]
    [InlineData("", "an empty file")]
    [InlineData("\n\n", "2 lines")]
    [InlineData("x\ny\n", "line 1")]
    public void Read_NothingUsable_IsASentence(string text, string expected)
    {
        var error = Assert.Throws<EngineException>(() => Over(text, _skip).Read().Count());
        Assert.Equal(ErrorKind.BadInput, error.Kind);
        Assert.Contains(expected, error.Message);
    }

    [Fact]
    public void Read_Files_PlainGzipMissingZstd()
    {
        using var folder = new TemporaryFolder();
        string plain = folder.Write("a.jsonl", "{\"text\":\"a\"}\n{\"text\":\"b\"}\n");
        Assert.Equal(2, new JsonlReader(plain).Read().Count());
        string zipped = folder.File("a.jsonl.gz");
        using (var gzip = new GZipStream(File.Create(zipped), CompressionLevel.Fastest))
        {
            gzip.Write(File.ReadAllBytes(plain));
        }
        Assert.Equal(2, new JsonlReader(zipped).Read().Count());
        byte[] whole = File.ReadAllBytes(zipped);
        File.WriteAllBytes(zipped, whole[..^12]);
        Fails(zipped, "a.jsonl.gz");
        // All of the lines are there, and only the check sum behind them is not.
        File.WriteAllBytes(zipped, whole[..^8]);
        Fails(zipped, "truncated");
        File.WriteAllBytes(zipped, [.. "not gzip at all"u8]);
        Fails(zipped, "a.jsonl.gz");
        Fails(folder.File("missing.jsonl"), "no such file");
        Fails(folder.Path, "folder");
        Assert.Contains("zstd -dc", Fails(folder.File("a.jsonl.zst"), "zst").Hint);

        static EngineException Fails(string path, string expected)
        {
            var error = Assert.Throws<EngineException>(() => new JsonlReader(path).Read().Count());
            Assert.Equal(ErrorKind.BadInput, error.Kind);
            Assert.Contains(expected, error.Message);
            return error;
        }
    }

    [Theory]
    [InlineData(3)]
    [InlineData(1 << 16)]
    public void TryRead_LinesOfAllLengths_AreSplitWhateverTheReads(int readSize)
    {
        var random = new CounterRandom(1, RandomPurpose.Test);
        var lines = Enumerable.Range(0, 300).Select(i => new string((char)('a' + i % 26), (int)random.Below((ulong)i, i % 50 == 0 ? 200_000 : 90))).ToArray();
        var splitter = new LineSplitter(new Slow(Encoding.UTF8.GetBytes(string.Join("\n", lines) + "\nend"), readSize), 100_000);
        foreach (string line in lines)
        {
            Assert.True(splitter.TryRead(out var read, out bool tooLong));
            Assert.Equal(line.Length > 100_000, tooLong);
            Assert.Equal(tooLong ? "" : line, Encoding.UTF8.GetString(read.Span));
        }
        Assert.True(splitter.TryRead(out var last, out _));
        Assert.Equal("end", Encoding.UTF8.GetString(last.Span));
        Assert.False(splitter.TryRead(out _, out _));
    }

    [Fact]
    public void Read_LineWithoutEnd_IsRefusedWhereItIsTooLong()
    {
        var reader = new JsonlReader("endless", () => new Endless());
        var error = Assert.Throws<EngineException>(() => reader.Read().Count());
        Assert.Equal((ErrorKind.BadInput, "endless:1: it is longer than 67,108,864 bytes"), (error.Kind, error.Message));
    }

    [FactWithSharedData("data/mathmix.train.jsonl")]
    public void Read_Mathmix_FindsItsExamplesAndSources()
    {
        var examples = new JsonlReader(RepositoryPaths.Shared("data/mathmix.train.jsonl")).Read().ToList();
        Assert.Equal(11_100, examples.Count);
        Assert.Equal(18, SourceOrder.Sort(examples.Select(static e => e.Source)).Length);
    }

    private sealed class Endless : MemoryStream
    {
        public override int Read(byte[] buffer, int offset, int count) => count;
    }

    private sealed class Slow(byte[] bytes, int size) : MemoryStream(bytes)
    {
        public override int Read(byte[] buffer, int offset, int count) => base.Read(buffer, offset, Math.Min(size, count));
    }
}
