using NativeEngine.Cli;
using NativeEngine.Cli.Verbs;
using NativeEngine.Tests.Support;
using Xunit.Abstractions;

namespace NativeEngine.Tests.Docs;

/// <summary>Every command that README.md, docs/ and --help show is parsed, and run where a comment in the page does not say why not.</summary>
public sealed class DocCommandsTests(DocFolder folder, ITestOutputHelper output) : IClassFixture<DocFolder>
{
    // Examples of --help that take long as they stand, or need what their own page makes.
    private static readonly (string Begins, Trial Trial, string Reason)[] _examples =
    [
        ("nengine quickstart", Trial.DryRun, "the whole tour takes a minute"),
        ("nengine chaos", Trial.DryRun, "sixteen processes take half a minute"),
        ("nengine train", Trial.DryRun, "200 steps take ten seconds"),
        ("nengine data synth", Trial.DryRun, "12,000 examples"),
        ("nengine profile", Trial.DryRun, "it measures"),
    ];

    public static TheoryData<string> Pages()
    {
        // command-line.md is made of the options and examples of --help, and compared with them.
        var data = new TheoryData<string> { "README.md" };
        foreach (string page in Directory.EnumerateFiles(RepositoryPaths.InRepository("docs"), "*.md").Select(f => "docs/" + Path.GetFileName(f)).Where(p => p != "docs/command-line.md").Order(StringComparer.Ordinal))
        {
            if (DocCommand.Of(page).Count > 0)
            {
                data.Add(page);
            }
        }
        return data;
    }

    [Theory]
    [MemberData(nameof(Pages))]
    public void Page_EveryCommand_WorksAsShown(string page) => TryAll(DocCommand.Of(page), folder.For(page));

    [Fact]
    public void Help_EveryExample_WorksAsShown() => TryAll(
        [.. VerbList.Table().Root.All.Select(c => c.Example).OfType<string>().Select(text => _examples.FirstOrDefault(e => text.StartsWith(e.Begins, StringComparison.Ordinal)) is { Reason: { } reason } e
            ? new DocCommand("--help", 0, text, e.Trial, reason, "") : new DocCommand("--help", 0, text, Trial.Run, "", ""))], folder.For("--help"));

    [Fact]
    public void Of_BlocksOfAllKinds_AreReadAsAReaderWould()
    {
        string page = Path.GetRelativePath(RepositoryPaths.Root, Path.GetTempFileName());
        File.WriteAllText(RepositoryPaths.InRepository(page), "a\n\n```\nnengine a \\\n  --b 'c d'   # why\n```\n<!-- dry run: long -->\n```bash\nsrun -n 2 nengine e > f\n```\n```yaml\nnengine x\n```\n<!-- not run: a GPU -->\n```\n$ nengine g | jq .h\nnengine says\nerror: no\n  hint: yes\n```\n");
        var commands = DocCommand.Of(page);
        File.Delete(RepositoryPaths.InRepository(page));
        Assert.Equal([(4, Trial.Run), (9, Trial.DryRun), (16, Trial.ParseOnly)], commands.Select(c => (c.Line, c.Trial)));
        Assert.Equal([["a", "--b", "c d"], ["e"], ["g"]], commands.Select(c => c.Words!));
        Assert.Equal(["", "long", "a GPU"], commands.Select(c => c.Reason));
        Assert.Equal([false, false, true], commands.Select(c => c.Fails));
    }

    private void TryAll(IReadOnlyList<DocCommand> commands, string place)
    {
        Assert.NotEmpty(commands);
        var wrong = new List<string>();
        foreach (var command in commands.Where(folder.IsNew))
        {
            string? trouble = Try(command, place);
            output.WriteLine($"{command.Page}:{command.Line}: {(trouble is not null ? "WRONG" : command.Trial switch { Trial.Run => "run", Trial.DryRun => $"dry run ({command.Reason})", _ => $"not run ({command.Reason})" })}: {command.Text}");
            if (trouble is not null)
            {
                wrong.Add($"{command.Page}:{command.Line}: {command.Text}\n{trouble}");
            }
        }
        Assert.True(wrong.Count == 0, string.Join("\n\n", wrong));
    }

    private string? Try(DocCommand command, string place)
    {
        if (command.Words is not { } words)
        {
            // A program of one file or a project: that it is there. The other tests, and .ci/run, run them.
            string? missing = command.Text.Split(' ').FirstOrDefault(w => (w.EndsWith(".cs", StringComparison.Ordinal) || w.Contains('/', StringComparison.Ordinal)) && w.Contains("tools/", StringComparison.Ordinal)
                && !File.Exists(RepositoryPaths.InRepository(w)));
            return missing is null ? null : $"there is no {missing}";
        }
        var common = new CommonOptions();
        try
        {
            // A configuration file is there only in the folder, where the command runs.
            new CommandLineReader(VerbList.Create(common), common).Read([.. words.Where((w, i) => w != "--config" && (i == 0 || words[i - 1] != "--config"))]);
        }
        catch (EngineException e) when (!command.Fails)
        {
            return $"{e.Message} ({e.Hint})";
        }
        catch (EngineException)
        {
            // A mistake that the page shows; what is hinted at is compared below.
        }
        if (command.Trial == Trial.ParseOnly)
        {
            return null;
        }
        var result = folder.Run(command, place);
        // A negative answer (runs that part) is one too.
        bool fails = command.Fails && command.Trial == Trial.Run, ended = fails ? result.ExitCode is not (0 or 1) : result.ExitCode is 0 or 7;
        string? hint = command.Printed.Split('\n').FirstOrDefault(l => l.StartsWith("  hint: ", StringComparison.Ordinal));
        return !ended ? $"exit code {result.ExitCode}: {result.StdErr}"
            : fails && hint is not null && !result.StdErr.Contains(hint, StringComparison.Ordinal) ? $"it does not hint as the page says: {result.StdErr}" : null;
    }
}
