using NativeEngine.Formats;
using NativeEngine.Model;

namespace NativeEngine.Evaluation;

/// <summary>
/// The decoder as ONNX nodes. Tokens are rows, [B T, C], so that every projection is one Gemm with the weight as it is stored, [out, in], and
/// a tied embedding is stored once; query heads that share a key head are an axis of their own, so that keys are never repeated. Rotary
/// angles are computed from position_ids with the frequencies the engine uses.
/// </summary>
internal sealed class OnnxLlamaGraph(LlamaConfig config, OnnxModelBuilder graph, bool cache)
{
    // B, T: batch and new tokens; S: tokens that are attended, those of the cache included.
    private const string Batch = "batch", Tokens = "sequence", Past = "past_sequence", All = "total_sequence";

    private readonly int _half = config.HeadSize / 2;
    private readonly int _group = config.Heads / config.KeyValueHeads;

    /// <summary>The name of a cached tensor as Hugging Face's exports have it: past_key_values.0.key, present.0.value.</summary>
    public static string CacheName(string kind, int layer, bool key) => FormattableString.Invariant($"{kind}.{layer}.{(key ? "key" : "value")}");

    /// <summary>Adds everything but the weights, which must be there.</summary>
    public void Write()
    {
        graph.Input("input_ids", OnnxElement.Int64, Batch, Tokens);
        graph.Input("attention_mask", OnnxElement.Int64, Batch, cache ? All : Tokens);
        graph.Input("position_ids", OnnxElement.Int64, Batch, Tokens);
        for (int l = 0; cache && l < config.Layers; l++)
        {
            graph.Input(CacheName("past_key_values", l, key: true), OnnxElement.Float, Batch, config.KeyValueHeads, Past, config.HeadSize);
            graph.Input(CacheName("past_key_values", l, key: false), OnnxElement.Float, Batch, config.KeyValueHeads, Past, config.HeadSize);
        }
        Constants();
        Mask();
        Rotation();
        string h = graph.Node("Gather", "embedded", ["model.embed_tokens.weight", "input_ids"]);
        h = graph.Node("Reshape", "rows", [h, "shape.rows"]);
        for (int l = 0; l < config.Layers; l++)
        {
            h = FeedForward(l, Attention(l, h));
        }
        h = Norm("model.norm", h, "model.norm.weight");
        h = Project("lm_head", h, config.TiedEmbeddings ? "model.embed_tokens.weight" : "lm_head.weight");
        graph.Node("Reshape", "logits", [h, "shape.logits"]);
        graph.Output("logits", OnnxElement.Float, Batch, Tokens, config.VocabularySize);
        for (int l = 0; cache && l < config.Layers; l++)
        {
            graph.Output(CacheName("present", l, key: true), OnnxElement.Float, Batch, config.KeyValueHeads, All, config.HeadSize);
            graph.Output(CacheName("present", l, key: false), OnnxElement.Float, Batch, config.KeyValueHeads, All, config.HeadSize);
        }
    }

    private static OnnxAttribute Axis(long axis) => new("axis", Int: axis);

    private static OnnxAttribute Order(params long[] axes) => new("perm", Ints: axes);

