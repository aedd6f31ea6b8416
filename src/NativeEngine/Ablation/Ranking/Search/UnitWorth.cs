using NativeEngine.Ablation.Mixtures;
using NativeEngine.Ablation.Statistics;

namespace NativeEngine.Ablation.Ranking;

/// <summary>A unit's worth by one rule: how much it lowers the score (positive is good), with an interval.</summary>
/// <param name="Value">In the score's unit: natural-log loss a token.</param>
/// <param name="Interval">What resampling documents (and, where sets are sampled, sampling other sets) would do to it.</param>
public readonly record struct Worth(double Value, Interval Interval);

/// <summary>What every unit is worth.</summary>
/// <param name="LeaveOneOut">Score without the unit minus score of all.</param>
/// <param name="Shapley">Mean, over orders of arrival, of how much the unit lowers the score when it arrives; sums to score(none) - score(all).</param>
/// <param name="Banzhaf">Mean, over all sets of other units, of how much the unit lowers the score.</param>
/// <param name="Exact">Whether all subsets were evaluated.</param>
/// <param name="Sets">Sets evaluated.</param>
public sealed record WorthResult(IReadOnlyList<Worth> LeaveOneOut, IReadOnlyList<Worth> Shapley, IReadOnlyList<Worth> Banzhaf, bool Exact, int Sets);

/// <summary>
/// Attribution over units, from the uniform averages of sets of them; the empty set is the seed model. Exact over all 2^n sets up to a
/// number of units, else over random orders of arrival, each with its reverse (antithetic), and for Banzhaf over random sets.
/// </summary>
public sealed class UnitWorth
{
    private readonly MixtureEvaluator _evaluator;
    private readonly MixtureScore _score;
    private readonly double[] _seed;
    private readonly int _n, _blocks;

    /// <summary>Worth under a score over the first so many blocks; <paramref name="seedLosses"/> are the seed's losses of these documents.</summary>
    public UnitWorth(MixtureEvaluator evaluator, MixtureScore score, ReadOnlySpan<double> seedLosses, int units, int blocks)
    {
        (_evaluator, _score, _n, _blocks) = (evaluator, score, units, blocks);
        _seed = seedLosses[..evaluator.Table.BlockEnds[blocks - 1]].ToArray();
    }

    /// <summary>
    /// All three rules. Sampled runs use <paramref name="orders"/> orders of arrival (rounded up to pairs). Intervals come from resampling the
    /// documents of every domain, and in sampled runs the orders too.
    /// </summary>
    public WorthResult Compute(
        int exactUpTo = 8, int orders = 16, int resamples = 200, double confidence = 0.9, ulong seed = 1,
        Action<long, long>? progress = null, CancellationToken cancellation = default)
    {
        bool exact = _n <= exactUpTo;
        int[][] arrivals = exact ? [] : Arrivals(orders, seed);
        int[][] extra = exact ? [] : RandomSets(arrivals.Length, seed);
        var sets = new Dictionary<string, double[]>(StringComparer.Ordinal) { [""] = _seed };
        List<int[]> wanted = [.. (exact ? MixtureCandidates.AllSubsets(_n) : Wanted(arrivals, extra)).Where(s => s.Length > 0).DistinctBy(Key)];
        int done = 0;
        _evaluator.Prepare([.. wanted.Select(s => Mixture.Uniform(_n, s))], _blocks, _ => progress?.Invoke(++done, wanted.Count), cancellation);
        foreach (int[] set in wanted)
        {
            sets[Key(set)] = _evaluator.Losses(Mixture.Uniform(_n, set), _blocks, cancellation).ToArray();
        }
        string[] keys = [.. sets.Keys];
        var place = keys.Select((k, i) => (k, i)).ToDictionary(p => p.k, p => p.i, StringComparer.Ordinal);
        double[][] losses = [.. keys.Select(k => sets[k])];
        var value = Values(losses, null);
        var random = new CounterRandom(seed, RandomPurpose.Resampling, 7);
        var rules = exact ? ExactRules(place) : SampledRules(place, arrivals, extra, null);
        var point = rules.Select(rule => Apply(rule, value)).ToArray();
        var draws = new double[resamples][][];
        ulong draw = 0;
        for (int r = 0; r < resamples; r++)
        {
            cancellation.ThrowIfCancellationRequested();
            double[] counts = Resample(random, ref draw);
            double[] values = Values(losses, counts);
            var drawn = exact ? rules : SampledRules(place, arrivals, extra, i => (int)random.Below(draw++, i));
            draws[r] = [.. drawn.Select(rule => Apply(rule, values))];
        }
        IReadOnlyList<Worth>[] result = new IReadOnlyList<Worth>[3];
        for (int k = 0; k < 3; k++)
        {
            var worths = new Worth[_n];
            for (int u = 0; u < _n; u++)
            {
                int unit = u, kind = k;
                worths[u] = new Worth(point[k][u], Quantiles.Central([.. draws.Select(d => d[kind][unit])], confidence));
            }
            result[k] = worths;
        }
        return new WorthResult(result[0], result[1], result[2], exact, sets.Count - 1);
    }

    // A rule is, for every unit, a list of (set with, set without, weight).
    private static double[] Apply(List<(int With, int Without, double Weight)>[] rule, double[] value) =>
        [.. rule.Select(terms => terms.Sum(t => t.Weight * (value[t.Without] - value[t.With])))];

