using NativeEngine.Reporting;

namespace NativeEngine.Tests.Reporting;

public sealed class ReportFigureTests
{
    public static TheoryData<double> Widths => [Figure.WideWidth, Figure.NarrowWidth];

    [Theory]
    [InlineData(Figure.WideWidth, false)]
    [InlineData(Figure.NarrowWidth, false)]
    [InlineData(Figure.WideWidth, true)]
    [InlineData(Figure.NarrowWidth, true)]
    public void Line_EveryPoint_StandsAtItsValueOnTheDrawnAxes(double width, bool log)
    {
        double[] x = [0, 1, 2, 3, 5, 8, 13], y = [3.5, 2.25, 2.75, 1.5, 0.75, 0.9, 0.02];
        var drawn = new DrawnNumbers(Line(x, y, log).Draw(width));
        var points = DrawnNumbers.Points(Assert.Single(drawn.Elements("path", "line a")));
        Assert.Equal(x.Length, points.Length);
        for (int i = 0; i < x.Length; i++)
        {
            Assert.Equal(x[i], drawn.Value(points[i].X, vertical: false, log: false), 0.02);
            Assert.InRange(drawn.Value(points[i].Y, vertical: true, log) - y[i], -0.01 * Math.Max(1, y[i]), 0.01 * Math.Max(1, y[i]));
        }
        drawn.AssertTextsAreApart();
    }

    [Fact]
    public void Line_MillionPoints_StaysSmallAndKeepsEveryExtreme()
    {
        const int N = 1_000_000;
        var random = new Random(3);
        double[] x = [.. Enumerable.Range(0, N).Select(i => (double)i)], y = [.. Enumerable.Range(0, N).Select(i => Math.Sin(i / 1e5) + (0.1 * random.NextDouble()))];
        (y[123_456], y[777_777]) = (9, -7);
        string svg = Line(x, y, log: false).Draw(Figure.WideWidth);
        Assert.InRange(svg.Length, 10_000, 100_000);
        var drawn = new DrawnNumbers(svg);
        var points = DrawnNumbers.Points(Assert.Single(drawn.Elements("path", "line a")));
        Assert.Equal(9, drawn.Value(points.Min(p => p.Y), vertical: true, log: false), 0.05);
        Assert.Equal(-7, drawn.Value(points.Max(p => p.Y), vertical: true, log: false), 0.05);
        Assert.True(points.Zip(points.Skip(1)).All(p => p.First.X <= p.Second.X), "the thinned points are not in order");
    }

    [Fact]
    public void Line_MissingValues_BreakTheLine()
    {
        var drawn = new DrawnNumbers(Line([1, 2, 3, 4, 5], [1, 2, double.NaN, 4, 5], log: false).Draw(Figure.WideWidth));
        Assert.Equal(2, drawn.Elements("path", "line a").Count());
    }

    [Fact]
    public void Line_SeriesWithOtherPositions_DataHasTheUnionWithGaps()
    {
        var figure = Line([1, 2, 3], [10, 20, 30], log: false, new LineSeries("held out", [2, 4], [5, 6]));
        Assert.Equal("step,loss,held out\n1,10,\n2,20,5\n3,30,\n4,,6\n", figure.Data.ToCsv());
    }

    [Theory]
    [MemberData(nameof(Widths))]
    public void Bars_EveryLength_IsItsValueAndWholeOnTheDrawnAxis(double width)
    {
        var rows = Rows();
        var drawn = new DrawnNumbers(new BarFigure { Name = "b", Title = "Selected of each source", RowName = "source", ValueName = "selected", WholeName = "size", Rows = rows }.Draw(width));
        var bars = drawn.Elements("rect", "bar a").Where(r => (double)r.Attribute("height")! == 14).ToArray();
        var wholes = drawn.Elements("rect", "whole").ToArray();
        Assert.Equal((rows.Length, rows.Length), (bars.Length, wholes.Length));
        for (int i = 0; i < rows.Length; i++)
        {
            Assert.Equal(rows[i].Value, End(bars[i]), 2.0);
            Assert.Equal(rows[i].Whole, End(wholes[i]), 2.0);
            Assert.StartsWith($"{rows[i].Label}: {rows[i].Value} of {rows[i].Whole}", DrawnNumbers.Tooltip(bars[i]), StringComparison.Ordinal);
        }
        drawn.AssertTextsAreApart();

        double End(System.Xml.Linq.XElement bar) => drawn.Value((double)bar.Attribute("x")! + (double)bar.Attribute("width")!, vertical: false, log: false);
    }

