using System.Text.Json;
using NativeEngine.Tests.Support;

namespace NativeEngine.Tests.Golden;

/// <summary>One case of the golden file: what goes in, what must come out.</summary>
public sealed record GoldenCase(string Id, string Kind, JsonElement Input, JsonElement Expected)
{
    /// <summary>An integer of the input.</summary>
    public int Int(string name) => Input.GetProperty(name).GetInt32();

    /// <summary>A list of integers of the input.</summary>
    public int[] Ints(string name) => GoldenCases.Ints(Input.GetProperty(name));

    /// <summary>A matrix of the input, row by row; null elements are NaN.</summary>
    public (float[] Values, int Rows, int Columns) Matrix(string name)
    {
        var rows = Input.GetProperty(name).EnumerateArray().Select(row => GoldenCases.Floats(row)).ToArray();
        return ([.. rows.SelectMany(r => r)], rows.Length, rows[0].Length);
    }

    /// <summary>For test names.</summary>
    public override string ToString() => Id;
}

/// <summary>The cases of colm.json; its "meta" documents every field.</summary>
public static class GoldenCases
{
    /// <summary>Every case of the file.</summary>
    public static IReadOnlyList<GoldenCase> All { get; } = Read();

    /// <summary>The cases of a kind; fails when there are none.</summary>
    public static IReadOnlyList<GoldenCase> Of(string kind)
    {
        GoldenCase[] cases = [.. All.Where(c => c.Kind == kind)];
        Assert.NotEmpty(cases);
        return cases;
    }

    /// <summary>The ids of a kind, for theories.</summary>
    public static TheoryData<string> Ids(string kind) => [.. Of(kind).Select(c => c.Id)];

    /// <summary>A case by id.</summary>
    public static GoldenCase Get(string id) => All.Single(c => c.Id == id);

    public static int[] Ints(JsonElement list) => [.. list.EnumerateArray().Select(e => e.GetInt32())];

    public static double[] Doubles(JsonElement list) => [.. list.EnumerateArray().Select(e => e.ValueKind == JsonValueKind.Null ? double.NaN : e.GetDouble())];

    public static float[] Floats(JsonElement list) => Array.ConvertAll(Doubles(list), v => (float)v);

    private static GoldenCase[] Read()
    {
        using var document = JsonDocument.Parse(File.ReadAllBytes(RepositoryPaths.InRepository("tests/NativeEngine.Tests/Golden/colm.json")));
        return
        [
            .. document.RootElement.GetProperty("cases").EnumerateArray().Select(c => new GoldenCase(
                c.GetProperty("id").GetString()!, c.GetProperty("kind").GetString()!, c.GetProperty("input").Clone(), c.GetProperty("expected").Clone())),
        ];
    }
}
