using System.Text.RegularExpressions;
using NativeEngine.Devices;
using NativeEngine.Devices.Cpu;
using NativeEngine.Selection;
using NativeEngine.Tests.Support;

namespace NativeEngine.Tests.Docs;

public partial class ReadmeTests
{
    private static string Readme => File.ReadAllText(Path.Combine(RepositoryPaths.Root, "README.md"));

    [Fact]
    public void LibraryExample_AsWritten_PrintsWhatItsCommentsSay()
    {
        // The example's own lines, compiled here; the text is compared below so that the two cannot drift.
        float[] features = [0, 1, 2, 10, 11, 12];
        int[] sources = [0, 0, 0, 0, 0, 0];

        using var device = new CpuDevice();
        using var normalizer = GradientNormalizer.None();
        var selector = new CoresetSelector(device, new SelectionOptions { Budget = 2 }, normalizer);
        var plan = selector.Plan(sources, step: 0);
        using var buffer = device.Allocate<float>(features, MemoryUse.Selection);
        var result = selector.Select(plan, buffer.View.Reshape(6, 1));

        string example = CSharp().Match(Readme).Groups[1].Value;
        Assert.Contains($"// {string.Join(' ', result.Indices)}: one medoid", example, StringComparison.Ordinal);
        Assert.Contains($"// {string.Join(' ', result.Weights)}: each stands", example, StringComparison.Ordinal);
        string source = File.ReadAllText(Path.Combine(RepositoryPaths.Root, "tests/NativeEngine.Tests/Docs/ReadmeTests.cs"));
        foreach (string line in example.Split('\n').Select(l => Comment().Replace(l, "").Trim()).Where(l => l.Length > 0 && !l.StartsWith("Console", StringComparison.Ordinal)))
        {
            Assert.Contains(line, source, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void FirstCommands_AreTheTourATrainRunAndTheTests()
    {
        Assert.Contains("dotnet run -c Release --project src/NativeEngine.Cli -- quickstart --output", Readme.Split("```")[1], StringComparison.Ordinal);
        Assert.Contains("dotnet run -c Release --project src/NativeEngine.Cli -- train --model preset:0.2m --data builtin", Readme, StringComparison.Ordinal);
        Assert.Contains("\ndotnet test -c Release NativeEngine.sln\n", Readme, StringComparison.Ordinal);
    }

    [GeneratedRegex("```csharp\n(.*?)```", RegexOptions.Singleline)]
    private static partial Regex CSharp();

    [GeneratedRegex("//.*$")]
    private static partial Regex Comment();
}
