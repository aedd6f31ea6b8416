namespace NativeEngine.Devices.Cpu;

internal sealed unsafe partial class CpuKernels<L>
{
    /// <summary>
    /// Queries worked on at a time, side by side in lanes: whole register tiles both as columns (of K Q^T) and as rows (of P V). An element's
    /// order of additions does not depend on it.
    /// </summary>
    private const long QueryTile = 48;

    public void Attention(
        Tensor<float> q, Tensor<float> k, Tensor<float> v, Tensor<int> queryOffsets, Tensor<int> keyOffsets, int heads, int keyValueHeads,
        Tensor<float> output, Tensor<float> logSumExp)
    {
        var shape = AttentionShape.Of("attention", q, k, v, queryOffsets, keyOffsets, heads, keyValueHeads);
        Require.That(output.Rows == q.Rows && output.RowLength == q.RowLength && logSumExp.Rows == q.Rows && logSumExp.Length == q.Rows * heads,
            $"attention: output {output.Shape} must be like q {q.Shape}, log-sum-exp {logSumExp.Shape} must be [{q.Rows} x {heads}]");
        var job = new AttentionJob(_scratch, shape, q.Pointer, k.Pointer, v.Pointer, output.Pointer, logSumExp.Pointer);
        _team.For(job, shape.Tiles * heads, 1);
    }

    /// <summary>The extents of one call, checked.</summary>
    private readonly struct AttentionShape
    {
        public readonly int* QueryOffsets, KeyOffsets;
        public readonly long Sequences, HeadSize, QueryRow, KeyRow;

        /// <summary>Tiles of queries over all sequences (of one head), and the longest sequence's keys.</summary>
        public readonly long Tiles, LongestKeys;

        public readonly int Heads, Group;

        private AttentionShape(long headSize, int heads, int keyValueHeads, Tensor<int> queryOffsets, Tensor<int> keyOffsets)
        {
            (HeadSize, Heads, Group) = (headSize, heads, heads / keyValueHeads);
            (QueryRow, KeyRow) = (heads * headSize, keyValueHeads * headSize);
            QueryOffsets = queryOffsets.Pointer;
            KeyOffsets = keyOffsets.Pointer;
            Sequences = queryOffsets.Length - 1;
            for (long s = 0; s < Sequences; s++)
            {
                Tiles += TilesOf(s);
                LongestKeys = Math.Max(LongestKeys, KeyOffsets[s + 1] - KeyOffsets[s]);
            }
        }

        public float Scale => 1f / MathF.Sqrt(HeadSize);

        public static AttentionShape Of(
            string operation, Tensor<float> q, Tensor<float> k, Tensor<float> v, Tensor<int> queryOffsets, Tensor<int> keyOffsets, int heads,
            int keyValueHeads)
        {
            Require.That(heads > 0 && keyValueHeads > 0 && heads % keyValueHeads == 0 && q.RowLength % heads == 0,
                $"{operation}: q {q.Shape} with {heads} heads over {keyValueHeads} key-value heads; heads must divide the row and be a multiple of the key-value heads");
            long headSize = q.RowLength / heads;
            Require.That(k.RowLength == keyValueHeads * headSize && v.RowLength == k.RowLength && k.Rows == v.Rows,
                $"{operation}: k {k.Shape}, v {v.Shape}; both must have rows of {keyValueHeads} heads of {headSize}");
            Require.That(queryOffsets.Length >= 1 && queryOffsets.Length == keyOffsets.Length,
                $"{operation}: {queryOffsets.Length} query offsets, {keyOffsets.Length} key offsets; both must be one more than the sequences");
            RequireOffsets(operation, queryOffsets, q.Rows);
            RequireOffsets(operation, keyOffsets, k.Rows);
            for (long s = 0; s + 1 < queryOffsets.Length; s++)
            {
                int queries = queryOffsets.Pointer[s + 1] - queryOffsets.Pointer[s], keys = keyOffsets.Pointer[s + 1] - keyOffsets.Pointer[s];
                Require.That(queries <= keys, $"{operation}: sequence {s} has {queries} queries and {keys} keys; a query must see a key");
            }
            return new AttentionShape(headSize, heads, keyValueHeads, queryOffsets, keyOffsets);
        }

        public long TilesOf(long sequence) => (QueryOffsets[sequence + 1] - QueryOffsets[sequence] + QueryTile - 1) / QueryTile;

        private static void RequireOffsets(string operation, Tensor<int> offsets, long rows)
        {
            int* offset = offsets.Pointer;
            for (long s = 0; s < offsets.Length; s++)
            {
                Require.That(offset[s] >= (s == 0 ? 0 : offset[s - 1]) && offset[s] <= rows,
                    $"{operation}: offset {offset[s]} at {s} does not ascend within 0..{rows}");
            }
        }
    }

