using System.Security.Cryptography;
using System.Text;
using NativeEngine.Ablation.Mixtures;

namespace NativeEngine.Ablation.Ranking;

/// <summary>
/// Gives the losses of mixtures on the documents of a table: the truth of what a stand-in says, whatever stand-in it is. Losses are kept in
/// memory, and in a cache on disk where one is given, by the content of everything they depend on.
/// </summary>
public abstract class MixtureEvaluator(DocumentTable table, LossCache? cache)
{
    private readonly Dictionary<Mixture, double[]> _known = [];

    /// <summary>The documents.</summary>
    public DocumentTable Table { get; } = table;

    /// <summary>Document-blocks computed, and found in the cache, so far.</summary>
    public (long Computed, long Cached) Blocks { get; private set; }

    /// <summary>Tokens scored so far, cached ones left out.</summary>
    public long TokensScored { get; private set; }

    /// <summary>Short name of the stand-in: average, ensemble, ….</summary>
    public abstract string Name { get; }

    /// <summary>
    /// Summed losses of the documents of the first so many blocks (all: <see cref="DocumentTable.Blocks"/>). Cost: the forward passes of the
    /// blocks that are not known. Errors: Numerical for a loss that is not finite, naming the mixture.
    /// </summary>
    public ReadOnlySpan<double> Losses(Mixture mixture, int blocks, CancellationToken cancellation = default)
    {
        int count = Table.BlockEnds[blocks - 1];
        var known = _known.GetValueOrDefault(mixture, []);
        if (known.Length < count)
        {
            var grown = new double[count];
            known.CopyTo(grown, 0);
            int first = 0;
            while (Table.BlockEnds[first] <= known.Length)
            {
                first++;
            }
            string key = cache is null ? "" : KeyOf(mixture);
            for (int b = first; b < blocks; b++)
            {
                cancellation.ThrowIfCancellationRequested();
                Fill(mixture, b, key, grown.AsSpan()[Table.Block(b)]);
            }
            _known[mixture] = known = grown;
        }
        return known.AsSpan(0, count);
    }

    /// <summary>Mean losses of the domains over the first so many blocks.</summary>
    public double[] DomainLosses(Mixture mixture, int blocks, CancellationToken cancellation = default) =>
        Table.DomainLosses(Losses(mixture, blocks, cancellation));

    /// <summary>Mean losses of the domains over all documents.</summary>
    public double[] DomainLosses(Mixture mixture, CancellationToken cancellation = default) => DomainLosses(mixture, Table.Blocks, cancellation);

    /// <summary>The key everything about a mixture's losses is found by, without the documents.</summary>
    public abstract string KeyOf(Mixture mixture);

    /// <summary>The key of a block's documents.</summary>
    protected abstract string BlockKey(int block);

    /// <summary>Computes the summed loss of each document of a block.</summary>
    protected abstract void Compute(Mixture mixture, int block, Span<double> losses);

    /// <summary>The key of a mixture's losses on a block.</summary>
    internal static string RecordKey(string mixtureKey, string blockKey) =>
        Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(mixtureKey + "/" + blockKey)));

    private void Fill(Mixture mixture, int block, string key, Span<double> losses)
    {
        string record = cache is null ? "" : RecordKey(key, BlockKey(block));
        if (cache?.Find(record) is { } stored && stored.Length == losses.Length)
        {
            stored.CopyTo(losses);
            Blocks = (Blocks.Computed, Blocks.Cached + 1);
            return;
        }
        Compute(mixture, block, losses);
        for (int i = 0; i < losses.Length; i++)
        {
            if (!double.IsFinite(losses[i]))
            {
                throw new EngineException(ErrorKind.Numerical, FormattableString.Invariant(
                    $"the loss of document {Table.Block(block).Start.Value + i} under the {Name} of {mixture} is {losses[i]}"), "look at the units' own losses; one of them may have diverged");
            }
            TokensScored += Table[Table.Block(block).Start.Value + i].Tokens;
        }
        Blocks = (Blocks.Computed + 1, Blocks.Cached);
        cache?.Add(record, losses);
    }
}
