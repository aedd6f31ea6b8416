using System.Diagnostics;
using System.Text;
using System.Text.Json;
using NativeEngine.Cli;
using NativeEngine.Tests.Support;

namespace NativeEngine.Tests.Cli;

public sealed class ByteSizeTests
{
    [Theory]
    [InlineData("1", 1L)]
    [InlineData("300B", 300L)]
    [InlineData("8GiB", 8L << 30)]
    [InlineData("512MiB", 512L << 20)]
    [InlineData("2GB", 2_000_000_000L)]
    [InlineData("1.5kib", 1536L)]
    [InlineData("4g", 4L << 30)]
    [InlineData("2 TiB", 2L << 40)]
    public void TryParse_Size_IsExactBytes(string text, long expected)
    {
        Assert.True(ByteSize.TryParse(text, out long bytes, out _));
        Assert.Equal(expected, bytes);
    }

    [Theory]
    [InlineData("")]
    [InlineData("GiB")]
    [InlineData("-1GiB")]
    [InlineData("1,5GiB")]
    [InlineData("0")]
    [InlineData("99999999TiB")]
    [InlineData("NaN")]
    [InlineData("1e3")]
    public void TryParse_NoSize_IsRefusedWithTheText(string text)
    {
        Assert.False(ByteSize.TryParse(text, out _, out string error));
        Assert.Contains($"'{text}'", error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(0, "0 B")]
    [InlineData(1023, "1023 B")]
    [InlineData(1536, "1.5 KiB")]
    [InlineData(8L << 30, "8 GiB")]
    public void Format_Bytes_AreForPeople(long bytes, string expected) => Assert.Equal(expected, ByteSize.Format(bytes));
}

public sealed class AddressSpaceLimitTests
{
    [Fact]
    public void Left_OfALimit_IsWhatIsNotMappedYet()
    {
        using var folder = new TemporaryFolder();
        string limits = folder.Write("limits", "Limit                     Soft Limit           Hard Limit           Units     \nMax address space         4096000000           unlimited            bytes     \n");
        string sizes = folder.Write("statm", "1000 200 30 4 0 5 0\n");
        Assert.Equal(4096000000 - (1000 * Environment.SystemPageSize), AddressSpaceLimit.Left(limits, sizes));
        Assert.Null(AddressSpaceLimit.Left(folder.Write("none", "Max address space         unlimited            unlimited            bytes     \n"), sizes));
        Assert.Null(AddressSpaceLimit.Left("/no/file", sizes));
    }
}

public sealed class CgroupLimitsTests
{
    [Fact]
    public void Read_Version2_TakesTheSmallestOfAllAncestors()
    {
        using var folder = new TemporaryFolder();
        string membership = folder.Write("self", "0::/a/b\n");
        folder.Write("root/a/cpu.max", "150000 100000\n");
        folder.Write("root/a/b/cpu.max", "max 100000\n");
        folder.Write("root/a/memory.max", "max\n");
        folder.Write("root/a/b/memory.max", "1048576\n");
        Assert.Equal(new CgroupLimits(1.5, 1048576), CgroupLimits.Read(membership, folder.File("root")));
    }

    [Fact]
    public void Read_Version1_ReadsQuotaAndIgnoresTheNumberForNoLimit()
    {
        using var folder = new TemporaryFolder();
        string membership = folder.Write("self", "4:cpu,cpuacct:/job\n7:memory:/job\n");
        folder.Write("root/cpu/job/cpu.cfs_quota_us", "300000\n");
        folder.Write("root/cpu/job/cpu.cfs_period_us", "100000\n");
        folder.Write("root/memory/job/memory.limit_in_bytes", "9223372036854771712\n");
        Assert.Equal(new CgroupLimits(3.0, null), CgroupLimits.Read(membership, folder.File("root")));
    }

    [Fact]
    public void Read_NoCgroups_IsNoLimit() => Assert.Equal(new CgroupLimits(null, null), CgroupLimits.Read("/no/file", "/no/folder"));

