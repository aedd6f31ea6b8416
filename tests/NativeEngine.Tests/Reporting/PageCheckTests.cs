using System.Globalization;
using NativeEngine.Reporting;
using NativeEngine.Tests.Support;
using Xunit.Abstractions;

namespace NativeEngine.Tests.Reporting;

/// <summary>tools/python/check_pages.py, a reader of its own, on pages of every kind of figure; and that it notices what is wrong.</summary>
public sealed class PageCheckTests(ITestOutputHelper output) : IDisposable
{
    private const string Script = "tools/python/check_pages.py";
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [FactWithPython]
    public void Numbers_EveryMarkOfEveryKind_IsRight() => output.WriteLine(Python.Run(Script, Write("all", Everything()), Write("selection", ReportTests.Selected().Report), "--no-browser"));

    [FactWithChromium]
    public void Looks_AtAPhoneAndADesk_LightAndDark_NothingTouchesOrIsCutOrPale() =>
        output.WriteLine(Python.Run(Script, Write("all", Everything()), Write("selection", ReportTests.Selected().Report)));

    [TheoryWithPython]
    [InlineData("bars.svg", "<circle cx=\"", "<circle cx=\"1")]
    [InlineData("bars.csv", "30.5", "30.6")]
    [InlineData("heat.svg", "fill-opacity=\"1\"", "fill-opacity=\"0.5\"")]
    [InlineData("curves.svg", "L", "L2")]
    [InlineData("stacked.svg", "class=\"line b\"", "class=\"line c\"")]
    [InlineData("numbers.json", "-0.75", "0.75")]
    public void Numbers_OnePlantedFault_IsNoticed(string file, string right, string wrong)
    {
        string page = Write("all", Everything()), path = _folder.File("all_files/" + file), text = File.ReadAllText(path);
        int at = text.IndexOf(right, text.IndexOf("</style>", StringComparison.Ordinal) is var style and > 0 ? style : 0, StringComparison.Ordinal);
        Assert.True(at >= 0, $"{file} has no {right}");
        File.WriteAllText(path, text[..at] + wrong + text[(at + right.Length)..]);
        string said = Assert.ThrowsAny<Exception>(() => Python.Run(Script, page, "--no-browser")).Message;
        Assert.Matches(@"all(_files/|\.html#)", said);
        output.WriteLine(said);
    }

    private string Write(string name, Report report) => ReportFiles.Write(report, _folder.File(name + ".html"));

    private static Report Everything()
    {
        double[] steps = [.. Enumerable.Range(1, 5000).Select(i => (double)i)], curve = [.. steps.Select(s => (2 + Math.Sin(s)) / Math.Sqrt(s))], few = [1, 2, 3, 5];
        string[] names = ["数学の問題集・第一巻（完全版）", "a long name of a source: collected from three places", "x", "한국어 자료 모음"];
        BarRow[] rows = [new(names[0], 30.5, Low: 28, High: 33), new(names[1], 26, Low: 25, High: 27, Kind: 1), new(names[2], double.NaN), new(names[3], 22.25)];
        return new Report
        {
            Kind = "eval",
            Title = "Every kind of figure of /a/rather/long/path/without/any/space/in/it/that/no/phone/is/wide/enough/for",
            Facts = [new("sources", "4", 4)],
            Sections =
            [
                new ReportSection("What is drawn?", "Bars, dots, curves, cells.")
                {
                    Figures =
                    [
                        new BarFigure { Name = "bars", Title = "Dots with intervals", RowName = "source", ValueName = "perplexity", Dots = true, Log = true, Kinds = ["one", "other"], Rows = rows },
                        new BarFigure { Name = "signs", Title = "Bars on both sides", RowName = "source", ValueName = "points", Rows = [new("up", 1.5), new("down", -2.25)] },
                        new HeatFigure { Name = "heat", Title = "Cells of both signs", RowName = "source", ColumnName = "unit", ValueName = "cosine", Rows = names, Columns = names, Value = (i, j) => i == j ? double.NaN : (i - j) / 4.0 },
                        new LineFigure { Name = "curves", Title = "A thinned curve and breaks", XName = "step", YName = "loss", LogY = true, Series = [new("training", steps, curve), new("held out", [10, 2000, 2000, 4000], [2, 1, double.NaN, 0.5])] },
                        new LineFigure { Name = "stacked", Title = "Areas", XName = "step", YName = "ms", Stacked = true, Series = [new("a", few, [3, 1, 4, 1], SeriesStyle.Area), new("b", few, [1, 5, 9, 2], SeriesStyle.Area)] },
                    ],
                    Tables = [new DataTable("wide", "A table that is wider than a phone, below a heading that must not scroll away with it",
                        [DataColumn.Of("source", names), .. Enumerable.Range(0, 12).Select(c => DataColumn.Of("a column " + c.ToString(CultureInfo.InvariantCulture), [1.5, 2, 3, 4]))])],
                },
            ],
        };
    }
}

/// <summary>A test that needs Python and chromium; skipped, and printed as skipped, where there is none.</summary>
public sealed class FactWithChromiumAttribute : FactAttribute
{
    public FactWithChromiumAttribute() => Skip = Python.Command is null ? "needs a python3 with numpy"
        : (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator).Any(folder => File.Exists(Path.Combine(folder, "chromium"))) ? null : "needs chromium (apt-get install chromium)";
}
