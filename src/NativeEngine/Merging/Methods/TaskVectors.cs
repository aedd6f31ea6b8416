namespace NativeEngine.Merging.Methods;

/// <summary>
/// The family over differences d_i = θ_i - base (task vectors, Ilharco et al. 2023): each is sparsified, optionally rescaled by
/// |d|₁ / |kept d|₁ (or 1/density), weighted to x_i = w_i d_i, and the sum is added to the base times lambda. With consensus (TIES, Yadav et al.
/// 2023) an element keeps only the x_i whose sign is that of their sum; a sum of 0 counts as +, a zero never agrees. normalize divides by the
/// sum of the weights (below 1e-8 in magnitude: by 1), with consensus by the sum of the agreeing ones (0: by 1).
/// </summary>
internal sealed class TaskVectors(
    string name, string formula, Sparsifier sparsifier, bool consensus, bool normalize, IReadOnlyList<MergeParameter> parameters) : MergeMethod
{
    /// <summary>The words of rescale; paper is the 1/density of DARE's paper.</summary>
    private static readonly Dictionary<string, double> _rescaleWords = new() { ["false"] = 0, ["true"] = 1, ["l1"] = 1, ["paper"] = 2 };

    public override string Name => name;

    public override string Formula => formula;

    public override BaseRule Base => BaseRule.Required;

    public override bool SkipsZeroWeight => true;

    public override bool Scans => sparsifier != Sparsifier.None;

    public override bool HoldsRows => sparsifier.HoldsRows;

    public override IReadOnlyList<MergeParameter> Parameters { get; } =
    [
        MergeParameter.Weight,
        new("lambda", 1, false, "factor on the merged difference"),
        MergeParameter.Flag("normalize", normalize, "divide by the sum of the weights that count"),
        .. parameters,
    ];

    internal static MergeParameter Density { get; } = new("density", 1, true, "share of the difference that stays, in (0, 1]", 0, 1);

    internal static MergeParameter Int8Mask { get; } = MergeParameter.Flag("int8_mask", false, "has no effect here");

    internal static MergeParameter Rescale(bool value) => new("rescale", value ? 1 : 0, false, "keep the L1 norm (paper: divide by density)", 0, 2)
    {
        Words = _rescaleWords,
    };

    public override string? Refuse(ParameterValues values, int models, long count) =>
        Enumerable.Range(0, models).Select(i => sparsifier.Refuse(values, i, count)).FirstOrDefault(sentence => sentence is not null);

    public override TensorMerge Prepare(TensorInputs inputs, TensorScan scan)
    {
        int k = inputs.Models.Count;
        var keeps = new Keep?[k];
        var factors = new double[k];
        bool rescales = parameters.Any(p => p.Name == "rescale") && inputs.Values["rescale"] != 0;
        for (int i = 0; i < k; i++)
        {
            keeps[i] = sparsifier.Prepare(inputs, i, scan);
            factors[i] = !rescales || keeps[i] is null ? 1 : inputs.Values["rescale"] == 2 ? 1 / inputs.Values["density", i] : L1Ratio(inputs, i, keeps[i]!, scan);
        }
        return new Merge(inputs, keeps, factors, consensus);
    }

    private static double L1Ratio(TensorInputs inputs, int model, Keep keep, TensorScan scan)
    {
        // Blocks of whole rows, where a rule needs whole rows: each block writes its own sums.
        long grain = Math.Max(keep.Grain, TensorScan.Block / keep.Grain * keep.Grain), blocks = (inputs.Count + grain - 1) / grain;
        var sums = new double[2 * blocks];
        scan.ForEachRange(inputs.Count, grain, (start, length, scratch) =>
        {
            Span<double> d = scratch.Doubles(0, length), spare = scratch.Doubles(1, length);
            inputs.ReadDelta(model, start, d, spare);
            sums[2 * (start / grain)] = L1(d);
            keep.Apply(start, d, scratch);
            sums[(2 * (start / grain)) + 1] = L1(d);
        });
        double all = 0, kept = 0;
        for (int i = 0; i < sums.Length; i += 2)
        {
            all += sums[i];
            kept += sums[i + 1];
        }
        return kept == 0 ? 1 : all / kept;
    }

    private static double L1(ReadOnlySpan<double> values)
    {
        double sum = 0;
        foreach (double value in values)
        {
            sum += Math.Abs(value);
        }
        return sum;
    }

    private sealed class Merge(TensorInputs inputs, Keep?[] keeps, double[] factors, bool consensus) : TensorMerge
    {
        private readonly double[] _weights = inputs.Values.Weights();
        private readonly double _lambda = inputs.Values["lambda"];
        private readonly bool _normalize = inputs.Values.Flag("normalize");

        public override long Grain { get; } = keeps.Max(keep => keep?.Grain ?? 1);

        public override void Combine(long start, Span<double> output, MergeScratch scratch)
        {
            int n = output.Length, k = keeps.Length;
            Span<double> x = scratch.Doubles(0, k * n), b = scratch.Doubles(1, n);
            inputs.Base!.Read(start, b);
            for (int i = 0; i < k; i++)
            {
                var d = x.Slice(i * n, n);
                inputs.Models[i].Read(start, d);
                for (int j = 0; j < n; j++)
                {
                    d[j] -= b[j];
                }
                keeps[i]?.Apply(start, d, scratch);
                double factor = factors[i];
                for (int j = 0; j < n; j++)
                {
                    d[j] = _weights[i] * (factor * d[j]);
                }
            }
            if (consensus)
            {
                Agree(x, output);
            }
            else
            {
                Add(x, output);
            }
            for (int j = 0; j < n; j++)
            {
                output[j] = b[j] + (_lambda * output[j]);
            }
        }

        private void Add(ReadOnlySpan<double> x, Span<double> output)
        {
            int n = output.Length;
            double sum = _weights.Sum(), divisor = !_normalize || Math.Abs(sum) < 1e-8 ? 1 : sum;
            output.Clear();
            for (int i = 0; i < _weights.Length; i++)
            {
                for (int j = 0; j < n; j++)
                {
                    output[j] += x[(i * n) + j];
                }
            }
            for (int j = 0; divisor != 1 && j < n; j++)
            {
                output[j] /= divisor;
            }
        }

        private void Agree(ReadOnlySpan<double> x, Span<double> output)
        {
            int n = output.Length;
            for (int j = 0; j < n; j++)
            {
                double vote = 0, sum = 0, divisor = 0;
                for (int i = 0; i < _weights.Length; i++)
                {
                    vote += x[(i * n) + j];
                }
                for (int i = 0; i < _weights.Length; i++)
                {
                    double value = x[(i * n) + j];
                    if (vote >= 0 ? value > 0 : value < 0)
                    {
                        sum += value;
                        divisor += _weights[i];
                    }
                }
                // A NaN must not be voted away.
                output[j] = double.IsNaN(vote) ? vote : !_normalize || divisor == 0 ? sum : sum / divisor;
            }
        }
    }
}
