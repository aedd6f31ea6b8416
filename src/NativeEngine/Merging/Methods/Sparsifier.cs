namespace NativeEngine.Merging.Methods;

/// <summary>Which elements of a model's difference to the base stay.</summary>
internal abstract class Sparsifier
{
    /// <summary>Keeps everything.</summary>
    public static Sparsifier None { get; } = new KeepAll();

    /// <summary>Whether it ranks whole rows, and so holds them.</summary>
    public virtual bool HoldsRows => false;

    /// <summary>A sentence when a tensor of this many elements cannot be sparsified so; null when it can.</summary>
    public virtual string? Refuse(ParameterValues values, int model, long count) => null;

    /// <summary>The rule for one model's tensor; null keeps everything.</summary>
    public abstract Keep? Prepare(TensorInputs inputs, int model, TensorScan scan);

    /// <summary>The elements that stay of a share: truncated towards zero, as in mergekit (0.29 of 100 are 28). None is an error.</summary>
    protected static string? RefuseNone(double density, long count) => (long)(density * count) > 0 ? null
        : $"density {density.ToString("R", System.Globalization.CultureInfo.InvariantCulture)} of {count} elements keeps none";

    private sealed class KeepAll : Sparsifier
    {
        public override Keep? Prepare(TensorInputs inputs, int model, TensorScan scan) => null;
    }
}

/// <summary>A prepared rule: sets dropped elements to zero. The same element has the same fate in every call.</summary>
internal abstract class Keep
{
    /// <summary>Ranges must begin and end at multiples of this.</summary>
    public virtual long Grain => 1;

    /// <summary>Drops elements of d, which are [start, start + d.Length) of the tensor.</summary>
    public abstract void Apply(long start, Span<double> d, MergeScratch scratch);

    /// <summary>Zero for a finite value; NaN stays NaN, so that what cannot be merged does not vanish.</summary>
    protected static double Dropped(double value) => value - value;
}

/// <summary>
/// Keeps the elements from rank <c>top</c> to <c>top + kept</c> of the descending magnitudes, ties to the lowest index. Magnitude trimming
/// (TIES) keeps the int(density n) largest; breadcrumbs (Davari and Belilovsky 2023) first drops the int(gamma n) largest, or as many as still
/// leave int(density n). (mergekit loses the whole difference when int(gamma n) is 0; here none of the largest is dropped then.)
/// </summary>
internal sealed class MagnitudeSparsifier(bool dropsLargest) : Sparsifier
{
    public override string? Refuse(ParameterValues values, int model, long count) => RefuseNone(values["density", model], count);

    public override Keep? Prepare(TensorInputs inputs, int model, TensorScan scan)
    {
        var (top, kept) = Ranks(inputs.Values["density", model], dropsLargest ? inputs.Values["gamma", model] : 0, inputs.Count);
        if (top == 0 && kept == inputs.Count)
        {
            return null;
        }
        ReadRange read = (start, values, scratch) => inputs.ReadDelta(model, start, values, scratch.Doubles(1, values.Length));
        return new Ranked(RankCut.Find(scan, inputs.Count, top, read), RankCut.Find(scan, inputs.Count, top + kept, read));
    }

    /// <summary>How many of the largest go, and how many of the next stay.</summary>
    internal static (long Top, long Kept) Ranks(double density, double gamma, long count)
    {
        long kept = (long)(density * count);
        return (Math.Min((long)(gamma * count), count - kept), kept);
    }

    private sealed class Ranked(RankCut top, RankCut last) : Keep
    {
        public override void Apply(long start, Span<double> d, MergeScratch scratch)
        {
            for (int i = 0; i < d.Length; i++)
            {
                if (top.IsBefore(d[i], start + i) || !last.IsBefore(d[i], start + i))
                {
                    d[i] = Dropped(d[i]);
                }
            }
        }
    }
}

/// <summary>
/// Random numbers of a model's elements: the word index mod 4 of block index / 4 of a counter-based generator keyed by the seed and the
/// tensor's name, its stream the model's place in the recipe. They depend on nothing else.
/// </summary>
internal sealed class ElementRandom(TensorInputs inputs, int model)
{
    private readonly CounterRandom _random = new(Key(inputs.Seed, inputs.Name), RandomPurpose.Merging, (uint)inputs.Values.Place(model));

