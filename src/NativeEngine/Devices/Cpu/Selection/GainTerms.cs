using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace NativeEngine.Devices.Cpu;

/// <summary>
/// gain[j] = sum over i of max(S[j,i] - best[i], 0) in double, with the same bits however it is computed. S is symmetric, so its rows serve as columns. best only grows,
/// so what a row no longer gains at i it never gains again: once at most <see cref="Most"/> terms are left they are listed, and the row of S is not read any more.
/// </summary>
/// <param name="similarity">S [n,n].</param>
/// <param name="n">Rows.</param>
/// <param name="best">Of every row the similarity to its nearest pick, at least 0.</param>
/// <param name="memory">n times <see cref="RowBytes"/>.</param>
internal readonly unsafe struct GainTerms(float* similarity, long n, float* best, float* memory)
{
    /// <summary>Terms a list holds.</summary>
    private const int Most = 64;

    private const int NotListed = -1;

    /// <summary>Terms are added into so many sums by the place in the row.</summary>
    private const int Sums = 16;

    /// <summary>Bytes for each row: the number of its terms, their places, their similarities.</summary>
    public const long RowBytes = sizeof(int) + (Most * (sizeof(int) + sizeof(float)));

    private readonly int* _counts = (int*)memory, _places = (int*)memory + n;
    private readonly float* _values = memory + n + (n * Most);

    /// <summary>Forgets all lists.</summary>
    public void Clear() => new Span<int>(_counts, (int)n).Fill(NotListed);

    /// <summary>The gain of row j, from its list where it has one; meanwhile the row that is asked for next is fetched. Different rows may be asked for by different threads.</summary>
    public double Gain(long j, long next)
    {
        if (_counts[j] != NotListed)
        {
            return Listed(j);
        }
        return Scan(j, _counts[next] == NotListed ? next : j);
    }

    /// <summary>The gain of row j where nearly every term counts.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public double Whole(long j)
    {
        float* row = similarity + (j * n);
        Vector256<double> a = default, b = default, c = default, d = default;
        long i = 0;
        for (; i + Sums <= n; i += Sums)
        {
            Add(row + i, best + i, ref a, ref b, ref c, ref d);
        }
        return Total(a, b, c, d, row, i);
    }

    /// <summary>The gain of row j from S, and its list if few terms are left.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private double Scan(long j, long next)
    {
        float* row = similarity + (j * n), ahead = similarity + (next * n);
        int* places = _places + (j * Most);
        Vector256<double> a = default, b = default, c = default, d = default;
        long i = 0;
        int count = 0;
        for (; i + Sums <= n; i += Sums)
        {
            if (Sse.IsSupported)
            {
                Sse.Prefetch0(ahead + i);
            }
            // Terms that are not positive would add 0.
            uint gained = Vector256.GreaterThan(Vector256.Load(row + i), Vector256.Load(best + i)).ExtractMostSignificantBits()
                | (Vector256.GreaterThan(Vector256.Load(row + i + 8), Vector256.Load(best + i + 8)).ExtractMostSignificantBits() << 8);
            if (gained == 0)
            {
                continue;
            }
            Add(row + i, best + i, ref a, ref b, ref c, ref d);
            for (; gained != 0 && count <= Most; gained &= gained - 1, count++)
            {
                if (count < Most)
                {
                    places[count] = (int)i + BitOperations.TrailingZeroCount(gained);
                }
            }
        }
        double total = Total(a, b, c, d, row, i);
        for (; i < n; i++)
        {
            if (row[i] > best[i] && count++ < Most)
            {
                places[count - 1] = (int)i;
            }
        }
        if (count <= Most)
        {
            float* values = _values + (j * Most);
            for (int t = 0; t < count; t++)
            {
                values[t] = row[places[t]];
            }
            _counts[j] = count;
        }
        return total;
    }

    /// <summary>The gain of row j from its list, which loses what is not gained any more.</summary>
    private double Listed(long j)
    {
        int* places = _places + (j * Most);
        float* values = _values + (j * Most);
        double* sums = stackalloc double[Sums];
        new Span<double>(sums, Sums).Clear();
        long whole = n / Sums * Sums;
        int count = _counts[j], kept = 0, inside = 0;
        for (int t = 0; t < count; t++)
        {
            int i = places[t];
            float value = values[t];
            if (value > best[i])
            {
                (places[kept], values[kept]) = (i, value);
                kept++;
                if (i < whole)
                {
                    sums[i % Sums] += (double)value - best[i];
                    inside++;
                }
            }
        }
        _counts[j] = kept;
        double total = Fold(Vector256.Load(sums), Vector256.Load(sums + 4), Vector256.Load(sums + 8), Vector256.Load(sums + 12));
        for (int t = inside; t < kept; t++)
        {
            total += (double)values[t] - best[places[t]];
        }
        return total;
    }

    /// <summary>Rows for which the new pick j is nearer than every earlier one, from its list: false if it has none. All rows must have a pick that is not dissimilar, so that nearest and best are one.</summary>
    public bool Represent(long j, int pick, float* nearest, int* owners)
    {
        int* places = _places + (j * Most);
        float* values = _values + (j * Most);
        for (int t = 0; t < _counts[j]; t++)
        {
            int i = places[t];
            if (values[t] > best[i])
            {
                best[i] = nearest[i] = values[t];
                owners[i] = pick;
            }
        }
        return _counts[j] != NotListed;
    }

    private double Total(Vector256<double> a, Vector256<double> b, Vector256<double> c, Vector256<double> d, float* row, long first)
    {
        double total = Fold(a, b, c, d);
        for (long i = first; i < n; i++)
        {
            total += Math.Max((double)row[i] - best[i], 0);
        }
        return total;
    }

    private static double Fold(Vector256<double> a, Vector256<double> b, Vector256<double> c, Vector256<double> d) => Vector256.Sum(a + b + (c + d));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Add(float* row, float* best, ref Vector256<double> a, ref Vector256<double> b, ref Vector256<double> c, ref Vector256<double> d)
    {
        var (s0, s1) = Vector256.Widen(Vector256.Load(row));
        var (s2, s3) = Vector256.Widen(Vector256.Load(row + 8));
        var (t0, t1) = Vector256.Widen(Vector256.Load(best));
        var (t2, t3) = Vector256.Widen(Vector256.Load(best + 8));
        a += Vector256.MaxNative(s0 - t0, default);
        b += Vector256.MaxNative(s1 - t1, default);
        c += Vector256.MaxNative(s2 - t2, default);
        d += Vector256.MaxNative(s3 - t3, default);
    }
}
