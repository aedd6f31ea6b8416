using NativeEngine.Formats;
using NativeEngine.Tests.Support;

namespace NativeEngine.Tests.Formats;

public sealed class EventTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("123456789", 0xE3069283u)]
    [InlineData("", 0u)]
    [InlineData("a", 0xC1D04330u)]
    public void MaskedCrc_KnownTexts_AreTheirChecksumsRotated(string text, uint crc) =>
        Assert.Equal(((crc >> 15) | (crc << 17)) + 0xa282ead8, TensorBoardWriter.MaskedCrc(System.Text.Encoding.ASCII.GetBytes(text)));

    [FactWithPython]
    public void Scalars_OddValues_AreReadByAnIndependentReader()
    {
        string file = _folder.File("events.out.tfevents.1.x");
        using (var writer = new TensorBoardWriter(file, 1.7e9))
        {
            writer.Scalars(1, 1.7e9 + 1, [("loss", 0.5), ("größe/ü", -1e30)]);
            writer.Scalars(1L << 40, 1.7e9 + 2, [("loss", double.NaN), ("many", double.PositiveInfinity)]);
            writer.Scalars(3, 1.7e9 + 3, Enumerable.Range(0, 300).Select(i => ($"tag/{i}", (double)i)));
        }
        string[] lines = Python.Run("tests/NativeEngine.Tests/Formats/read_events.py", file).Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.Equal(304, lines.Length);
        Assert.Equal("1\tloss\t0.5", lines[0]);
        Assert.StartsWith("1\tgröße/ü\t-1.0000000150474662e+30", lines[1], StringComparison.Ordinal);
        Assert.Equal("1099511627776\tloss\tnan", lines[2]);
        Assert.Equal("1099511627776\tmany\tinf", lines[3]);
        Assert.Equal("3\ttag/299\t299.0", lines[^1]);
    }

    [Fact]
    public void Prometheus_Labels_AreEscaped()
    {
        var text = new PrometheusText();
        text.Add("x_total", "counter", "a \\ and\na line", [([("source", "say \"hi\"\\\n")], 3), ([], double.PositiveInfinity)]);
        text.Add("none", "gauge", "nothing", []);
        Assert.Equal("# HELP x_total a \\\\ and\\na line\n# TYPE x_total counter\nx_total{source=\"say \\\"hi\\\"\\\\\\n\"} 3\nx_total +Inf\n", text.ToString());
    }
}
