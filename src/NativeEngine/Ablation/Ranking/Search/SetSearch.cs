namespace NativeEngine.Ablation.Ranking;

/// <summary>A step of a search over sets of units: the set and its value; a step that was tried and refused is not accepted.</summary>
public sealed record SearchStep(IReadOnlyList<int> Set, double Value, bool Accepted = true);

/// <summary>The outcome of a search over sets.</summary>
/// <param name="Set">The set found, ascending.</param>
/// <param name="Value">Its value.</param>
/// <param name="Trace">The steps.</param>
/// <param name="Evaluations">Sets evaluated, each counted once.</param>
public sealed record SearchResult(IReadOnlyList<int> Set, double Value, IReadOnlyList<SearchStep> Trace, int Evaluations);

/// <summary>
/// Searches over sets of units for the lowest value of any function of a set. Every set is evaluated once; ties go to the lowest index.
/// Sets an admissible-function refuses are passed over; <c>prepare</c> hears of all sets that are about to be asked for.
/// </summary>
public sealed class SetSearch(
    int units, Func<IReadOnlyList<int>, double> value, Func<IReadOnlyList<int>, bool>? admissible = null, Action<IReadOnlyList<int[]>>? prepare = null)
{
    private readonly Dictionary<string, double> _values = new(StringComparer.Ordinal);

    /// <summary>Sets evaluated so far.</summary>
    public int Evaluations => _values.Count;

    /// <summary>Starts from a set (empty unless given) and adds the unit that gives the lowest value while that is strictly lower.</summary>
    public SearchResult Forward(IReadOnlyList<int>? start = null)
    {
        int before = Evaluations;
        int[] set = [.. start ?? []];
        double best = set.Length > 0 ? Value(set) : double.PositiveInfinity;
        var trace = new List<SearchStep>();
        while (Better(Enumerable.Range(0, units).Where(u => !set.Contains(u)).Select(u => Sorted(set.Append(u))), best) is { } step)
        {
            (set, best) = ([.. step.Set], step.Value);
            trace.Add(step);
        }
        return new SearchResult(set, best, trace, Evaluations - before);
    }

    /// <summary>Starts from all units (or a set) and removes the unit whose absence gives the lowest value while that is strictly lower.</summary>
    public SearchResult Backward(IReadOnlyList<int>? start = null)
    {
        int before = Evaluations;
        int[] set = [.. start ?? [.. Enumerable.Range(0, units)]];
        double best = Value(set);
        var trace = new List<SearchStep> { new(set, best) };
        while (set.Length > 1 && Better(set.Select(u => set.Where(v => v != u).ToArray()), best) is { } step)
        {
            (set, best) = ([.. step.Set], step.Value);
            trace.Add(step);
        }
        return new SearchResult(set, best, trace, Evaluations - before);
    }

    /// <summary>From a set: adds, removes or exchanges one unit, whichever gives the lowest value, while that is strictly lower.</summary>
    public SearchResult Swap(IReadOnlyList<int> start)
    {
        int before = Evaluations;
        int[] set = Sorted(start);
        double best = Value(set);
        var trace = new List<SearchStep> { new(set, best) };
        while (Better(Neighbours(set), best) is { } step)
        {
            (set, best) = ([.. step.Set], step.Value);
            trace.Add(step);
        }
        return new SearchResult(set, best, trace, Evaluations - before);
    }

    /// <summary>
    /// The greedy soup (Wortsman et al. 2022): units by their own value, each accepted when the value of the set does not get worse. The trace
    /// has every try.
    /// </summary>
    public SearchResult GreedySoup()
    {
        int before = Evaluations;
        int[] set = [];
        double best = double.PositiveInfinity;
        var trace = new List<SearchStep>();
        foreach (int unit in Enumerable.Range(0, units).OrderBy(u => Value([u])).ThenBy(u => u))
        {
            int[] tried = Sorted(set.Append(unit));
            double value = Value(tried);
            bool accepted = value <= best;
            trace.Add(new SearchStep(tried, value, accepted));
            (set, best) = accepted ? (tried, value) : (set, best);
        }
        return new SearchResult(set, best, trace, Evaluations - before);
    }

    private IEnumerable<int[]> Neighbours(int[] set)
    {
        int[] others = [.. Enumerable.Range(0, units).Where(u => !set.Contains(u))];
        return others.Select(u => Sorted(set.Append(u)))
            .Concat(set.Length > 1 ? set.Select(u => set.Where(v => v != u).ToArray()) : [])
            .Concat(set.SelectMany(u => others.Select(v => Sorted(set.Where(w => w != u).Append(v)))));
    }

    private SearchStep? Better(IEnumerable<int[]> sets, double best)
    {
        SearchStep? found = null;
        int[][] allowed = [.. sets.Where(s => admissible?.Invoke(s) ?? true)];
        prepare?.Invoke(allowed);
        foreach (int[] set in allowed)
        {
            double value = Value(set);
            if (value < best)
            {
                (found, best) = (new SearchStep(set, value), value);
            }
        }
        return found;
    }

    private double Value(int[] set)
    {
        string key = string.Join(',', set);
        return _values.TryGetValue(key, out double known) ? known : _values[key] = value(set);
    }

    private static int[] Sorted(IEnumerable<int> set) => [.. set.Order()];
}
