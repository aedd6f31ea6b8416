using System.Text;

namespace NativeEngine.Tests.Reference;

/// <summary>Byte-pair encoding by its definition, quadratic: the judge of the fast one.</summary>
internal static class NaiveBpe
{
    /// <summary>Merges, again and again, the leftmost pair of lowest rank.</summary>
    public static List<string> Encode(IEnumerable<string> symbols, IReadOnlyList<(string Left, string Right)> merges)
    {
        List<string> word = [.. symbols];
        while (true)
        {
            int bestRank = int.MaxValue, bestAt = -1;
            for (int i = 0; i + 1 < word.Count; i++)
            {
                int rank = -1;
                for (int r = 0; r < merges.Count; r++)
                {
                    rank = merges[r] == (word[i], word[i + 1]) ? r : rank;
                }
                if (rank >= 0 && rank < bestRank)
                {
                    (bestRank, bestAt) = (rank, i);
                }
            }
            if (bestAt < 0)
            {
                return word;
            }
            word[bestAt] += word[bestAt + 1];
            word.RemoveAt(bestAt + 1);
        }
    }

    /// <summary>
    /// Counts all pairs anew for every merge. Tokens are byte strings in Latin-1; ids follow bytes, two specials, then first appearance.
    /// </summary>
    public static List<(string Left, string Right)> Train(IEnumerable<(string Word, long Count)> words, int vocabulary, int minFrequency)
    {
        var ids = Enumerable.Range(0, 256).ToDictionary(static b => ((char)b).ToString(), static b => b);
        var corpus = words.Select(static w => (
            Symbols: Encoding.UTF8.GetBytes(w.Word).Select(static b => ((char)b).ToString()).ToList(), w.Count)).ToList();
        var merges = new List<(string, string)>();
        while (ids.Count + 2 < vocabulary)
        {
            var counts = new Dictionary<(string Left, string Right), long>();
            foreach (var (symbols, count) in corpus)
            {
                for (int i = 0; i + 1 < symbols.Count; i++)
                {
                    counts[(symbols[i], symbols[i + 1])] = counts.GetValueOrDefault((symbols[i], symbols[i + 1])) + count;
                }
            }
            if (counts.Count == 0)
            {
                break;
            }
            var (pair, best) = counts.OrderByDescending(static c => c.Value).ThenBy(c => ids[c.Key.Left]).ThenBy(c => ids[c.Key.Right]).First();
            if (best < minFrequency)
            {
                break;
            }
            merges.Add(pair);
            ids.TryAdd(pair.Left + pair.Right, ids.Count + 2);
            foreach (var (symbols, _) in corpus)
            {
                for (int i = 0; i + 1 < symbols.Count; i++)
                {
                    if ((symbols[i], symbols[i + 1]) == pair)
                    {
                        symbols[i] += symbols[i + 1];
                        symbols.RemoveAt(i + 1);
                    }
                }
            }
        }
        return merges;
    }
}
