namespace NativeEngine.Tests.Reference;

/// <summary>Causal grouped-query attention over packed sequences, with every probability kept, in double.</summary>
internal static class ReferenceAttention
{
    public static void Forward(
        double[] q, double[] k, double[] v, int[] queryOffsets, int[] keyOffsets, int heads, int keyValueHeads, int h, double[] output,
        double[] logSumExp)
    {
        Array.Clear(output);
        foreach (var (query, head, firstKey, keys) in Queries(queryOffsets, keyOffsets, heads))
        {
            int at = ((query * heads) + head) * h;
            var scores = Scores(q, k, at, firstKey, keys, head / (heads / keyValueHeads), keyValueHeads, h);
            double maximum = scores.Max();
            logSumExp[(query * heads) + head] = maximum + Math.Log(scores.Sum(s => Math.Exp(s - maximum)));
            for (int j = 0; j < keys; j++)
            {
                for (int d = 0; d < h; d++)
                {
                    output[at + d] += Math.Exp(scores[j] - logSumExp[(query * heads) + head])
                        * v[((((firstKey + j) * keyValueHeads) + (head / (heads / keyValueHeads))) * h) + d];
                }
            }
        }
    }

    public static void Backward(
        double[] dOutput, double[] q, double[] k, double[] v, double[] output, double[] logSumExp, int[] offsets, int heads, int keyValueHeads,
        int h, double[] dq, double[] dk, double[] dv)
    {
        foreach (var destination in new[] { dq, dk, dv })
        {
            Array.Clear(destination);
        }
        foreach (var (query, head, firstKey, keys) in Queries(offsets, offsets, heads))
        {
            int at = ((query * heads) + head) * h, keyValueHead = head / (heads / keyValueHeads);
            var scores = Scores(q, k, at, firstKey, keys, keyValueHead, keyValueHeads, h);
            double inner = 0;
            for (int d = 0; d < h; d++)
            {
                inner += dOutput[at + d] * output[at + d];
            }
            for (int j = 0; j < keys; j++)
            {
                int key = (((firstKey + j) * keyValueHeads) + keyValueHead) * h;
                double p = Math.Exp(scores[j] - logSumExp[(query * heads) + head]), dp = 0;
                for (int d = 0; d < h; d++)
                {
                    dp += dOutput[at + d] * v[key + d];
                    dv[key + d] += p * dOutput[at + d];
                }
                double ds = p * (dp - inner) / Math.Sqrt(h);
                for (int d = 0; d < h; d++)
                {
                    dq[at + d] += ds * k[key + d];
                    dk[key + d] += ds * q[at + d];
                }
            }
        }
    }

    private static IEnumerable<(int Query, int Head, int FirstKey, int Keys)> Queries(int[] queryOffsets, int[] keyOffsets, int heads)
    {
        for (int s = 0; s + 1 < queryOffsets.Length; s++)
        {
            int length = queryOffsets[s + 1] - queryOffsets[s], keyLength = keyOffsets[s + 1] - keyOffsets[s];
            for (int i = 0; i < length; i++)
            {
                for (int head = 0; head < heads; head++)
                {
                    yield return (queryOffsets[s] + i, head, keyOffsets[s], i + keyLength - length + 1);
                }
            }
        }
    }

    private static double[] Scores(double[] q, double[] k, int query, int firstKey, int keys, int keyValueHead, int keyValueHeads, int h)
    {
        var scores = new double[keys];
        for (int j = 0; j < keys; j++)
        {
            for (int d = 0; d < h; d++)
            {
                scores[j] += q[query + d] * k[((((firstKey + j) * keyValueHeads) + keyValueHead) * h) + d] / Math.Sqrt(h);
            }
        }
        return scores;
    }
}
