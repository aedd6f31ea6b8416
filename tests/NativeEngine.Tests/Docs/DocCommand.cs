using System.Text.RegularExpressions;
using NativeEngine.Tests.Support;

namespace NativeEngine.Tests.Docs;

/// <summary>How a command of the documentation is tried: as it stands, with --dry-run, or only parsed.</summary>
public enum Trial
{
    Run,
    DryRun,
    ParseOnly,
}

/// <summary>
/// One command of a page's fenced block. In a block with <c>$ </c> lines those are the commands and the rest is what they print; elsewhere every line is one.
/// A comment before the block, <c>&lt;!-- not run: reason --&gt;</c> or <c>&lt;!-- dry run: reason --&gt;</c>, says why it is not run as it stands.
/// </summary>
/// <param name="Page">The page, from the repository's root.</param>
/// <param name="Line">Its line there.</param>
/// <param name="Text">The whole line for a shell.</param>
/// <param name="Trial">How it is tried.</param>
/// <param name="Reason">Why not as it stands; empty for a run.</param>
/// <param name="Printed">What the page shows that it prints.</param>
public sealed partial record DocCommand(string Page, int Line, string Text, Trial Trial, string Reason, string Printed)
{
    private const string Project = "dotnet run -c Release --project src/NativeEngine.Cli -- ";

    /// <summary>The command as it is after `dotnet build`.</summary>
    public string Shell => Text.Replace(Project, "nengine ", StringComparison.Ordinal);

    /// <summary>The words after `nengine`, as a shell would give them: comment, pipe and redirection left out. Null when the line does not call it.</summary>
    public string[]? Words
    {
        get
        {
            var words = Word().Matches(Shell).Select(m => m.Value).ToList();
            int program = words.IndexOf("nengine");
            return program < 0 ? null : [.. words.Skip(program + 1).TakeWhile(w => w is not ("|" or ">" or ";" or "&&") && !w.StartsWith('#')).Select(w => w.Trim('"', '\''))];
        }
    }

    /// <summary>Whether the page shows that it fails.</summary>
    public bool Fails => Printed.StartsWith("error: ", StringComparison.Ordinal) || Printed.Contains("\nerror: ", StringComparison.Ordinal);

    /// <summary>The commands of a page in order.</summary>
    public static IReadOnlyList<DocCommand> Of(string page)
    {
        string text = File.ReadAllText(RepositoryPaths.InRepository(page));
        var commands = new List<DocCommand>();
        foreach (var block in Block().Matches(text).Where(b => b.Groups["language"].Value is "" or "sh" or "bash" or "console"))
        {
            var trial = block.Groups["how"].Value switch { "not run" => Trial.ParseOnly, "dry run" => Trial.DryRun, _ => Trial.Run };
            string[] lines = block.Groups["body"].Value.TrimEnd('\n').Split('\n');
            bool transcript = lines.Any(l => l.StartsWith("$ ", StringComparison.Ordinal));
            int first = text[..block.Groups["body"].Index].Count(c => c == '\n') + 1;
            for (int i = 0; i < lines.Length; i++)
            {
                string line = transcript ? lines[i].StartsWith("$ ", StringComparison.Ordinal) ? lines[i][2..] : "" : lines[i];
                int at = first + i;
                while (line.EndsWith('\\') && i + 1 < lines.Length)
                {
                    line = line[..^1].TrimEnd() + " " + lines[++i].Trim();
                }
                if (Ours().IsMatch(line))
                {
                    string printed = transcript ? string.Join('\n', lines.Skip(i + 1).TakeWhile(l => !l.StartsWith("$ ", StringComparison.Ordinal))).Trim() : "";
                    commands.Add(new DocCommand(page, at, line.Trim(), trial, block.Groups["why"].Value, printed));
                }
            }
        }
        return commands;
    }

    // The comment, if any, stands on the line before the block.
    [GeneratedRegex(@"(?:<!-- (?<how>not run|dry run): (?<why>[^\n]*?) -->\n)?^```(?<language>[^\n]*)\n(?<body>.*?)^```", RegexOptions.Singleline | RegexOptions.Multiline)]
    private static partial Regex Block();

    // A variable, a comment or a name that only begins so is no command.
    [GeneratedRegex(@"^(?!#)(?:\S.* )?(?:nengine|dotnet|mpirun|srun)(?: |$)")]
    private static partial Regex Ours();

    [GeneratedRegex(@"(?:""[^""]*""|'[^']*'|[^\s""'])+")]
    private static partial Regex Word();
}
