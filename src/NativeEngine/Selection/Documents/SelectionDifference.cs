using NativeEngine.Data;

namespace NativeEngine.Selection;

/// <summary>What one source has in two selections, A and B.</summary>
/// <param name="Source">Its name; "*" where sources competed together in both.</param>
/// <param name="Size">Its examples, those that one selection dropped included.</param>
/// <param name="A">Picks in A.</param>
/// <param name="B">Picks in B.</param>
/// <param name="Both">Picks that are in both.</param>
/// <param name="Expected">Picks that two random selections of the same quotas would have in common on average.</param>
/// <param name="KeptA">Whether A kept it whole.</param>
/// <param name="KeptB">Whether B kept it whole.</param>
/// <param name="ObjectiveA">What A says its objective is, on the features it was made from; null where nothing was chosen by it.</param>
/// <param name="ObjectiveB">What B says.</param>
public sealed record SourceDifference(string Source, int Size, int A, int B, int Both, double Expected, bool KeptA, bool KeptB, double? ObjectiveA, double? ObjectiveB)
{
    /// <summary>Picks in both as a share of those in either: |A and B| / |A or B|; 1 where neither has any.</summary>
    public double Jaccard => SelectionDifference.Share(Both, A, B);
}

/// <summary>An example that only one of two selections has.</summary>
/// <param name="Index">The example, from 0.</param>
/// <param name="Source">Its source.</param>
/// <param name="Line">Its line in the data file, where the selection that has it says so.</param>
/// <param name="Id">Its own name, likewise.</param>
public sealed record MovedExample(int Index, string Source, long? Line, string? Id);

/// <summary>
/// Two selections of the same pool beside each other: what entered, what left, and how much of that chance alone would do. Jaccard = |A and B| / |A or B|.
/// A random selection here picks as many of every source as the real one did, among the examples that neither dropped; two of them have X in common
/// (<see cref="RandomOverlap"/>), and J(X) = X / (|A| + |B| - X) is compared with the Jaccard of the two. Cost: some passes over the lists, and the distribution of X.
/// </summary>
public sealed record SelectionDifference
{
    /// <summary>Examples in the pool.</summary>
    public required int N { get; init; }

    /// <summary>Elements of a feature.</summary>
    public required int Dimension { get; init; }

    /// <summary>Picks of A.</summary>
    public required int A { get; init; }

    /// <summary>Picks of B.</summary>
    public required int B { get; init; }

    /// <summary>Picks of both.</summary>
    public required int Both { get; init; }

    /// <summary>Every source, ascending.</summary>
    public required IReadOnlyList<SourceDifference> Sources { get; init; }

    /// <summary>What B has and A has not, ascending.</summary>
    public required IReadOnlyList<MovedExample> Entered { get; init; }

    /// <summary>What A has and B has not, ascending.</summary>
    public required IReadOnlyList<MovedExample> Left { get; init; }

    /// <summary>Whether both compare features in the same way: metric, columns, normalisation and its step.</summary>
    public required bool SameMeasure { get; init; }

    /// <summary>How many picks two random selections of the same quotas have in common.</summary>
    public required RandomOverlap Random { get; init; }

    /// <summary>For every example its position in <see cref="Sources"/>; -1 when either dropped it.</summary>
    internal int[] Groups { get; private init; } = [];

    /// <summary>Whether the same examples are selected.</summary>
    public bool Same => Entered.Count == 0 && Left.Count == 0;

    /// <summary>|A and B| / |A or B|; 1 where nothing is selected.</summary>
    public double Jaccard => Share(Both, A, B);

    /// <summary>The expected Jaccard of two random selections.</summary>
    public double ExpectedJaccard => Random.Expect(x => Share(x, A, B));