    [Theory]
    [InlineData(1.5, 8, 2, "cgroup quota")]
    [InlineData(0.2, 8, 1, "cgroup quota")]
    [InlineData(16.0, 8, 8, "processors")]
    [InlineData(null, 8, 8, "processors")]
    public void ThreadCount_Resolve_RoundsTheQuotaUp(double? quota, int processors, int count, string source) =>
        Assert.Equal(new ThreadCount(count, source),
            ThreadCount.Resolve(null, _ => null, new CgroupLimits(quota, null), processors, _ => Assert.Fail("no warning expected")));
}

public sealed class OutputFolderTests
{
    [Fact]
    public void Open_NotEmpty_IsRefusedUnlessResumed()
    {
        using var folder = new TemporaryFolder();
        string file = folder.Write("out/old.txt", "old");
        Assert.Equal(ErrorKind.Usage, Assert.Throws<EngineException>(() => OutputFolder.Open(folder.File("out"), resume: false)).Kind);
        OutputFolder.Open(folder.File("out"), resume: true).Dispose();
        Assert.Equal("old", File.ReadAllText(file));
    }

    [Fact]
    public void Dispose_WithoutKeep_LeavesNothing()
    {
        using var folder = new TemporaryFolder();
        using (var output = OutputFolder.Open(folder.File("out"), resume: false))
        {
            Directory.CreateDirectory(Path.Combine(output.Path, "half"));
            File.WriteAllText(Path.Combine(output.Path, "half", "made.txt"), "x");
        }
        Assert.False(Directory.Exists(folder.File("out")));
    }

    [Fact]
    public void Dispose_AfterKeep_LeavesTheWork()
    {
        using var folder = new TemporaryFolder();
        using (var output = OutputFolder.Open(folder.File("out"), resume: false))
        {
            File.WriteAllText(Path.Combine(output.Path, "made.txt"), "x");
            output.Keep();
        }
        Assert.Equal(["made.txt"], Directory.GetFiles(folder.File("out")).Select(Path.GetFileName));
    }

    [Fact]
    public void Check_FileInTheWay_IsRefused()
    {
        using var folder = new TemporaryFolder();
        Assert.Throws<EngineException>(() => OutputFolder.Check(folder.Write("a", "x"), resume: true));
        Assert.Throws<EngineException>(() => OutputFile.Check(folder.Path));
        Assert.Throws<EngineException>(() => OutputFile.Check(folder.File("absent/file.txt")));
        Assert.Equal(folder.File("b"), OutputFile.Check(folder.File("b")));
        Assert.Equal(["a"], Directory.GetFileSystemEntries(folder.Path).Select(Path.GetFileName));
    }
}

public sealed class InterruptsTests
{
    [FactOnUnix]
    public void Interrupts_UserSignal_CancelsAndIsResumable()
    {
        using var announced = new ManualResetEventSlim();
        using var interrupts = new Interrupts(_ => announced.Set());
        using var self = Process.GetCurrentProcess();
        NEngine.Signal(self, OperatingSystem.IsMacOS() ? 30 : 10);
        Assert.True(announced.Wait(TimeSpan.FromSeconds(30)));
        Assert.True(interrupts.Token.WaitHandle.WaitOne(TimeSpan.FromSeconds(30)));
        Assert.Equal(75, interrupts.ExitCode(saved: false));
        var failure = Failure.Of(new OperationCanceledException(), interrupts, "run it again with --resume");
        Assert.Equal((75, "run it again with --resume"), (failure.Code, failure.Hint));
    }

    [Fact]
    public void Failure_Of_GivesTheDocumentedCodes()
    {
        using var interrupts = new Interrupts(_ => { });
        Assert.Equal(6, Failure.Of(new EngineException(ErrorKind.Numerical, "x"), interrupts, null).Code);
        Assert.Equal(3, Failure.Of(new FileNotFoundException("x"), interrupts, null).Code);
        Assert.Equal(4, Failure.Of(new OutOfMemoryException(), interrupts, null).Code);
        Assert.Equal(1, Failure.Of(new InvalidOperationException("x"), interrupts, null).Code);
        var several = new AggregateException(new OperationCanceledException(), new EngineException(ErrorKind.BadInput, "x"));
        Assert.Equal(3, Failure.Of(several, interrupts, null).Code);
    }
}

public sealed class ResultWriterTests
{
    [Fact]
    public void Fail_AfterAResult_ReplacesTheDocument()
    {
        using var stream = new MemoryStream();
        var result = new ResultWriter(stream, ResultForm.Json);
        result.Write(_ => Assert.Fail("text with --json"), json => json.WriteNumber("n", 1));
        result.Fail(new Failure(6, "not finite", null));
        Assert.Equal("{\"error\":{\"code\":6,\"message\":\"not finite\",\"hint\":null}}\n", Encoding.UTF8.GetString(stream.ToArray()));
    }

