using System.Runtime.InteropServices;
using System.Text;

namespace NativeEngine.Data;

/// <summary>
/// Trains a byte-level BPE tokenizer on one's own texts (Sennrich et al. 2016 over GPT-2's byte words): starting from the 256 bytes,
/// the most frequent pair of neighbouring tokens within words becomes a token, again and again. Ties go to the lowest left id, then
/// the lowest right id, so the result depends on the texts alone and not on their order. Ids: 0–255 bytes, 256 BOS, 257 EOS, merged
/// tokens from 258. Cost: near-linear in the distinct words; pair counts are kept incrementally in a heap.
/// </summary>
public sealed class BpeTrainer
{
    /// <summary>The smallest vocabulary: the bytes, BOS and EOS.</summary>
    public const int MinimumVocabulary = TokenizerWriter.FirstMergedId;

    private readonly List<int[]> _words = [];
    private readonly List<long> _counts = [];
    private readonly Dictionary<ulong, long> _pairCounts = [];
    private readonly Dictionary<ulong, List<int>> _pairWords = [];
    private readonly PriorityQueue<ulong, (long NegativeCount, ulong Pair)> _heap = new();
    private readonly List<byte[]> _tokens = [];
    private readonly Dictionary<string, int> _idOf = new(StringComparer.Ordinal);
    private readonly List<(int Left, int Right)> _merges = [];

    private BpeTrainer()
    {
    }

    /// <summary>
    /// Trains on texts. Training ends at the vocabulary size, or earlier when no pair occurs at least <paramref name="minFrequency"/>
    /// times; <see cref="Tokenizer.VocabularySize"/> tells which.
    /// </summary>
    public static Tokenizer Train(IEnumerable<string> texts, int vocabularySize, int minFrequency = 2,
        CancellationToken cancellation = default)
    {
        if (vocabularySize < MinimumVocabulary || minFrequency < 1)
        {
            throw new EngineException(ErrorKind.Usage,
                $"training a tokenizer: expected a vocabulary of at least {MinimumVocabulary} (bytes, BOS, EOS) and a frequency of at least 1, "
                + $"got {vocabularySize} and {minFrequency}");
        }
        var trainer = new BpeTrainer();
        trainer.AddWords(CountWords(texts, cancellation));
        trainer.Merge(vocabularySize, minFrequency, cancellation);
        return TokenizerWriter.Create(trainer._tokens, trainer._merges, splitWords: true);
    }

    /// <summary>The words of texts with their counts.</summary>
    internal static Dictionary<string, long> CountWords(IEnumerable<string> texts, CancellationToken cancellation)
    {
        var pattern = new UnicodePattern(PreTokenizer.Gpt2Pattern);
        var counts = new Dictionary<string, long>(StringComparer.Ordinal);
        var lookup = counts.GetAlternateLookup<ReadOnlySpan<char>>();
        foreach (string text in texts)
        {
            cancellation.ThrowIfCancellationRequested();
            string wellFormed = AlignedText.From(text).Text;
            foreach (var (start, length) in pattern.Matches(wellFormed))
            {
                CollectionsMarshal.GetValueRefOrAddDefault(lookup, wellFormed.AsSpan(start, length), out _)++;
            }
        }
        return counts;
    }

    private void AddWords(Dictionary<string, long> words)
    {
        for (int b = 0; b < 256; b++)
        {
            _idOf.Add(ByteAlphabet.ToChar((byte)b).ToString(), b);
        }
        foreach (var (word, count) in words)
        {
            int[] symbols = [.. Encoding.UTF8.GetBytes(word).Select(static b => (int)b)];
            for (int i = 0; i + 1 < symbols.Length; i++)
            {
                ulong pair = Key(symbols[i], symbols[i + 1]);
                CollectionsMarshal.GetValueRefOrAddDefault(_pairCounts, pair, out _) += count;
                Remember(pair, _words.Count);
            }
            _words.Add(symbols);
            _counts.Add(count);
        }
        foreach (var (pair, count) in _pairCounts)
        {
            _heap.Enqueue(pair, (-count, pair));
        }
    }

    private void Merge(int vocabularySize, int minFrequency, CancellationToken cancellation)
    {
        var changes = new Dictionary<ulong, long>();
        while (MinimumVocabulary + _tokens.Count < vocabularySize && _heap.TryDequeue(out ulong pair, out var priority))
        {
            cancellation.ThrowIfCancellationRequested();
            long count = _pairCounts.GetValueOrDefault(pair);
            if (-priority.NegativeCount != count)
            {
                if (count > 0)
                {
                    _heap.Enqueue(pair, (-count, pair));
                }
                continue;
            }
            if (count < minFrequency)
            {
                return;
            }
            int left = (int)(pair >> 32), right = (int)(uint)pair;
            int id = TokenOf(left, right);
            _merges.Add((left, right));
            changes.Clear();
            foreach (int word in _pairWords[pair])
            {
                Rewrite(word, left, right, id, changes);
            }
            _pairWords.Remove(pair);
            Apply(changes);
        }
    }

    // Two pairs may spell the same token ("a"+"bc", "ab"+"c"): the second merge reuses its id.
    private int TokenOf(int left, int right)
    {
        byte[] bytes = [.. BytesOf(left), .. BytesOf(right)];
        string spelling = ByteAlphabet.Spell(bytes);
        if (!_idOf.TryGetValue(spelling, out int id))
        {
            id = TokenizerWriter.FirstMergedId + _tokens.Count;
            _tokens.Add(bytes);
            _idOf.Add(spelling, id);
        }
        return id;
    }

    private byte[] BytesOf(int id) => id < 256 ? [(byte)id] : _tokens[id - TokenizerWriter.FirstMergedId];

    private void Rewrite(int word, int left, int right, int id, Dictionary<ulong, long> changes)
    {
        int[] old = _words[word];
        var merged = new List<int>(old.Length);
        for (int i = 0; i < old.Length; i++)
        {
            if (i + 1 < old.Length && old[i] == left && old[i + 1] == right)
            {
                merged.Add(id);
                i++;
            }
            else
            {
                merged.Add(old[i]);
            }
        }
        if (merged.Count == old.Length)
        {
            return;
        }
        long count = _counts[word];
        for (int i = 0; i + 1 < old.Length; i++)
        {
            CollectionsMarshal.GetValueRefOrAddDefault(changes, Key(old[i], old[i + 1]), out _) -= count;
        }
        for (int i = 0; i + 1 < merged.Count; i++)
        {
            ulong pair = Key(merged[i], merged[i + 1]);
            CollectionsMarshal.GetValueRefOrAddDefault(changes, pair, out _) += count;
            if (merged[i] == id || merged[i + 1] == id)
            {
                Remember(pair, word);
            }
        }
        _words[word] = [.. merged];
    }

    private void Apply(Dictionary<ulong, long> changes)
    {
        foreach (var (pair, change) in changes)
        {
            if (change == 0)
            {
                continue;
            }
            ref long count = ref CollectionsMarshal.GetValueRefOrAddDefault(_pairCounts, pair, out _);
            count += change;
            if (count == 0)
            {
                _pairCounts.Remove(pair);
            }
            else if (change > 0)
            {
                _heap.Enqueue(pair, (-count, pair));
            }
        }
    }

    private void Remember(ulong pair, int word)
    {
        ref var words = ref CollectionsMarshal.GetValueRefOrAddDefault(_pairWords, pair, out _);
        words ??= [];
        if (words.Count == 0 || words[^1] != word)
        {
            words.Add(word);
        }
    }

    private static ulong Key(int left, int right) => ((ulong)(uint)left << 32) | (uint)right;
}
