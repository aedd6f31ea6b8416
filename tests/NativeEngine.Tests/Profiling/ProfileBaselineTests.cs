using System.Text;
using NativeEngine.Devices;
using NativeEngine.Profiling;

namespace NativeEngine.Tests.Profiling;

public sealed class ProfileBaselineTests
{
    private static readonly KernelRow _row = KernelTable.All.First(r => r.Name == "axpy");

    private static ProfileBaseline Baseline(double seconds, double spread) => ProfileBaseline.Parse("base.json", Encoding.UTF8.GetBytes(FormattableString.Invariant(
        $"{{\"schema\":1,\"machine\":{{\"version\":\"0.1.0\",\"device\":\"cpu\"}},\"rows\":[{{\"kernel\":\"axpy\",\"size\":{{\"n\":16384}},\"seconds\":{seconds},\"spread\":{spread}}}]}}")));

    [Theory]
    [InlineData(1.05, 0.0, 0.0, false)]
    [InlineData(1.2, 0.0, 0.0, true)]
    [InlineData(1.2, 0.3, 0.3, false)]
    [InlineData(1.4, 0.3, 0.3, true)]
    [InlineData(0.5, 0.0, 0.0, false)]
    public void IsSlower_BeyondATenthAndHalfTheSpreads_AndNotBefore(double ratio, double spreadNow, double spreadThen, bool slower)
    {
        var baseline = Baseline(2e-6, spreadThen);
        var now = new KernelMeasurement(_row, new KernelSize(("n", 16384)), 2e-6 * ratio, spreadNow, 7);
        Assert.Equal(ratio, baseline.Ratio(now)!.Value, 1e-9);
        Assert.Equal(slower, baseline.IsSlower(now));
    }

    [Fact]
    public void Ratio_AnotherSize_IsNotCompared()
    {
        var other = new KernelMeasurement(_row, new KernelSize(("n", 3)), 1e-6, 0, 7);
        Assert.Null(Baseline(1e-6, 0).Ratio(other));
        Assert.False(Baseline(1e-6, 0).IsSlower(other));
    }

    [Fact]
    public void Parse_AnotherDocument_IsRefusedWithTheCommand()
    {
        var error = Assert.Throws<EngineException>(() => ProfileBaseline.Parse("picks.json", "{\"schema\":1,\"n\":3}"u8));
        Assert.Equal(ErrorKind.BadInput, error.Kind);
        Assert.Contains("nengine profile --output BASE.json", error.Hint, StringComparison.Ordinal);
    }
}
