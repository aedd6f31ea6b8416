using NativeEngine.Selection;

namespace NativeEngine.Tests.Selection;

public sealed class SourceRuleTests
{
    [Theory]
    [InlineData("none", new int[0])]
    [InlineData("small", new[] { 0, 1 })]
    [InlineData("mean:0.4", new[] { 0 })]
    [InlineData("mean:0.5", new[] { 0 })]
    [InlineData("mean:0.51", new[] { 0, 1 })]
    [InlineData("quantile:0.5", new[] { 0, 1 })]
    [InlineData("quantile:0", new int[0])]
    [InlineData("expected:5", new[] { 0 })]
    [InlineData("expected:5.5", new[] { 0, 1 })]
    [InlineData("2,3", new[] { 2, 3 })]
    public void Apply_EveryRule_StrictlyBelow(string rule, int[] small)
    {
        // Mean 50, a pool of 50 of 250; 25 is half the mean and expected 5 times; source 5 has no examples and is never small.
        int[] sizes = [10, 25, 55, 70, 90];
        var parsed = SmallSourceRule.Parse(rule);
        Assert.Equal(small, parsed.Apply(sizes, poolSize: 50));
        Assert.Equal(rule, parsed.ToString());
    }

    [Fact]
    public void Apply_SourceWithoutExamples_NeverSmall() => Assert.Equal([1], SmallSourceRule.BelowMean.Apply([0, 1, 11]));

    [Theory]
    [InlineData("tiny")]
    [InlineData("mean:x")]
    [InlineData("quantile:1.5")]
    [InlineData("0,,3")]
    [InlineData("-1")]
    public void Parse_Nonsense_RefusedWithTheText(string rule)
    {
        var error = Assert.Throws<EngineException>(() => SmallSourceRule.Parse(rule));
        Assert.Equal(ErrorKind.Usage, error.Kind);
        Assert.Contains(rule, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Share_RandomSizes_SumsWithinFloorAndCeiling()
    {
        var random = new CounterRandom(1, RandomPurpose.Test);
        ulong at = 0;
        for (int trial = 0; trial < 5000; trial++)
        {
            var sizes = new int[1 + random.Below(at++, 20)];
            for (int q = 0; q < sizes.Length; q++)
            {
                sizes[q] = (int)random.Below(at++, 60);
            }
            int total = sizes.Sum(), budget = (int)random.Below(at++, total + 1);
            foreach (var (quota, rounding) in new[]
            {
                (QuotaRule.Proportional, QuotaRounding.Floor), (QuotaRule.Proportional, QuotaRounding.Ceil), (QuotaRule.Balanced, QuotaRounding.Floor),
            })
            {
                int[] counts = SourceBudget.Share(sizes, budget, quota, rounding, new CounterRandom(at, RandomPurpose.Test));
                Assert.Equal(budget, counts.Sum());
                for (int q = 0; q < sizes.Length; q++)
                {
                    long floor = total == 0 ? 0 : (long)sizes[q] * budget / total, ceiling = total == 0 ? 0 : (((long)sizes[q] * budget) + total - 1) / total;
                    Assert.InRange(counts[q], 0, sizes[q]);
                    if (quota == QuotaRule.Balanced)
                    {
                        Assert.InRange(counts[q], floor, ceiling);
                    }
                    else if (rounding == QuotaRounding.Floor)
                    {
                        Assert.InRange(counts[q], floor, floor + 1);
                    }
                    else
                    {
                        Assert.InRange(counts[q], ceiling - 1, ceiling);
                    }
                }
            }
        }
    }

    [Fact]
    public void Share_BudgetAboveTotal_Refused() => Assert.Throws<ArgumentException>(() => SourceBudget.Share([1, 2], 4));
}
