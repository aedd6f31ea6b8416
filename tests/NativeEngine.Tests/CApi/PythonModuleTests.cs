using NativeEngine.Tests.Support;

namespace NativeEngine.Tests.CApi;

/// <summary>tools/python/native_engine.py against the program, by tools/python/native_engine_test.py.</summary>
public sealed class PythonModuleTests
{
    [TheoryWithPythonModule]
    [InlineData("Select", false)]
    [InlineData("Select", true)]
    [InlineData("Models", true)]
    [InlineData("Mistakes", false)]
    public void Module_Everything_IsThePrograms(string tests, bool withoutNumPy) => Pass(NativeLibraryKit.Python!, withoutNumPy, tests);

    [FactWithTorch]
    public void Module_NumPyAndTorch_SamePicksWithoutCopies() => Pass(NativeLibraryKit.Torch!, false, "NumPy", "Torch");

    [FactWithTorch]
    public void SamplerExample_ThreeSources_LearnsTheSmallOnesToo()
    {
        var run = NativeLibraryKit.Run(NativeLibraryKit.Torch!, [RepositoryPaths.InRepository("tools/python/example_sampler.py"), "--json"], Environment()).Expect(0).Json();
        Assert.Equal(288, run.GetProperty("steps").GetInt32());
        Assert.Equal(64, run.GetProperty("first").GetArrayLength());
        double Mean(string arm) => run.GetProperty(arm).GetProperty("mean over sources").GetDouble();
        Assert.True(Mean("coreset") > Mean("random") + 0.1, $"mean accuracy over sources {Mean("coreset")}, with random batches {Mean("random")}");
    }

    private static void Pass(string python, bool withoutNumPy, params string[] tests)
    {
        var environment = Environment();
        environment["NENGINE_TEST_WITHOUT_NUMPY"] = withoutNumPy ? "1" : null;
        var run = NativeLibraryKit.Run(python, [RepositoryPaths.InRepository("tools/python/native_engine_test.py"), .. tests], environment).Expect(0);
        // Nothing may pass by not running.
        Assert.Matches(@"Ran [1-9]\d* tests?", run.StdErr);
        Assert.DoesNotContain("skipped", run.StdErr);
    }

    private static Dictionary<string, string?> Environment() => new() { ["NENGINE"] = RepositoryPaths.Executable, ["PYTHONDONTWRITEBYTECODE"] = "1" };
}
