using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using NativeEngine.Ablation.Mixtures;
using NativeEngine.Data;
using NativeEngine.Devices;
using NativeEngine.Model;

namespace NativeEngine.Ablation.Ranking;

/// <summary>How evaluation documents are taken.</summary>
public sealed record EvaluationOptions
{
    /// <summary>Most documents of a domain, drawn by the seed; the method's own evaluator takes 1,000.</summary>
    public int MaxDocuments { get; init; } = 1000;

    /// <summary>Already known tokens that a later window of a long document starts with.</summary>
    public int WindowContext { get; init; } = 1;

    /// <summary>Enough rows for the products to be efficient, few enough for a layer's activations to stay in a core's cache or near it.</summary>
    public const int DefaultTokensPerBatch = 2048;

    /// <summary>Most tokens in one forward pass.</summary>
    public int TokensPerBatch { get; init; } = DefaultTokensPerBatch;

    /// <summary>The first block has about this share of the tokens, and every block doubles what came before.</summary>
    public double FirstBlock { get; init; } = 1.0 / 64;

    /// <summary>Of the draws.</summary>
    public ulong Seed { get; init; } = 1234;
}

/// <summary>
/// The documents every mixture is scored on, packed once and kept on the device: blocks of batches in the table's order. Every token after
/// a document's first is scored exactly once; documents longer than the context are scored in windows (<see cref="EvaluationWindows"/>).
/// Memory: about 20 bytes a token.
/// </summary>
public sealed class EvaluationSet : IDisposable
{
    private readonly List<(TokenBatch Batch, int[] Documents)>[] _blocks;

    /// <summary>
    /// Takes the documents of a dataset made with <see cref="DatasetOptions.Evaluation"/>; its sources are the domains. Errors: BadInput for a
    /// domain without a document.
    /// </summary>
    public EvaluationSet(MixtureDataset data, LlamaConfig config, Device device, EvaluationOptions? options = null)
    {
        options ??= new EvaluationOptions();
        Options = options;
        int[] taken = Take(data, options);
        int[] order = [.. DocumentTable.SpreadOrder([.. taken.Select(data.SourceOf)], options.Seed).Select(i => taken[i])];
        var documents = order.Select(i => new EvaluationDocument(data.SourceOf(i), data.LabelCount(i), data.LabelBytes(i))).ToList();
        Table = new DocumentTable([.. data.Sources], documents, BlockEnds(documents, data.Sources.Count, options.FirstBlock));
        Inputs = [.. order.Select(data.InputIndex)];
        _blocks = new List<(TokenBatch, int[])>[Table.Blocks];
        var keys = new string[Table.Blocks];
        try
        {
            for (int b = 0; b < Table.Blocks; b++)
            {
                (_blocks[b], keys[b]) = Pack(data, order, Table.Block(b), config, device, options);
            }
        }
        catch
        {
            Dispose();
            throw;
        }
        BlockKeys = keys;
    }

    /// <summary>How it was made.</summary>
    public EvaluationOptions Options { get; }

    /// <summary>The documents.</summary>
    public DocumentTable Table { get; }

    /// <summary>The place of each document among those read.</summary>
    public IReadOnlyList<int> Inputs { get; }

    /// <summary>Hash of the tokens and windows of each block.</summary>
    public IReadOnlyList<string> BlockKeys { get; }

    /// <summary>Batches of a block, with the index of the document each sequence belongs to.</summary>
    internal IReadOnlyList<(TokenBatch Batch, int[] Documents)> Batches(int block) => _blocks[block];

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var (batch, _) in _blocks.Where(b => b is not null).SelectMany(b => b))
        {
            batch.Dispose();
        }
    }

    private static int[] Take(MixtureDataset data, EvaluationOptions options)
    {
        var taken = new List<int>();
        foreach (var domain in Enumerable.Range(0, data.Count).GroupBy(data.SourceOf).OrderBy(g => g.Key))
        {
            int[] members = [.. domain];
            int[] drawn = new CounterRandom(options.Seed, RandomPurpose.Resampling, 1u << 24 | (uint)domain.Key).Permutation(members.Length);
            taken.AddRange(drawn.Take(options.MaxDocuments).Select(i => members[i]).Order());
        }
        for (int d = 0; d < data.Sources.Count; d++)
        {
            if (data.SourceSizes[d] == 0)
            {
                throw new EngineException(ErrorKind.BadInput, $"the domain {data.Sources[d]} has no document to evaluate on", "give it held-out documents, or leave it out of the evaluation");
            }
        }
        return [.. taken];
    }

    // The first block has a document of every domain, so that every partial score is defined.
    private static List<int> BlockEnds(List<EvaluationDocument> documents, int domains, double firstShare)
    {
        var met = new HashSet<int>();
        int least = 0;
        while (met.Count < domains)
        {
            met.Add(documents[least++].Domain);
        }
        long total = documents.Sum(d => d.Tokens), tokens = 0;
        double next = firstShare * total;
        var ends = new List<int>();
        for (int i = 0; i < documents.Count; i++)
        {
            tokens += documents[i].Tokens;
            if (i + 1 >= least && tokens >= next && i + 1 < documents.Count)
            {
                ends.Add(i + 1);
                next = 2 * tokens;
            }
        }
        // A remainder smaller than half a step is no block of its own.
        if (ends.Count > 0 && tokens < 0.75 * next)
        {
            ends.RemoveAt(ends.Count - 1);
        }
        ends.Add(documents.Count);
        return ends;
    }

    private static (List<(TokenBatch, int[])> Batches, string Key) Pack(
        MixtureDataset data, int[] order, Range block, LlamaConfig config, Device device, EvaluationOptions options)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        Span<byte> head = stackalloc byte[16];
        var batches = new List<(TokenBatch, int[])>();
        List<int> tokens = [], positions = [], targets = [], offsets = [0], owners = [];
        for (int d = block.Start.Value; d < block.End.Value; d++)
        {
            var text = data.Tokens(order[d]);
            BinaryPrimitives.WriteInt32LittleEndian(head, text.Length);
            BinaryPrimitives.WriteInt32LittleEndian(head[4..], config.ContextLength);
            BinaryPrimitives.WriteInt32LittleEndian(head[8..], options.WindowContext);
            BinaryPrimitives.WriteInt32LittleEndian(head[12..], data.LabelStart(order[d]));
            hash.AppendData(head);
            hash.AppendData(MemoryMarshal.AsBytes(text));
            foreach (var window in EvaluationWindows.Cut(text.Length - 1, config.ContextLength, options.WindowContext))
            {
                if (tokens.Count > 0 && tokens.Count + window.InputLength > options.TokensPerBatch)
                {
                    Flush();
                }
                // Input position p holds token p of the text and predicts token p + 1, which is token p of what follows the first.
                for (int p = window.InputStart; p < window.InputStart + window.InputLength; p++)
                {
                    tokens.Add(text[p]);
                    positions.Add(p - window.InputStart);
                    targets.Add(p >= window.PredictStart && p + 1 >= data.LabelStart(order[d]) ? text[p + 1] : -1);
                }
                offsets.Add(tokens.Count);
                owners.Add(d);
            }
        }
        Flush();
        return (batches, Convert.ToHexStringLower(hash.GetHashAndReset()));

        void Flush()
        {
            batches.Add((new TokenBatch(device, config, [.. tokens], [.. positions], [.. offsets], [.. targets]), [.. owners]));
            tokens.Clear();
            positions.Clear();
            targets.Clear();
            owners.Clear();
            offsets.Clear();
            offsets.Add(0);
        }
    }
}
