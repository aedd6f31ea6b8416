using NativeEngine.Devices;

namespace NativeEngine.Tests.Reference;

internal static partial class ReferenceKernels
{
    // One to three roundings of values of size at most 10.
    private const double ElementTolerance = 1e-6;

    // Sums of at most 1025 terms of size 1 in 16 or 64 chains: about sqrt(1025) * 6e-8, and a handful of roundings.
    private const double RowSumTolerance = 5e-6;

    // dweight adds at most 443 rows one after another: about sqrt(443) * 6e-8 of terms up to 10.
    private const double RowsTolerance = 1e-5;

    // e^x to 1.5 ulp, then values up to 10 with three or four roundings.
    private const double ExponentialTolerance = 2e-6;

    private const double AttentionTolerance = 3e-6;

    private const double AttentionBackwardTolerance = 1e-5;

    private static IEnumerable<Entry> Transformer() => [.. Elementwise(), .. Layers(), .. Attention()];

    private static IEnumerable<Entry> Elementwise()
    {
        yield return new("fill", 0, c => Array.Fill(c.F("x"), KernelTable.TypicalAlpha));
        yield return new("copy", 0, c => c.F("x").CopyTo(c.F("y"), 0));
        yield return new("axpy", ElementTolerance, c =>
        {
            for (int i = 0; i < c.F("x").Length; i++)
            {
                c.F("y")[i] += KernelTable.TypicalAlpha * c.F("x")[i];
            }
        });
        yield return new("scale", ElementTolerance, c =>
        {
            for (int i = 0; i < c.F("x").Length; i++)
            {
                c.F("x")[i] *= KernelTable.TypicalAlpha;
            }
        });
        // Double sums rounded once to float: half an ulp.
        yield return new("weighted_sum", 6.1e-8, c =>
        {
            int n = c.N("n");
            for (int i = 0; i < n; i++)
            {
                c.F("y")[i] = Enumerable.Range(0, c.N("K")).Sum(k => c.F("weights")[k] * c.F("x")[(k * n) + i]);
            }
        });
        yield return new("sum_of_squares", 6.1e-8, c => c.F("result")[0] = c.F("x").Sum(x => x * x));
        yield return new("gather_rows", 0, c =>
        {
            int columns = c.N("C");
            for (int i = 0; i < c.N("M"); i++)
            {
                Array.Copy(c.F("x"), c.I("rows")[i] * columns, c.F("y"), i * columns, columns);
            }
        });
        // Up to 33 rows of size 1 fall on one row.
        yield return new("scatter_add_rows", 3e-6, c =>
        {
            int columns = c.N("C");
            for (int i = 0; i < c.N("M"); i++)
            {
                for (int j = 0; j < columns; j++)
                {
                    c.F("y")[(c.I("rows")[i] * columns) + j] += c.F("x")[(i * columns) + j];
                }
            }
        });
    }

    private static IEnumerable<Entry> Layers()
    {
        yield return new("rms_norm", RowSumTolerance, c =>
            ReferenceLayers.RmsNorm(c.F("x"), c.F("weight"), KernelTable.TypicalEpsilon, c.F("y"), c.F("inverse_rms")));
        yield return new("rms_norm_backward", RowsTolerance, c =>
            ReferenceLayers.RmsNormBackward(c.F("dy"), c.F("x"), c.F("weight"), c.F("inverse_rms"), c.F("dx"), c.F("dweight")));
        foreach (bool inverse in new[] { false, true })
        {
            yield return new(inverse ? "rope_inverse" : "rope", ElementTolerance, c =>
                ReferenceLayers.Rope(c.I("positions"), c.F("cos"), c.F("sin"), c.N("heads"), c.N("h"), inverse, c.F("x")));
        }
        yield return new("swiglu", ExponentialTolerance, c => ReferenceLayers.SwiGlu(c.F("gate"), c.F("up"), c.F("y")));
        yield return new("swiglu_backward", ExponentialTolerance, c =>
            ReferenceLayers.SwiGluBackward(c.F("dy"), c.F("gate"), c.F("up"), c.F("dgate"), c.F("dup")));
        yield return new("cross_entropy", ExponentialTolerance, c =>
            ReferenceLayers.CrossEntropy(c.F("logits"), c.I("targets"), c.F("row_weights"), c.F("losses")));
        yield return new("cross_entropy_loss", ExponentialTolerance, c => ReferenceLayers.CrossEntropy(c.F("logits"), c.I("targets"), null, c.F("losses")));
    }

    private static IEnumerable<Entry> Attention()
    {
        // Scores are sums of up to 128 terms (error about 1e-6), then weighted means of values of size up to 4.
        foreach (string name in new[] { "attention", "attention_cached" })
        {
            yield return new(name, AttentionTolerance, c => ReferenceAttention.Forward(
                c.F("q"), c.F("k"), c.F("v"), c.I("query_offsets"), c.I("key_offsets"), c.N("heads"), c.N("kv_heads"), c.N("h"), c.F("output"),
                c.F("logsumexp")));
        }
        // The same scores, then sums over up to 886 queries or keys with weights up to 1 and gradients up to 30.
        foreach (string name in new[] { "attention_backward", "attention_backward_dv" })
        {
            yield return new(name, AttentionBackwardTolerance, c => ReferenceAttention.Backward(
                c.F("doutput"), c.F("q"), c.F("k"), c.F("v"), c.F("output"), c.F("logsumexp"), c.I("offsets"), c.N("heads"), c.N("kv_heads"), c.N("h"),
                c.Floats.GetValueOrDefault("dq") ?? new double[c.F("q").Length], c.Floats.GetValueOrDefault("dk") ?? new double[c.F("k").Length],
                c.F("dv")));
        }
    }
}
