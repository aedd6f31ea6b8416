using NativeEngine.Devices;
using NativeEngine.Tests.Reference;

namespace NativeEngine.Tests.Devices;

public class AttentionKernelTests
{
    private const int Heads = 4, KeyValueHeads = 2, H = 24;

    /// <summary>Lengths around the tile of 48 queries, with an empty and a single-token sequence.</summary>
    private static readonly int[] _offsets = [0, 50, 50, 51, 99, 146, 250];

    private sealed record Passed(float[] Output, float[] LogSumExp, float[] DQ, float[] DK, float[] DV);

    private static double[] Wide(float[] values) => Array.ConvertAll(values, x => (double)x);

    /// <summary>Forward and backward of rows [first, last) of the same random pack.</summary>
    private static Passed Run(int threads, int first, int last, int[] offsets, Func<float[], float[]>? changeValues = null, float queryScale = 1)
    {
        using var host = new HostKernels(threads);
        int rows = last - first, all = _offsets[^1];
        var q = Rows(1, Heads, x => Array.ConvertAll(x, value => value * queryScale));
        var k = Rows(2, KeyValueHeads);
        var v = Rows(3, KeyValueHeads, changeValues);
        var dy = Rows(4, Heads);
        var (output, logSumExp) = (host.Undefined(rows, Heads * H), host.Undefined(rows, Heads));
        var (dq, dk, dv) = (host.Undefined(rows, Heads * H), host.Undefined(rows, KeyValueHeads * H), host.Undefined(rows, KeyValueHeads * H));
        var bounds = host.I(offsets);

        host.Run.Attention(q, k, v, bounds, bounds, Heads, KeyValueHeads, output, logSumExp);
        host.Run.AttentionBackward(dy, q, k, v, output, logSumExp, bounds, Heads, KeyValueHeads, dq, dk, dv);

        return new Passed(host.Read(output), host.Read(logSumExp), host.Read(dq), host.Read(dk), host.Read(dv));

        Tensor<float> Rows(uint stream, int heads, Func<float[], float[]>? change = null)
        {
            var values = HostKernels.Normal(stream, all * heads * H);
            return host.F((change?.Invoke(values) ?? values)[(first * heads * H)..(last * heads * H)], rows, heads * H);
        }
    }

    [Fact]
    public void AttentionBackward_AfterForward_MatchesReferenceChain()
    {
        int rows = _offsets[^1], queries = rows * Heads * H, keys = rows * KeyValueHeads * H;
        double[] q = Wide(HostKernels.Normal(1, queries)), k = Wide(HostKernels.Normal(2, keys)), v = Wide(HostKernels.Normal(3, keys));
        double[] output = new double[queries], logSumExp = new double[rows * Heads], dq = new double[queries], dk = new double[keys], dv = new double[keys];
        ReferenceAttention.Forward(q, k, v, _offsets, _offsets, Heads, KeyValueHeads, H, output, logSumExp);
        ReferenceAttention.Backward(
            Wide(HostKernels.Normal(4, queries)), q, k, v, output, logSumExp, _offsets, Heads, KeyValueHeads, H, dq, dk, dv);

        var got = Run(2, 0, rows, _offsets);

        // Float32 chains of up to 2 * 104 terms; measured below 1e-6.
        AssertClose(output, got.Output);
        AssertClose(logSumExp, got.LogSumExp);
        AssertClose(dq, got.DQ);
        AssertClose(dk, got.DK);
        AssertClose(dv, got.DV);

        static void AssertClose(double[] expected, float[] got) =>
            Assert.InRange(expected.Zip(got, (e, g) => Math.Abs(e - g) / (1 + Math.Abs(e))).Max(), 0, 5e-6);
    }

    [Fact]
    public void Attention_SequenceAloneOrPacked_SameBits()
    {
        var packed = Run(2, 0, _offsets[^1], _offsets);
        for (int s = 0; s + 1 < _offsets.Length; s++)
        {
            int first = _offsets[s], last = _offsets[s + 1];
            var alone = Run(1, first, last, [0, last - first]);

            Assert.Equal(alone.Output, packed.Output[(first * Heads * H)..(last * Heads * H)]);
            Assert.Equal(alone.LogSumExp, packed.LogSumExp[(first * Heads)..(last * Heads)]);
            Assert.Equal(alone.DQ, packed.DQ[(first * Heads * H)..(last * Heads * H)]);
            Assert.Equal(alone.DK, packed.DK[(first * KeyValueHeads * H)..(last * KeyValueHeads * H)]);
            Assert.Equal(alone.DV, packed.DV[(first * KeyValueHeads * H)..(last * KeyValueHeads * H)]);
        }
    }

