/// <summary>Mean, standard deviation and 90 % t-interval of one number a seed.</summary>
internal sealed record Sample(double[] Values)
{
    // Student's t, 95th percentile, 1 to 30 degrees of freedom; beyond, 1.70 is an upper bound.
    private static readonly double[] T =
    [
        6.314, 2.920, 2.353, 2.132, 2.015, 1.943, 1.895, 1.860, 1.833, 1.812, 1.796, 1.782, 1.771, 1.761, 1.753,
        1.746, 1.740, 1.734, 1.729, 1.725, 1.721, 1.717, 1.714, 1.711, 1.708, 1.706, 1.703, 1.701, 1.699, 1.697,
    ];

    public double Mean => Values.Average();

    public double Deviation => Values.Length < 2 ? double.NaN : Math.Sqrt(Values.Sum(v => (v - Mean) * (v - Mean)) / (Values.Length - 1));

    public double Half => Values.Length < 2 ? double.NaN : (Values.Length <= 31 ? T[Values.Length - 2] : 1.70) * Deviation / Math.Sqrt(Values.Length);

    public double Low => Mean - Half;

    public double High => Mean + Half;

    public string Spread(string format) => Values.Length < 2 ? Mean.ToString(format) : $"{Mean.ToString(format)} ± {Deviation.ToString(format)}";

    public string Interval(string format, double scale = 1, string unit = "") => Values.Length < 2
        ? $"{(scale * Mean).ToString(format)}{unit} (one seed)"
        : $"{(scale * Mean).ToString(format)}{unit} [{(scale * Low).ToString(format)}, {(scale * High).ToString(format)}]";
}
