using System.Globalization;
using System.Text.Json;
using NativeEngine.Tests.Support;

namespace NativeEngine.Tests.Golden;

/// <summary>One case of merge.json; its "fields" document every member.</summary>
public sealed record MergeGoldenCase(string Id, string Kind, JsonElement Inputs, JsonElement Expected, double Absolute, double Relative)
{
    /// <summary>Fails unless |got - expected| is at most abs + rel |expected|, element by element.</summary>
    public void AssertClose(JsonElement expected, ReadOnlySpan<double> got)
    {
        double[] want = MergeGoldenCases.Doubles(expected);
        Assert.Equal(want.Length, got.Length);
        for (int i = 0; i < want.Length; i++)
        {
            Assert.True(Math.Abs(got[i] - want[i]) <= Absolute + (Relative * Math.Abs(want[i])), $"{Id}[{i}]: got {got[i]:R}, expected {want[i]:R}");
        }
    }
}

/// <summary>The cases of merge.json.</summary>
public static class MergeGoldenCases
{
    /// <summary>Every case of the file.</summary>
    public static IReadOnlyList<MergeGoldenCase> All { get; } = Read();

    /// <summary>A case by id.</summary>
    public static MergeGoldenCase Get(string id) => All.Single(c => c.Id == id);

    /// <summary>Numbers of a list, nested lists row by row.</summary>
    public static double[] Doubles(JsonElement list) =>
        [.. list.EnumerateArray().SelectMany(e => e.ValueKind == JsonValueKind.Array ? Doubles(e) : [e.GetDouble()])];

    /// <summary>Lists of numbers.</summary>
    public static double[][] Rows(JsonElement list) => [.. list.EnumerateArray().Select(Doubles)];

    /// <summary>A bit pattern like "0x3F80".</summary>
    public static uint Bits(JsonElement text) => uint.Parse(text.GetString()!.AsSpan(2), NumberStyles.HexNumber, CultureInfo.InvariantCulture);

    private static MergeGoldenCase[] Read()
    {
        using var document = JsonDocument.Parse(File.ReadAllBytes(RepositoryPaths.InRepository("tests/NativeEngine.Tests/Golden/merge.json")));
        var root = document.RootElement;
        Assert.Equal(root.GetProperty("case_count").GetInt32(), root.GetProperty("cases").GetArrayLength());
        return
        [
            .. root.GetProperty("cases").EnumerateArray().Select(c => new MergeGoldenCase(
                c.GetProperty("id").GetString()!, c.GetProperty("kind").GetString()!, c.GetProperty("inputs").Clone(), c.GetProperty("expected").Clone(),
                c.GetProperty("tolerance").GetProperty("abs").GetDouble(), c.GetProperty("tolerance").GetProperty("rel").GetDouble())),
        ];
    }
}
