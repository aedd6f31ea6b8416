namespace NativeEngine.Ablation.Mixtures;

/// <summary>A document of the evaluation data.</summary>
/// <param name="Domain">Index of its domain.</param>
/// <param name="Tokens">Tokens scored.</param>
/// <param name="Bytes">UTF-8 bytes they stand for.</param>
public readonly record struct EvaluationDocument(int Domain, long Tokens, long Bytes);

/// <summary>
/// The documents every mixture is scored on, in the order they are scored, and how their losses make perplexities: sums over a domain's
/// documents divided by its tokens, never a mean of per-document perplexities. The order spreads every domain evenly, so that any first
/// part of it is a fair sample of all of them; blocks are the pieces in which it is scored.
/// </summary>
public sealed class DocumentTable
{
    private readonly EvaluationDocument[] _documents;
    private readonly List<int>[] _ofDomain;
    private readonly long[] _tokens, _bytes, _upTo;

    /// <summary>A table; blocks end at these document counts, ascending, the last one all (null: one block).</summary>
    public DocumentTable(IReadOnlyList<string> domains, IReadOnlyList<EvaluationDocument> documents, IReadOnlyList<int>? blockEnds = null)
    {
        Domains = domains;
        _documents = [.. documents];
        BlockEnds = blockEnds ?? [documents.Count];
        _ofDomain = [.. domains.Select(_ => new List<int>())];
        (_tokens, _bytes) = (new long[domains.Count], new long[domains.Count]);
        for (int i = 0; i < _documents.Length; i++)
        {
            var document = _documents[i];
            _ofDomain[document.Domain].Add(i);
            _tokens[document.Domain] += document.Tokens;
            _bytes[document.Domain] += document.Bytes;
        }
        if (_documents.Length == 0 || BlockEnds[^1] != _documents.Length)
        {
            throw new ArgumentException($"an evaluation table of {_documents.Length} documents with blocks that end at {string.Join(", ", BlockEnds)}");
        }
        _upTo = new long[Blocks];
        for (int b = 0; b < Blocks; b++)
        {
            _upTo[b] = (b == 0 ? 0 : _upTo[b - 1]) + _documents[Block(b)].Sum(document => document.Tokens);
        }
    }

    /// <summary>Names of the domains.</summary>
    public IReadOnlyList<string> Domains { get; }

    /// <summary>Number of documents.</summary>
    public int Count => _documents.Length;

    /// <summary>Document counts at which blocks end.</summary>
    public IReadOnlyList<int> BlockEnds { get; }

    /// <summary>Number of blocks.</summary>
    public int Blocks => BlockEnds.Count;

    /// <summary>Tokens of all documents.</summary>
    public long Tokens => _tokens.Sum();

    /// <summary>A document.</summary>
    public EvaluationDocument this[int index] => _documents[index];

    /// <summary>Documents of a domain, ascending.</summary>
    public IReadOnlyList<int> OfDomain(int domain) => _ofDomain[domain];

    /// <summary>Tokens of a domain.</summary>
    public long TokensOf(int domain) => _tokens[domain];

    /// <summary>Tokens of the documents of the first so many blocks, at least one.</summary>
    public long TokensUpTo(int blocks) => _upTo[blocks - 1];

    /// <summary>The documents of a block.</summary>
    public Range Block(int block) => (block == 0 ? 0 : BlockEnds[block - 1])..BlockEnds[block];

    /// <summary>
    /// Mean loss of each domain (natural logarithm a token) from the summed losses of the first documents; NaN for a domain without tokens
    /// among them. Perplexity is its exponential.
    /// </summary>
    public double[] DomainLosses(ReadOnlySpan<double> documentLosses)
    {
        var sums = new double[Domains.Count];
        var tokens = new long[Domains.Count];
        for (int i = 0; i < documentLosses.Length; i++)
        {
            sums[_documents[i].Domain] += documentLosses[i];
            tokens[_documents[i].Domain] += _documents[i].Tokens;
        }
        for (int d = 0; d < sums.Length; d++)
        {
            sums[d] = tokens[d] > 0 ? sums[d] / tokens[d] : double.NaN;
        }
        return sums;
    }

    /// <summary>Loss in bits for each byte of each domain, from the summed losses of all documents.</summary>
    public double[] BitsPerByte(ReadOnlySpan<double> documentLosses)
    {
        double[] means = DomainLosses(documentLosses);
        return [.. means.Select((mean, d) => _bytes[d] > 0 ? mean * _tokens[d] / (_bytes[d] * Math.Log(2)) : double.NaN)];
    }

    /// <summary>
    /// An order that spreads every domain evenly: document j of the n of a domain, in an order drawn from the seed, stands at (j + 1/2) / n.
    /// </summary>
    public static int[] SpreadOrder(IReadOnlyList<int> domainOfDocument, ulong seed)
    {
        var place = new double[domainOfDocument.Count];
        foreach (var domain in Enumerable.Range(0, place.Length).GroupBy(i => domainOfDocument[i]))
        {
            int[] members = [.. domain];
            int[] drawn = new CounterRandom(seed, RandomPurpose.Resampling, 1 + (uint)domain.Key).Permutation(members.Length);
            for (int j = 0; j < members.Length; j++)
            {
                place[members[drawn[j]]] = (j + 0.5) / members.Length;
            }
        }
        return [.. Enumerable.Range(0, place.Length).OrderBy(i => place[i]).ThenBy(i => domainOfDocument[i]).ThenBy(i => i)];
    }
}
