using System.Runtime.ExceptionServices;
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
    private readonly Lock _lock = new();

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
    public ReadOnlySpan<double> Losses(Mixture mixture, int blocks, CancellationToken cancellation = default) =>
        Ensure(0, mixture, blocks, cancellation).AsSpan(0, Table.BlockEnds[blocks - 1]);

    /// <summary>
    /// Finds out the losses of many mixtures, in an order of little merging (<see cref="VisitOrder"/>), several at a time where there are lanes for it: what
    /// <see cref="Losses"/> then returns is the same to the bit. <paramref name="done"/> hears of every mixture, from one thread at a time.
    /// </summary>
    public void Prepare(IReadOnlyList<Mixture> mixtures, int blocks, Action<int>? done = null, CancellationToken cancellation = default)
    {
        int[] order = VisitOrder.Of(mixtures);
        int lanes = Math.Min(Lanes, order.Length), next = 0;
        if (lanes <= 1)
        {
            foreach (int i in order)
            {
                Ensure(0, mixtures[i], blocks, cancellation);
                done?.Invoke(i);
            }
            return;
        }
        Exception? failure = null;
        var threads = new Thread[lanes];
        for (int l = 0; l < lanes; l++)
        {
            int lane = l + 1;
            threads[l] = new Thread(() => Work(lane)) { IsBackground = true, Name = $"lane {lane}" };
            threads[l].Start();
        }
        Array.ForEach(threads, thread => thread.Join());
        if (failure is not null)
        {
            ExceptionDispatchInfo.Throw(failure);
        }

        // Neighbours in the order share units, so a lane takes a few of them at a time.
        void Work(int lane)
        {
            int share = Math.Clamp(order.Length / (8 * lanes), 1, 8);
            try
            {
                for (int first; Volatile.Read(ref failure) is null && (first = Interlocked.Add(ref next, share) - share) < order.Length;)
                {
                    foreach (int i in order.AsSpan(first, Math.Min(share, order.Length - first)))
                    {
                        Ensure(lane, mixtures[i], blocks, cancellation);
                        lock (_lock)
                        {
                            done?.Invoke(i);
                        }
                    }
                }
            }
            catch (Exception e)
            {
                Interlocked.CompareExchange(ref failure, e, null);
            }
        }
    }

    /// <summary>Mean losses of the domains over the first so many blocks.</summary>
    public double[] DomainLosses(Mixture mixture, int blocks, CancellationToken cancellation = default) =>
        Table.DomainLosses(Losses(mixture, blocks, cancellation));

    /// <summary>Mean losses of the domains over all documents.</summary>
    public double[] DomainLosses(Mixture mixture, CancellationToken cancellation = default) => DomainLosses(mixture, Table.Blocks, cancellation);

    /// <summary>The key everything about a mixture's losses is found by, without the documents.</summary>
    public abstract string KeyOf(Mixture mixture);

    /// <summary>Mixtures that may be computed at a time beside lane 0: lanes 1, 2, ….</summary>
    protected virtual int Lanes => 1;

    /// <summary>The key of a block's documents.</summary>
    protected abstract string BlockKey(int block);

    /// <summary>Computes the summed loss of each document of a block; a lane is used by one thread at a time.</summary>
    protected abstract void Compute(int lane, Mixture mixture, int block, Span<double> losses);

    /// <summary>The key of a mixture's losses on a block.</summary>
    internal static string RecordKey(string mixtureKey, string blockKey) =>
        Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(mixtureKey + "/" + blockKey)));

    private double[] Ensure(int lane, Mixture mixture, int blocks, CancellationToken cancellation)
    {
        int count = Table.BlockEnds[blocks - 1];
        double[] known;
        lock (_lock)
        {
            known = _known.GetValueOrDefault(mixture, []);
        }
        if (known.Length >= count)
        {
            return known;
        }
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
            Fill(lane, mixture, b, key, grown.AsSpan()[Table.Block(b)]);
        }
        lock (_lock)
        {
            return _known[mixture] = grown;
        }
    }

    private void Fill(int lane, Mixture mixture, int block, string key, Span<double> losses)
    {
        string record = cache is null ? "" : RecordKey(key, BlockKey(block));
        lock (_lock)
        {
            if (cache?.Find(record) is { } stored && stored.Length == losses.Length)
            {
                stored.CopyTo(losses);
                Blocks = (Blocks.Computed, Blocks.Cached + 1);
                return;
            }
        }
        Compute(lane, mixture, block, losses);
        long tokens = 0;
        for (int i = 0; i < losses.Length; i++)
        {
            if (!double.IsFinite(losses[i]))
            {
                throw new EngineException(ErrorKind.Numerical, FormattableString.Invariant(
                    $"the loss of document {Table.Block(block).Start.Value + i} under the {Name} of {mixture} is {losses[i]}"), "look at the units' own losses; one of them may have diverged");
            }
            tokens += Table[Table.Block(block).Start.Value + i].Tokens;
        }
        lock (_lock)
        {
            TokensScored += tokens;
            Blocks = (Blocks.Computed + 1, Blocks.Cached);
            cache?.Add(record, losses);
        }
    }
}
