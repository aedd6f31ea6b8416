namespace NativeEngine.Merging;

/// <summary>Reads elements [start, start + values.Length) of whatever is ranked.</summary>
internal delegate void ReadRange(long start, Span<double> values, MergeScratch scratch);

/// <summary>
/// Splits elements by magnitude: the first <c>rank</c> of the descending order of |x|, ties to the lowest index, lie before the cut. Exact,
/// without sorting and without holding the tensor: four counting passes of 16 bits each find the magnitude at the cut, a fifth the last
/// index where equal magnitudes straddle it. NaN ranks above infinity.
/// </summary>
internal sealed class RankCut
{
    private readonly ulong _key;
    private readonly long _lastEqual;

    private RankCut(ulong key, long lastEqual) => (_key, _lastEqual) = (key, lastEqual);

    /// <summary>Finds the cut at a rank from 0 (nothing before) to count (everything before).</summary>
    public static RankCut Find(TensorScan scan, long count, long rank, ReadRange read)
    {
        if (rank <= 0)
        {
            return new RankCut(ulong.MaxValue, -1);
        }
        if (rank >= count)
        {
            return new RankCut(0, long.MaxValue);
        }
        ulong prefix = 0;
        long equal = 0, wanted = rank;
        for (int shift = 48; shift >= 0; shift -= 16)
        {
            var counts = scan.Histogram(count, (start, keys, scratch) => Digits(start, keys, scratch, read, prefix, shift));
            int digit = counts.Length - 1;
            for (; counts[digit] < wanted; digit--)
            {
                wanted -= counts[digit];
            }
            prefix |= (ulong)digit << shift;
            equal = counts[digit];
        }
        return new RankCut(prefix, wanted == equal ? long.MaxValue : IndexOfEqual(scan, count, prefix, wanted, read));
    }

    /// <summary>Whether an element lies before the cut.</summary>
    public bool IsBefore(double value, long index)
    {
        ulong key = Key(value);
        return key > _key || (key == _key && index <= _lastEqual);
    }

    private static ulong Key(double value) => BitConverter.DoubleToUInt64Bits(value) & (ulong.MaxValue >> 1);

    private static void Digits(long start, Memory<int> keys, MergeScratch scratch, ReadRange read, ulong prefix, int shift)
    {
        var digits = keys.Span;
        var values = scratch.Doubles(0, digits.Length);
        read(start, values, scratch);
        for (int i = 0; i < digits.Length; i++)
        {
            ulong key = Key(values[i]);
            digits[i] = shift == 48 || key >> (shift + 16) == prefix >> (shift + 16) ? (int)(key >> shift) & 0xFFFF : -1;
        }
    }

    private static long IndexOfEqual(TensorScan scan, long count, ulong key, long wanted, ReadRange read)
    {
        var found = new long[(count + TensorScan.Block - 1) / TensorScan.Block];
        scan.ForEachRange(count, TensorScan.Block, (start, length, scratch) =>
        {
            var values = scratch.Doubles(0, length);
            read(start, values, scratch);
            foreach (double value in values)
            {
                found[start / TensorScan.Block] += Key(value) == key ? 1 : 0;
            }
        });
        long block = 0;
        for (; found[block] < wanted; block++)
        {
            wanted -= found[block];
        }
        var scratch = new MergeScratch();
        long first = block * TensorScan.Block;
        var candidates = new double[Math.Min(TensorScan.Block, count - first)];
        read(first, candidates, scratch);
        int at = -1;
        while (wanted > 0)
        {
            at++;
            wanted -= Key(candidates[at]) == key ? 1 : 0;
        }
        return first + at;
    }
}
