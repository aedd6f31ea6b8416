using NativeEngine.Model;

namespace NativeEngine.Tests.Reference;

/// <summary>
/// The model's definition in double, one token at a time, no cleverness: the judge of the engine's forward pass, and through central
/// differences of its backward pass. Weights by name; adapters by the adapter's names.
/// </summary>
internal sealed class ReferenceLlama(LlamaConfig config, IReadOnlyDictionary<string, double[]> weights, double loraScale = 0)
{
    /// <summary>Losses of the rows with a target (not -1) of one sequence, in order.</summary>
    public List<double> Losses(int[] tokens, int[] targets)
    {
        int t = tokens.Length, c = config.HiddenSize;
        var h = tokens.Select(token => Embedding(token)).ToArray();
        for (int l = 0; l < config.Layers; l++)
        {
            var q = new double[t][];
            var k = new double[t][];
            var v = new double[t][];
            for (int p = 0; p < t; p++)
            {
                var x = Norm(h[p], LlamaConfig.Name(l, "input_layernorm"));
                q[p] = Rotate(Project(x, LlamaConfig.Name(l, "self_attn.q_proj")), p, config.Heads);
                k[p] = Rotate(Project(x, LlamaConfig.Name(l, "self_attn.k_proj")), p, config.KeyValueHeads);
                v[p] = Project(x, LlamaConfig.Name(l, "self_attn.v_proj"));
            }
            for (int p = 0; p < t; p++)
            {
                Add(h[p], Project(Attend(q[p], k, v, p), LlamaConfig.Name(l, "self_attn.o_proj")));
                var x = Norm(h[p], LlamaConfig.Name(l, "post_attention_layernorm"));
                var gate = Project(x, LlamaConfig.Name(l, "mlp.gate_proj"));
                var up = Project(x, LlamaConfig.Name(l, "mlp.up_proj"));
                var product = gate.Zip(up, (g, u) => g / (1 + Math.Exp(-g)) * u).ToArray();
                Add(h[p], Project(product, LlamaConfig.Name(l, "mlp.down_proj")));
            }
        }
        var losses = new List<double>();
        for (int p = 0; p < t; p++)
        {
            if (targets[p] >= 0)
            {
                var logits = Project(Norm(h[p], "model.norm.weight"), config.TiedEmbeddings ? "model.embed_tokens.weight" : "lm_head.weight");
                double top = logits.Max();
                losses.Add(top + Math.Log(logits.Sum(z => Math.Exp(z - top))) - logits[targets[p]]);
            }
        }
        return losses;

        double[] Embedding(int token) => weights["model.embed_tokens.weight"].AsSpan(token * c, c).ToArray();
    }

    private static void Add(double[] x, double[] y)
    {
        for (int i = 0; i < x.Length; i++)
        {
            x[i] += y[i];
        }
    }

    private double[] Norm(double[] x, string name)
    {
        double s = 1 / Math.Sqrt(x.Average(z => z * z) + config.NormEpsilon);
        return x.Zip(weights[name], (z, w) => z * s * w).ToArray();
    }

    private double[] Project(double[] x, string name)
    {
        var y = Multiply(weights[name], x);
        if (weights.TryGetValue(LoraAdapter.NameOf(name, 'A'), out var a))
        {
            var low = Multiply(weights[LoraAdapter.NameOf(name, 'B')], Multiply(a, x));
            for (int i = 0; i < y.Length; i++)
            {
                y[i] += loraScale * low[i];
            }
        }
        return y;
    }

    private static double[] Multiply(double[] matrix, double[] x)
    {
        var y = new double[matrix.Length / x.Length];
        for (int i = 0; i < matrix.Length; i++)
        {
            y[i / x.Length] += matrix[i] * x[i % x.Length];
        }
        return y;
    }

    private double[] Rotate(double[] x, int position, int heads)
    {
        int size = config.HeadSize, half = size / 2;
        var y = new double[x.Length];
        for (int head = 0; head < heads; head++)
        {
            for (int j = 0; j < half; j++)
            {
                double angle = position * Math.Pow(config.RopeTheta, -2.0 * j / size);
                double a = x[(head * size) + j], b = x[(head * size) + j + half];
                y[(head * size) + j] = (a * Math.Cos(angle)) - (b * Math.Sin(angle));
                y[(head * size) + j + half] = (b * Math.Cos(angle)) + (a * Math.Sin(angle));
            }
        }
        return y;
    }

    private double[] Attend(double[] q, double[][] k, double[][] v, int position)
    {
        int size = config.HeadSize, group = config.Heads / config.KeyValueHeads;
        var output = new double[q.Length];
        for (int head = 0; head < config.Heads; head++)
        {
            int at = head / group * size;
            var scores = new double[position + 1];
            for (int p = 0; p <= position; p++)
            {
                for (int j = 0; j < size; j++)
                {
                    scores[p] += q[(head * size) + j] * k[p][at + j] / Math.Sqrt(size);
                }
            }
            double top = scores.Max(), sum = scores.Sum(s => Math.Exp(s - top));
            for (int p = 0; p <= position; p++)
            {
                for (int j = 0; j < size; j++)
                {
                    output[(head * size) + j] += Math.Exp(scores[p] - top) / sum * v[p][at + j];
                }
            }
        }
        return output;
    }
}