    /// <summary>
    /// Compares two documents. A source of one that competed with others ("*") takes its name from the other, where that names it.
    /// Errors: BadInput for lists that do not fit together, and, with both values, where n, dimension, the source, the line or the name of an example differ.
    /// </summary>
    public static SelectionDifference Of(SelectionDocument a, SelectionDocument b)
    {
        SelectionBookkeeping.Require(a);
        SelectionBookkeeping.Require(b);
        RequireSame(a.N, b.N, "examples");
        RequireSame(a.Dimension, b.Dimension, "numbers a feature");
        string?[] names = Names(a, b);
        bool[] inA = Flags(a), inB = Flags(b), free = [.. Enumerable.Range(0, a.N).Select(i => a.Groups[i] >= 0 && b.Groups[i] >= 0)];
        var (placesA, placesB) = (Places(a), Places(b));
        RequireSamePlaces(a, b, placesA, placesB);
        string[] sources = SourceOrder.Sort([.. a.Sources.Concat(b.Sources).Select(s => s.Source).Where(s => s != "*"), .. names.OfType<string>()]);
        var at = sources.Select((name, s) => (name, s)).ToDictionary(p => p.name, p => p.s, StringComparer.Ordinal);
        var (size, counts, possible) = (new int[sources.Length], new (int A, int B, int Both)[sources.Length], new (int N, int A, int B)[sources.Length]);
        var groups = new int[a.N];
        for (int i = 0; i < a.N; i++)
        {
            int s = groups[i] = names[i] is { } name ? at[name] : -1;
            if (s < 0)
            {
                continue;
            }
            var (x, y) = (inA[i] ? 1 : 0, inB[i] ? 1 : 0);
            size[s]++;
            counts[s] = (counts[s].A + x, counts[s].B + y, counts[s].Both + (x & y));
            if (free[i])
            {
                possible[s] = (possible[s].N + 1, possible[s].A + x, possible[s].B + y);
            }
            else
            {
                groups[i] = -1;
            }
        }
        var (keptA, keptB, firstA, firstB) = (Kept(a), Kept(b), First(a), First(b));
        var rows = sources.Select((name, s) => new SourceDifference(
            name, size[s], counts[s].A, counts[s].B, counts[s].Both, possible[s].N == 0 ? 0 : (double)possible[s].A * possible[s].B / possible[s].N, keptA.Contains(name), keptB.Contains(name),
            Objective(firstA, name), Objective(firstB, name)));
        MovedExample Moved(int i, SelectionDocument d, Dictionary<int, int> places) => new(i, names[i]!, d.Lines?[places[i]], d.Ids?[places[i]]);
        return new SelectionDifference
        {
            N = a.N,
            Dimension = a.Dimension,
            A = a.Indices.Count,
            B = b.Indices.Count,
            Both = counts.Sum(c => c.Both),
            Sources = [.. rows],
            Entered = [.. Enumerable.Range(0, a.N).Where(i => inB[i] && !inA[i]).Select(i => Moved(i, b, placesB))],
            Left = [.. Enumerable.Range(0, a.N).Where(i => inA[i] && !inB[i]).Select(i => Moved(i, a, placesA))],
            SameMeasure = (a.Metric, a.Top, a.Adam, a.Step, a.State) == (b.Metric, b.Top, b.Adam, b.Step, b.State),
            Random = RandomOverlap.Of(possible),
            Groups = groups,
        };
    }

    /// <summary>The Jaccard of sets of so many, of which so many are in both.</summary>
    internal static double Share(int both, int a, int b) => a + b == 0 ? 1 : both / ((double)a + b - both);

    private static void RequireSame(int a, int b, string what)
    {
        if (a != b)
        {
            throw OtherPool($"the first selection is of {a} {what}, the second of {b}");
        }
    }

    private static EngineException OtherPool(string sentence) =>
        new(ErrorKind.BadInput, $"{sentence}: they are not of the same pool", "give two results of select for the same examples and sources");

    // The source of every example; null where both dropped it.
    private static string?[] Names(SelectionDocument a, SelectionDocument b)
    {
        var names = new string?[a.N];
        for (int i = 0; i < names.Length; i++)
        {
            string? x = a.Groups[i] < 0 ? null : a.Sources[a.Groups[i]].Source, y = b.Groups[i] < 0 ? null : b.Sources[b.Groups[i]].Source;
            if (x is not (null or "*") && y is not (null or "*") && x != y)
            {
                throw OtherPool($"example {i} is of the source {x} in the first selection and of {y} in the second");
            }
            names[i] = x is null or "*" ? y ?? x : x;
        }
        return names;
    }

    private static bool[] Flags(SelectionDocument d)
    {
        var flags = new bool[d.N];
        foreach (int i in d.Indices)
        {
            flags[i] = true;
        }
        return flags;
    }

    // Where each pick is in its document's lists, whose lines and names count only when they are as long.
    private static Dictionary<int, int> Places(SelectionDocument d)
    {
        if ((d.Lines?.Count ?? d.Indices.Count) != d.Indices.Count || (d.Ids?.Count ?? d.Indices.Count) != d.Indices.Count)
        {
            throw new EngineException(ErrorKind.BadInput, $"a selection has {d.Indices.Count} indices, {d.Lines?.Count ?? d.Indices.Count} lines and {d.Ids?.Count ?? d.Indices.Count} ids", "take the file as select wrote it");
        }
        return d.Indices.Select((index, place) => (index, place)).ToDictionary(p => p.index, p => p.place);
    }

    private static void RequireSamePlaces(SelectionDocument a, SelectionDocument b, Dictionary<int, int> placesA, Dictionary<int, int> placesB)
    {
        foreach (int i in a.Indices.Where(placesB.ContainsKey))
        {
            var (x, y) = (placesA[i], placesB[i]);
            if (a.Lines is { } linesA && b.Lines is { } linesB && linesA[x] != linesB[y])
            {
                throw OtherPool($"example {i} is line {linesA[x]} in the first selection and line {linesB[y]} in the second");
            }
            if (a.Ids is { } idsA && b.Ids is { } idsB && idsA[x] != idsB[y])
            {
                throw OtherPool($"example {i} is named {idsA[x]} in the first selection and {idsB[y]} in the second");
            }
        }
    }

    private static HashSet<string> Kept(SelectionDocument d) => d.Sources.Where(s => s.Kept).Select(s => s.Source).ToHashSet(StringComparer.Ordinal);

    private static Dictionary<string, DocumentSource> First(SelectionDocument d) =>
        d.Sources.DistinctBy(s => s.Source).ToDictionary(s => s.Source, StringComparer.Ordinal);

    private static double? Objective(Dictionary<string, DocumentSource> sources, string source) =>
        sources.GetValueOrDefault(source) is { Kept: false } found && found.Selected > 0 && found.Selected < found.Size ? found.Objective : null;
}