    [Fact]
    public void Complete_WithoutADocument_IsADefect() =>
        Assert.Throws<InvalidOperationException>(() => new ResultWriter(new MemoryStream(), ResultForm.Json).Complete());

    [Fact]
    public void Complete_TableForms_WriteTheArrayOfTheDocument()
    {
        const string Csv = "source,nll,note\na,1.25,\n\"b, \"\"c\"\"\",,\"[1,2]\"\n", Markdown = "| source | nll | note |\n| --- | --- | --- |\n| a | 1.25 |  |\n| b, \"c\" |  | [1,2] |\n";
        foreach (var (form, expected) in new[] { (ResultForm.Csv, Csv), (ResultForm.Markdown, Markdown) })
        {
            using var stream = new MemoryStream();
            var result = new ResultWriter(stream, form, "eval.sources");
            result.WriteJson(json =>
            {
                json.WriteStartObject("eval");
                json.WriteStartArray("sources");
                json.WriteRawValue("""{"source":"a","nll":1.25}""");
                json.WriteRawValue("""{"source":"b, \"c\"","nll":null,"note":[1,2]}""");
                json.WriteEndArray();
                json.WriteEndObject();
            });
            result.Complete();
            Assert.Equal(expected, Encoding.UTF8.GetString(stream.ToArray()));
        }
    }

    [Fact]
    public void Progress_NotATerminal_WritesPlainLinesAndNothingWhenQuick()
    {
        using var stream = new MemoryStream();
        var talk = new TalkWriter(stream, terminal: false, color: false);
        using (var progress = new ProgressLine(talk, "reading", 10, "lines"))
        {
            progress.Report(5);
        }
        Assert.Equal(0, stream.Length);
        talk.Error("bad", "do this");
        Assert.Equal("error: bad\n  hint: do this\n", Encoding.UTF8.GetString(stream.ToArray()));
    }

    [Fact]
    public void Progress_Terminal_RewritesOneLine()
    {
        using var stream = new MemoryStream();
        using var progress = new ProgressLine(new TalkWriter(stream, terminal: true, color: false), "reading", 10, "lines");
        progress.Report(5, () => "loss 2");
        Assert.Equal("\r\u001b[Kreading: 5/10 lines, loss 2", Encoding.UTF8.GetString(stream.ToArray()));
    }

    [Fact]
    public void Progress_Jsonl_OneObjectALineAlsoWithQuiet()
    {
        using var stream = new MemoryStream();
        using (var progress = new ProgressLine(new TalkWriter(stream, terminal: true, color: false, quiet: true, progress: ProgressForm.Jsonl), "reading", 10, "lines"))
        {
            progress.Report(5, () => "loss \u03b12");
            progress.Report(6);
        }
        string[] lines = Encoding.UTF8.GetString(stream.ToArray()).Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.Equal(2, lines.Length);
        using var first = JsonDocument.Parse(lines[0]);
        using var last = JsonDocument.Parse(lines[1]);
        Assert.Equal(["reading", "5", "10", "lines", "loss \u03b12"], ((string[])["progress", "done", "total", "unit", "note"]).Select(n => first.RootElement.GetProperty(n).ToString()));
        Assert.Equal(JsonValueKind.Null, first.RootElement.GetProperty("seconds_left").ValueKind);
        Assert.True(last.RootElement.GetProperty("ended").GetBoolean());
        Assert.Equal(6, last.RootElement.GetProperty("done").GetInt64());
    }

    [Theory]
    [InlineData(ProgressForm.None, "")]
    [InlineData(ProgressForm.Lines, "")]
    public void Progress_FormThatIsAskedFor_IsNotTheTerminals(object form, string expected)
    {
        using var stream = new MemoryStream();
        using var progress = new ProgressLine(new TalkWriter(stream, terminal: true, color: false, progress: (ProgressForm)form), "reading", 10, "lines");
        progress.Report(5);
        Assert.Equal(expected, Encoding.UTF8.GetString(stream.ToArray()));
    }

    [Fact]
    public void Rewrite_LongerThanTheTerminal_IsCutSoThatItCanBeReplaced()
    {
        using var stream = new MemoryStream();
        var talk = new TalkWriter(stream, terminal: true, color: false, width: () => 24);
        talk.Rewrite(new string('a', 22));
        talk.Rewrite(new string('b', 200));
        Assert.Equal($"\r\u001b[K{new string('a', 22)}\r\u001b[K{new string('b', 22)}…", Encoding.UTF8.GetString(stream.ToArray()));
    }
}
