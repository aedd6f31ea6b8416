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
    public void Share_BudgetAboveTotal_Refused() => Assert.Throws<ArgumentException>(() => SourceBudget.Share([1, 2], 4));
}