    /// <summary>
    /// Tiles of the queries of one head. The scores lie transposed, [keys x QueryTile]: keys stay in place as the rows of a product, every
    /// query has a lane of its own, and the sums over keys need no folding. Scratch: QueryTile floats per key of the longest sequence.
    /// </summary>
    private readonly struct AttentionJob(Scratch scratch, AttentionShape shape, float* q, float* k, float* v, float* output, float* logSumExp) : IRangeJob
    {
        public void Run(long first, long last, int worker)
        {
            long product = Math.Max(Gemm<L>.ScratchFloats(QueryTile, shape.HeadSize), Gemm<L>.ScratchFloats(shape.HeadSize, shape.LongestKeys));
            float* buffer = scratch.Get(worker, (QueryTile * shape.LongestKeys) + (2 * QueryTile) + product);
            long sequence = 0, tile = first;
            for (long i = first; i < last; i++, tile++)
            {
                for (; tile >= shape.TilesOf(sequence) * shape.Heads; sequence++)
                {
                    tile -= shape.TilesOf(sequence) * shape.Heads;
                }
                RunTile(sequence, tile / shape.TilesOf(sequence), tile % shape.TilesOf(sequence), buffer);
            }
        }

        private void RunTile(long sequence, long head, long tile, float* scores)
        {
            long h = shape.HeadSize, row = shape.QueryRow, keyRow = shape.KeyRow;
            long begin = shape.QueryOffsets[sequence], length = shape.QueryOffsets[sequence + 1] - begin;
            long firstKey = shape.KeyOffsets[sequence], earlier = shape.KeyOffsets[sequence + 1] - firstKey - length;
            long firstQuery = tile * QueryTile, queries = Math.Min(QueryTile, length - firstQuery);
            long visible = earlier + firstQuery + 1, keys = visible + queries - 1;
            long queryAt = ((begin + firstQuery) * row) + (head * h), keyAt = (firstKey * keyRow) + (head / shape.Group * h);
            float* shifts = scores + (QueryTile * shape.LongestKeys);
            float* sums = shifts + QueryTile;
            float* buffer = sums + QueryTile;

            Gemm<L>.Multiply(keys, queries, h, k + keyAt, keyRow, 1, q + queryAt, 1, row, scores, QueryTile, false, buffer);
            Softmax(scores, keys, visible, queries, shape.Scale, shifts, sums);
            Gemm<L>.Multiply(queries, h, keys, scores, 1, QueryTile, v + keyAt, keyRow, 1, output + queryAt, row, false, buffer);
            for (long i = 0; i < queries; i++)
            {
                Divide(output + queryAt + (i * row), h, sums[i]);
                logSumExp[((begin + firstQuery + i) * shape.Heads) + head] = shifts[i] + LaneMath<L>.Log(sums[i]);
            }
        }

        /// <summary>
        /// Turns the scores of query i into e^(scale score - shift[i]) with shift[i] the largest, and adds them up. Query i sees the keys before
        /// visible + i; the others become 0.
        /// </summary>
        private static void Softmax(float* scores, long keys, long visible, long queries, float scale, float* shifts, float* sums)
        {
            L factor = L.Create(scale), lane = LaneIndex(), lowest = L.Create(float.MinValue);
            for (long group = 0; group < queries; group += ILanes<L>.Count)
            {
                float* column = scores + group;
                long full = Math.Min(keys, visible + group), diagonal = Math.Min(keys, full + ILanes<L>.Count - 1);
                L most = lowest;
                for (long j = 0; j < full; j++)
                {
                    most = L.Max(L.Load(column + (j * QueryTile)), most);
                }
                for (long j = full; j < diagonal; j++)
                {
                    most = L.Max(L.SelectGreater(lane, L.Create(j - full), L.Load(column + (j * QueryTile)), lowest), most);
                }
                L shift = most * factor, sum = L.Zero, down = L.Zero - shift;
                for (long j = 0; j < full; j++)
                {
                    L e = LaneMath<L>.Exp(L.Fma(L.Load(column + (j * QueryTile)), factor, down));
                    sum += e;
                    L.Store(e, column + (j * QueryTile));
                }
                for (long j = full; j < diagonal; j++)
                {
                    L e = LaneMath<L>.Exp(L.Fma(L.Load(column + (j * QueryTile)), factor, down));
                    e = L.SelectGreater(lane, L.Create(j - full), e, L.Zero);
                    sum += e;
                    L.Store(e, column + (j * QueryTile));
                }
                for (long j = diagonal; j < keys; j++)
                {
                    L.Store(L.Zero, column + (j * QueryTile));
                }
                L.Store(shift, shifts + group);
                L.Store(sum, sums + group);
            }
        }

        private static void Divide(float* x, long count, float divisor)
        {
            L d = L.Create(divisor);
            long j = 0;
            for (; j + 16 <= count; j += 16)
            {
                L.Store(L.Load(x + j) / d, x + j);
            }
            for (; j < count; j++)
            {
                x[j] /= divisor;
            }
        }
    }

    /// <summary>0, 1, ..., 15.</summary>
    private static L LaneIndex()
    {
        float* lanes = stackalloc float[ILanes<L>.Count];
        for (int l = 0; l < ILanes<L>.Count; l++)
        {
            lanes[l] = l;
        }
        return L.Load(lanes);
    }
}
