using NativeEngine.Model;

namespace NativeEngine.Benchmarks.Works;

/// <summary>The shape of a training step: the model and the batch of B sequences of T tokens, all with loss.</summary>
public sealed record TrainingShape(string Name, int Layers, int Width, int Heads, int Middle, int Vocabulary, int Length, int Batch)
{
    public static readonly TrainingShape Bytes = new("L6 C384 H6 T256 B4 V256", 6, 384, 6, 1024, 256, 256, 4);

    public static readonly TrainingShape Words = new("L6 C384 H6 T256 B4 V50257", 6, 384, 6, 1024, 50257, 256, 4);

    public static readonly TrainingShape Gpt2 = new("GPT-2 124M, T64 B4", 12, 768, 12, 2048, 50257, 64, 4);

    public static readonly TrainingShape Tiny = new("L2 C96 H4 T64 B2 V256", 2, 96, 4, 256, 256, 64, 2);

    public LlamaConfig Config => new()
    {
        VocabularySize = Vocabulary,
        HiddenSize = Width,
        IntermediateSize = Middle,
        Layers = Layers,
        Heads = Heads,
        KeyValueHeads = Heads,
        HeadSize = Width / Heads,
        ContextLength = Length,
    };

    /// <summary>
    /// Operations of a forward pass: two for each weight of a product and token, and the causal half of attention's two products. A backward
    /// pass has twice as many.
    /// </summary>
    public double ForwardFlops
    {
        get
        {
            double weights = (Layers * ((4.0 * Width * Width) + (3.0 * Width * Middle))) + ((double)Vocabulary * Width);
            double attention = Layers * 2.0 * Width * (Length + 1) / 2;
            return 2.0 * Batch * Length * (weights + attention);
        }
    }

    public override string ToString() => Name;
}
