using System.Text.Json;
using System.Text.Unicode;
using NativeEngine.Data;

namespace NativeEngine.Tests.Fuzz;

/// <summary>The grammar that is told without exceptions, judged by System.Text.Json on mutants.</summary>
public class JsonSyntaxTests
{
    [Theory]
    [InlineData("config.json")]
    [InlineData("runtime profile")]
    [InlineData("checkpoint state.json")]
    public void IsValue_Mutants_AgreesWithTheParser(string format)
    {
        var mutator = new Mutator(FuzzFormats.All.Single(f => f.Name == format), seed: 5);
        int valid = 0;
        for (int i = 0; i < 10_000; i++)
        {
            byte[] mutant = mutator.Make(i);
            if (!Utf8.IsValid(mutant) || mutant.AsSpan().StartsWith("\uFEFF"u8))
            {
                continue;
            }
            bool parses = Record.Exception(() => JsonDocument.Parse(mutant, new JsonDocumentOptions { MaxDepth = 64 }).Dispose()) is null;
            Assert.True(JsonSyntax.IsValue(mutant) == parses, $"mutant {i} {(parses ? "parses" : "does not parse")}: {System.Text.Encoding.UTF8.GetString(mutant)}");
            valid += parses ? 1 : 0;
        }
        Assert.InRange(valid, 1000, 9000);
    }

    [Theory]
    [InlineData("")]
    [InlineData("-")]
    [InlineData("01")]
    [InlineData("1.")]
    [InlineData("1e+")]
    [InlineData("[1,]")]
    [InlineData("[,1]")]
    [InlineData("{\"a\":1,}")]
    [InlineData("{\"a\"}")]
    [InlineData("{1:2}")]
    [InlineData("[}")]
    [InlineData("1 2")]
    [InlineData("\"\\u12\"")]
    [InlineData("\"\\u12g4\"")]
    [InlineData("\"\\")]
    [InlineData("\"a\tb\"")]
    [InlineData("tru")]
    [InlineData("nul\0")]
    public void IsValue_NotJson_False(string text) => Assert.False(JsonSyntax.IsValue(System.Text.Encoding.UTF8.GetBytes(text)));
}
