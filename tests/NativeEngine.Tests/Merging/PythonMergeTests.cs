using System.Text.Json;
using NativeEngine.Formats;
using NativeEngine.Tests.Support;

namespace NativeEngine.Tests.Merging;

/// <summary>Merges of real files through the executable against tools/python/merge_reference.py, which shares no line with the engine.</summary>
public sealed class PythonMergeTests : IDisposable
{
    private static readonly (string Name, long[] Shape)[] _tensors =
        [("model.embed_tokens.weight", [40, 12]), ("model.layers.0.self_attn.q_proj.weight", [12, 12]), ("model.layers.0.mlp.up_proj.weight", [33, 12]), ("model.norm.weight", [12]), ("bias", [1])];

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    // exact: sums of products in a defined order, so the same stored bits; the others go through norms whose order differs.
    [TheoryWithPython]
    [InlineData("linear", 3, true, "{}", "float32")]
    [InlineData("linear", 3, true, "{}", "bfloat16")]
    [InlineData("linear", 2, true, """{"normalize": false}""", "float32")]
    [InlineData("passthrough", 1, true, """{"scale": 0.7}""", "float32")]
    [InlineData("task_arithmetic", 3, true, """{"lambda": 0.6}""", "float32")]
    [InlineData("task_arithmetic", 2, true, """{"normalize": true}""", "bfloat16")]
    [InlineData("ties", 3, true, """{"density": 0.4}""", "float32", "bias")]
    [InlineData("ties", 2, false, """{"density": 0.6, "rescale": true, "normalize": false}""", "float32", "bias")]
    [InlineData("breadcrumbs", 2, true, """{"density": 0.5, "gamma": 0.1}""", "float32", "bias")]
    [InlineData("breadcrumbs_ties", 3, true, """{"density": 0.5, "gamma": 0.2}""", "float32", "bias")]
    [InlineData("nearswap", 1, true, """{"t": 0.3}""", "float32")]
    [InlineData("slerp", 1, false, """{"t": 0.3}""", "float32")]
    [InlineData("nuslerp", 2, false, "{}", "float32")]
    [InlineData("nuslerp", 2, false, "{}", "float32", null, true)]
    [InlineData("nuslerp", 2, false, """{"nuslerp_flatten": false}""", "float32")]
    [InlineData("nuslerp", 2, false, """{"nuslerp_flatten": false, "nuslerp_row_wise": true}""", "float32", null, true)]
    [InlineData("multislerp", 3, false, "{}", "float32")]
    [InlineData("multislerp", 3, false, "{}", "float32", null, true)]
    [InlineData("karcher", 3, false, "{}", "float32")]
    [InlineData("model_stock", 3, false, "{}", "float32")]
    [InlineData("sce", 3, false, """{"select_topk": 0.5}""", "float32", "bias")]
    public void Merge_RealFiles_EqualsNumPy(string method, int models, bool exact, string parameters, string type, string? without = null, bool withBase = false)
    {
        double[] weights = [.. new[] { 0.3, 0.55, 0.9 }.Take(models)];
        bool weighted = method is not ("passthrough" or "nearswap" or "slerp" or "karcher" or "model_stock" or "sce");
        bool based = withBase || method is not ("linear" or "passthrough" or "nuslerp" or "multislerp" or "karcher");
        var tensors = _tensors.Where(t => t.Name != without).ToArray();
        for (uint m = 0; m <= models; m++)
        {
            Directory.CreateDirectory(_folder.File($"m{m}"));
            SafetensorsWriter.WriteFloat32(_folder.File($"m{m}/model.safetensors"), null,
                [.. tensors.Select((t, i) => (t.Name, t.Shape, (ReadOnlyMemory<float>)Normal((100 * m) + (uint)i, t.Shape.Aggregate((a, b) => a * b))))]);
        }
        string[] entries = [.. Enumerable.Range(1, models).Select(m => $"  - {{model: m{m}{(weighted ? FormattableString.Invariant($", parameters: {{weight: {weights[m - 1]}}}") : "")}}}")];
        _folder.Write("recipe.yaml", $"""
            merge_method: {method}
            models:
            {string.Join('\n', entries)}
            {(based ? "base_model: m0" : "")}
            parameters: {parameters}
            out_dtype: {type}
            """);
        NEngine.Run(["merge", "recipe.yaml", "out"], null, workingFolder: _folder.Path).Expect(0);
        string Model(int m) => JsonSerializer.Serialize(_folder.File($"m{m}/model.safetensors"));
        string job = _folder.Write("job.json", $$"""
            {"method": "{{method}}", "models": [{{string.Join(", ", Enumerable.Range(1, models).Select(Model))}}], "base": {{(based ? Model(0) : "null")}},
             "weights": {{JsonSerializer.Serialize(weights)}}, "parameters": {{parameters}}, "result": {{JsonSerializer.Serialize(_folder.File("out/model.safetensors"))}}}
            """);

        using var answer = JsonDocument.Parse(Python.Run("tools/python/merge_reference.py", job));

        Assert.Equal(tensors.Length, answer.RootElement.GetProperty("tensors").GetInt32());
        Assert.Equal(tensors.Sum(t => t.Shape.Aggregate((a, b) => a * b)), answer.RootElement.GetProperty("elements").GetInt64());
        double worst = answer.RootElement.GetProperty("worst").GetDouble();
        Assert.True(worst < (type == "float32" ? 1e-6 : 4e-3), $"{method}: {answer.RootElement}");
        Assert.True(!exact || answer.RootElement.GetProperty("different").GetInt64() == 0, $"{method}: {answer.RootElement}");
    }

    private static float[] Normal(uint stream, long count)
    {
        var random = new CounterRandom(3, RandomPurpose.Test, stream);
        return [.. Enumerable.Range(0, (int)count).Select(i => (float)random.Normal((ulong)i))];
    }
}
