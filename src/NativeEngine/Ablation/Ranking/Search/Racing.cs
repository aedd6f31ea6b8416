using NativeEngine.Ablation.Mixtures;

namespace NativeEngine.Ablation.Ranking;

/// <summary>A round of a race.</summary>
/// <param name="Documents">Documents everyone in it was scored on.</param>
/// <param name="Tokens">Their tokens.</param>
/// <param name="Entered">Candidates that entered.</param>
/// <param name="Kept">Candidates that go on.</param>
/// <param name="Blocks">Blocks of documents.</param>
public sealed record RaceRound(int Documents, long Tokens, int Entered, int Kept, int Blocks);

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
    /// factor. With as many finalists as candidates everyone is scored on everything (exhaustive). The first round has at least the first so many blocks. Progress hears of tokens scored, of all that the race will score.
    /// </summary>
    public static RaceResult Run(
        MixtureEvaluator evaluator, MixtureScore score, IReadOnlyList<Mixture> candidates, int finalists = 32, double keep = 4, int from = 1,
        Action<long, long>? progress = null, CancellationToken cancellation = default)
    {
        var rounds = Plan(evaluator.Table, candidates.Count, finalists, keep, from);
        long done = 0, all = Tokens(rounds), before = 0;
        var scores = new double[candidates.Count];
        var reached = new int[candidates.Count];
        int[] running = [.. Enumerable.Range(0, candidates.Count)];
        foreach (var round in rounds)
        {
            long more = round.Tokens - before;
            evaluator.Prepare([.. running.Select(c => candidates[c])], round.Blocks, _ => progress?.Invoke(done += more, all), cancellation);
            foreach (int c in running)
            {
                scores[c] = score.Of(evaluator.DomainLosses(candidates[c], round.Blocks, cancellation));
                reached[c]++;
            }
            running = [.. running.OrderBy(c => scores[c]).ThenBy(c => c).Take(round.Kept)];
            before = round.Tokens;
        }
        int[] order = [.. Enumerable.Range(0, candidates.Count).OrderByDescending(c => reached[c]).ThenBy(c => scores[c]).ThenBy(c => c)];
        return new RaceResult(scores, reached, order, rounds);
    }

    /// <summary>The rounds of a race, all known before it begins. Errors: Usage for a share or finalists that make no race.</summary>
    public static List<RaceRound> Plan(DocumentTable table, int candidates, int finalists, double keep, int from = 1)
    {
        if (!(keep > 1) || finalists < 1)
        {
            throw new EngineException(ErrorKind.Usage, FormattableString.Invariant($"a race that keeps 1 in {keep} with {finalists} finalists cannot be run"), "keep more than 1 in 1, and at least one finalist");
        }
        var rounds = new List<RaceRound>();
        int entered = candidates;
        foreach (int blocks in Schedule(table, candidates, finalists, keep).Select(b => Math.Max(b, from)).Distinct())
        {
            int documents = table.BlockEnds[blocks - 1];
            int kept = blocks == table.Blocks ? entered : Math.Max(Math.Min(finalists, entered), (int)Math.Ceiling(entered / keep));
            rounds.Add(new RaceRound(documents, table.TokensUpTo(blocks), entered, kept, blocks));
            entered = kept;
        }
        return rounds;
    }

    /// <summary>Tokens that a race scores: a candidate that goes on is scored on the documents that are new.</summary>
    public static long Tokens(IReadOnlyList<RaceRound> rounds) => rounds.Select((round, r) => round.Entered * (round.Tokens - (r > 0 ? rounds[r - 1].Tokens : 0))).Sum();

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
            // As near as blocks come to the wanted share, in ratio.
            while (enough < table.Blocks && (double)table.TokensUpTo(enough) * table.TokensUpTo(enough) < 0.5 * wanted * wanted)
            {
                enough++;
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