    [Fact]
    public void Attention_QueriesOneByOneOverCachedKeys_SameBitsAsAtOnce()
    {
        using var host = new HostKernels();
        const int Length = 70;
        var (q, k, v) = (host.Random(1, Length, Heads * H), host.Random(2, Length, KeyValueHeads * H), host.Random(3, Length, KeyValueHeads * H));
        var (whole, wholeSums) = (host.Undefined(Length, Heads * H), host.Undefined(Length, Heads));
        var (stepped, steppedSums) = (host.Undefined(Length, Heads * H), host.Undefined(Length, Heads));

        host.Run.Attention(q, k, v, host.I(0, Length), host.I(0, Length), Heads, KeyValueHeads, whole, wholeSums);
        for (int i = 0; i < Length; i++)
        {
            host.Run.Attention(
                q.Slice(i, 1), k.Slice(0, i + 1), v.Slice(0, i + 1), host.I(0, 1), host.I(0, i + 1), Heads, KeyValueHeads, stepped.Slice(i, 1),
                steppedSums.Slice(i, 1));
        }

        Assert.Equal(host.Read(whole), host.Read(stepped));
        Assert.Equal(host.Read(wholeSums), host.Read(steppedSums));
    }

    [Fact]
    public void Attention_HugeScores_PicksOneKey()
    {
        var got = Run(2, 0, 50, [0, 50], queryScale: 1e5f);

        Assert.All(got.Output.Concat(got.DQ).Concat(got.DK).Concat(got.DV), x => Assert.True(float.IsFinite(x)));
        float[] values = HostKernels.Normal(3, _offsets[^1] * KeyValueHeads * H);
        for (int d = 0; d < Heads * H; d++)
        {
            int column = (d / H / (Heads / KeyValueHeads) * H) + (d % H), at = (49 * Heads * H) + d;
            Assert.Contains(Enumerable.Range(0, 50), j => Math.Abs(values[(j * KeyValueHeads * H) + column] - got.Output[at]) < 1e-5f);
        }
    }

    [Fact]
    public void Attention_EqualScores_AveragesVisibleValues()
    {
        using var host = new HostKernels();
        var (output, logSumExp) = (host.Undefined(60, 2), host.Undefined(60, 1));
        float[] values = [.. Enumerable.Range(0, 60).SelectMany(i => new float[] { i, 1 })];

        host.Run.Attention(host.F(new float[120], 60, 2), host.Random(1, 60, 2), host.F(values, 60, 2), host.I(0, 60), host.I(0, 60), 1, 1, output, logSumExp);

        for (int i = 0; i < 60; i++)
        {
            Assert.Equal(i / 2f, host.Read(output)[2 * i], 1e-5f);
            Assert.Equal(1f, host.Read(output)[(2 * i) + 1], 1e-6f);
            Assert.Equal(MathF.Log(i + 1), host.Read(logSumExp)[i], 1e-6f);
        }
    }

    [Fact]
    public void Attention_NotANumberInValue_ReachesItsSequenceOnly()
    {
        var clean = Run(2, 0, _offsets[^1], _offsets);
        var bad = Run(2, 0, _offsets[^1], _offsets, values =>
        {
            values[60 * KeyValueHeads * H] = float.NaN;
            return values;
        });

        int first = 51 * Heads * H, last = 99 * Heads * H;
        Assert.All(Enumerable.Range(60, 39), query => Assert.True(float.IsNaN(bad.Output[query * Heads * H])));
        Assert.Equal(clean.Output[..first], bad.Output[..first]);
        Assert.Equal(clean.Output[last..], bad.Output[last..]);
        Assert.Contains(bad.DQ[first..last], float.IsNaN);
        Assert.Equal(clean.DQ[last..], bad.DQ[last..]);
    }

    [Fact]
    public void Attention_NotANumberInQuery_ReachesItsOutputAndLogSum()
    {
        using var host = new HostKernels();
        var values = HostKernels.Normal(1, 20 * 8);
        values[7 * 8] = float.NaN;
        var (output, logSumExp) = (host.Undefined(20, 8), host.Undefined(20, 1));

        host.Run.Attention(host.F(values, 20, 8), host.Random(2, 20, 8), host.Random(3, 20, 8), host.I(0, 20), host.I(0, 20), 1, 1, output, logSumExp);

        Assert.Equal([7], Enumerable.Range(0, 20).Where(i => float.IsNaN(host.Read(logSumExp)[i])));
        Assert.Equal(Enumerable.Range(56, 8), Enumerable.Range(0, 160).Where(i => float.IsNaN(host.Read(output)[i])));
    }

    [Fact]
    public void Attention_BadOffsetsOrHeads_Refused()
    {
        using var host = new HostKernels();
        var (q, k) = (host.Random(1, 4, 8), host.Random(2, 4, 8));
        var (output, logSumExp) = (host.Undefined(4, 8), host.Undefined(4, 2));

        Assert.Throws<ArgumentException>(() => Forward([0, 5], [0, 4]));
        Assert.Throws<ArgumentException>(() => Forward([0, 3, 2], [0, 3, 4]));
        Assert.Throws<ArgumentException>(() => Forward([0, 4], [0, 2, 4]));
        Assert.Contains("3 queries and 2 keys", Assert.Throws<ArgumentException>(() => Forward([0, 3], [0, 2])).Message);
        Assert.Throws<ArgumentException>(() => host.Run.Attention(q, k, k, host.I(0, 4), host.I(0, 4), 3, 1, output, logSumExp));
        Assert.Throws<ArgumentException>(() => host.Run.AttentionBackward(q, q, k, k, q, logSumExp, host.I(0, 4), 2, 2, output, default, output));

        void Forward(int[] queries, int[] keys) => host.Run.Attention(q, k, k, host.I(queries), host.I(keys), 2, 2, output, logSumExp);
    }
}
