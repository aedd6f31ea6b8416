using System.Text.Json;
using System.Text.RegularExpressions;
using NativeEngine.Devices;
using NativeEngine.Devices.Cpu;
using NativeEngine.Formats;
using NativeEngine.Merging;
using NativeEngine.Reporting;
using NativeEngine.Selection;
using NativeEngine.Tests.Support;
using NativeEngine.Training;

namespace NativeEngine.Tests.Reporting;

public sealed partial class ReportTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Select_NumbersInPageAndFigures_AreThoseOfTheSelection()
    {
        var (document, report) = Selected();
        string page = ReportFiles.Write(report, _folder.File("r.html"));
        string html = File.ReadAllText(page);
        using var json = JsonDocument.Parse(File.ReadAllText(_folder.File("r_files/numbers.json")));
        Assert.Equal(document.Objective, json.RootElement.GetProperty("facts").GetProperty("objective").GetDouble());
        var sources = Table(json, "sources");
        Assert.Equal(document.Sources.Select(s => (double)s.Selected), Numbers(sources, "selected"));
        Assert.Equal(document.Sources.Select(s => (double)s.Size), Numbers(sources, "examples"));
        var bars = new DrawnNumbers(File.ReadAllText(_folder.File("r_files/sources.svg")));
        foreach (var source in document.Sources)
        {
            Assert.Contains(bars.Root.Descendants(), e => e.Name.LocalName == "title" && e.Value == $"{source.Source}: {source.Selected} of {source.Size}");
            Assert.Contains($"{source.Source}: {source.Selected} of {source.Size}", html, StringComparison.Ordinal);
        }
        // The curve ends at the objective, below the certificate's bound, on the axes as drawn.
        var curve = new DrawnNumbers(File.ReadAllText(_folder.File("r_files/objective.svg")));
        double end = curve.Value(DrawnNumbers.Points(curve.Elements("path", "line a").Single())[^1].Y, vertical: true, log: false);
        double bound = curve.Value(DrawnNumbers.Points(curve.Elements("path", "line dashed").Single())[^1].Y, vertical: true, log: false);
        Assert.Equal(1, end / document.Objective, 0.01);
        Assert.Equal(1, bound / document.Certificate.UpperBound, 0.01);
        // Every member of every cluster is counted once, and the histogram holds all that are represented by another.
        Assert.Equal(document.Owners.Where((owner, i) => owner >= 0 && owner != i).Count(), Numbers(Table(json, "distances"), "examples").Sum());
        Assert.Equal(document.N, Numbers(Table(json, "map"), "example", words: true).Count());
    }

    [Fact]
    public void Page_Any_NeedsNothingElseAndHasEachFigureTwice()
    {
        var report = Selected().Report;
        string html = ReportPage.Write(report, "r");
        Assert.DoesNotContain("<script", html, StringComparison.OrdinalIgnoreCase);
        Assert.DoesNotMatch(Elsewhere(), html);
        string[] ids = [.. Ids().Matches(html).Select(m => m.Groups[1].Value)];
        Assert.Equal(ids.Length, ids.Distinct().Count());
        Assert.All(Labels().Matches(html).SelectMany(m => m.Groups[1].Value.Split(' ')), id => Assert.Contains(id, ids));
        Assert.Equal(2 * report.Figures.Count(), Regex.Count(html, "<svg "));
        Assert.Equal(1, Regex.Count(html, "<style>"));
        Assert.Equal(html, ReportPage.Write(report, "r"));
    }

    [Fact]
    public void Page_HostileNames_AreText()
    {
        var report = new Report { Kind = "eval", Title = "<script>alert(1)</script>", Sections = [new ReportSection("a & b", "\"<b>\"") { Tables = [new DataTable("t", "<i>", DataColumn.Of("<td>", ["<img src=x>"]))] }] };
        string html = ReportPage.Write(report, null);
        Assert.DoesNotContain("<script", html, StringComparison.Ordinal);
        Assert.DoesNotContain("<img", html, StringComparison.Ordinal);
    }

    [Fact]
    public void Check_Path_MustBeAPageInAFolderThatIsThere()
    {
        Assert.Equal(ErrorKind.BadInput, Assert.Throws<EngineException>(() => ReportFiles.Check(_folder.File("absent/new.html"))).Kind);
        Assert.Equal(ErrorKind.Usage, Assert.Throws<EngineException>(() => ReportFiles.Check(_folder.Write("file", "x") + "/r.html")).Kind);
        Assert.Equal(_folder.File("again.html"), ReportFiles.Check(_folder.File("again.html")));
        Assert.Equal(_folder.File("folder/report.html"), ReportFiles.Check(_folder.File("folder")));
    }

    [Fact]
    public void Write_Again_ReplacesItsOwnFilesOnly()
    {
        string page = ReportFiles.Write(Selected().Report, _folder.File("r.html")), mine = _folder.Write("r.json", "{}"), note = _folder.Write("r_files/note.txt", "mine");
        _folder.Write("r_files/old.svg", "<svg/>");
        Assert.Equal(page, ReportFiles.Write(Selected().Report, _folder.File("r.html")));
        Assert.True(File.Exists(mine) && File.Exists(note) && !File.Exists(_folder.File("r_files/old.svg")));
    }

    [Fact]
    public void Train_SharesAndGaps_AreThoseOfTheMetrics()
    {
        // Source b is drawn in every step and trained in all but steps 20 to 49.
        var steps = Enumerable.Range(1, 100).Select(i => new LoggedStep
        {
            Step = i,
            Loss = 4.0 / i,
            LearningRate = 1e-3,
            GradientNorm = i == 7 ? 50 : 1,
            Examples = 3,
            Tokens = 90,
            Seconds = 0.5,
            SelectionSeconds = 0.1,
            ActivationBytes = 1 << 20,
            Objective = 8,
            Bound = 10,
            Sources = new Dictionary<string, (long, long)> { ["a"] = (2, 4), ["b"] = (i is >= 20 and < 50 ? 0 : 1, 2) },
        }).ToArray();
        var report = TrainingPage.Of(new MetricsHistory(steps, []), "run", []);
        Assert.Contains("b, drawn but not trained from step 20 to 49", report.Sections.Single(s => s.Question.StartsWith("Which", StringComparison.Ordinal)).Answer, StringComparison.Ordinal);
        Assert.Contains("at most 50, at step 7", report.Sections.Single(s => s.Question.StartsWith("Was", StringComparison.Ordinal)).Answer, StringComparison.Ordinal);
        var trained = report.Data.Single(d => d.Name == "trained");
        Assert.Equal((string[])["a", "b"], trained.Columns[0].Words);
        Assert.Equal((double[])[200, 70], trained.Columns[1].Numbers);
        Assert.Equal((double[])[400, 200], trained.Columns[2].Numbers);
        var picks = report.Data.Single(d => d.Name == "picks");
        Assert.Equal(0.5, picks.Columns.Skip(1).Average(c => c.Numbers![0]), 1e-12);
        Assert.InRange(picks.Columns.Skip(1).Average(c => c.Numbers![1]), 0.33, 0.37);
        Assert.Contains("at least 80 %", report.Sections.Single(s => s.Question.StartsWith("How good", StringComparison.Ordinal)).Answer, StringComparison.Ordinal);
    }

    [Fact]
    public void Merge_Distances_AreThoseOfANaiveSum()
    {
        string a = Model("a", 1), b = Model("b", 2), output = _folder.File("out");
        using var merger = new ParameterMerger(MergeRecipe.Linear([(a, 0.25), (b, 0.75)]), new MergeOptions { Threads = 2 });
        var done = merger.Run(output);
        var distances = merger.Distances(output);
        var (va, vb, vo) = (Values(a), Values(b), Values(output));
        double norm = Math.Sqrt(vo.Sum(v => (double)v * v));
        Assert.Equal(Distance(va, vo) / norm, distances.Moved(0), 1e-12);
        Assert.Equal(Distance(vb, vo) / norm, distances.Moved(1), 1e-12);
        Assert.Equal(Distance(va, vb) / norm, distances.Between(0, 1), 1e-12);
        Assert.Equal(3, distances.Moved(0) / distances.Moved(1), 1e-4);
        var report = MergePage.Of(done, distances, "out", []);
        Assert.Equal(distances.Tensors.Count, report.Data.Single(d => d.Name == "tensors").Rows);

        static double Distance(float[] x, float[] y) => Math.Sqrt(x.Zip(y, (p, q) => ((double)p - q) * ((double)p - q)).Sum());
    }

    [Fact]
    public void PrincipalAxes_PlantedDirections_AreFound()
    {
        // Rows = 5 s u + 2 t w + 0.1 noise with orthogonal u, w in 37 dimensions.
        var random = new Random(5);
        const int N = 400, D = 37;
        var rows = new float[N * D];
        var (s, t) = (new double[N], new double[N]);
        for (int i = 0; i < N; i++)
        {
            (s[i], t[i]) = (random.NextDouble() - 0.5, random.NextDouble() - 0.5);
            for (int k = 0; k < D; k++)
            {
                rows[(i * D) + k] = (float)((5 * s[i] * (k < 9 ? 1 / 3.0 : 0)) + (2 * t[i] * (k is >= 9 and < 13 ? 0.5 : 0)) + (0.1 * (random.NextDouble() - 0.5)) + 7);
            }
        }
        var axes = PrincipalAxes.Of(rows, D);
        Assert.InRange(Math.Abs(Correlation(axes.X, s)), 0.999, 1);
        Assert.InRange(Math.Abs(Correlation(axes.Y, t)), 0.99, 1);
        Assert.InRange(axes.ShareX, 0.8, 0.9);
        Assert.InRange(axes.ShareY, 0.1, 0.2);

        static double Correlation(double[] a, double[] b)
        {
            double ma = a.Average(), mb = b.Average();
            return a.Zip(b, (x, y) => (x - ma) * (y - mb)).Sum() / Math.Sqrt(a.Sum(x => (x - ma) * (x - ma)) * b.Sum(y => (y - mb) * (y - mb)));
        }
    }

    internal static (SelectionDocument Document, Report Report) Selected()
    {
        const int N = 120, D = 11;
        var random = new Random(7);
        float[] values = [.. Enumerable.Range(0, N * D).Select(i => (float)random.NextDouble() + (i / D % 3))];
        int[] sources = [.. Enumerable.Range(0, N).Select(i => i < 100 ? i % 2 : 2)];
        using var device = new CpuDevice(2);
        using var normalizer = GradientNormalizer.None();
        var selector = new CoresetSelector(device, new SelectionOptions { Budget = 40, KeptSources = [2] }, normalizer);
        var plan = selector.Plan(sources, 0);
        using var all = device.Allocate<float>(values, MemoryUse.Selection);
        using var rows = device.Allocate<float>([.. plan.Candidates.SelectMany(i => values[(i * D)..((i + 1) * D)])], MemoryUse.Selection);
        var result = selector.Select(plan, rows.View.Reshape(plan.Candidates.Count, D));
        var document = SelectionDocument.Of(result, plan, ["red", "green", "blue"], D, adam: false, state: null);
        return (document, SelectionPage.Of(document, all.View.Reshape(N, D), normalizer, [("command", "nengine select")]));
    }

    private string Model(string name, int seed)
    {
        var random = new Random(seed);
        float[] Some(int count) => [.. Enumerable.Range(0, count).Select(_ => (float)random.NextDouble())];
        _folder.Write($"{name}/config.json", "{}");
        SafetensorsWriter.WriteFloat32(
            _folder.File($"{name}/model.safetensors"), null, ("model.layers.0.mlp.up_proj.weight", [70, 90], Some(6300)), ("model.layers.1.mlp.up_proj.weight", [70, 90], Some(6300)),
            ("model.norm.weight", [70], Some(70)));
        return _folder.File(name);
    }

    private static float[] Values(string folder)
    {
        using var file = SafetensorsModel.Open(folder);
        return [.. file.Tensors.OrderBy(t => t.Name, StringComparer.Ordinal).SelectMany(t => t.ToFloat32())];
    }

    private static JsonElement Table(JsonDocument json, string name) => json.RootElement.GetProperty("sections").EnumerateArray()
        .SelectMany(s => s.GetProperty("data").EnumerateArray()).Single(d => d.GetProperty("name").GetString() == name);

    private static IEnumerable<double> Numbers(JsonElement table, string column, bool words = false) =>
        table.GetProperty("columns").GetProperty(column).EnumerateArray().Select(v => words ? 1 : v.GetDouble());

    [GeneratedRegex("""(src|href)="(?!r/)|url\(|@import""")]
    private static partial Regex Elsewhere();

    [GeneratedRegex("\\bid=\"([^\"]+)\"")]
    private static partial Regex Ids();

    [GeneratedRegex("aria-labelledby=\"([^\"]+)\"")]
    private static partial Regex Labels();
}
