using System.CommandLine;
using NativeEngine.Formats;
using NativeEngine.Selection;

namespace NativeEngine.Cli.Verbs;

/// <summary>Explains one example of a selection.</summary>
internal sealed class WhyVerb : Verb
{
    private readonly Argument<string> _selection = new("SELECTION.json") { Description = "What select --output wrote." };
    private readonly Argument<int> _index = Opt.Index("INDEX", "The example's row, from 0.");
    private readonly Option<string> _features = Opt.RequiredText("--features", "F.npy|F.npz|F.safetensors", "The features it was made from.");
    private readonly Option<string?> _state = Opt.MaybeText("--state", "IN.safetensors", "The history it started from; default: the file it names.");

    public WhyVerb()
        : base("why", "Tells why an example was selected, or why not.", "nengine why selection.json 17 --features f.npy")
    {
        Add(_selection);
        Add(_index);
        Add("input", _features, _state);
    }

    public override bool OutputIsResult => true;

    public override int Run(VerbContext context)
    {
        var document = SelectionInput.Document(context.Need(_selection), context.Need(_features));
        using var device = context.OpenDevice();
        using var input = new SelectionInput(context, device, document, context.Need(_features), context.Get(_state));
        var why = SelectionExplanation.Of(document, context.Get(_index), input.Rows, input.Normalizer);
        context.Result.Write(
            text => text.WriteLine(Sentence(why)),
            json =>
            {
                json.WriteNumber("schema", 1);
                json.WriteNumber("index", why.Index);
                json.WriteString("fate", NameOf(why.Fate));
                json.WriteString("source", why.Source);
                json.WriteString("reason", why.Reason);
                json.WriteNumber("owner", why.Owner);
                json.WriteNumber("distance", why.Distance);
                json.WriteNumber("place", why.Place);
                json.WriteNumber("represents", why.Represents);
                json.WriteNumber("rival", why.Rival);
                json.Number("gain", why.Gain);
                json.Number("rival_gain", why.RivalGain);
                json.WriteNumber("change", why.Change);
            });
        return 0;
    }

    private static string NameOf(ExampleFate fate) => fate switch
    {
        ExampleFate.KeptSourceOverflow => "kept_source_overflow",
        ExampleFate.TakenWhole => "taken_whole",
        ExampleFate.NoQuota => "no_quota",
        _ => fate.ToString().ToLowerInvariant(),
    };

    private static string Sentence(SelectionExplanation w) => FormattableString.Invariant(w.Fate switch
    {
        ExampleFate.Dropped => $"example {w.Index} was dropped: {w.Reason}",
        ExampleFate.Kept => $"example {w.Index} is trained because its source {w.Source} is kept",
        ExampleFate.KeptSourceOverflow => $"example {w.Index} is of the kept source {w.Source}, which has more examples than the budget",
        ExampleFate.TakenWhole => $"example {w.Index} is selected because source {w.Source} has as many picks as candidates",
        ExampleFate.NoQuota => $"example {w.Index} is not selected because source {w.Source} got no share of the budget",
        ExampleFate.Picked => $"example {w.Index} is pick {w.Place + 1} of source {w.Source}: its gain was {w.Gain:G6} and it represents {w.Represents} examples; without it the objective would change by {w.Change:G6}",
        _ => $"example {w.Index} is represented by {w.Owner} at distance {w.Distance:G6}; when {w.Rival} became the last pick of source {w.Source} with a gain of {w.RivalGain:G6}, it offered {w.Gain:G6}; in its place it would change the objective by {w.Change:G6}",
    });
}
