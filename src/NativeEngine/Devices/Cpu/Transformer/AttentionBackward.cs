namespace NativeEngine.Devices.Cpu;

internal sealed unsafe partial class CpuKernels<L>
{
    public void AttentionBackward(
        Tensor<float> dOutput, Tensor<float> q, Tensor<float> k, Tensor<float> v, Tensor<float> output, Tensor<float> logSumExp,
        Tensor<int> offsets, int heads, int keyValueHeads, Tensor<float> dq, Tensor<float> dk, Tensor<float> dv)
    {
        var shape = AttentionShape.Of("attention backward", q, k, v, offsets, offsets, heads, keyValueHeads);
        Require.That(dOutput.Rows == q.Rows && dOutput.RowLength == q.RowLength && output.Rows == q.Rows && output.RowLength == q.RowLength
            && logSumExp.Rows == q.Rows && logSumExp.Length == q.Rows * heads,
            $"attention backward: dOutput {dOutput.Shape} and output {output.Shape} must be like q {q.Shape}, log-sum-exp {logSumExp.Shape} [{q.Rows} x {heads}]");
        Require.That(dv.Rows == v.Rows && dv.RowLength == v.RowLength, $"attention backward: dv {dv.Shape} must be like v {v.Shape}");
        Require.That(dq.IsNone == dk.IsNone, $"attention backward: dq is {dq}, dk is {dk}; give both or none");
        Require.That(dq.IsNone || (dq.Rows == q.Rows && dq.RowLength == q.RowLength && dk.Rows == k.Rows && dk.RowLength == k.RowLength),
            $"attention backward: dq {dq.Shape} must be like q {q.Shape}, dk {dk.Shape} like k {k.Shape}");
        var job = new AttentionBackwardJob(_scratch, shape)
        {
            DOutput = dOutput.Pointer,
            Q = q.Pointer,
            K = k.Pointer,
            V = v.Pointer,
            Output = output.Pointer,
            LogSumExp = logSumExp.Pointer,
            DQ = dq.Pointer,
            DK = dk.Pointer,
            DV = dv.Pointer,
        };
        _team.For(job, shape.Sequences * keyValueHeads, 1);
    }

    /// <summary>
    /// A key-value head of a sequence: its query heads and their tiles of queries in ascending order, so that dK and dV are added up in a
    /// fixed one. Scores and their gradients lie transposed, [keys x QueryTile], as in the forward pass.
    /// </summary>
    private struct AttentionBackwardJob(Scratch scratch, AttentionShape shape) : IRangeJob
    {
        public float* DOutput, Q, K, V, Output, LogSumExp, DQ, DK, DV;

        public readonly void Run(long first, long last, int worker)
        {
            long h = shape.HeadSize, longest = shape.LongestKeys, keyValueHeads = shape.Heads / shape.Group;
            long product = Math.Max(
                Gemm<L>.ScratchFloats(Math.Max(h, QueryTile), Math.Max(h, QueryTile)), Gemm<L>.ScratchFloats(h, longest));
            float* buffer = scratch.Get(worker, (2 * QueryTile * longest) + (2 * QueryTile) + product);
            for (long item = first; item < last; item++)
            {
                long sequence = item / keyValueHeads, keyValueHead = item % keyValueHeads;
                long begin = shape.QueryOffsets[sequence], end = shape.QueryOffsets[sequence + 1];
                Clear(DV, begin, end, keyValueHead);
                if (DK != null)
                {
                    Clear(DK, begin, end, keyValueHead);
                }
                for (long head = keyValueHead * shape.Group; head < (keyValueHead + 1) * shape.Group; head++)
                {
                    for (long query = 0; query < end - begin; query += QueryTile)
                    {
                        RunTile(begin, query, Math.Min(QueryTile, end - begin - query), head, buffer);
                    }
                }
            }
        }

