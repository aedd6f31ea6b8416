namespace NativeEngine;

/// <summary>The nearest known word to a mistyped one.</summary>
public static class Suggestion
{
    /// <summary>
    /// The word with the fewest edits (insert, delete, replace, swap of neighbours) from <paramref name="typed"/>, the first on a
    /// tie; null when none is within a third of its length (at least 2 edits, 1 for three letters or less). Case does not count.
    /// </summary>
    public static string? Nearest(string typed, IEnumerable<string> known)
    {
        string? best = null;
        int bestDistance = int.MaxValue;
        foreach (string word in known)
        {
            int most = typed.Length <= 3 ? 1 : Math.Max(2, typed.Length / 3);
            // A word of another length is at least that far: what is long is not worth a table.
            if (Math.Abs(typed.Length - word.Length) > most)
            {
                continue;
            }
            int distance = Distance(typed.ToLowerInvariant(), word.ToLowerInvariant());
            if (distance <= most && distance < Math.Min(bestDistance, word.Length))
            {
                (best, bestDistance) = (word, distance);
            }
        }
        return best;
    }

    /// <summary>"; did you mean 'train'?" or nothing.</summary>
    public static string Question(string typed, IEnumerable<string> known) =>
        Nearest(typed, known) is { } word ? $"; did you mean '{word}'?" : "";

    private static int Distance(string a, string b)
    {
        var d = new int[a.Length + 1, b.Length + 1];
        for (int i = 0; i <= a.Length; i++)
        {
            for (int j = 0; j <= b.Length; j++)
            {
                if (i == 0 || j == 0)
                {
                    d[i, j] = i + j;
                    continue;
                }
                int replace = d[i - 1, j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
                d[i, j] = Math.Min(replace, Math.Min(d[i - 1, j], d[i, j - 1]) + 1);
                if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                {
                    d[i, j] = Math.Min(d[i, j], d[i - 2, j - 2] + 1);
                }
            }
        }
        return d[a.Length, b.Length];
    }
}
