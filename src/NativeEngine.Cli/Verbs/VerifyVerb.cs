using System.CommandLine;
using NativeEngine.Selection;

namespace NativeEngine.Cli.Verbs;

/// <summary>Re-checks what a selection claims.</summary>
internal sealed class VerifyVerb : Verb
{
    private readonly Argument<string> _selection = new("SELECTION.json") { Description = "What select --output wrote." };
    private readonly Option<string> _features = Opt.RequiredText("--features", "F.npy|F.npz|F.safetensors", "The features it was made from.");
    private readonly Option<string?> _state = Opt.MaybeText("--state", "IN.safetensors", "The history it started from; default: the file it names.");

    public VerifyVerb()
        : base("verify", "Recomputes a selection's objective and bound from the features.", "nengine verify selection.json --features f.npy")
    {
        Add(_selection);
        Add("input", _features, _state);
    }

    public override bool OutputIsResult => true;

    public override int Run(VerbContext context)
    {
        string name = context.Need(_selection);
        var document = SelectionInput.Document(name, context.Need(_features));
        using var device = context.OpenDevice();
        using var input = new SelectionInput(context, device, document, context.Need(_features), context.Get(_state));
        var found = SelectionVerifier.Verify(document, input.Rows, input.Normalizer, context.Cancellation);
        context.Result.Write(
            text => text.WriteLine(FormattableString.Invariant(
                $"{name} holds: {document.Indices.Count} of {document.N} examples, at least {100 * found.Ratio:F2} % of the best possible objective")),
            json =>
            {
                json.WriteNumber("schema", 1);
                json.WriteBoolean("valid", true);
                json.WriteNumber("objective", document.Objective);
                json.WriteNumber("upper_bound", found.UpperBound);
                json.WriteNumber("ratio", found.Ratio);
            });
        return 0;
    }
}
