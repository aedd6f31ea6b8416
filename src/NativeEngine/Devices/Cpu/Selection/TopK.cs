using System.Runtime.CompilerServices;

namespace NativeEngine.Devices.Cpu;

// The columns a source is compared by.
internal sealed unsafe partial class CpuKernels<L>
{
    [MethodImpl(MethodImplOptions.AggressiveOptimization)] // compiled on this processor, also when published
    public void TopK(Tensor<float> importance, Tensor<int> columns)
    {
        long d = importance.Length, k = columns.Length;
        Require.That(k <= d && d <= int.MaxValue, $"top k: {k} of {d} columns");
        if (k == 0)
        {
            return;
        }
        // Non-negative floats sort as their bits do.
        uint* bits = (uint*)importance.Pointer;
        uint threshold = KthLargest(bits, d, k, out long above);
        ulong* keys = (ulong*)_scratch.Get(0, 2 * k);
        long found = 0, equal = k - above;
        for (long i = 0; i < d; i++)
        {
            if (bits[i] > threshold || (bits[i] == threshold && equal-- > 0))
            {
                keys[found++] = ((ulong)~bits[i] << 32) | (uint)i;
            }
        }
        new Span<ulong>(keys, (int)k).Sort();
        for (long i = 0; i < k; i++)
        {
            columns.Pointer[i] = (int)(uint)keys[i];
        }
    }

    public void Gather(Tensor<float> x, Tensor<int> rows, Tensor<int> columns, Tensor<float> y)
    {
        Require.That(y.Rows == rows.Length && y.RowLength == columns.Length, $"gather: {rows.Length} rows and {columns.Length} columns of {x.Shape} into {y.Shape}");
        var job = new GatherJob(x.Pointer, x.RowLength, rows.Pointer, columns.Pointer, columns.Length, y.Pointer);
        _team.For(job, rows.Length, Math.Max(1, ElementGrain / Math.Max(1, columns.Length)));
    }

    /// <summary>
    /// The k-th largest of n words by radix selection, 11 + 11 + 10 bits: three passes, no copy. Above is the number of words greater than it.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)] // compiled on this processor, also when published
    private static uint KthLargest(uint* words, long n, long k, out long above)
    {
        ReadOnlySpan<int> shifts = [21, 10, 0], widths = [11, 11, 10];
        int* histogram = stackalloc int[1 << 11];
        uint prefix = 0, mask = 0;
        above = 0;
        for (int level = 0; level < shifts.Length; level++)
        {
            int shift = shifts[level];
            uint digit = (1u << widths[level]) - 1;
            new Span<int>(histogram, 1 << 11).Clear();
            for (long i = 0; i < n; i++)
            {
                if ((words[i] & mask) == prefix)
                {
                    histogram[(words[i] >> shift) & digit]++;
                }
            }
            uint bucket = digit;
            while (above + histogram[bucket] < k)
            {
                above += histogram[bucket--];
            }
            prefix |= bucket << shift;
            mask |= digit << shift;
        }
        return prefix;
    }

    private readonly struct GatherJob(float* x, long d, int* rows, int* columns, long h, float* y) : IRangeJob
    {
        public void Run(long first, long last, int worker)
        {
            for (long i = first; i < last; i++)
            {
                float* source = x + (rows[i] * d), target = y + (i * h);
                for (long j = 0; j < h; j++)
                {
                    target[j] = source[columns[j]];
                }
            }
        }
    }
}
