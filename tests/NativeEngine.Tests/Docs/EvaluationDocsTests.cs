using System.Text.RegularExpressions;
using NativeEngine.Tests.Support;

namespace NativeEngine.Tests.Docs;

/// <summary>The commands of docs/eval.md and docs/onnx.md are understood.</summary>
public partial class EvaluationDocsTests
{
    [Theory]
    [InlineData("docs/eval.md", 5)]
    [InlineData("docs/onnx.md", 7)]
    public void Commands_EveryLine_Parses(string page, int atLeast)
    {
        var lines = Commands().Matches(File.ReadAllText(RepositoryPaths.InRepository(page))).Select(m => m.Groups[1].Value).ToList();
        Assert.True(lines.Count >= atLeast);
        Assert.All(lines, line => NEngine.Run([.. line.Split(' '), "--print-config"]).Expect(0));
    }

    [GeneratedRegex(@"^(?:\$ )?nengine (.*)$", RegexOptions.Multiline)]
    private static partial Regex Commands();
}
