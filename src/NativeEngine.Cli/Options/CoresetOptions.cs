using System.CommandLine;
using NativeEngine.Devices;
using NativeEngine.Selection;

namespace NativeEngine.Cli;

/// <summary>The options of a selection, the same for every verb that selects.</summary>
internal sealed class CoresetOptions(string keepDefault, int topDefault)
{
    private readonly Option<string> _keep = Opt.Text("--keep", "RULE", "Sources kept whole: none, small, mean:0.5, quantile:0.25, expected:4, or a list: 0,3.", keepDefault);
    private readonly Option<string> _metric = Opt.Choice("--metric", "How features are compared.", "l1", "l2", "cosine");
    private readonly Option<int> _top = Opt.Number("--top", "H", "Columns kept per source, by absolute mean; 0 keeps all.", topDefault, min: 0);
    private readonly Option<string> _quota = Opt.Choice("--quota", "How the budget is shared among sources.", "proportional", "balanced", "none");
    private readonly Option<string> _rounding = Opt.Choice("--rounding", "Rounding of proportional shares.", "floor", "ceil");
    private readonly Option<string> _overflow = Opt.Choice("--overflow", "Which kept examples are taken when they exceed the budget.", "first", "random");
    private readonly Option<string> _algorithm = Opt.Choice("--algorithm", "How the objective is maximised.", "auto", "exact", "sparse", "stochastic", "partitioned");
    private readonly Option<int> _parts = Opt.Number("--parts", "P", "Parts of the partitioned algorithm; 0: as few as fit.", 0, min: 0);
    private readonly Option<int> _neighbours = Opt.Number("--neighbours", "T", "Neighbours kept of each example without a matrix; 0: by the budget.", 0, min: 0);
    private readonly Option<string> _precision = Opt.Choice("--precision", "What pairs are first compared in; decided in fp32, so the picks are the same.", "fp32", "bf16", "int8");

    /// <summary>For <see cref="Verb.Add(string, Option[])"/>.</summary>
    public Option[] Options => [_keep, _metric, _top, _quota, _rounding, _overflow, _algorithm, _parts, _neighbours, _precision];

    /// <summary>--keep as given.</summary>
    public string KeepText(VerbContext context) => context.Need(_keep);

    /// <summary>The rule of --keep.</summary>
    public SmallSourceRule Keep(VerbContext context) => SmallSourceRule.Parse(KeepText(context));

    /// <summary>--top.</summary>
    public int Top(VerbContext context) => context.Need(_top);

    /// <summary>The options as given; the caller sets the kept sources.</summary>
    public SelectionOptions Read(VerbContext context, int budget) => new()
    {
        Budget = budget,
        Metric = Parse<DistanceMetric>(context.Need(_metric)),
        Top = Top(context),
        Quota = Parse<QuotaRule>(context.Need(_quota)),
        Rounding = Parse<QuotaRounding>(context.Need(_rounding)),
        Overflow = Parse<OverflowPolicy>(context.Need(_overflow)),
        Algorithm = Parse<SelectionAlgorithm>(context.Need(_algorithm)),
        Parts = context.Need(_parts),
        Neighbours = context.Need(_neighbours),
        Precision = Parse<SelectionPrecision>(context.Need(_precision)),
        Seed = context.Seed,
    };

    private static T Parse<T>(string word)
        where T : struct, Enum => Enum.Parse<T>(word, ignoreCase: true);
}