    [Theory]
    [MemberData(nameof(Widths))]
    public void Dots_ValueAndInterval_StandWhereTheAxisSays(double width)
    {
        BarRow[] rows = [new("easy", 2.5, Low: 2.2, High: 2.9), new("a source with quite a long name that must be cut", 48, Low: 40, High: 57), new("none", double.NaN)];
        var drawn = new DrawnNumbers(new BarFigure { Name = "p", Title = "Perplexity", RowName = "source", ValueName = "perplexity", Dots = true, Log = true, Rows = rows }.Draw(width));
        double[] dots = [.. drawn.Root.Descendants().Where(e => e.Name.LocalName == "circle").Select(c => (double)c.Attribute("cx")!)];
        var whiskers = drawn.Elements("line", "whisker a").ToArray();
        Assert.Equal((2, 2), (dots.Length, whiskers.Length));
        for (int i = 0; i < 2; i++)
        {
            Assert.Equal(rows[i].Value, drawn.Value(dots[i], vertical: false, log: true), rows[i].Value * 0.02);
            Assert.Equal(rows[i].Low, drawn.Value((double)whiskers[i].Attribute("x1")!, vertical: false, log: true), rows[i].Value * 0.02);
            Assert.Equal(rows[i].High, drawn.Value((double)whiskers[i].Attribute("x2")!, vertical: false, log: true), rows[i].Value * 0.02);
        }
        drawn.AssertTextsAreApart();
    }

    [Fact]
    public void Fold_ALongName_BreaksBetweenItsPartsAndLosesNothing()
    {
        string[] lines = Figure.Fold("arithmetic+records+roman+sorting", 100, FigureStyle.SmallSize, 5);
        Assert.Equal(["arithmetic+", "records+roman+", "sorting"], lines);
        Assert.All(lines, l => Assert.True(FigureStyle.TextWidth(l, FigureStyle.SmallSize) <= 100, l));
        Assert.Equal("abcdefghijklmnopqrstuvwxyz", string.Concat(Figure.Fold("abcdefghijklmnopqrstuvwxyz", 60, FigureStyle.SmallSize, 9)));
        string[] cut = Figure.Fold("one two three four five six seven", 40, FigureStyle.SmallSize, 2);
        Assert.Equal((2, '…'), (cut.Length, cut[1][^1]));
    }

    [Theory]
    [MemberData(nameof(Widths))]
    public void Bars_NamesOnSeveralLines_StandApartAndAreWhole(double width)
    {
        string[] names = ["arithmetic+records+roman+sorting+stories+code+dates+json", "a", string.Join('+', Enumerable.Range(0, 40).Select(i => $"unit.{i}"))];
        var drawn = new DrawnNumbers(new BarFigure { Name = "n", Title = "Mixtures", RowName = "mixture", ValueName = "score", Dots = true, Rows = [.. names.Select((n, i) => new BarRow(n, 2 + i))] }.Draw(width));
        drawn.AssertTextsAreApart();
        string all = string.Concat(drawn.Elements("text", "small").Select(t => t.Value));
        Assert.Contains(names[0], all, StringComparison.Ordinal);
        // What is cut is told whole by its tooltip.
        Assert.Contains(drawn.Root.Descendants(), e => e.Name.LocalName == "title" && e.Value == names[2]);
    }

    [Theory]
    [MemberData(nameof(Widths))]
    public void Heat_EveryCell_TellsItsValueAndIsDarkerForMore(double width)
    {
        string[] rows = ["arithmetic", "code", "stories"], columns = ["1", "11", "21", "31"];
        var figure = new HeatFigure
        {
            Name = "h",
            Title = "Share trained",
            RowName = "source",
            ColumnName = "from step",
            ValueName = "share",
            Rows = rows,
            Columns = columns,
            Value = (r, c) => r == 1 && c == 2 ? double.NaN : (r + c) / 8.0,
        };
        var drawn = new DrawnNumbers(figure.Draw(width));
        var cells = drawn.Elements("rect", "cell a").Where(c => DrawnNumbers.Tooltip(c).Contains("from step", StringComparison.Ordinal)).ToArray();
        Assert.Equal(11, cells.Length);
        Assert.Single(drawn.Elements("rect", "none"));
        var told = cells.Select(c => (Value: double.Parse(DrawnNumbers.Tooltip(c).Split(": ")[1], System.Globalization.CultureInfo.InvariantCulture), Shade: (double)c.Attribute("fill-opacity")!)).OrderBy(c => c.Value).ToArray();
        Assert.Equal(0, told[0].Value);
        Assert.Equal(0.625, told[^1].Value);
        Assert.All(told.Zip(told.Skip(1)), pair => Assert.True(pair.First.Shade <= pair.Second.Shade));
        drawn.AssertTextsAreApart();
        Assert.Equal("source,from step 1,from step 11,from step 21,from step 31\narithmetic,0,0.125,0.25,0.375\ncode,0.125,0.25,,0.5\nstories,0.25,0.375,0.5,0.625\n", figure.Data.ToCsv());
    }

