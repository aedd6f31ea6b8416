using System.Runtime.InteropServices;

namespace NativeEngine.Devices.Cpu;

internal sealed unsafe partial class CpuKernels<L>
{
    // Small matrices are cut finer, so that every thread gets a block; the bits do not depend on it.
    private const long SimilarityBlock = 32, SmallSimilarityBlock = 16, SmallSimilarity = 256;

    public void Similarity(Tensor<float> x, DistanceMetric metric, Tensor<float> similarity, Tensor<float> largest)
    {
        long n = x.Rows, h = x.RowLength;
        Require.That(
            similarity.Rows == n && similarity.RowLength == n && largest.Length == 1,
            $"similarity: x {x.Shape}, result {similarity.Shape} must be [{n} x {n}], largest must be one element, is {largest.Shape}");
        if (n == 0)
        {
            largest.Pointer[0] = 0;
            return;
        }
        switch (metric)
        {
            case DistanceMetric.L1: Measure<Manhattan>(x.Pointer, n, h, similarity.Pointer, largest.Pointer); break;
            case DistanceMetric.L2: Measure<Euclidean>(x.Pointer, n, h, similarity.Pointer, largest.Pointer); break;
            default: Measure<CosineAngle>(x.Pointer, n, h, similarity.Pointer, largest.Pointer); break;
        }
    }

    private void Measure<TMetric>(float* x, long n, long h, float* similarity, float* largest)
        where TMetric : struct, IRowMetric
    {
        long block = n <= SmallSimilarity ? SmallSimilarityBlock : SimilarityBlock;
        long blocks = (n + block - 1) / block, pairs = blocks * (blocks + 1) / 2;
        var own = (double*)NativeMemory.Alloc((nuint)((2 * n) + pairs), sizeof(double));
        double* most = own + (2 * n);
        try
        {
            _team.For(new OwnJob<TMetric>(_scratch, x, h, n, own), n, block);
            _team.For(new PairsJob<TMetric>(_scratch, x, n, h, block, own, similarity, most), pairs, 1);
            double maximum = 0;
            for (long p = 0; p < pairs; p++)
            {
                maximum = Math.Max(maximum, most[p]);
            }
            largest[0] = TMetric.IsDistance ? (float)maximum : 1f;
            if (TMetric.IsDistance)
            {
                _team.For(new SubtractFromJob((float)maximum, similarity), n * n, ElementGrain);
            }
        }
        finally
        {
            NativeMemory.Free(own);
        }
    }

    /// <summary>
    /// What a metric adds up over the columns of two rows, and how the sums become a distance (or a similarity). Sums run over 16 lanes within
    /// chunks of <see cref="PairSums{L}.Chunk"/> columns and in double over the chunks.
    /// </summary>
    private interface IRowMetric
    {
        static abstract bool IsDistance { get; }

        /// <summary>The sums of one row that <see cref="Finish"/> wants.</summary>
        static abstract (double First, double Second) Own(float* row, long steps);

        /// <summary>Sums of a tile of pairs, see <see cref="PairSums{L}"/>.</summary>
        static abstract void Add(float* a, long rows, float* b, long columns, long stride, long steps, double* sums, long ld);

        /// <summary>The value of a pair; careful says that it must be computed again by <see cref="Careful"/>.</summary>
        static abstract double Finish(double sum, double* ownA, double* ownB, out bool careful);

        /// <summary>The value of a pair by the slow and safe way.</summary>
        static abstract double Careful(float* a, float* b, long steps);
    }

    /// <summary>
    /// Sum of |a - b| as sum a + sum b - 2 sum min(a, b): two operations a term instead of three. Where the distance is below 1/16 of the rows'
    /// norms, so that the subtraction would lose more than four bits, the difference form is used.
    /// </summary>
    private readonly struct Manhattan : IRowMetric
    {
        private const double Cancellation = 1.0 / 16;

        public static bool IsDistance => true;

        public static (double First, double Second) Own(float* row, long steps) =>
            (PairSums<L>.One<PairSums<L>.Minimum>(row, row, steps), PairSums<L>.One<PairSums<L>.Magnitude>(row, row, steps));

        public static void Add(float* a, long rows, float* b, long columns, long stride, long steps, double* sums, long ld) =>
            PairSums<L>.Add<PairSums<L>.Minimum>(a, rows, b, columns, stride, steps, sums, ld);

        public static double Finish(double sum, double* ownA, double* ownB, out bool careful)
        {
            double distance = ownA[0] + ownB[0] - (2 * sum);
            careful = !(distance >= Cancellation * (ownA[1] + ownB[1]));
            return distance;
        }

        public static double Careful(float* a, float* b, long steps) => PairSums<L>.One<PairSums<L>.Difference>(a, b, steps);
    }

    /// <summary>Root of the sum of (a - b)^2, from the differences: nothing cancels.</summary>
    private readonly struct Euclidean : IRowMetric
    {
        public static bool IsDistance => true;

        public static (double First, double Second) Own(float* row, long steps) => default;

        public static void Add(float* a, long rows, float* b, long columns, long stride, long steps, double* sums, long ld) =>
            PairSums<L>.Add<PairSums<L>.SquaredDifference>(a, rows, b, columns, stride, steps, sums, ld);

        public static double Finish(double sum, double* ownA, double* ownB, out bool careful)
        {
            careful = false;
            return Math.Sqrt(sum);
        }

        public static double Careful(float* a, float* b, long steps) => throw new NotSupportedException();
    }

