namespace NativeEngine.Ablation.Statistics;

/// <summary>
/// How far scores move when nothing but the random seed of training changes: the pooled standard deviation over groups of repetitions.
/// Differences below it mean nothing. NaN without a group of two.
/// </summary>
/// <param name="Deviation">sqrt(sum of squared deviations from group means / degrees of freedom).</param>
/// <param name="Degrees">Repetitions minus groups.</param>
public sealed record NoiseFloor(double Deviation, int Degrees)
{
    /// <summary>The difference of two single scores that seeds alone exceed with probability 1 - confidence.</summary>
    public double SmallestDifference(double confidence = 0.9) =>
        Degrees > 0 ? Distributions.StudentTwoSidedQuantile(confidence, Degrees) * Math.Sqrt(2) * Deviation : double.NaN;

    /// <summary>Pools groups of scores that differ in the seed alone.</summary>
    public static NoiseFloor Of(IEnumerable<IReadOnlyList<double>> groups)
    {
        double squares = 0;
        int degrees = 0;
        foreach (var group in groups.Where(g => g.Count > 1))
        {
            double mean = group.Average();
            squares += group.Sum(v => (v - mean) * (v - mean));
            degrees += group.Count - 1;
        }
        return new NoiseFloor(degrees > 0 ? Math.Sqrt(squares / degrees) : double.NaN, degrees);
    }
}
