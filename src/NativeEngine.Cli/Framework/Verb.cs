using System.CommandLine;

namespace NativeEngine.Cli;

/// <summary>
/// One verb of the command line: its options, its example, and the call into the library. Logic belongs into the library.
/// </summary>
internal abstract class Verb : Command
{
    private readonly List<(string Title, Option[] Options)> _groups = [];

    /// <param name="name">The word on the command line.</param>
    /// <param name="description">One sentence for the help.</param>
    /// <param name="example">A whole command line to copy, starting with "nengine".</param>
    protected Verb(string name, string description, string example)
        : base(name, description) => Example = example;

    /// <summary>A command line to copy, shown by --help and parsed by a test.</summary>
    public string Example { get; }

    /// <summary>
    /// Whether --output is a file that gets the result besides stdout: as JSON when its name ends in .json or with --json, else as text. Other verbs say themselves what theirs is.
    /// </summary>
    public virtual bool OutputIsResult => false;

    /// <summary>The array of the JSON result that --format csv and md write as a table, "sources" or "eval.sources"; null where there is none.</summary>
    public virtual string? Table => null;

    /// <summary>The options in the groups of the help text.</summary>
    public IReadOnlyList<(string Title, Option[] Options)> Groups => _groups;

    /// <summary>Adds options under a heading of the help text ("options", "selection").</summary>
    protected void Add(string title, params Option[] options)
    {
        _groups.Add((title, options));
        foreach (var option in options)
        {
            Add(option);
        }
    }

    /// <summary>
    /// Does the work. Returns the exit code: 0, or the code of a negative answer that has a result document (7). Failures are
    /// thrown as <see cref="EngineException"/>, a stop as <see cref="OperationCanceledException"/>.
    /// </summary>
    public abstract int Run(VerbContext context);
}

/// <summary>A verb that only holds others: <c>nengine data synth</c>.</summary>
internal sealed class VerbGroup : Command
{
    public VerbGroup(string name, string description, params Command[] verbs)
        : base(name, description)
    {
        foreach (var verb in verbs)
        {
            Add(verb);
        }
    }
}
