using System.Collections.Concurrent;
using System.Text;

namespace NativeEngine.Data;

/// <summary>
/// Byte-pair encoding of one word: the word's symbols (bytes, or characters with byte fallback) are merged pair by pair, always
/// the pair of lowest rank, the leftmost of equals. Cost O(n log n) with a heap over a linked list; short words are cached.
/// </summary>
internal sealed class BpeModel
{
    private const int CachedWords = 20_000;
    private const int CachedLength = 48;

    private readonly Dictionary<string, int> _vocabulary;
    private readonly Dictionary<string, int>.AlternateLookup<ReadOnlySpan<char>> _lookup;
    private readonly Dictionary<ulong, (int Rank, int Id)> _merges;
    private readonly int[] _byteIds;
    private readonly bool _bytesAreSymbols;
    private readonly bool _byteFallback;
    private readonly int? _unknownId;
    private readonly bool _fuseUnknown;
    private readonly bool _ignoreMerges;
    private readonly ConcurrentDictionary<string, (int[] Ids, int[] Offsets)> _cache = new(StringComparer.Ordinal);
    // Its own count takes all its locks, for every word that is not there.
    private int _cached;

    /// <summary>Tokens with ids, merges as id pairs in order of rank, and the model's options.</summary>
    public BpeModel(Dictionary<string, int> vocabulary, List<(int Left, int Right, int Id)> merges, bool bytesAreSymbols,
        bool byteFallback, int? unknownId, bool fuseUnknown, bool ignoreMerges)
    {
        _vocabulary = vocabulary;
        _lookup = vocabulary.GetAlternateLookup<ReadOnlySpan<char>>();
        _merges = new Dictionary<ulong, (int, int)>(merges.Count);
        for (int rank = 0; rank < merges.Count; rank++)
        {
            _merges[Key(merges[rank].Left, merges[rank].Right)] = (rank, merges[rank].Id);
        }
        _bytesAreSymbols = bytesAreSymbols;
        _unknownId = unknownId;
        _fuseUnknown = fuseUnknown;
        _ignoreMerges = ignoreMerges;
        _byteIds = new int[256];
        bool allBytes = true;
        for (int b = 0; b < 256; b++)
        {
            string spelling = bytesAreSymbols ? ByteAlphabet.ToChar((byte)b).ToString() : $"<0x{b:X2}>";
            _byteIds[b] = vocabulary.TryGetValue(spelling, out int id) ? id : -1;
            allBytes &= _byteIds[b] >= 0;
        }
        _byteFallback = byteFallback && allBytes && !bytesAreSymbols;
    }

    /// <summary>
    /// Appends the tokens of a word and, for each, the offset of its first byte in the word's UTF-8 form.
    /// </summary>
    public void Encode(ReadOnlySpan<char> word, List<int> ids, List<int> offsets)
    {
        if (word.Length > CachedLength)
        {
            var (longIds, longOffsets) = Merge(word);
            ids.AddRange(longIds);
            offsets.AddRange(longOffsets);
            return;
        }
        var lookup = _cache.GetAlternateLookup<ReadOnlySpan<char>>();
        if (!lookup.TryGetValue(word, out var tokens))
        {
            tokens = Merge(word);
            if (Volatile.Read(ref _cached) < CachedWords && _cache.TryAdd(word.ToString(), tokens))
            {
                Interlocked.Increment(ref _cached);
            }
        }
        ids.AddRange(tokens.Ids);
        offsets.AddRange(tokens.Offsets);
    }

    private (int[] Ids, int[] Offsets) Merge(ReadOnlySpan<char> word)
    {
        if (_ignoreMerges && TryWhole(word, out int whole))
        {
            return ([whole], [0]);
        }
        var ids = new List<int>(word.Length);
        var offsets = new List<int>(word.Length);
        if (_bytesAreSymbols)
        {
            ByteSymbols(word, ids, offsets);
        }
        else
        {
            CharacterSymbols(word, ids, offsets);
        }
        return _merges.Count == 0 ? ([.. ids], [.. offsets]) : ApplyMerges([.. ids], [.. offsets]);
    }

