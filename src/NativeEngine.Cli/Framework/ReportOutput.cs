using System.CommandLine;
using NativeEngine.Reporting;
using NativeEngine.Training;

namespace NativeEngine.Cli;

/// <summary>The option --report, the same for every verb that has something to show: one page, its figures and numbers beside it.</summary>
internal sealed class ReportOutput
{
    /// <summary>For <see cref="Verb.Add(string, Option[])"/>.</summary>
    public Option<string?> Option { get; } = Opt.MaybeText("--report", "R.html|DIR", "Also write the result as a page with figures; its numbers go beside it as JSON and CSV.");

    /// <summary>The page to write, checked before any work; null when none is asked for.</summary>
    public string? Check(VerbContext context) => context.Get(Option) is { } path ? ReportFiles.Check(path) : null;

    /// <summary>Writes the report and says where.</summary>
    public static void Write(VerbContext context, Report report, string page) => context.Talk.Info($"report: {Shown(ReportFiles.Write(report, page))}");

    /// <summary>How the result came about.</summary>
    public static IReadOnlyList<(string, string)> Origin(VerbContext context, string device) =>
    [
        ("command", CommandLine([.. context.CommandLine])), ("program", Version(BuildFacts.Version, RunManifest.Commit)),
        ("system", $"{BuildFacts.Runtime}, {BuildFacts.System}"), ("device", device),
    ];

    /// <summary>How a training run came about, from its run.json; nothing when there is none that can be read.</summary>
    public static IReadOnlyList<(string, string)> Origin(string folder, Action<string> warn)
    {
        try
        {
            var run = RunRecord.Load(folder);
            return
            [
                ("command", CommandLine([.. run.Command])), ("program", Version(run.Version, run.Commit)), ("system", $"{run.Runtime}, {run.System}"),
                ("device", run.Device), ("options", string.Join(", ", run.Options.Select(o => $"{o.Key} {o.Value}"))),
            ];
        }
        catch (EngineException e)
        {
            warn(e.Message);
            return [];
        }
    }

    /// <summary>The shorter of a path and its form relative to the working folder.</summary>
    public static string Shown(string path)
    {
        string relative;
        try
        {
            relative = Path.GetRelativePath(Environment.CurrentDirectory, path);
        }
        catch (IOException)
        {
            // The working folder is gone.
            return path;
        }
        return relative.Length < path.Length && !relative.StartsWith("..", StringComparison.Ordinal) ? relative : path;
    }

    private static string Version(string version, string? commit) => $"nengine {version}{(commit is null ? "" : $" ({commit})")}";

    // The first word is the path of the program.
    private static string CommandLine(string[] words) =>
        string.Join(' ', words.Skip(1).Prepend("nengine").Select(w => w.Length > 0 && !w.AsSpan().ContainsAny(" \t\"'$*?&|;<>()") ? w : $"'{w.Replace("'", "'\\''", StringComparison.Ordinal)}'"));
}
