namespace NativeEngine.Ablation.Statistics;

/// <summary>
/// The normal and Student's t distribution, to about 1e-13: the error function by its series of positive terms, t by the regularised
/// incomplete beta function (continued fraction, modified Lentz), quantiles by bisection. Cost: microseconds; not for inner loops.
/// </summary>
public static class Distributions
{
    private static readonly double[] _lanczos =
    [
        0.99999999999980993, 676.5203681218851, -1259.1392167224028, 771.32342877765313,
        -176.61502916214059, 12.507343278686905, -0.13857109526572012, 9.9843695780195716e-6, 1.5056327351493116e-7,
    ];

    /// <summary>The value that a standard normal variable stays below with this probability, 0 &lt; p &lt; 1.</summary>
    public static double NormalQuantile(double probability)
    {
        RequireProbability(probability);
        return probability < 0.5 ? -NormalQuantile(1 - probability) : Bisect(x => 0.5 * (1 + Erf(x / Math.Sqrt(2))), probability, 9);
    }

    /// <summary>The probability that |T| exceeds |t| for Student's t with a number of degrees of freedom (at least 1).</summary>
    public static double StudentTwoSided(double t, double degrees)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(degrees, 1);
        return double.IsInfinity(t) ? 0 : IncompleteBeta(degrees / (degrees + (t * t)), degrees / 2, 0.5);
    }

    /// <summary>The value that |T| stays below with this probability: the factor of a two-sided interval.</summary>
    public static double StudentTwoSidedQuantile(double confidence, double degrees)
    {
        RequireProbability(confidence);
        double high = 2;
        while (1 - StudentTwoSided(high, degrees) < confidence)
        {
            high *= 2;
        }
        return Bisect(t => 1 - StudentTwoSided(t, degrees), confidence, high);
    }

    // erf x = 2/sqrt(pi) e^(-x^2) sum 2^n x^(2n+1) / (1 3 5 .. 2n+1), all terms positive; x is not negative.
    private static double Erf(double x)
    {
        if (x > 6)
        {
            return 1;
        }
        double term = x, sum = x;
        for (int n = 1; term > sum * 1e-17; n++)
        {
            term *= 2 * x * x / ((2 * n) + 1);
            sum += term;
        }
        return 2 / Math.Sqrt(Math.PI) * Math.Exp(-x * x) * sum;
    }

    private static double IncompleteBeta(double x, double a, double b)
    {
        if (x <= 0 || x >= 1)
        {
            return x <= 0 ? 0 : 1;
        }
        // The continued fraction converges fast below the mean only.
        if (x > (a + 1) / (a + b + 2))
        {
            return 1 - IncompleteBeta(1 - x, b, a);
        }
        const double Tiny = 1e-300;
        double c = 1, d = Denominator(1 - ((a + b) * x / (a + 1))), fraction = d;
        for (int m = 1; m < 10_000; m++)
        {
            double even = m * (b - m) * x / ((a + (2 * m) - 1) * (a + (2 * m)));
            d = Denominator(1 + (even * d));
            c = NonZero(1 + (even / c));
            fraction *= c * d;
            double odd = -(a + m) * (a + b + m) * x / ((a + (2 * m)) * (a + (2 * m) + 1));
            d = Denominator(1 + (odd * d));
            c = NonZero(1 + (odd / c));
            fraction *= c * d;
            if (Math.Abs((c * d) - 1) < 1e-16)
            {
                break;
            }
        }
        double front = Math.Exp(LogGamma(a + b) - LogGamma(a) - LogGamma(b) + (a * Math.Log(x)) + (b * Math.Log(1 - x)));
        return front * fraction / a;

        static double NonZero(double value) => Math.Abs(value) < Tiny ? Tiny : value;
        static double Denominator(double value) => 1 / NonZero(value);
    }

    private static double LogGamma(double x)
    {
        if (x < 0.5)
        {
            return Math.Log(Math.PI / Math.Sin(Math.PI * x)) - LogGamma(1 - x);
        }
        double sum = _lanczos[0];
        for (int i = 1; i < _lanczos.Length; i++)
        {
            sum += _lanczos[i] / (x - 1 + i);
        }
        double t = x + 6.5;
        return (0.5 * Math.Log(2 * Math.PI)) + ((x - 0.5) * Math.Log(t)) - t + Math.Log(sum);
    }

    private static double Bisect(Func<double, double> rising, double value, double high)
    {
        double low = 0;
        for (int i = 0; i < 200 && high - low > 1e-15 * high; i++)
        {
            double middle = 0.5 * (low + high);
            (low, high) = rising(middle) < value ? (middle, high) : (low, middle);
        }
        return 0.5 * (low + high);
    }

    private static void RequireProbability(double value)
    {
        if (!(value > 0 && value < 1))
        {
            throw new ArgumentOutOfRangeException(nameof(value), value, "a probability must lie between 0 and 1");
        }
    }
}