    private bool TryWhole(ReadOnlySpan<char> word, out int id)
    {
        if (!_bytesAreSymbols)
        {
            return _lookup.TryGetValue(word, out id);
        }
        return _vocabulary.TryGetValue(ByteAlphabet.Spell(Encoding.UTF8.GetBytes(word.ToString())), out id);
    }

    private void ByteSymbols(ReadOnlySpan<char> word, List<int> ids, List<int> offsets)
    {
        Span<byte> utf8 = stackalloc byte[4];
        int offset = 0;
        foreach (var rune in word.EnumerateRunes())
        {
            int length = rune.EncodeToUtf8(utf8);
            for (int k = 0; k < length; k++, offset++)
            {
                int id = _byteIds[utf8[k]];
                AddSymbol(id >= 0 ? id : Unknown($"byte 0x{utf8[k]:X2}"), id < 0, offset, ids, offsets);
            }
        }
    }

    private void CharacterSymbols(ReadOnlySpan<char> word, List<int> ids, List<int> offsets)
    {
        Span<byte> utf8 = stackalloc byte[4];
        int offset = 0;
        for (int c = 0; c < word.Length;)
        {
            int width = char.IsHighSurrogate(word[c]) ? 2 : 1;
            Rune.DecodeFromUtf16(word[c..], out var rune, out _);
            int length = rune.EncodeToUtf8(utf8);
            if (_lookup.TryGetValue(word.Slice(c, width), out int id))
            {
                AddSymbol(id, false, offset, ids, offsets);
            }
            else if (_byteFallback)
            {
                for (int k = 0; k < length; k++)
                {
                    AddSymbol(_byteIds[utf8[k]], false, offset + k, ids, offsets);
                }
            }
            else
            {
                AddSymbol(Unknown($"character U+{rune.Value:X4}"), true, offset, ids, offsets);
            }
            offset += length;
            c += width;
        }
    }

    private void AddSymbol(int id, bool unknown, int offset, List<int> ids, List<int> offsets)
    {
        if (unknown && _fuseUnknown && ids.Count > 0 && ids[^1] == id)
        {
            return;
        }
        ids.Add(id);
        offsets.Add(offset);
    }

    private int Unknown(string what) => _unknownId ?? throw new EngineException(ErrorKind.BadInput,
        $"tokenizing: the tokenizer has no token for {what} and no unknown token", "use a tokenizer that covers every byte");

    private (int[] Ids, int[] Offsets) ApplyMerges(int[] ids, int[] offsets)
    {
        int count = ids.Length;
        var next = new int[count];
        var previous = new int[count];
        var heap = new PriorityQueue<int, ulong>();
        for (int i = 0; i < count; i++)
        {
            next[i] = i + 1;
            previous[i] = i - 1;
        }
        for (int i = 0; i + 1 < count; i++)
        {
            Push(heap, ids, i, i + 1);
        }
        while (heap.TryDequeue(out int at, out ulong priority))
        {
            int right = ids[at] < 0 ? count : next[at];
            if (right >= count || !_merges.TryGetValue(Key(ids[at], ids[right]), out var merge) || merge.Rank != (int)(priority >> 32))
            {
                continue;
            }
            ids[at] = merge.Id;
            ids[right] = -1;
            next[at] = next[right];
            if (next[at] < count)
            {
                previous[next[at]] = at;
                Push(heap, ids, at, next[at]);
            }
            if (previous[at] >= 0)
            {
                Push(heap, ids, previous[at], at);
            }
        }
        int kept = 0;
        for (int i = 0; i < count; i = next[i])
        {
            ids[kept] = ids[i];
            offsets[kept++] = offsets[i];
        }
        return (ids[..kept], offsets[..kept]);
    }

    private void Push(PriorityQueue<int, ulong> heap, int[] ids, int left, int right)
    {
        if (_merges.TryGetValue(Key(ids[left], ids[right]), out var merge))
        {
            heap.Enqueue(left, ((ulong)(uint)merge.Rank << 32) | (uint)left);
        }
    }

    private static ulong Key(int left, int right) => ((ulong)(uint)left << 32) | (uint)right;
}