    /// <summary>Whether each element falls below its probability, tested to 2^-32.</summary>
    public void Drop(long start, Span<double> d, Func<int, double> probability)
    {
        uint a = 0, b = 0, c = 0, e = 0;
        for (int i = 0; i < d.Length; i++)
        {
            long index = start + i;
            if (i == 0 || (index & 3) == 0)
            {
                (a, b, c, e) = _random.Block((ulong)index >> 2);
            }
            uint word = (index & 3) switch { 0 => a, 1 => b, 2 => c, _ => e };
            if (word >= probability(i) * 4294967296.0)
            {
                d[i] -= d[i];
            }
        }
    }

    // FNV-1a over the UTF-16 units, from the seed.
    private static ulong Key(ulong seed, string name)
    {
        ulong hash = 14695981039346656037UL ^ seed;
        foreach (char c in name)
        {
            hash = (hash ^ c) * 1099511628211UL;
        }
        return hash;
    }
}

/// <summary>DARE (Yu et al. 2024): each element stays with probability density, independently.</summary>
internal sealed class RandomSparsifier : Sparsifier
{
    public override string? Refuse(ParameterValues values, int model, long count) => values["density", model] > 0 ? null : "density 0 keeps nothing";

    public override Keep? Prepare(TensorInputs inputs, int model, TensorScan scan) =>
        inputs.Values["density", model] >= 1 ? null : new Drawn(new ElementRandom(inputs, model), inputs.Values["density", model]);

    private sealed class Drawn(ElementRandom random, double density) : Keep
    {
        public override void Apply(long start, Span<double> d, MergeScratch scratch) => random.Drop(start, d, _ => density);
    }
}

/// <summary>
/// DELLA (Deep et al. 2024): in each row (a vector is one row) magnitudes are ranked ascending r = 0 .. n-1, ties to the lowest index, and an
/// element stays with probability (density - epsilon) + 2 epsilon r / (n-1); density in a row of one. Holds one row per thread.
/// </summary>
internal sealed class RankedRandomSparsifier : Sparsifier
{
    public override bool HoldsRows => true;

    public override string? Refuse(ParameterValues values, int model, long count)
    {
        double density = values["density", model], epsilon = values["epsilon", model];
        return density - epsilon >= 0 && density + epsilon <= 1 ? null
            : FormattableString.Invariant($"density {density} and epsilon {epsilon} give keep probabilities from {density - epsilon} to {density + epsilon}; they must lie in [0, 1]");
    }

    public override Keep? Prepare(TensorInputs inputs, int model, TensorScan scan) =>
        new Drawn(new ElementRandom(inputs, model), inputs.Values["density", model], inputs.Values["epsilon", model], inputs.First.RowLength);

    /// <summary>The keep probabilities of one row.</summary>
    internal static void Probabilities(ReadOnlySpan<double> row, double density, double epsilon, Span<double> probabilities)
    {
        int n = row.Length;
        var magnitudes = new double[n];
        var order = new int[n];
        for (int i = 0; i < n; i++)
        {
            (magnitudes[i], order[i]) = (Math.Abs(row[i]), i);
        }
        // The index breaks ties, so the order does not depend on how the sort works.
        Array.Sort(order, (x, y) => magnitudes[x].CompareTo(magnitudes[y]) is var c and not 0 ? c : x - y);
        for (int r = 0; r < n; r++)
        {
            probabilities[order[r]] = n == 1 ? density : density - epsilon + (r / (n - 1.0) * 2 * epsilon);
        }
    }

    private sealed class Drawn(ElementRandom random, double density, double epsilon, long row) : Keep
    {
        public override long Grain => row;

        public override void Apply(long start, Span<double> d, MergeScratch scratch)
        {
            int n = (int)row;
            var probabilities = new double[n];
            for (int at = 0; at < d.Length; at += n)
            {
                Probabilities(d.Slice(at, n), density, epsilon, probabilities);
                random.Drop(start + at, d.Slice(at, n), i => probabilities[i]);
            }
        }
    }
}
