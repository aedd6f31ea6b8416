using System.Security.Cryptography;
using System.Text;
using NativeEngine.Data;

namespace NativeEngine.Ablation;

/// <summary>
/// Cuts a source's documents into k consecutive units of about equal tokens: k = max(1, round(tokens / target)), each cut at the document boundary
/// nearest to the ideal place. The same documents give the same units, whatever the other sources.
/// </summary>
internal static class UnitPlanner
{
    /// <summary>Documents [first, end) of every unit.</summary>
    public static List<Range> Cut(IReadOnlyList<int> lengths, long target)
    {
        long total = 0;
        var ends = new long[lengths.Count];
        for (int i = 0; i < lengths.Count; i++)
        {
            ends[i] = total += lengths[i];
        }
        int units = (int)Math.Clamp((long)Math.Round((double)total / target, MidpointRounding.AwayFromZero), 1, lengths.Count);
        var cuts = new List<Range>();
        int first = 0;
        for (int k = 1; k <= units; k++)
        {
            int end = lengths.Count;
            if (k < units)
            {
                double ideal = (double)total * k / units;
                end = Array.BinarySearch(ends, (long)Math.Ceiling(ideal));
                end = end < 0 ? ~end : end;
                // ends[end] is the first at or past the ideal place; the boundary before it may be nearer.
                end += end > 0 && ideal - ends[end - 1] <= ends[end] - ideal ? 0 : 1;
                // Every unit keeps at least one document.
                end = Math.Clamp(end, first + 1, lengths.Count - (units - k));
            }
            cuts.Add(first..end);
            first = end;
        }
        return cuts;
    }

    /// <summary>Whether a size is within a relative tolerance of the target.</summary>
    public static bool Fits(long tokens, long target, double tolerance) => Math.Abs(tokens - target) <= tolerance * target;

    /// <summary>SHA-256 of texts in order, each preceded by its length.</summary>
    public static string Hash(IEnumerable<Example> documents)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (var document in documents)
        {
            byte[] text = Encoding.UTF8.GetBytes(document.Text);
            hash.AppendData(BitConverter.GetBytes((long)text.Length));
            hash.AppendData(text);
        }
        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }
}
