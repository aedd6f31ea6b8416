using NativeEngine.Devices.Cpu;
using NativeEngine.Merging;

namespace NativeEngine.Tests.Merging;

public class RankCutTests
{
    [Theory]
    [InlineData(1, 1)]
    [InlineData(2, 1)]
    [InlineData(443, 3)]
    [InlineData(16_384, 100_000)]
    [InlineData(16_385, 2)]
    [InlineData(50_003, 17)]
    public void IsBefore_EveryKindOfTies_EqualsAStableSort(int count, int distinct)
    {
        var random = new CounterRandom(5, RandomPurpose.Test);
        double[] values = [.. Enumerable.Range(0, count).Select(i => (random.Below((ulong)i, distinct) - (distinct / 2)) * 0.37)];
        int[] order = [.. Enumerable.Range(0, count).OrderByDescending(i => Math.Abs(values[i]))];
        using var team = new ThreadTeam(2);
        var scan = new TensorScan(team);
        foreach (int rank in new[] { 0, 1, 2, count / 3, count / 2, count - 1, count }.Where(r => r <= count).Distinct())
        {
            var cut = RankCut.Find(scan, count, rank, (start, target, _) => values.AsSpan((int)start, target.Length).CopyTo(target));
            int[] before = [.. Enumerable.Range(0, count).Where(i => cut.IsBefore(values[i], i))];
            Assert.Equal(order[..rank].Order(), before);
        }
    }

    [Fact]
    public void IsBefore_TinyHugeZeroAndNaN_RankByMagnitude()
    {
        double[] values = [0.0, -0.0, double.Epsilon, -1e308, double.NegativeInfinity, double.NaN, 1e-310];
        using var team = new ThreadTeam(1);
        int[] expected = [5, 4, 3, 6, 2, 0, 1];
        for (int rank = 0; rank <= values.Length; rank++)
        {
            var cut = RankCut.Find(new TensorScan(team), values.Length, rank, (start, target, _) => values.AsSpan((int)start, target.Length).CopyTo(target));
            Assert.Equal(expected[..rank].Order(), Enumerable.Range(0, values.Length).Where(i => cut.IsBefore(values[i], i)));
        }
    }
}
