using NativeEngine.Tests.Support;
using NativeEngine.Training;

namespace NativeEngine.Tests.Training;

public sealed class MetricsHistoryTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData(1000, 64)]
    [InlineData(1000, 1000)]
    [InlineData(1023, 32)]
    [InlineData(5, 2)]
    public void Load_MoreStepsThanAsked_KeepsSumsCountsAndGreatest(int steps, int most)
    {
        var random = new Random(3);
        string path = _folder.Write("metrics.jsonl", string.Concat(Enumerable.Range(1, steps).Select(i => FormattableString.Invariant(
            $"{{\"step\":{i},\"loss\":{random.NextDouble():R},\"grad_norm\":{random.NextDouble():R},\"examples\":{1 + random.Next(9)},\"tokens\":{random.Next(99)},\"seconds\":{random.Next(8)},\"activation_bytes\":{random.Next(999)},\"trained\":{{\"a\":[{random.Next(3)},3]}}}}\n")
            + (i % 100 == 0 ? FormattableString.Invariant($"{{\"step\":{i},\"eval_loss\":1}}\n") : ""))));
        var all = MetricsHistory.Load(path);
        var few = MetricsHistory.Load(path, most);
        Assert.Equal(steps, all.Steps.Count);
        Assert.InRange(few.Steps.Count, Math.Min(steps, most) / 2, most);
        Assert.Equal(steps / 100, few.Evaluations.Count);
        Assert.Equal(steps, few.Steps.Sum(s => s.Count));
        Assert.Equal(steps, few.Steps[^1].Step);
        Assert.Equal(all.Steps.Sum(s => s.Examples), few.Steps.Sum(s => s.Examples));
        Assert.Equal(all.Steps.Sum(s => s.Tokens), few.Steps.Sum(s => s.Tokens));
        Assert.Equal(all.Steps.Sum(s => s.Seconds), few.Steps.Sum(s => s.Seconds));
        Assert.Equal(all.Steps.Max(s => s.GradientNorm), few.Steps.Max(s => s.GradientNorm));
        Assert.Equal(all.Steps.Max(s => s.ActivationBytes), few.Steps.Max(s => s.ActivationBytes));
        Assert.Equal(all.Steps.Sum(s => s.Sources["a"].Trained), few.Steps.Sum(s => s.Sources["a"].Trained));
        Assert.Equal(all.Steps.Average(s => s.Loss), few.Steps.Sum(s => s.Loss * s.Count) / steps, 12);
        // Stretches follow one another, all but the last of one length.
        Assert.All(few.Steps.SkipLast(1), s => Assert.Equal(few.Steps[0].Count, s.Count));
        Assert.All(few.Steps.Zip(few.Steps.Skip(1)), pair => Assert.Equal(pair.First.Step + pair.Second.Count, pair.Second.Step));
    }
}
