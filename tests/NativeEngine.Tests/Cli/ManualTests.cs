using System.Diagnostics;
using NativeEngine.Cli.Manual;
using NativeEngine.Cli.Verbs;
using NativeEngine.Tests.Support;

namespace NativeEngine.Tests.Cli;

/// <summary>Completions, the manual page and docs/command-line.md against the options themselves and against the programs that read them.</summary>
public sealed class ManualTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void MarkdownPage_OfTheOptions_IsDocsCommandLine()
    {
        string made = Made((text, table) => MarkdownPage.Write(text, table)), kept = File.ReadAllText(RepositoryPaths.InRepository("docs/command-line.md"));
        Assert.True(made == kept, "docs/command-line.md is not what the options are: nengine man --as markdown --output docs/command-line.md");
    }

    [Fact]
    public void Verbs_AsProcesses_WriteTheSame()
    {
        Assert.Equal(Made(BashCompletion.Write), NEngine.Run("completions", "bash").Expect(0).StdOut);
        string file = _folder.File("page.md");
        NEngine.Run("man", "--as", "markdown", "--output", file).Expect(0);
        Assert.Equal(Made(MarkdownPage.Write), File.ReadAllText(file));
        Assert.Contains("nengine completions bash", NEngine.Run("completions", "tcsh").Expect(2).StdErr, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("nengine tr", "train")]
    [InlineData("nengine data sy", "synth")]
    [InlineData("nengine ablate cache ", "list verify gc")]
    [InlineData("nengine train --sel", "--selection")]
    [InlineData("nengine train --selection c", "colm composition")]
    [InlineData("nengine train --selection=c", "colm composition")]
    [InlineData("nengine train --lr 1e-3 --dev", "--device")]
    [InlineData("nengine train --device o", "opencl")]
    [InlineData("nengine train --lr ", "")]
    [InlineData("nengine train --model preset:1", "1m 11m 124m")]
    [InlineData("nengine train --data mi", "mine.jsonl")]
    [InlineData("nengine train --data bu", "builtin")]
    [InlineData("nengine eval --model r", "runs.onnx runs")]
    [InlineData("nengine features --model r", "runs")]
    [InlineData("nengine diff-runs r", "runs")]
    [InlineData("nengine completions ", "bash zsh fish")]
    [InlineData("nengine data inspect mi", "mine.jsonl")]
    public void BashCompletion_InBash_CompletesWhatComesNext(string line, string expected)
    {
        Prepare();
        string script = Made(BashCompletion.Write) + $"""
            COMP_LINE="{line}" COMP_POINT={line.Length}
            _nengine
            echo "$(printf '%s ' "${"{COMPREPLY[@]}"}")"
            """;
        Assert.Equal(expected, Run("bash", ["--norc", "-c", script]).Trim());
    }

    [FactWithProgram("fish")]
    public void FishCompletion_InFish_CompletesWhatComesNext()
    {
        Prepare();
        string file = _folder.Write("nengine.fish", Made(FishCompletion.Write));
        foreach (var (line, expected) in new[]
        {
            ("nengine tr", "train"), ("nengine train --sel", "--selection"), ("nengine train --selection c", "colm composition"), ("nengine train --model preset:1", "preset:11m preset:124m preset:1m"),
            ("nengine train --data mi", "mine.jsonl"), ("nengine diff-runs r", "runs/"), ("nengine train --lr ", ""), ("nengine completions b", "bash"),
        })
        {
            Assert.Equal(expected, string.Join(' ', Run("fish", ["--no-config", "-c", $"source {file}; complete -C '{line}'"]).Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(l => l.Split('\t')[0])));
        }
    }

    [FactWithProgram("zsh")]
    public void ZshCompletion_ByZsh_IsRead() =>
        Assert.Equal("_nengine\n", Run("zsh", ["-fc", $"compdef() {{ print $1; }}; source {_folder.Write("_nengine", Made(ZshCompletion.Write))}"]));

    [Fact]
    public void ManPage_EveryVerbAndOption_IsThere()
    {
        string page = Made((text, table) => ManPage.Write(text, table, "1"));
        var table = VerbList.Table();
        Assert.All(table.Root.All.Where(c => c.Example is not null), c => Assert.Contains(c.Path.Replace("-", "\\-", StringComparison.Ordinal), page, StringComparison.Ordinal));
        Assert.All(table.Root.All.SelectMany(c => c.Options).Concat(table.Common), o => Assert.Contains(o.Name.Replace("-", "\\-", StringComparison.Ordinal), page, StringComparison.Ordinal));
    }

    [FactWithProgram("groff")]
    public void ManPage_ByGroff_HasNoWarnings() =>
        Assert.Equal("", Run("bash", ["-c", $"groff -man -ww -z -Tutf8 -Kutf8 {_folder.Write("nengine.1", Made((text, table) => ManPage.Write(text, table, "1")))} 2>&1"]));

    private static string Made(Action<TextWriter, CommandTable> write)
    {
        using var text = new StringWriter { NewLine = "\n" };
        write(text, VerbList.Table());
        return text.ToString().ReplaceLineEndings("\n");
    }

    private void Prepare()
    {
        _folder.Write("mine.jsonl", "");
        _folder.Write("runs.onnx", "");
        Directory.CreateDirectory(_folder.File("runs"));
    }

    private string Run(string program, string[] args)
    {
        var start = new ProcessStartInfo(program, args) { RedirectStandardOutput = true, WorkingDirectory = _folder.Path };
        start.Environment["HOME"] = _folder.Path;
        using var process = Process.Start(start)!;
        string printed = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return printed;
    }
}

/// <summary>A test that needs a program on the path; skipped, and printed as skipped, where it is missing.</summary>
public sealed class FactWithProgramAttribute : FactAttribute
{
    public FactWithProgramAttribute(string program) =>
        Skip = (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator).Any(folder => File.Exists(Path.Combine(folder, program))) ? null : $"needs {program}, which is not on the path";
}
