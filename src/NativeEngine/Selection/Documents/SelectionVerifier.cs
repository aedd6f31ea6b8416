using System.Globalization;
using NativeEngine.Devices;

namespace NativeEngine.Selection;

/// <summary>
/// Checks a selection against the features again: its bookkeeping exactly, and its gains, representatives, objective and bound from distances
/// in double, by code that shares nothing with the kernels that made them (normalisation and the choice of columns are repeated as they were).
/// A source chosen exactly is replayed pick by pick with a matrix of 8 n^2 bytes where the memory limit has room for it. Otherwise, and where lists of neighbours or
/// parts were used, its gains are only checked for their order, and the claimed bound must not be below the one that is proven again. Cost: n^2 h / 2 terms with the matrix,
/// 5/4 n^2 h and a copy of the features without.
/// </summary>
public sealed class SelectionVerifier
{
    /// <summary>
    /// Objective, gains and bound may differ by this share of n C (every row at its most similar): float32 distances are within 5e-7 of C, and
    /// the mean over a source's rows does better.
    /// </summary>
    private const double Tolerance = 1e-6;

    private readonly SelectionDocument _document;
    private readonly Device _device;
    private readonly Tensor<float> _features;

    private SelectionVerifier(SelectionDocument document, Device device, Tensor<float> features) =>
        (_document, _device, _features) = (document, device, features);

    /// <summary>
    /// Checks a document. Returns objective and bound as recomputed. Errors: VerificationFailed with what was claimed and what was found;
    /// WillNotFit for a source whose matrix exceeds the device's memory limit.
    /// </summary>
    /// <param name="document">The claim.</param>
    /// <param name="features">All features [n, dim], on the device; normalised in place when Adam was used.</param>
    /// <param name="normalizer">Adam's history as it was before the selection, or no normaliser.</param>
    /// <param name="cancellation">Stops between sources.</param>
    public static SelectionCertificate Verify(
        SelectionDocument document, Tensor<float> features, IGradientNormalizer normalizer, CancellationToken cancellation = default)
    {
        var verifier = new SelectionVerifier(document, features.Buffer.Device, features);
        verifier.CheckStructure();
        verifier.CheckDropped();
        if (!normalizer.IsIdentity)
        {
            normalizer.Normalize(features, document.Step, features);
        }
        return verifier.CheckSources(cancellation);
    }

    private void CheckStructure()
    {
        Check(
            _document.N == _features.Rows && _document.Dimension == _features.RowLength,
            $"the selection is of {_document.N} x {_document.Dimension} features, these are {_features.Shape}");
        if (SelectionBookkeeping.Problem(_document) is { } problem)
        {
            throw Failed(problem);
        }
    }

    private void CheckDropped()
    {
        using var flags = _device.Allocate<int>(_document.N, MemoryUse.Selection);
        _device.Kernels.RowsFinite(_features, flags.View);
        int[] finite = _device.Download(flags.View);
        for (int i = 0; i < finite.Length; i++)
        {
            int group = _document.Groups[i];
            bool candidate = group < 0 || !_document.Sources[group].Kept;
            Check(!candidate || (finite[i] == 0) == (group < 0), $"example {i} is {(group < 0 ? "dropped" : "a candidate")} and its feature is {(finite[i] == 0 ? "not " : "")}finite");
        }
    }

    private SelectionCertificate CheckSources(CancellationToken cancellation)
    {
        double objective = 0, bound = 0, slack = 0, ratio = _document.Certificate.UpperBound == 0 ? 1 : _document.Objective / _document.Certificate.UpperBound;
        bool looser = false;
        for (int g = 0; g < _document.Sources.Count; g++)
        {
            cancellation.ThrowIfCancellationRequested();
            var source = _document.Sources[g];
            int[] members = [.. Enumerable.Range(0, _document.N).Where(i => _document.Groups[i] == g)];
            int[] places = [.. Enumerable.Range(0, _document.Indices.Count).Where(t => _document.Groups[_document.Indices[t]] == g)];
            if (source.Kept || places.Length == 0 || places.Length == members.Length)
            {
                Check(places.All(t => _document.Gains[t] is null && _document.Weights[t] == 1), $"source {source.Source} was not chosen by gains but has some");
                continue;
            }
            bool exact = source.Algorithm is null or "exact";
            var (found, scale) = exact && MatrixFits(members.Length) ? CheckGreedy(source, members, places) : CheckPicks(source, members, places, cancellation);
            looser |= !exact || !MatrixFits(members.Length);
            objective += found.Objective;
            bound += found.UpperBound;
            slack += Tolerance * scale;
            Near(source.Objective, found.Objective, Tolerance * scale, $"objective of source {source.Source}");
        }
        Near(_document.Objective, objective, slack, "objective");
        Check(_document.Certificate.UpperBound >= bound - slack, $"the upper bound is {Text(_document.Certificate.UpperBound)}, the least that could be proven again is {Text(bound)}");
        if (!looser)
        {
            Near(_document.Certificate.UpperBound, bound, slack, "upper bound");
        }
        Near(_document.Certificate.Ratio, ratio, 1e-12, "ratio");
        return new SelectionCertificate(bound, bound == 0 ? 1 : objective / bound);
    }

    private bool MatrixFits(long n) => n * n <= Array.MaxLength && n * n * sizeof(double) <= _device.MemoryLimit - _device.Memory.LiveBytes;

