using System.Text.Json.Nodes;

/// <summary>Multiply-add work of the matrix products, the lookup table, norms and the attention scores left out.</summary>
internal sealed record Work(double Layers, double Hidden, double Query, double KeyValue, double Inner, double Vocabulary)
{
    public static Work Of(JsonNode config)
    {
        double heads = Get("num_attention_heads"), size = Get("head_dim");
        return new Work(Get("num_hidden_layers"), Get("hidden_size"), heads * size, Get("num_key_value_heads") * size, Get("intermediate_size"), Get("vocab_size"));
        double Get(string name) => (double)config[name]!;
    }

    private double Head => Vocabulary * Hidden;
    private double Tail => (3 * Hidden * Inner) + (Query * Hidden);
    private double Block => (Hidden * Query) + (2 * Hidden * KeyValue) + Tail;

    /// <summary>Weights of matrix products N.</summary>
    public double Weights => (Layers * Block) + Head;

    /// <summary>Forward 2N, backward 4N.</summary>
    public double TrainingPerToken => 6 * Weights;

    public double ForwardPerToken => 2 * Weights;

    /// <summary>
    /// grad: a forward pass 2N, the backward pass to the values 2 (head + feed-forward + output projection), the feature's product 2 hidden kv.
    /// zo with M directions: 2 (N - last tail - head) once, then per direction two passes of the last tail and head, the shift 2 hidden kv.
    /// hidden: 2 N without the head.
    /// </summary>
    public double FeaturePerToken(string kind) => kind switch
    {
        "" => 0,
        "grad" => (2 * Weights) + (2 * (Head + Tail)) + (2 * Hidden * KeyValue),
        "hidden" => 2 * (Weights - Head),
        _ => (2 * (Weights - Tail - Head)) + (int.Parse(kind[2..]) * ((4 * (Tail + Head)) + (2 * Hidden * KeyValue))),
    };
}
