using System.Text.RegularExpressions;
using NativeEngine.Merging;
using NativeEngine.Tests.Support;

namespace NativeEngine.Tests.Docs;

/// <summary>What docs/merge.md says is what there is.</summary>
public partial class MergeDocsTests
{
    private static string Page => File.ReadAllText(RepositoryPaths.InRepository("docs/merge.md"));

    [Fact]
    public void MethodTable_EveryMethod_HasItsParametersAndDefaults()
    {
        foreach (var method in MergeMethods.All)
        {
            string row = Page.Split('\n').Single(line => line.StartsWith('|') && line.Split('|')[1].Contains($"`{method.Name}`", StringComparison.Ordinal));
            string inherited = row.Contains("as dare", StringComparison.Ordinal) ? "weight, density, lambda, normalize, rescale, " : "";
            Assert.All(method.Parameters.Where(p => p.Name is not ("int8_mask" or "rescale")), p =>
                Assert.Contains(p.Name, inherited + row.Split('|')[^2], StringComparison.Ordinal));
        }
    }

    [Fact]
    public void Recipe_AsPrinted_IsRead() => Assert.Equal("ties", MergeRecipe.Parse(Yaml().Match(Page).Groups[1].Value).MethodName);

    [GeneratedRegex("```yaml\n(.*?)```", RegexOptions.Singleline)]
    private static partial Regex Yaml();
}