    /// <summary>Picks made without a matrix, or too many for one: objective, owners and bound from rows of distances, without ever holding two.</summary>
    private (FacilityLocationResult Found, double Scale) CheckPicks(DocumentSource source, int[] members, int[] places, CancellationToken cancellation)
    {
        int n = members.Length;
        var rows = VerifiedRows.Of(_document, _features, members);
        var order = new int[n];
        Array.Fill(order, -1);
        for (int t = 0; t < places.Length; t++)
        {
            order[Array.BinarySearch(members, _document.Indices[places[t]])] = t;
        }
        double previous = double.PositiveInfinity;
        foreach (int t in places)
        {
            double gain = _document.Gains[t] ?? throw Failed($"pick {_document.Indices[t]} has no gain");
            Check(gain >= 0 && (source.Algorithm is "stochastic" or "partitioned" || gain <= previous), $"the gain of pick {_document.Indices[t]} is {Text(gain)} after {Text(previous)}");
            previous = gain;
        }
        var found = rows.Assess(order, places.Length, cancellation);
        for (int i = 0; i < n; i++)
        {
            int owner = Array.BinarySearch(members, _document.Owners[members[i]]);
            Check(owner >= 0 && order[owner] >= 0, $"example {members[i]} is represented by {_document.Owners[members[i]]}, no pick of source {source.Source}");
            Near(rows.Value(i, owner), order[i] >= 0 ? rows.Value(i, i) : found.Best[i], 2 * Tolerance * found.Largest, $"distance of example {members[i]} to its owner against the least there is");
        }
        return (new FacilityLocationResult(default, default, default, found.Objective, found.UpperBound), n * found.Largest);
    }

    /// <summary>Replays one source's picks in double, every gain from all rows.</summary>
    private (FacilityLocationResult Found, double Scale) CheckGreedy(DocumentSource source, int[] members, int[] places)
    {
        int n = members.Length, k = places.Length;
        double[] similarity = Similarity(members, out double largest);
        double scale = n * largest;
        var best = new double[n];
        var gains = new double[k];
        var next = new double[k];
        var nearest = new double[n];
        Array.Fill(nearest, double.NegativeInfinity);
        var taken = new bool[n];
        double[] remaining = Remaining();
        for (int t = 0; t < k; t++)
        {
            int pick = Array.BinarySearch(members, _document.Indices[places[t]]);
            (gains[t], next[t], taken[pick]) = (remaining[pick], remaining.Max(), true);
            double claimed = _document.Gains[places[t]] ?? throw Failed($"pick {_document.Indices[places[t]]} has no gain");
            Near(claimed, gains[t], Tolerance * scale, $"gain of pick {_document.Indices[places[t]]}");
            Near(next[t], gains[t], Tolerance * scale, $"gain of pick {_document.Indices[places[t]]} against the largest there was");
            for (int i = 0; i < n; i++)
            {
                double value = similarity[(pick * (long)n) + i];
                nearest[i] = Math.Max(nearest[i], value);
                if (value > best[i])
                {
                    Lower(i, value);
                }
            }
            Subtract(taken);
        }
        foreach (int i in Enumerable.Range(0, n).Where(i => !taken[i]))
        {
            int owner = Array.BinarySearch(members, _document.Owners[members[i]]);
            Check(owner >= 0 && taken[owner], $"example {members[i]} is represented by {_document.Owners[members[i]]}, no pick of source {source.Source}");
            Near(similarity[(owner * (long)n) + i], nearest[i], 2 * Tolerance * largest, $"similarity of example {members[i]} to its owner against the largest there is");
        }
        return (new FacilityLocationResult(default, gains, default, gains.Sum(), FacilityLocation.UpperBound(next, remaining, scale)), scale);

        double[] Remaining()
        {
            var all = new double[n];
            for (int i = 0; i < n; i++)
            {
                for (int j = 0; j < n; j++)
                {
                    all[j] += Math.Max(similarity[(i * (long)n) + j], 0);
                }
            }
            return all;
        }

        // Row i is represented better: what every other row could still gain from it shrinks.
        void Lower(int i, double value)
        {
            var row = similarity.AsSpan(checked(i * n), n);
            for (int j = 0; j < n; j++)
            {
                remaining[j] -= Math.Max(row[j] - best[i], 0) - Math.Max(row[j] - value, 0);
            }
            best[i] = value;
        }

        void Subtract(bool[] picked)
        {
            for (int j = 0; j < n; j++)
            {
                remaining[j] = picked[j] ? 0 : Math.Max(remaining[j], 0);
            }
        }
    }

    /// <summary>S of some rows in double.</summary>
    private double[] Similarity(int[] members, out double largest)
    {
        long n = members.Length;
        var rows = VerifiedRows.Of(_document, _features, members);
        var s = new double[n * n];
        Parallel.For(0, (int)n, i =>
        {
            for (int j = i; j < n; j++)
            {
                s[(i * n) + j] = s[(j * n) + i] = rows.Value(i, j);
            }
        });
        largest = _document.Metric == DistanceMetric.Cosine ? 0 : s.Max();
        for (long i = 0; i < s.LongLength; i++)
        {
            s[i] = largest - s[i];
        }
        largest = _document.Metric == DistanceMetric.Cosine ? 1 : largest;
        return s;
    }

    private static void Near(double claimed, double found, double allowed, string what) =>
        Check(Math.Abs(claimed - found) <= allowed, $"the {what} is {Text(claimed)}, recomputed {Text(found)} (allowed difference {Text(allowed)})");

    private static void Check(bool holds, string sentence)
    {
        if (!holds)
        {
            throw Failed(sentence);
        }
    }

    private static EngineException Failed(string sentence) => new(
        ErrorKind.VerificationFailed, $"the selection does not hold: {sentence}",
        "give the features, and with --state the history, that the selection was made from");

    private static string Text(double value) => value.ToString("R", CultureInfo.InvariantCulture);
}