    private void Constants()
    {
        graph.Scalar("zero", 0L);
        graph.Scalar("one", 1L);
        graph.Scalar("two", 2f);
        graph.Scalar("lowest", float.MinValue);
        graph.Scalar("epsilon", config.NormEpsilon);
        graph.Scalar("scale", (float)(1 / Math.Sqrt(config.HeadSize)));
        graph.Constant("axes.1", 1);
        graph.Constant("axes.2", 2);
        graph.Constant("axes.1-2", 1, 2);
        graph.Constant("axes.1-3", 1, 2, 3);
        graph.Constant("halves", _half, _half);
        graph.Constant("size.query", config.KeyValueHeads, _group, config.HeadSize);
        graph.Constant("size.key", config.KeyValueHeads, config.HeadSize);
        graph.Constant("size.vocabulary", config.VocabularySize);
        graph.Constant("shape.rows", -1, config.HiddenSize);
        graph.Constant("shape.attended", -1, config.QuerySize);
        var frequencies = new float[_half];
        for (int j = 0; j < _half; j++)
        {
            frequencies[j] = config.RotaryFrequency(j);
        }
        graph.Constant("frequencies", frequencies);
        Extent("size.batch", "input_ids", 0);
        Extent("size.sequence", "input_ids", 1);
        Extent("size.total", "attention_mask", 1);
        graph.Node("Concat", "shape.query", ["size.batch", "size.sequence", "size.query"], Axis(0));
        graph.Node("Concat", "shape.key", ["size.batch", "size.sequence", "size.key"], Axis(0));
        graph.Node("Concat", "shape.logits", ["size.batch", "size.sequence", "size.vocabulary"], Axis(0));
    }

    private void Extent(string name, string of, long axis) =>
        graph.Node("Shape", name, [of], new OnnxAttribute("start", Int: axis), new OnnxAttribute("end", Int: axis + 1));

    // allowed [B, 1, 1, T, S]: key j is not after the query's place S - T + t, and the mask has it.
    private void Mask()
    {
        graph.Node("Squeeze", "total", ["size.total"]);
        graph.Node("Squeeze", "new", ["size.sequence"]);
        graph.Node("Sub", "first", ["total", "new"]);
        graph.Node("Range", "places.key", ["zero", "total", "one"]);
        graph.Node("Range", "places.query", ["first", "total", "one"]);
        graph.Node("Unsqueeze", "places.query.column", ["places.query", "axes.1"]);
        graph.Node("LessOrEqual", "causal", ["places.key", "places.query.column"]);
        graph.Node("Unsqueeze", "mask.wide", ["attention_mask", "axes.1-3"]);
        graph.Node("Cast", "mask.kept", ["mask.wide"], new OnnxAttribute("to", Int: OnnxElement.Bool));
        graph.Node("And", "allowed", ["mask.kept", "causal"]);
    }

    // cos and sin [B, 1, T, h/2] for keys and [B, 1, 1, T, h/2] for queries.
    private void Rotation()
    {
        graph.Node("Cast", "positions", ["position_ids"], new OnnxAttribute("to", Int: OnnxElement.Float));
        graph.Node("Unsqueeze", "positions.column", ["positions", "axes.2"]);
        graph.Node("Mul", "angles", ["positions.column", "frequencies"]);
        foreach (string function in new[] { "Cos", "Sin" })
        {
            string name = function.ToLowerInvariant();
            graph.Node(function, name, ["angles"]);
            graph.Node("Unsqueeze", $"{name}.key", [name, "axes.1"]);
            graph.Node("Unsqueeze", $"{name}.query", [name, "axes.1-2"]);
        }
    }