        private readonly void RunTile(long begin, long firstQuery, long queries, long head, float* scores)
        {
            long h = shape.HeadSize, row = shape.QueryRow, keyRow = shape.KeyRow, keys = firstQuery + queries;
            long queryAt = ((begin + firstQuery) * row) + (head * h), keyAt = (begin * keyRow) + (head / shape.Group * h);
            float* gradients = scores + (QueryTile * shape.LongestKeys);
            float* logSums = gradients + (QueryTile * shape.LongestKeys);
            float* inner = logSums + QueryTile;
            float* buffer = inner + QueryTile;
            for (long i = 0; i < QueryTile; i++)
            {
                logSums[i] = i < queries ? LogSumExp[((begin + firstQuery + i) * shape.Heads) + head] : 0f;
                inner[i] = i < queries ? LaneMath<L>.Dot(DOutput + queryAt + (i * row), Output + queryAt + (i * row), h) : 0f;
            }

            Gemm<L>.Multiply(keys, queries, h, K + keyAt, keyRow, 1, Q + queryAt, 1, row, scores, QueryTile, false, buffer);
            Probabilities(scores, keys, firstQuery + 1, queries, shape.Scale, logSums);
            Gemm<L>.Multiply(keys, h, queries, scores, QueryTile, 1, DOutput + queryAt, row, 1, DV + keyAt, keyRow, true, buffer);
            if (DQ == null)
            {
                return;
            }
            Gemm<L>.Multiply(keys, queries, h, V + keyAt, keyRow, 1, DOutput + queryAt, 1, row, gradients, QueryTile, false, buffer);
            ScoreGradients(scores, gradients, keys, queries, shape.Scale, inner);
            Gemm<L>.Multiply(keys, h, queries, gradients, QueryTile, 1, Q + queryAt, row, 1, DK + keyAt, keyRow, true, buffer);
            Gemm<L>.Multiply(queries, h, keys, gradients, 1, QueryTile, K + keyAt, keyRow, 1, DQ + queryAt, row, false, buffer);
        }

        private readonly void Clear(float* x, long begin, long end, long keyValueHead)
        {
            for (long r = begin; r < end; r++)
            {
                new Span<float>(x + (r * shape.KeyRow) + (keyValueHead * shape.HeadSize), (int)shape.HeadSize).Clear();
            }
        }

        /// <summary>P = e^(scale score - logsumexp); 0 for keys a query does not see.</summary>
        private static void Probabilities(float* scores, long keys, long visible, long queries, float scale, float* logSums)
        {
            L factor = L.Create(scale), lane = LaneIndex();
            for (long group = 0; group < queries; group += ILanes<L>.Count)
            {
                float* column = scores + group;
                long full = Math.Min(keys, visible + group), diagonal = Math.Min(keys, full + ILanes<L>.Count - 1);
                L down = L.Zero - L.Load(logSums + group);
                for (long j = 0; j < full; j++)
                {
                    L.Store(LaneMath<L>.Exp(L.Fma(L.Load(column + (j * QueryTile)), factor, down)), column + (j * QueryTile));
                }
                for (long j = full; j < diagonal; j++)
                {
                    L p = LaneMath<L>.Exp(L.Fma(L.Load(column + (j * QueryTile)), factor, down));
                    L.Store(L.SelectGreater(lane, L.Create(j - full), p, L.Zero), column + (j * QueryTile));
                }
                for (long j = diagonal; j < keys; j++)
                {
                    L.Store(L.Zero, column + (j * QueryTile));
                }
            }
        }

        /// <summary>dS = scale P (dP - rowsum(dO O)), over dP.</summary>
        private static void ScoreGradients(float* probabilities, float* gradients, long keys, long queries, float scale, float* inner)
        {
            L factor = L.Create(scale);
            for (long group = 0; group < queries; group += ILanes<L>.Count)
            {
                L sum = L.Load(inner + group);
                for (long at = group; at < keys * QueryTile; at += QueryTile)
                {
                    L.Store(L.Load(probabilities + at) * factor * (L.Load(gradients + at) - sum), gradients + at);
                }
            }
        }
    }
}
