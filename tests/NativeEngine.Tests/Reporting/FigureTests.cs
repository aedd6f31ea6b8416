using System.Xml.Linq;
using NativeEngine.Reporting;

namespace NativeEngine.Tests.Reporting;

public sealed class FigureTests
{
    [Theory]
    [InlineData(0, 1, 5, "0 0.2 0.4 0.6 0.8 1")]
    [InlineData(0, 110, 6, "0 20 40 60 80 100")]
    [InlineData(-3, 3, 6, "-3 -2 -1 0 1 2 3")]
    [InlineData(0.001, 0.0042, 4, "0.001 0.002 0.003 0.004")]
    [InlineData(0, 45_000, 4, "0 20k 40k")]
    public void Ticks_Linear_AreRoundValues(double low, double high, int wanted, string expected) => Assert.Equal(
        expected, string.Join(' ', new AxisScale(low, high, 0, 100, false).Ticks(wanted).Select(t => t.Label)));

    [Theory]
    [InlineData(0.1, 1000, "0.1 1 10 100 1000")]
    [InlineData(1, 100, "1 2 5 10 20 50 100")]
    [InlineData(3, 40, "5 10 20")]
    public void Ticks_Logarithmic_LabelDecadesOrAlsoTwosAndFives(double low, double high, string expected) => Assert.Equal(
        expected, string.Join(' ', new AxisScale(low, high, 0, 100, true).Ticks().Where(t => t.Label is not null).Select(t => t.Label)));

    [Fact]
    public void At_EndsAndMiddle_AreWhereTheyBelong()
    {
        var linear = new AxisScale(-1, 3, 400, 0, false);
        Assert.Equal((400, 200, 0), (linear.At(-1), linear.At(1), linear.At(3)));
        var log = AxisScale.AroundLog(0.2, 50, 0, 300);
        Assert.Equal((0.1, 100), (log.Low, log.High));
        Assert.Equal(100, log.At(1), 9);
    }

    [Fact]
    public void Svg_Text_IsEscaped()
    {
        var svg = new SvgDocument(10, 10, "a < b & \"c\"", "d\u0001");
        svg.Text("small", 1, 2, "<script>&");
        var root = XDocument.Parse(svg.Finish()).Root!;
        Assert.Equal("a < b & \"c\"", root.Elements().First().Value);
        Assert.Contains(root.Descendants(), e => e.Value == "<script>&");
    }

    [Theory]
    [InlineData(1.005, "1")]
    [InlineData(-0.001, "0")]
    [InlineData(12345.678, "12345.68")]
    public void Number_HasAtMostTwoDecimals(double value, string expected) => Assert.Equal(expected, SvgDocument.Number(value));

    [Fact]
    public void Number_NotFinite_IsRefused() => Assert.Throws<ArgumentOutOfRangeException>(() => SvgDocument.Number(double.NaN));

    [Fact]
    public void Place_CrowdedPoints_LabelsNeverOverlapAndSomeAreLeftOut()
    {
        var placer = new LabelPlacer(new Box(0, 0, 200, 100));
        var placed = Enumerable.Range(0, 60).Select(i => placer.Place(20 + (7 * (i % 20)), 20 + (5 * (i / 4)), 5, "kernel_name", 11)).ToArray();
        var boxes = placed.Where(p => p is not null).Select(p => p!.Value.Box).ToArray();
        Assert.InRange(boxes.Length, 5, 59);
        for (int i = 0; i < boxes.Length; i++)
        {
            Assert.True(new Box(0, 0, 200, 100).Holds(boxes[i]));
            Assert.DoesNotContain(boxes.Skip(i + 1), other => other.Overlaps(boxes[i]));
        }
    }
}
