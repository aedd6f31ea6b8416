using NativeEngine.Formats;
using NativeEngine.Merging;
using NativeEngine.Tests.Formats;

namespace NativeEngine.Tests.Merging;

public class RecipeTests
{
    [Fact]
    public void Parse_EveryForm_IsUnderstood()
    {
        var recipe = MergeRecipe.Parse("""
            merge_method: ties
            base_model: base
            slices:
              - sources:
                  - {model: a, layer_range: [0, 4], parameters: {weight: [0, 0.5, 1], density: 0.5}}
                  - {model: b, layer_range: [2, 6]}
                parameters: {weight: 2}
            parameters:
              lambda: 0.5
              density:
                - {filter: mlp, value: 0.25}
                - {filter: self_attn, value: [0.5, 1]}
                - 0.75
              rescale: L1
              int8_mask: true
            dtype: float16
            out_dtype: bfloat16
            tokenizer_source: union
            """);
        var slice = Assert.Single(recipe.Slices);
        Assert.Equal((2, 6), slice.Models[1].Layers);
        Assert.Equal(("ties", "base", DType.BF16, "union"), (recipe.MethodName, recipe.BaseModel, recipe.OutputType!.Value, recipe.TokenizerSource));
        var byName = MergeMethods.All.Single(m => m.Name == "ties").Parameters.ToDictionary(p => p.Name);
        double? Value(string parameter, int model, string tensor, double depth) => recipe.Value(byName[parameter], slice, slice.Models[model], tensor, depth);
        Assert.Equal(0.25, Value("weight", 0, "x", 0.25));
        Assert.Equal(2, Value("weight", 1, "x", 0.25));
        Assert.Equal(0.5, Value("density", 0, "mlp", 0));
        Assert.Equal(0.25, Value("density", 1, "model.mlp.up", 0));
        Assert.Equal(0.75, Value("density", 1, "model.self_attn.q", 0.5));
        Assert.Equal(0.75, Value("density", 1, "model.norm", 0.5));
        Assert.Equal(1, Value("rescale", 1, "x", 0));
        Assert.Equal(1, Value("normalize", 1, "x", 0));
    }

    [Theory]
    [InlineData("merge_method: liner\nmodels: [{model: a}]", "recipe:1", "did you mean 'linear'")]
    [InlineData("merge_method: linear\nmodels: [{modle: a}]", "recipe:2", "did you mean 'model'")]
    [InlineData("merge_method: linear\nmodels:\n  - model: a\n    parameters:\n      wieght: 1", "recipe:5", "did you mean 'weight'")]
    [InlineData("merge_method: linear\nmodels: [{model: a, parameters: {weight: heavy}}]", "'heavy'", null)]
    [InlineData("merge_method: linear\nmodels: [{model: a, parameters: {weight: .nan}}]", "'.nan'", null)]
    [InlineData("merge_method: ties\nmodels: [{model: a, parameters: {density: 1.5}}]", "'1.5'", null)]
    [InlineData("merge_method: linear\nmodels: [{model: a, parameters: {normalize: true}}]", "cannot differ between models", "recipe's own")]
    [InlineData("merge_method: linear\nmodels: [{model: a}]\ndtype: int8", "dtype is one of", null)]
    [InlineData("merge_method: linear\nmodels: []", "at least one entry", null)]
    [InlineData("merge_method: linear", "models is missing", null)]
    [InlineData("models: [{model: a}]", "merge_method is missing", "linear")]
    [InlineData("merge_method: linear\nmodels: [{model: a}]\nslices: [{sources: [{model: a}]}]", "both", null)]
    [InlineData("merge_method: linear\nslices: [{sources: [{model: a, layer_range: [4, 2]}]}]", "layer_range", null)]
    [InlineData("merge_method: linear\nmodels: [{model: a}]\nchat_template: auto", "'chat_template'", null)]
    [InlineData("merge_method: [linear", "not valid YAML", null)]
    [InlineData("- a", "a recipe is one mapping", null)]
    [InlineData("", "a recipe is one mapping", null)]
    public void Parse_Mistakes_AreRefusedWithTheirPlace(string yaml, string part, string? hint)
    {
        var error = Expect.Fails(ErrorKind.BadInput, () => MergeRecipe.Parse(yaml), part, "recipe");
        Assert.Contains(hint ?? "", error.Hint ?? "", StringComparison.Ordinal);
    }

    [Fact]
    public void Linear_NoModels_IsUsage() => Expect.Fails(ErrorKind.Usage, () => MergeRecipe.Linear(), "at least one model");
}
