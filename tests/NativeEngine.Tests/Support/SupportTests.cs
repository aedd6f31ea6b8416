namespace NativeEngine.Tests.Support;

public sealed class SupportTests
{
    [Fact]
    public void RepositoryPaths_Root_HoldsTheSolution() => Assert.True(File.Exists(RepositoryPaths.InRepository("NativeEngine.sln")));

    [Fact]
    public void FactWithSharedData_MissingFile_SkipsAndNamesIt()
    {
        var fact = new FactWithSharedDataAttribute("no/such-file.json");
        Assert.Contains("no/such-file.json", fact.Skip, StringComparison.Ordinal);
    }
}
