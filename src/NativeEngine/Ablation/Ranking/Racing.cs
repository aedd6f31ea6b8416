using NativeEngine.Ablation.Mixtures;

namespace NativeEngine.Ablation.Ranking;

/// <summary>A round of a race.</summary>
/// <param name="Documents">Documents everyone in it was scored on.</param>
/// <param name="Tokens">Their tokens.</param>
/// <param name="Entered">Candidates that entered.</param>
/// <param name="Kept">Candidates that went on.</param>
public sealed record RaceRound(int Documents, long Tokens, int Entered, int Kept);

/// <summary>The outcome of a race.</summary>
/// <param name="Scores">Each candidate's score on the last documents it was scored on.</param>
/// <param name="Reached">Rounds each candidate took part in; the same number as there are rounds for finalists.</param>
/// <param name="Order">Candidates best first: finalists by score, then those of earlier rounds by score.</param>
/// <param name="Rounds">The rounds.</param>
public sealed record RaceResult(
    IReadOnlyList<double> Scores, IReadOnlyList<int> Reached, IReadOnlyList<int> Order, IReadOnlyList<RaceRound> Rounds);

/// <summary>
/// Ranking many candidates by scoring all on few documents, the better share on more, and only the last few on all (successive halving,
/// Jamieson and Talwalkar 2016). All in a round see the same documents, so differences have small variance.
/// </summary>
public static class Racing
{
    /// <summary>
    /// Races candidates. After each round ceil(entered / keep) go on, but never fewer than the finalists; the documents grow by about the same
    /// factor. With as many finalists as candidates everyone is scored on everything (exhaustive).
    /// </summary>
    public static RaceResult Run(
        MixtureEvaluator evaluator, MixtureScore score, IReadOnlyList<Mixture> candidates, int finalists = 32, double keep = 4,
        Action<int, int>? progress = null, CancellationToken cancellation = default)
    {
        if (!(keep > 1) || finalists < 1)
        {
            throw new EngineException(ErrorKind.Usage, FormattableString.Invariant($"a race that keeps 1 in {keep} with {finalists} finalists cannot be run"), "keep more than 1 in 1, and at least one finalist");
        }
        var table = evaluator.Table;
        var scores = new double[candidates.Count];
        var reached = new int[candidates.Count];
        var rounds = new List<RaceRound>();
        int[] running = VisitOrder.Of(candidates);
        foreach (int blocks in Schedule(table, candidates.Count, finalists, keep))
        {
            int done = 0;
            foreach (int c in running)
            {
                scores[c] = score.Of(evaluator.DomainLosses(candidates[c], blocks, cancellation));
                reached[c]++;
                progress?.Invoke(++done, running.Length);
            }
            bool last = blocks == table.Blocks;
            int kept = last ? running.Length : Math.Max(Math.Min(finalists, running.Length), (int)Math.Ceiling(running.Length / keep));
            int documents = table.BlockEnds[blocks - 1];
            rounds.Add(new RaceRound(documents, Enumerable.Range(0, documents).Sum(i => table[i].Tokens), running.Length, kept));
            if (!last)
            {
                var going = running.OrderBy(c => scores[c]).ThenBy(c => c).Take(kept).ToHashSet();
                running = [.. running.Where(going.Contains)];
            }
        }
        int[] order = [.. Enumerable.Range(0, candidates.Count).OrderByDescending(c => reached[c]).ThenBy(c => scores[c]).ThenBy(c => c)];
        return new RaceResult(scores, reached, order, rounds);
    }

    /// <summary>
    /// Block counts of the rounds, the last one all: as many rounds as it takes to come from the candidates to the finalists, the documents of
    /// each about 1/keep of the next.
    /// </summary>
    public static List<int> Schedule(DocumentTable table, int candidates, int finalists, double keep)
    {
        var blocks = new List<int> { table.Blocks };
        double share = 1;
        for (double left = candidates; left > finalists; left /= keep)
        {
            share /= keep;
            long wanted = (long)(share * table.Tokens);
            int enough = 1;
            long tokens = 0;
            for (int i = 0; enough < table.Blocks; i++)
            {
                if (i == table.BlockEnds[enough - 1])
                {
                    // As near as blocks come to the wanted share, in ratio.
                    if ((double)tokens * tokens >= 0.5 * wanted * wanted)
                    {
                        break;
                    }
                    enough++;
                }
                tokens += table[i].Tokens;
            }
            if (enough >= blocks[0])
            {
                continue;
            }
            blocks.Insert(0, enough);
            if (enough == 1)
            {
                break;
            }
        }
        return blocks;
    }
}
