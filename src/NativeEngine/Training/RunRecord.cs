using NativeEngine.Formats;

namespace NativeEngine.Training;

/// <summary>What run.json tells of a run.</summary>
/// <param name="Command">The command line, the program's path first.</param>
/// <param name="Version">The program's version.</param>
/// <param name="Commit">The commit it was built from, or null.</param>
/// <param name="Runtime">The runtime.</param>
/// <param name="System">The operating system.</param>
/// <param name="Device">The device.</param>
/// <param name="Options">The resolved options that decide the result.</param>
/// <param name="Inputs">SHA-256 of every input file.</param>
public sealed record RunRecord(
    IReadOnlyList<string> Command, string Version, string? Commit, string Runtime, string System, string Device,
    IReadOnlyDictionary<string, string> Options, IReadOnlyDictionary<string, string> Inputs)
{
    /// <summary>The folder the command was given in, or null when the manifest does not tell.</summary>
    public string? WorkingFolder { get; init; }

    /// <summary>Reads the manifest in a run's folder. Errors: BadInput.</summary>
    public static RunRecord Load(string folder)
    {
        var run = StrictJson.Load(Path.Combine(folder, RunManifest.FileName));
        return new RunRecord(
            [.. run.Require("command").Items().Select(w => w.AsString())], run.RequireString("version"),
            run.Optional("commit") is { Kind: global::System.Text.Json.JsonValueKind.String } commit ? commit.AsString() : null,
            run.RequireString("runtime"), run.RequireString("system"), run.RequireString("device"), Texts(run, "options"), Texts(run, "inputs"))
        {
            WorkingFolder = run.Optional("working_folder")?.AsString(),
        };
    }

    private static Dictionary<string, string> Texts(StrictJson run, string name) =>
        run.Require(name).Members().ToDictionary(o => o.Name, o => o.Value.AsString(), StringComparer.Ordinal);
}
