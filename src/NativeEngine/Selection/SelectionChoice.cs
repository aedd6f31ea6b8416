namespace NativeEngine.Selection;

/// <summary>Which algorithm a source is selected with, and why.</summary>
/// <param name="Algorithm">Never auto.</param>
/// <param name="Neighbours">Neighbours kept of each row; 0 where there is a matrix.</param>
/// <param name="Parts">Parts of a partitioned source; else 1.</param>
/// <param name="Reason">A sentence.</param>
public sealed record SelectionChoice(SelectionAlgorithm Algorithm, int Neighbours, int Parts, string Reason)
{
    /// <summary>Fewest neighbours that sparse selection keeps, and the most before auto prefers parts.</summary>
    private const int FewestNeighbours = 64, MostNeighbours = 1024;

    /// <summary>
    /// The choice for n candidates with a quota of k. Auto is exact while the n x n matrix has at most <see cref="SelectionOptions.ExactLimit"/> rows;
    /// then sparse, with eight times as many neighbours as there are rows for each pick, so that nearly every row knows a pick; then, when picks are so few that more than
    /// 1024 neighbours would be needed, partitioned, if every part can have two picks. A part always has a pick, so there are at most k / 2 of them.
    /// </summary>
    public static SelectionChoice For(SelectionOptions options, int n, int k)
    {
        var choice = Decide(options, n, k);
        string reason = options.Algorithm != SelectionAlgorithm.Auto ? "asked for"
            : n <= options.ExactLimit ? $"a matrix of {n} x {n} fits"
            : choice.Algorithm == SelectionAlgorithm.Sparse
                ? $"a matrix of {n} x {n} exceeds the {options.ExactLimit} rows that may have one, {choice.Neighbours} neighbours of each do not"
            : $"a matrix of {n} x {n} exceeds the {options.ExactLimit} rows that may have one, and {k} picks are too few for lists of neighbours";
        bool onePart = choice.Algorithm == SelectionAlgorithm.Exact
            && (options.Algorithm == SelectionAlgorithm.Partitioned || (options.Algorithm == SelectionAlgorithm.Auto && n > options.ExactLimit));
        return new(choice.Algorithm, choice.Neighbours, choice.Parts, onePart ? reason + ", and one part is all of it" : reason);
    }

    /// <summary>The choice without its reason.</summary>
    internal static SelectionDecision Decide(SelectionOptions options, int n, int k)
    {
        long wanted = k == 0 ? 0 : Math.Max(FewestNeighbours, 8L * n / k);
        int neighbours = Math.Max(1, options.Neighbours > 0 ? options.Neighbours : (int)Math.Min(wanted, MostNeighbours));
        return options.Algorithm switch
        {
            SelectionAlgorithm.Exact => new(SelectionAlgorithm.Exact, 0, 1),
            SelectionAlgorithm.Sparse or SelectionAlgorithm.Stochastic => new(options.Algorithm, neighbours, 1),
            SelectionAlgorithm.Partitioned => Parted(),
            _ when n <= options.ExactLimit => new(SelectionAlgorithm.Exact, 0, 1),
            _ when wanted <= MostNeighbours || k / 2 < (n + options.ExactLimit - 1) / Math.Max(1, options.ExactLimit) => new(SelectionAlgorithm.Sparse, neighbours, 1),
            _ => Parted(),
        };

        SelectionDecision Parted()
        {
            int size = Math.Min(options.PartSize, options.ExactLimit);
            int parts = options.Parts > 0 ? options.Parts : (n + size - 1) / Math.Max(1, size);
            parts = Math.Clamp(parts, 1, Math.Max(1, k / 2));
            return parts == 1 ? new(SelectionAlgorithm.Exact, 0, 1) : new(SelectionAlgorithm.Partitioned, FewestNeighbours, parts);
        }
    }
}

/// <summary>A <see cref="SelectionChoice"/> without its reason.</summary>
internal readonly record struct SelectionDecision(SelectionAlgorithm Algorithm, int Neighbours, int Parts);
