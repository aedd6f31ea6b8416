using System.Xml.Linq;
using NativeEngine.Devices;
using NativeEngine.Reporting;
using NativeEngine.Tests.Profiling;

namespace NativeEngine.Tests.Reporting;

public sealed class RooflineFigureTests
{
    private static readonly XNamespace _svg = "http://www.w3.org/2000/svg";

    [Fact]
    public void Draw_WholeTable_IsWellFormedAndHasEveryRowAndSize()
    {
        var profile = SyntheticProfile.Whole();
        var root = XDocument.Parse(RooflineFigure.Draw(profile)).Root!;
        Assert.Equal(_svg + "svg", root.Name);
        var texts = root.Descendants(_svg + "text").Select(t => t.Value).ToHashSet();
        Assert.All(KernelTable.All, row => Assert.Contains(row.Name, texts));
        string[] tooltips = [.. root.Descendants(_svg + "g").Select(g => g.Element(_svg + "title")?.Value ?? "")];
        Assert.All(profile.Measurements, m => Assert.Contains(tooltips, t => t.StartsWith($"{m.Row.Name} {m.Size}: ", StringComparison.Ordinal)));
        Assert.False(string.IsNullOrWhiteSpace(root.Element(_svg + "desc")?.Value));
        Assert.Empty(root.Descendants(_svg + "script"));
        Assert.DoesNotContain(root.DescendantsAndSelf().Attributes(), a => a.Name.LocalName is "href" or "onload" || a.Value.Contains("url(", StringComparison.Ordinal));
    }

    [Fact]
    public void Draw_SameProfile_SameBytes() =>
        Assert.Equal(RooflineFigure.Draw(SyntheticProfile.Whole()), RooflineFigure.Draw(SyntheticProfile.Whole()));

    [Fact]
    public void Draw_Labels_StayInsideAndDoNotOverlap()
    {
        var root = XDocument.Parse(RooflineFigure.Draw(SyntheticProfile.Whole())).Root!;
        var labels = root.Descendants(_svg + "text").Where(t => (string)t.Attribute("class")! == "small halo").Select(BoxOf).ToArray();
        Assert.True(labels.Length >= 10, $"only {labels.Length} labels found room");
        for (int i = 0; i < labels.Length; i++)
        {
            Assert.True(labels[i].Left >= 0 && labels[i].Right <= 640);
            Assert.DoesNotContain(labels.Skip(i + 1), other => other.Overlaps(labels[i]));
        }
    }

    [Fact]
    public void Draw_NothingMeasured_IsStillAFigure()
    {
        var empty = SyntheticProfile.Whole() with { Measurements = [] };
        Assert.Equal("svg", XDocument.Parse(RooflineFigure.Draw(empty)).Root!.Name.LocalName);
    }

    private static Box BoxOf(XElement text)
    {
        double x = (double)text.Attribute("x")!, y = (double)text.Attribute("y")!, width = FigureStyle.TextWidth(text.Value, FigureStyle.SmallSize);
        double left = (string)text.Attribute("text-anchor")! switch { "end" => x - width, "middle" => x - (width / 2), _ => x };
        return new Box(left, y - 8, left + width, y + 2);
    }
}
