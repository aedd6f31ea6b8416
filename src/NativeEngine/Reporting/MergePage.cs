using System.Globalization;
using NativeEngine.Merging;

namespace NativeEngine.Reporting;

/// <summary>The report of a merge: how far each model lies from the result, where, and from the others; how vocabularies came together.</summary>
public static class MergePage
{
    private const int MostModels = 24;

    /// <summary>The report.</summary>
    public static Report Of(MergeReport merge, MergeDistances distances, string output, IReadOnlyList<(string, string)> origin)
    {
        var sections = new List<ReportSection> { Models(distances), Layers(distances) };
        if (merge.Vocabulary.Count > 0)
        {
            sections.Add(Vocabulary(merge));
        }
        if (merge.Warnings.Count > 0)
        {
            sections.Add(new ReportSection("What should be looked at?", string.Join(" ", merge.Warnings.Select(w => w + "."))));
        }
        return new Report
        {
            Kind = "merge",
            Title = $"Merge: {output}",
            Subtitle = $"{merge.Method} of {merge.Models.Count} models.",
            Facts =
            [
                new("models", Whole(merge.Models.Count), merge.Models.Count),
                new("tensors", Whole(merge.Tensors), merge.Tensors),
                new("parameters", Whole(merge.Parameters), merge.Parameters),
                new("read", ReportNumber.Bytes(merge.BytesRead), merge.BytesRead),
                new("written", ReportNumber.Bytes(merge.BytesWritten), merge.BytesWritten),
                new("time", ReportNumber.Seconds(merge.TotalTime.TotalSeconds), merge.TotalTime.TotalSeconds),
                new("not finite", "none", 0),
            ],
            Sections = sections,
            Origin = origin,
        };
    }

    private static ReportSection Models(MergeDistances d)
    {
        int n = d.Models.Count;
        double[] moved = [.. Enumerable.Range(0, n).Select(d.Moved)];
        string[] names = Names(d.Models);
        int nearest = Enumerable.Range(0, n).MinBy(i => moved[i]), farthest = Enumerable.Range(0, n).MaxBy(i => moved[i]);
        var figures = new List<Figure>
        {
            new BarFigure
            {
                Name = "distances", Title = "Distance of each model from the result", RowName = "model", ValueName = "% of the result's norm",
                Rows = [.. Enumerable.Range(0, n).Select(i => new BarRow(names[i], 100 * moved[i]))],
            },
        };
        if (n is > 2 and <= MostModels)
        {
            figures.Add(new HeatFigure
            {
                Name = "between", Title = "Distance between models", RowName = "model", ColumnName = "model", ValueName = "% of the result's norm", Rows = names, Columns = names,
                Value = (i, j) => i == j ? double.NaN : 100 * d.Between(i, j),
            });
        }
        return new ReportSection(
            "How far is each model from the result?",
            n < 2 ? "There is one model." : $"{names[nearest]} is the nearest with {ReportNumber.Percent(moved[nearest])} of the result's norm, {names[farthest]} the farthest with {ReportNumber.Percent(moved[farthest])}.")
        {
            Figures = figures,
        };
    }

    private static ReportSection Layers(MergeDistances d)
    {
        var relative = d.Tensors.Select(t => (t.Name, Value: Mean(t), Place: LayerNames.Parse(t.Name))).ToArray();
        string[] roles = [.. relative.Where(t => t.Place is not null).Select(t => t.Place!.Value.After.Trim('.').Replace(".weight", "", StringComparison.Ordinal)).Distinct(StringComparer.Ordinal)];
        int layers = relative.Max(t => t.Place?.Layer + 1) ?? 0;
        var cells = relative.Where(t => t.Place is not null).ToLookup(t => (t.Place!.Value.After.Trim('.').Replace(".weight", "", StringComparison.Ordinal), t.Place!.Value.Layer), t => t.Value);
        var figures = new List<Figure>();
        if (layers > 0)
        {
            figures.Add(new HeatFigure
            {
                Name = "layers", Title = "Distance from the result by layer and matrix, mean over the models", RowName = "tensor", ColumnName = "layer", ValueName = "% of the tensor's norm",
                Rows = roles, Columns = [.. Enumerable.Range(0, layers).Select(l => l.ToString(CultureInfo.InvariantCulture))],
                Value = (r, l) => cells[(roles[r], l)].Select(v => 100 * v).DefaultIfEmpty(double.NaN).Average(),
            });
        }
        var far = relative.Where(t => double.IsFinite(t.Value)).OrderByDescending(t => t.Value).ToArray();
        string[] names = Names(d.Models);
        return new ReportSection(
            "Which tensors differ most?",
            far.Length == 0 ? "The result has no tensor with values." : $"{far[0].Name} differs most between the models and the result, by {ReportNumber.Percent(far[0].Value)} of its norm; the median tensor by {ReportNumber.Percent(far[far.Length / 2].Value)}.")
        {
            Figures = figures,
            Tables =
            [
                new DataTable(
                    "tensors", "Every merged tensor: norm of the result, and distance of each model as % of it",
                    [
                        DataColumn.Of("tensor", [.. d.Tensors.Select(t => t.Name)]), DataColumn.Of("elements", [.. d.Tensors.Select(t => (double)t.Elements)]),
                        DataColumn.Of("norm", [.. d.Tensors.Select(t => t.Norm)]),
                        .. names.Select((name, m) => DataColumn.Of(name, [.. d.Tensors.Select(t => 100 * t.Moved[m] / t.Norm)])),
                    ]),
            ],
        };
    }

    private static double Mean(TensorDistance t) => t.Norm == 0 ? double.NaN : t.Moved.Where(double.IsFinite).DefaultIfEmpty(double.NaN).Average() / t.Norm;

    private static ReportSection Vocabulary(MergeReport merge) => new(
        "How did the vocabularies come together?", "Rows of the embedding and of the output matrix are matched by their tokens.")
    {
        Tables =
        [
            new DataTable(
                "vocabulary", "Tokens of each model",
                DataColumn.Of("model", [.. merge.Vocabulary.Select(v => v.Model)]), DataColumn.Of("tokens", [.. merge.Vocabulary.Select(v => (double)v.Tokens)]),
                DataColumn.Of("same id", [.. merge.Vocabulary.Select(v => (double)v.SameId)]), DataColumn.Of("moved", [.. merge.Vocabulary.Select(v => (double)v.Moved)]),
                DataColumn.Of("filled", [.. merge.Vocabulary.Select(v => (double)v.Filled)]), DataColumn.Of("dropped", [.. merge.Vocabulary.Select(v => (double)v.Dropped)])),
        ],
    };

    // The last parts of the paths, as many as tell them apart.
    private static string[] Names(IReadOnlyList<string> models)
    {
        string[][] parts = [.. models.Select(m => m.TrimEnd('/').Split('/'))];
        for (int count = 1; count <= parts.Max(p => p.Length); count++)
        {
            string[] names = [.. parts.Select(p => string.Join('/', p.TakeLast(count)))];
            if (names.Distinct(StringComparer.Ordinal).Count() == names.Length)
            {
                // Keys of a cache are told apart by their beginnings.
                string[] shorter = [.. names.Select(n => n.Length > 28 ? n[..12] + "…" : n)];
                return shorter.Distinct(StringComparer.Ordinal).Count() == names.Length ? shorter : names;
            }
        }
        return [.. models];
    }

    private static string Whole(long value) => value.ToString("N0", CultureInfo.InvariantCulture);
}