    private List<(int, int, double)>[][] ExactRules(Dictionary<string, int> place)
    {
        var shapley = Empty();
        var banzhaf = Empty();
        int[][] subsets = [[], .. MixtureCandidates.AllSubsets(_n)];
        foreach (int[] set in subsets)
        {
            for (int u = 0; u < _n; u++)
            {
                if (set.Contains(u))
                {
                    continue;
                }
                var (with, without) = (place[Key([.. set.Append(u).Order()])], place[Key(set)]);
                // |S|! (n - |S| - 1)! / n! = 1 / (n C(n - 1, |S|))
                shapley[u].Add((with, without, 1 / (_n * (double)TrainingCost.Subsets(_n - 1, set.Length))));
                banzhaf[u].Add((with, without, Math.ScaleB(1, 1 - _n)));
            }
        }
        return [LeaveOneOut(place), shapley, banzhaf];
    }

    private List<(int, int, double)>[][] SampledRules(Dictionary<string, int> place, int[][] arrivals, int[][] extra, Func<int, int>? draw)
    {
        var shapley = Empty();
        var banzhaf = Empty();
        int pairs = arrivals.Length / 2;
        for (int p = 0; p < pairs; p++)
        {
            int chosen = draw?.Invoke(pairs) ?? p;
            foreach (int[] order in (int[][])[arrivals[2 * chosen], arrivals[(2 * chosen) + 1]])
            {
                for (int k = 0; k < _n; k++)
                {
                    shapley[order[k]].Add((place[Key([.. order.Take(k + 1).Order()])], place[Key([.. order.Take(k).Order()])], 1.0 / arrivals.Length));
                }
            }
        }
        for (int s = 0; s < extra.Length; s++)
        {
            int[] set = extra[draw?.Invoke(extra.Length) ?? s];
            for (int u = 0; u < _n; u++)
            {
                banzhaf[u].Add((place[Key([.. set.Union([u]).Order()])], place[Key([.. set.Where(v => v != u)])], 1.0 / extra.Length));
            }
        }
        return [LeaveOneOut(place), shapley, banzhaf];
    }

    private List<(int, int, double)>[] LeaveOneOut(Dictionary<string, int> place)
    {
        int all = place[Key([.. Enumerable.Range(0, _n)])];
        var rule = Empty();
        for (int u = 0; u < _n; u++)
        {
            rule[u].Add((all, place[Key([.. Enumerable.Range(0, _n).Where(v => v != u)])], 1));
        }
        return rule;
    }

    private List<int[]> Wanted(int[][] arrivals, int[][] extra)
    {
        List<int[]> sets = [.. MixtureCandidates.LeaveOneOut(_n)];
        sets.AddRange(arrivals.SelectMany(order => Enumerable.Range(1, _n).Select(k => order.Take(k).Order().ToArray())));
        foreach (int[] set in extra)
        {
            sets.AddRange(Enumerable.Range(0, _n).SelectMany<int, int[]>(u => [[.. set.Union([u]).Order()], [.. set.Where(v => v != u)]]));
        }
        return sets;
    }

    private int[][] Arrivals(int orders, ulong seed)
    {
        var result = new List<int[]>();
        for (int p = 0; p < Math.Max(1, (orders + 1) / 2); p++)
        {
            int[] order = new CounterRandom(seed, RandomPurpose.Candidates, 1u << 30 | (uint)p).Permutation(_n);
            result.Add(order);
            result.Add([.. order.AsEnumerable().Reverse()]);
        }
        return [.. result];
    }

    private int[][] RandomSets(int count, ulong seed)
    {
        var random = new CounterRandom(seed, RandomPurpose.Candidates, 1u << 31);
        return [.. Enumerable.Range(0, count).Select(s => Enumerable.Range(0, _n).Where(u => random.Uniform((ulong)((s * _n) + u)) < 0.5).ToArray())];
    }

    private double[] Values(double[][] losses, double[]? counts)
    {
        var table = _evaluator.Table;
        var sums = new double[table.Domains.Count];
        var tokens = new double[table.Domains.Count];
        var values = new double[losses.Length];
        for (int i = 0; i < losses[0].Length; i++)
        {
            tokens[table[i].Domain] += (counts?[i] ?? 1) * table[i].Tokens;
        }
        for (int s = 0; s < losses.Length; s++)
        {
            Array.Clear(sums);
            for (int i = 0; i < losses[s].Length; i++)
            {
                sums[table[i].Domain] += (counts?[i] ?? 1) * losses[s][i];
            }
            for (int d = 0; d < sums.Length; d++)
            {
                sums[d] /= tokens[d];
            }
            values[s] = _score.Of(sums);
        }
        return values;
    }

    private double[] Resample(CounterRandom random, ref ulong draw)
    {
        int count = _seed.Length;
        var counts = new double[count];
        for (int d = 0; d < _evaluator.Table.Domains.Count; d++)
        {
            int[] members = [.. _evaluator.Table.OfDomain(d).TakeWhile(i => i < count)];
            for (int i = 0; i < members.Length; i++)
            {
                counts[members[(int)random.Below(draw++, members.Length)]]++;
            }
        }
        return counts;
    }

    private List<(int, int, double)>[] Empty() => [.. Enumerable.Range(0, _n).Select(_ => new List<(int, int, double)>())];

    private static string Key(int[] set) => string.Join(',', set);
}