    /// <summary>Cosine, 0 for a zero row, on a grid of 2^-24 (about float32's own step below 1).</summary>
    private readonly struct CosineAngle : IRowMetric
    {
        private const double Grid = 1 << 24;

        public static bool IsDistance => false;

        public static (double First, double Second) Own(float* row, long steps) => (Math.Sqrt(PairSums<L>.One<PairSums<L>.Product>(row, row, steps)), 0);

        public static void Add(float* a, long rows, float* b, long columns, long stride, long steps, double* sums, long ld) =>
            PairSums<L>.Add<PairSums<L>.Product>(a, rows, b, columns, stride, steps, sums, ld);

        public static double Finish(double sum, double* ownA, double* ownB, out bool careful)
        {
            careful = false;
            double norms = ownA[0] * ownB[0];
            return norms == 0 ? 0 : Math.Round(Math.Clamp(sum / norms, -1, 1) * Grid) / Grid;
        }

        public static double Careful(float* a, float* b, long steps) => throw new NotSupportedException();
    }

    /// <summary>Rows in units of 16 columns: in place when their length is a multiple of 16, else copied with zeros behind.</summary>
    private static float* Padded(float* x, long first, long rows, long h, long stride, float* room)
    {
        if (stride == h)
        {
            return x + (first * h);
        }
        for (long r = 0; r < rows; r++)
        {
            new ReadOnlySpan<float>(x + ((first + r) * h), (int)h).CopyTo(new Span<float>(room + (r * stride), (int)h));
            new Span<float>(room + (r * stride) + h, (int)(stride - h)).Clear();
        }
        return room;
    }

    private static long Stride(long h) => (h + ILanes<L>.Count - 1) / ILanes<L>.Count * ILanes<L>.Count;

    private readonly struct OwnJob<TMetric>(Scratch scratch, float* x, long h, long n, double* own) : IRangeJob
        where TMetric : struct, IRowMetric
    {
        public void Run(long first, long last, int worker)
        {
            long stride = Stride(h);
            float* room = scratch.Get(worker, stride);
            for (long i = first; i < Math.Min(last, n); i++)
            {
                (own[2 * i], own[(2 * i) + 1]) = TMetric.Own(Padded(x, i, 1, h, stride, room), stride);
            }
        }
    }

    /// <summary>Blocks of the upper triangle, column by column of blocks; every value is written to both of its places.</summary>
    private readonly struct PairsJob<TMetric>(
        Scratch scratch, float* x, long n, long h, long block, double* own, float* result, double* most) : IRangeJob
        where TMetric : struct, IRowMetric
    {
        public void Run(long first, long last, int worker)
        {
            for (long p = first; p < last; p++)
            {
                long column = (long)((Math.Sqrt((8.0 * p) + 1) - 1) / 2);
                column -= column * (column + 1) / 2 > p ? 1 : 0;
                column += (column + 1) * (column + 2) / 2 <= p ? 1 : 0;
                most[p] = Block((p - (column * (column + 1) / 2)) * block, column * block, worker);
            }
        }

        private double Block(long i0, long j0, int worker)
        {
            long rows = Math.Min(block, n - i0), columns = Math.Min(block, n - j0), stride = Stride(h);
            float* room = scratch.Get(worker, 2 * block * stride);
            float* a = Padded(x, i0, rows, h, stride, room);
            float* b = Padded(x, j0, columns, h, stride, room + (block * stride));
            double* sums = stackalloc double[(int)(SimilarityBlock * SimilarityBlock)];
            new Span<double>(sums, (int)(block * block)).Clear();
            TMetric.Add(a, rows, b, columns, stride, stride, sums, block);
            double maximum = 0;
            for (long i = 0; i < rows; i++)
            {
                for (long j = i0 == j0 ? i : 0; j < columns; j++)
                {
                    double value = TMetric.Finish(sums[(i * block) + j], own + (2 * (i0 + i)), own + (2 * (j0 + j)), out bool careful);
                    if (careful)
                    {
                        value = i0 + i == j0 + j ? 0 : TMetric.Careful(a + (i * stride), b + (j * stride), stride);
                    }
                    result[((i0 + i) * n) + j0 + j] = (float)value;
                    result[((j0 + j) * n) + i0 + i] = (float)value;
                    maximum = Math.Max(maximum, value);
                }
            }
            return maximum;
        }
    }

    private readonly struct SubtractFromJob(float value, float* x) : IRangeJob
    {
        public void Run(long first, long last, int worker)
        {
            long i = first;
            L from = L.Create(value);
            for (; i + ILanes<L>.Count <= last; i += ILanes<L>.Count)
            {
                L.Store(from - L.Load(x + i), x + i);
            }
            for (; i < last; i++)
            {
                x[i] = value - x[i];
            }
        }
    }
}
