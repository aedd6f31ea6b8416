using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using NativeEngine.Devices;
using NativeEngine.Formats;
using NativeEngine.Reporting;
using NativeEngine.Selection;

namespace NativeEngine.Cli.Verbs;

/// <summary>Compares two selections of one pool.</summary>
internal sealed class DiffSelectionsVerb : Verb
{
    private const int MostShown = 24;

    private readonly Argument<string> _a = new("A.json") { Description = "What select --output wrote." };
    private readonly Argument<string> _b = new("B.json") { Description = "Another selection of the same examples." };
    private readonly Option<string?> _features = Opt.MaybeText("--features", "F.npy|F.npz|F.safetensors", "Measure both on these features; without them only what the files say is told.");
    private readonly Option<string?> _state = Opt.MaybeText("--state", "IN.safetensors", "The history A started from; default: the file it names.");
    private readonly ReportOutput _report = new();

    public DiffSelectionsVerb()
        : base("diff-selections", "Compares two selections of one pool: sources, overlap beside chance, examples, coverage.", "nengine diff-selections selection.json other.json --features f.npy")
    {
        Add(_a);
        Add(_b);
        Add("input", _features, _state);
        Add("result", _report.Option);
    }

    public override bool OutputIsResult => true;

    public override int Run(VerbContext context)
    {
        string nameA = context.Need(_a), nameB = context.Need(_b);
        string? features = context.Get(_features), page = _report.Check(context);
        if (features is null && context.Get(_state) is { } state)
        {
            throw new EngineException(ErrorKind.Usage, $"--state {state} normalises features, and none are given", "add --features");
        }
        var (a, b) = (SelectionDocument.Load(nameA), SelectionDocument.Load(nameB));
        var found = SelectionDifference.Of(a, b);
        using var device = context.OpenDevice();
        IReadOnlyList<SourceCoverage>? coverage = null;
        if (features is not null)
        {
            if (!found.SameMeasure)
            {
                context.Talk.Warn($"{nameA} and {nameB} compare features in different ways; both are measured as {nameA} does");
            }
            using var input = new SelectionInput(context, device, a, features, context.Get(_state));
            coverage = SelectionCoverage.Of(a, b, found, input.Rows, input.Normalizer, context.Cancellation);
        }
        if (page is not null)
        {
            ReportOutput.Write(context, SelectionDifferencePage.Of(nameA, nameB, a, b, found, coverage, ReportOutput.Origin(context, device.Description)), page);
        }
        context.Result.Write(text => WriteText(text, nameA, nameB, a, b, found, coverage), json => WriteJson(json, a, b, found, coverage));
        return 0;
    }

    private static void WriteText(TextWriter text, string nameA, string nameB, SelectionDocument a, SelectionDocument b, SelectionDifference d, IReadOnlyList<SourceCoverage>? coverage)
    {
        text.WriteLine($"first {nameA}: {d.A} of {d.N} examples; second {nameB}: {d.B}");
        text.WriteLine(d.Same ? "they select the same examples" : FormattableString.Invariant($"{d.Both} are in both, {d.Entered.Count} entered, {d.Left.Count} left: Jaccard {d.Jaccard:F3}"));
        text.WriteLine(SelectionDifferencePage.Chance(d));
        int width = Math.Max(6, d.Sources.Select(s => s.Source.Length).DefaultIfEmpty(0).Max());
        text.WriteLine($"{"source".PadRight(width)}      size   first  second  change    both  by chance");
        foreach (var s in d.Sources)
        {
            string kept = (s.KeptA, s.KeptB) switch { (true, true) => "  kept", (true, false) => "  kept in the first", (false, true) => "  kept in the second", _ => "" };
            text.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{s.Source.PadRight(width)}  {s.Size,8}  {s.A,6}  {s.B,6}  {s.B - s.A,6:+0;-0;0}  {s.Both,6}  {s.Expected,9:F1}{kept}"));
        }
        if (coverage is not null)
        {
            string distance = a.Metric == DistanceMetric.Cosine ? "mean -cosine" : "mean distance";
            text.WriteLine($"{"source".PadRight(width)}  {"objective",10}  {"second",10}  {"change",9}  {distance,13}  {"second",13}  {"change",9}");
            foreach (var (s, c) in d.Sources.Zip(coverage))
            {
                text.WriteLine($"{s.Source.PadRight(width)}  {Pair(c.ObjectiveA, c.ObjectiveB, 10)}  {Pair(c.DistanceA, c.DistanceB, 13)}");
            }
            text.WriteLine($"{"all".PadRight(width)}  {Pair(coverage.Sum(c => c.ObjectiveA), coverage.Sum(c => c.ObjectiveB), 10)}");
        }
        else
        {
            text.WriteLine(FormattableString.Invariant($"objective {a.Objective:G6} and {b.Objective:G6}, each on the features it was made from; --features measures both on the same"));
        }
        WriteMoved(text, "entered", d.Entered);
        WriteMoved(text, "left", d.Left);
    }