    private string Attention(int layer, string h)
    {
        string at = FormattableString.Invariant($"layers.{layer}.attention");
        string x = Norm($"{at}.norm", h, LlamaConfig.Name(layer, "input_layernorm"));
        // [B, T, K, G, h] to [B, K, G, T, h]; keys and values [B, K, S, h].
        string q = Heads($"{at}.query", x, LlamaConfig.Name(layer, "self_attn.q_proj"), "shape.query", Order(0, 2, 3, 1, 4));
        string k = Heads($"{at}.key", x, LlamaConfig.Name(layer, "self_attn.k_proj"), "shape.key", Order(0, 2, 1, 3));
        string v = Heads($"{at}.value", x, LlamaConfig.Name(layer, "self_attn.v_proj"), "shape.key", Order(0, 2, 1, 3));
        q = Rotate($"{at}.query.rotated", q, "query");
        k = Rotate(cache ? $"{at}.key.rotated" : $"{at}.key.all", k, "key");
        if (cache)
        {
            k = graph.Node("Concat", CacheName("present", layer, key: true), [CacheName("past_key_values", layer, key: true), k], Axis(2));
            v = graph.Node("Concat", CacheName("present", layer, key: false), [CacheName("past_key_values", layer, key: false), v], Axis(2));
        }
        k = graph.Node("Transpose", $"{at}.key.columns", [k], Order(0, 1, 3, 2));
        k = graph.Node("Unsqueeze", $"{at}.key.shared", [k, "axes.2"]);
        v = graph.Node("Unsqueeze", $"{at}.value.shared", [v, "axes.2"]);
        string scores = graph.Node("MatMul", $"{at}.products", [q, k]);
        scores = graph.Node("Mul", $"{at}.scores", [scores, "scale"]);
        scores = graph.Node("Where", $"{at}.masked", ["allowed", scores, "lowest"]);
        string p = graph.Node("Softmax", $"{at}.probabilities", [scores], Axis(-1));
        string y = graph.Node("MatMul", $"{at}.attended", [p, v]);
        y = graph.Node("Transpose", $"{at}.attended.tokens", [y], Order(0, 3, 1, 2, 4));
        y = graph.Node("Reshape", $"{at}.attended.rows", [y, "shape.attended"]);
        y = Project($"{at}.output", y, LlamaConfig.Name(layer, "self_attn.o_proj"));
        return graph.Node("Add", $"{at}.residual", [h, y]);
    }

    private string FeedForward(int layer, string h)
    {
        string at = FormattableString.Invariant($"layers.{layer}.feed_forward");
        string x = Norm($"{at}.norm", h, LlamaConfig.Name(layer, "post_attention_layernorm"));
        string gate = Project($"{at}.gate", x, LlamaConfig.Name(layer, "mlp.gate_proj"));
        string up = Project($"{at}.up", x, LlamaConfig.Name(layer, "mlp.up_proj"));
        string sigmoid = graph.Node("Sigmoid", $"{at}.sigmoid", [gate]);
        string product = graph.Node("Mul", $"{at}.product", [graph.Node("Mul", $"{at}.silu", [gate, sigmoid]), up]);
        return graph.Node("Add", $"{at}.residual", [h, Project($"{at}.down", product, LlamaConfig.Name(layer, "mlp.down_proj"))]);
    }

    private string Project(string name, string x, string weight) => graph.Node("Gemm", name, [x, weight], new OnnxAttribute("transB", Int: 1));

    private string Heads(string name, string x, string weight, string shape, OnnxAttribute order)
    {
        string y = graph.Node("Reshape", $"{name}.heads", [Project(name, x, weight), shape]);
        return graph.Node("Transpose", $"{name}.first", [y], order);
    }

    // x / sqrt(mean(x^2) + epsilon) * weight.
    private string Norm(string name, string x, string weight)
    {
        string square = graph.Node("Pow", $"{name}.square", [x, "two"]);
        string mean = graph.Node("ReduceMean", $"{name}.mean", [square], new OnnxAttribute("axes", Ints: [-1]), new OnnxAttribute("keepdims", Int: 1));
        string root = graph.Node("Sqrt", $"{name}.root", [graph.Node("Add", $"{name}.shifted", [mean, "epsilon"])]);
        return graph.Node("Mul", $"{name}.scaled", [graph.Node("Div", $"{name}.unit", [x, root]), weight]);
    }

    // The first half of a head's columns pairs with the second.
    private string Rotate(string name, string x, string which)
    {
        string a = $"{name}.a", b = $"{name}.b", cos = $"cos.{which}", sin = $"sin.{which}";
        graph.Nodes("Split", [a, b], [x, "halves"], Axis(-1));
        string left = graph.Node("Sub", $"{name}.left", [graph.Node("Mul", $"{name}.ac", [a, cos]), graph.Node("Mul", $"{name}.bs", [b, sin])]);
        string right = graph.Node("Add", $"{name}.right", [graph.Node("Mul", $"{name}.bc", [b, cos]), graph.Node("Mul", $"{name}.as", [a, sin])]);
        return graph.Node("Concat", name, [left, right], Axis(-1));
    }
}
