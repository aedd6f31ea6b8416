using System.Runtime.Intrinsics;
using NativeEngine.Devices.Cpu;

namespace NativeEngine.Merging;

/// <summary>Sums over one range of a tensor: adds what elements [start, start + count) contribute to sums, which begin at zero.</summary>
internal delegate void RangeSums(long start, int count, Span<double> sums, MergeScratch scratch);

/// <summary>Reads a range of one of several vectors; scratch has the length of target.</summary>
internal delegate void ReadVector(int vector, long start, Span<double> target, Span<double> scratch);

/// <summary>
/// Passes over whole tensors that methods need before they can merge: sums and order statistics, on all threads, with the same bits for
/// any number of them: blocks of 16,384 elements, block sums added in ascending order.
/// </summary>
internal sealed class TensorScan(ThreadTeam team, CancellationToken cancellation = default)
{
    /// <summary>Elements whose sums are added first.</summary>
    public const int Block = 1 << 14;

    private readonly MergeScratch[] _scratch = [.. Enumerable.Range(0, team.Size).Select(_ => new MergeScratch())];

    /// <summary>Threads in use.</summary>
    public int Threads => team.Size;

    /// <summary>Bytes of scratch held by all threads.</summary>
    public long ScratchBytes => _scratch.Sum(s => s.Bytes);

    /// <summary>Runs a body over ranges of at most <paramref name="grain"/> elements in parallel.</summary>
    public void ForEachRange(long count, long grain, Action<long, int, MergeScratch> body)
    {
        cancellation.ThrowIfCancellationRequested();
        team.For(new RangeJob(body, count, grain, _scratch), (count + grain - 1) / grain, 1);
    }

    /// <summary>Sums of all elements, <paramref name="outputs"/> of them in one pass. Memory: about 8 MB, or 8 bytes an output and thread.</summary>
    public double[] Sums(long count, int outputs, RangeSums body)
    {
        long blocks = (count + Block - 1) / Block, wave = Math.Min(blocks, Math.Max(team.Size, (1 << 20) / outputs));
        var parts = new double[wave * outputs];
        var total = new double[outputs];
        for (long first = 0; first < blocks; first += wave)
        {
            long from = first * Block, length = Math.Min(wave * Block, count - from);
            Array.Clear(parts);
            ForEachRange(length, Block, (start, n, scratch) => body(from + start, n, parts.AsSpan((int)(start / Block * outputs), outputs), scratch));
            for (int i = 0; i < parts.Length; i++)
            {
                total[i % outputs] += parts[i];
            }
        }
        return total;
    }

    /// <summary>How many elements have each key from 0 to 65,535; elements with a negative key do not count.</summary>
    public long[] Histogram(long count, Action<long, Memory<int>, MergeScratch> keys)
    {
        foreach (var scratch in _scratch)
        {
            Array.Clear(scratch.Counts);
        }
        ForEachRange(count, Block, (start, length, scratch) =>
        {
            var piece = scratch.Keys.AsMemory(0, length);
            keys(start, piece, scratch);
            foreach (int key in piece.Span)
            {
                if (key >= 0)
                {
                    scratch.Counts[key]++;
                }
            }
        });
        var total = new long[1 << 16];
        foreach (var scratch in _scratch)
        {
            for (int i = 0; i < total.Length; i++)
            {
                total[i] += scratch.Counts[i];
            }
        }
        return total;
    }

    /// <summary>sum of a[i] b[i]: sixteen running sums (element i goes to sum i mod 16), folded 8, 4, 2, 1.</summary>
    public static double Dot(ReadOnlySpan<double> a, ReadOnlySpan<double> b)
    {
        Vector256<double> s0 = default, s1 = default, s2 = default, s3 = default;
        int i = 0;
        for (; i + 16 <= a.Length; i += 16)
        {
            s0 += Vector256.Create(a[i..]) * Vector256.Create(b[i..]);
            s1 += Vector256.Create(a[(i + 4)..]) * Vector256.Create(b[(i + 4)..]);
            s2 += Vector256.Create(a[(i + 8)..]) * Vector256.Create(b[(i + 8)..]);
            s3 += Vector256.Create(a[(i + 12)..]) * Vector256.Create(b[(i + 12)..]);
        }
        Vector256<double> four = (s0 + s2) + (s1 + s3);
        double rest = 0;
        for (; i < a.Length; i++)
        {
            rest += a[i] * b[i];
        }
        return (four[0] + four[2]) + (four[1] + four[3]) + rest;
    }

    /// <summary>The inner products of all pairs of K vectors of <paramref name="count"/> elements, as [K,K]; one pass.</summary>
    public double[,] Gram(int vectors, long count, ReadVector read)
    {
        var sums = Sums(count, vectors * (vectors + 1) / 2, (start, length, parts, scratch) =>
        {
            Span<double> values = scratch.Doubles(0, vectors * length), spare = scratch.Doubles(1, length);
            for (int i = 0; i < vectors; i++)
            {
                read(i, start, values.Slice(i * length, length), spare);
            }
            Pairs(vectors, values, length, parts);
        });
        return Matrix(vectors, sums);
    }

    /// <summary>The inner products of K vectors of equal length, one after the other in <paramref name="values"/>.</summary>
    public static double[,] Gram(int vectors, ReadOnlySpan<double> values, int length)
    {
        var sums = new double[vectors * (vectors + 1) / 2];
        Pairs(vectors, values, length, sums);
        return Matrix(vectors, sums);
    }

    private static void Pairs(int vectors, ReadOnlySpan<double> values, int length, Span<double> sums)
    {
        int at = 0;
        for (int i = 0; i < vectors; i++)
        {
            for (int j = 0; j <= i; j++)
            {
                sums[at++] += Dot(values.Slice(i * length, length), values.Slice(j * length, length));
            }
        }
    }

    private static double[,] Matrix(int vectors, double[] sums)
    {
        var gram = new double[vectors, vectors];
        int at = 0;
        for (int i = 0; i < vectors; i++)
        {
            for (int j = 0; j <= i; j++)
            {
                gram[i, j] = gram[j, i] = sums[at++];
            }
        }
        return gram;
    }

    private readonly struct RangeJob(Action<long, int, MergeScratch> body, long count, long grain, MergeScratch[] scratch) : IRangeJob
    {
        public void Run(long first, long last, int worker)
        {
            for (long b = first; b < last; b++)
            {
                body(b * grain, (int)Math.Min(grain, count - (b * grain)), scratch[worker]);
            }
        }
    }
}
