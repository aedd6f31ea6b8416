namespace NativeEngine.Merging.Methods;

/// <summary>
/// sce (select, calculate, erase; Wan et al. 2024): of the differences d_i = θ_i - base only the int(select_topk n) elements of largest variance
/// across the models stay; model weights are the means of the remaining d_i², normalized (equal when they sum to less than 1e-6); per element
/// the sign of sum d_i is elected (0 counts as +) and base + sum w_i d_i / sum w_i over the agreeing models (divisor at least 1e-6) is the
/// result. Three passes, or eight with select_topk below 1.
/// </summary>
internal sealed class Sce : MergeMethod
{
    public override string Name => "sce";

    public override string Formula => "b + sum w_i d_i / sum w_i over agreeing signs, w_i = mean d_i^2, d masked to its select_topk largest variances";

    public override BaseRule Base => BaseRule.Required;

    public override IReadOnlyList<MergeParameter> Parameters { get; } =
    [
        new("select_topk", 1, false, "share of the elements that stay, in (0, 1]", 0, 1),
        MergeParameter.Flag("int8_mask", false, "has no effect here"),
    ];

    public override string? Refuse(ParameterValues values, int models, long count) => (long)(values["select_topk"] * count) > 0 ? null
        : $"select_topk {values["select_topk"]:R} of {count} elements keeps none";

    public override TensorMerge Prepare(TensorInputs inputs, TensorScan scan)
    {
        int k = inputs.Models.Count;
        long keep = (long)(inputs.Values["select_topk"] * inputs.Count);
        var cut = keep < inputs.Count ? RankCut.Find(scan, inputs.Count, keep, (start, values, scratch) =>
        {
            var deltas = Read(inputs, start, values.Length, scratch);
            for (int i = 0; i < values.Length; i++)
            {
                values[i] = Variance(deltas, i, values.Length, k);
            }
        }) : null;
        var merge = new Merge(inputs, cut);
        double[] weights = scan.Sums(inputs.Count, k, (start, length, sums, scratch) =>
        {
            var deltas = merge.Masked(start, length, scratch);
            for (int i = 0; i < k; i++)
            {
                sums[i] += TensorScan.Dot(deltas.Slice(i * length, length), deltas.Slice(i * length, length));
            }
        });
        double total = weights.Sum() / inputs.Count;
        merge.Weights = total < 1e-6 ? [.. weights.Select(_ => 1.0 / k)] : [.. weights.Select(w => w / inputs.Count / total)];
        return merge;
    }

    private static Span<double> Read(TensorInputs inputs, long start, int length, MergeScratch scratch)
    {
        Span<double> deltas = scratch.Doubles(1, inputs.Models.Count * length), b = scratch.Doubles(2, length);
        for (int i = 0; i < inputs.Models.Count; i++)
        {
            inputs.ReadDelta(i, start, deltas.Slice(i * length, length), b);
        }
        return deltas;
    }

    private static double Variance(ReadOnlySpan<double> deltas, int element, int length, int k)
    {
        double mean = 0, square = 0;
        for (int i = 0; i < k; i++)
        {
            mean += deltas[(i * length) + element] / k;
        }
        for (int i = 0; i < k; i++)
        {
            double d = deltas[(i * length) + element] - mean;
            square += d * d;
        }
        return square;
    }

    private sealed class Merge(TensorInputs inputs, RankCut? cut) : TensorMerge
    {
        public double[] Weights { get; set; } = [];

        public Span<double> Masked(long start, int length, MergeScratch scratch)
        {
            int k = inputs.Models.Count;
            var deltas = Read(inputs, start, length, scratch);
            for (int j = 0; cut is not null && j < length; j++)
            {
                if (!cut.IsBefore(Variance(deltas, j, length, k), start + j))
                {
                    for (int i = 0; i < k; i++)
                    {
                        deltas[(i * length) + j] -= deltas[(i * length) + j];
                    }
                }
            }
            return deltas;
        }

        public override void Combine(long start, Span<double> output, MergeScratch scratch)
        {
            int n = output.Length, k = inputs.Models.Count;
            var deltas = Masked(start, n, scratch);
            inputs.Base!.Read(start, output);
            for (int j = 0; j < n; j++)
            {
                double vote = 0, sum = 0, divisor = 0;
                for (int i = 0; i < k; i++)
                {
                    vote += deltas[(i * n) + j];
                }
                for (int i = 0; i < k; i++)
                {
                    double d = deltas[(i * n) + j];
                    if (vote >= 0 ? d > 0 : d < 0)
                    {
                        sum += Weights[i] * d;
                        divisor += Weights[i];
                    }
                }
                // A NaN must not be voted away.
                output[j] += double.IsNaN(vote) ? vote : sum / Math.Max(divisor, 1e-6);
            }
        }
    }
}