    private static string Pair(double? a, double? b, int width)
    {
        string change = a is { } x && b is { } y && x != 0 ? string.Create(CultureInfo.InvariantCulture, $"{100 * ((y / x) - 1) * Math.Sign(x):+0.00;-0.00;0.00} %") : "-";
        return $"{Text(a).PadLeft(width)}  {Text(b).PadLeft(width)}  {change,9}";

        static string Text(double? value) => value?.ToString("G6", CultureInfo.InvariantCulture) ?? "-";
    }

    private static void WriteMoved(TextWriter text, string what, IReadOnlyList<MovedExample> moved)
    {
        if (moved.Count > 0)
        {
            var names = moved.Take(MostShown).Select(m => m.Id ?? (m.Line is { } line ? $"line {line}" : m.Index.ToString(CultureInfo.InvariantCulture)));
            text.WriteLine($"{what}: {string.Join(moved[0].Id is null && moved[0].Line is null ? " " : ", ", names)}{(moved.Count > MostShown ? " ... (all of them with --json or --report)" : "")}");
        }
    }

    private static void WriteJson(Utf8JsonWriter json, SelectionDocument a, SelectionDocument b, SelectionDifference d, IReadOnlyList<SourceCoverage>? coverage)
    {
        json.WriteNumber("schema", 1);
        json.WriteBoolean("same", d.Same);
        json.WriteNumber("n", d.N);
        json.WriteNumber("dim", d.Dimension);
        json.Numbers("selected", new[] { d.A, d.B });
        json.WriteNumber("both", d.Both);
        json.WriteNumber("jaccard", d.Jaccard);
        json.WriteStartObject("random");
        json.WriteNumber("both", d.Random.Mean);
        json.WriteNumber("jaccard", d.ExpectedJaccard);
        json.Numbers("both_interval", new[] { d.Random.Quantile(0.025), d.Random.Quantile(0.975) });
        json.WriteNumber("probability_of_as_many", d.Random.AtLeast(d.Both));
        json.WriteNumber("probability_of_as_few", d.Random.AtMost(d.Both));
        json.WriteEndObject();
        int row = 0;
        json.Objects("sources", d.Sources, s =>
        {
            json.WriteString("source", s.Source);
            json.WriteNumber("size", s.Size);
            json.Numbers("selected", new[] { s.A, s.B });
            json.WriteNumber("both", s.Both);
            json.WriteNumber("jaccard", s.Jaccard);
            json.WriteNumber("random_both", s.Expected);
            json.WriteStartArray("kept");
            json.WriteBooleanValue(s.KeptA);
            json.WriteBooleanValue(s.KeptB);
            json.WriteEndArray();
            Two(json, "claimed_objective", s.ObjectiveA, s.ObjectiveB);
            if (coverage?[row++] is { } c)
            {
                json.WriteNumber("measured_examples", c.Examples);
                Two(json, "objective", c.ObjectiveA, c.ObjectiveB);
                Two(json, "mean_distance", c.DistanceA, c.DistanceB);
            }
        });
        Two(json, "claimed_objective", a.Objective, b.Objective);
        if (coverage is not null)
        {
            Two(json, "objective", coverage.Sum(c => c.ObjectiveA), coverage.Sum(c => c.ObjectiveB));
            json.WriteBoolean("compared_alike", d.SameMeasure);
        }
        json.Objects("entered", d.Entered, m => Write(json, m));
        json.Objects("left", d.Left, m => Write(json, m));
    }

    private static void Two(Utf8JsonWriter json, string name, double? a, double? b) => json.Numbers(name, new[] { a ?? double.NaN, b ?? double.NaN });

    private static void Write(Utf8JsonWriter json, MovedExample moved)
    {
        json.WriteNumber("index", moved.Index);
        json.WriteString("source", moved.Source);
        if (moved.Line is { } line)
        {
            json.WriteNumber("line", line);
        }
        if (moved.Id is not null)
        {
            json.WriteString("id", moved.Id);
        }
    }
}