    [Theory]
    [MemberData(nameof(Widths))]
    public void Scatter_EveryPoint_StandsAtItsValue(double width)
    {
        (double X, double Y, string Tell)[] strong = [(1, 1, "one"), (-2.5, 0.5, "two"), (0.25, -3, "three")];
        var figure = new ScatterFigure
        {
            Name = "s",
            Title = "Map",
            XName = "first",
            YName = "second",
            Classes = [new("rest", [(0, 0, "r"), (2, 2, "q")]), new("picked", strong, Strong: true)],
            Links = [((0, 0), (1, 1))],
        };
        var drawn = new DrawnNumbers(figure.Draw(width));
        var circles = drawn.Root.Descendants().Where(e => e.Name.LocalName == "circle").ToArray();
        Assert.Equal(3, circles.Length);
        for (int i = 0; i < 3; i++)
        {
            Assert.Equal(strong[i].X, drawn.Value((double)circles[i].Attribute("cx")!, vertical: false, log: false), 0.03);
            Assert.Equal(strong[i].Y, drawn.Value((double)circles[i].Attribute("cy")!, vertical: true, log: false), 0.03);
            Assert.Equal(strong[i].Tell, DrawnNumbers.Tooltip(circles[i]));
        }
        Assert.Equal(2, ((string)Assert.Single(drawn.Elements("path", "points a")).Attribute("d")!).Count(c => c == 'M'));
        drawn.AssertTextsAreApart();
    }

    [Fact]
    public void Draw_SameNumbers_SameBytes() => Assert.Equal(Line([1, 2], [3, 4], false).Draw(500), Line([1, 2], [3, 4], false).Draw(500));

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(2)]
    public void Draw_NothingOrOneOrEqualValues_IsStillAFigure(int count)
    {
        double[] x = [.. Enumerable.Range(0, count).Select(i => (double)i)], y = [.. Enumerable.Repeat(5.0, count)];
        new DrawnNumbers(Line(x, y, log: false).Draw(Figure.WideWidth)).AssertTextsAreApart();
        new DrawnNumbers(Line(x, y, log: true).Draw(Figure.NarrowWidth)).AssertTextsAreApart();
    }

    [Theory]
    [InlineData(0, "0")]
    [InlineData(1234.567, "1235")]
    [InlineData(12.34567, "12.35")]
    [InlineData(0.00123456, "0.001235")]
    [InlineData(-0.5, "-0.5")]
    [InlineData(1.5e9, "1.5E+09")]
    [InlineData(double.NaN, "-")]
    public void Short_HasFourDigits(double value, string expected) => Assert.Equal(expected, ReportNumber.Short(value));

    [Fact]
    public void Csv_OddCells_AreQuotedAndFormulasDefused()
    {
        var table = new DataTable("t", "T", DataColumn.Of("name", ["a,b", "say \"x\"", "=1+1"]), DataColumn.Of("name", [1, double.NaN, 0.1]));
        Assert.Equal("name,name 2\n\"a,b\",1\n\"say \"\"x\"\"\",\n'=1+1,0.1\n", table.ToCsv());
    }

    private static BarRow[] Rows() =>
    [
        new("arithmetic", 12, 480), new("stories", 200, 264), new("a rather long name of a source", 0, 20), new("json", 18, 18),
    ];

    private static LineFigure Line(double[] x, double[] y, bool log, params LineSeries[] more) => new()
    {
        Name = "loss",
        Title = "Loss of training and of examples held out, a title long enough to be wrapped on a phone",
        XName = "step",
        YName = "nats a token",
        LogY = log,
        Series = [new LineSeries("loss", x, y), .. more],
    };
}
