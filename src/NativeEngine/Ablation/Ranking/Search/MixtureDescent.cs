using NativeEngine.Ablation.Mixtures;

namespace NativeEngine.Ablation.Ranking;

/// <summary>How the descent goes.</summary>
public sealed record DescentOptions
{
    /// <summary>Most steps.</summary>
    public int Steps { get; init; } = 50;

    /// <summary>First step size; it grows by a half after a step that lowered the score and halves after one that did not.</summary>
    public double StepSize { get; init; } = 2;

    /// <summary>Ends when the duality gap, max over units of &lt;slope, weights&gt; - slope_u, is below this (loss a token).</summary>
    public double Tolerance { get; init; } = 1e-4;
}

/// <summary>A point of a descent.</summary>
/// <param name="Mixture">The weights.</param>
/// <param name="Score">Their score.</param>
/// <param name="Gap">&lt;slope, weights&gt; - min slope: how much a straight line toward the best corner would gain; 0 at a minimum.</param>
/// <param name="Accepted">Whether the descent went on from here.</param>
public sealed record DescentStep(Mixture Mixture, double Score, double Gap, bool Accepted);

/// <summary>The outcome of a descent.</summary>
public sealed record DescentResult(Mixture Mixture, double Score, bool Converged, IReadOnlyList<DescentStep> Trace);

/// <summary>
/// Exponentiated-gradient descent on the simplex with the exact mixture gradient: tens of passes in place of thousands of candidates. Caps
/// are kept by the nearest capped weights after every step. Weights below 1e-4 (below a tenth of an equal
/// share, where that is less) become 0 at the end.
/// </summary>
public static class MixtureDescent
{
    /// <summary>Descends from a mixture, over units that have weight there.</summary>
    public static DescentResult Run(
        Mixture start, Func<Mixture, MixtureSlope> slope, MixtureRules? rules = null, DescentOptions? options = null,
        Action<DescentStep>? progress = null, CancellationToken cancellation = default)
    {
        options ??= new DescentOptions();
        rules ??= new MixtureRules();
        double[] weights = rules.Capped([.. start.Weights]);
        var here = slope(Mixture.Of(weights));
        var trace = new List<DescentStep> { Step(weights, here, true) };
        double eta = options.StepSize;
        bool converged = trace[0].Gap < options.Tolerance;
        for (int s = 0; s < options.Steps && !converged; s++)
        {
            cancellation.ThrowIfCancellationRequested();
            double[] next = rules.Capped(MixtureDerivatives.ExponentiatedStep(weights, here.Slopes, eta));
            var there = slope(Mixture.Of(next));
            bool better = there.Score < here.Score;
            trace.Add(Step(next, there, better));
            progress?.Invoke(trace[^1]);
            if (better)
            {
                // With caps the gap of a plain simplex never closes: a step that gains nothing ends it as well.
                converged = trace[^1].Gap < options.Tolerance || here.Score - there.Score < 1e-3 * options.Tolerance;
                (weights, here) = (next, there);
            }
            eta = better ? 1.5 * eta : 0.5 * eta;
            converged |= eta < 1e-6;
        }
        double least = Math.Min(1e-4, 0.1 / weights.Length);
        double[] final = [.. weights.Select(w => w < least ? 0 : w)];
        return new DescentResult(Mixture.Of(final), here.Score, converged, trace);
    }

    private static DescentStep Step(double[] weights, MixtureSlope slope, bool accepted)
    {
        double mean = 0, lowest = double.PositiveInfinity;
        for (int u = 0; u < weights.Length; u++)
        {
            mean += weights[u] * slope.Slopes[u];
            lowest = weights[u] > 0 ? Math.Min(lowest, slope.Slopes[u]) : lowest;
        }
        return new DescentStep(Mixture.Of(weights), slope.Score, mean - lowest, accepted);
    }
}
