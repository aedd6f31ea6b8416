namespace NativeEngine.Ablation.Statistics;

/// <summary>
/// The line true = a + b proxy by least squares over the mixtures that were truly trained, which turns a stand-in that only orders into one
/// that predicts. Errors are NaN and intervals undefined where the points do not determine them (fewer than 3, or no spread).
/// </summary>
public sealed class Calibration
{
    private readonly int _count;
    private readonly double _meanX, _spread;
    private readonly double[] _leftOut;

    /// <summary>Fits the line to pairs (stand-in, truth).</summary>
    public Calibration(ReadOnlySpan<double> proxy, ReadOnlySpan<double> truth)
    {
        if (proxy.Length != truth.Length)
        {
            throw new ArgumentException($"calibration: {proxy.Length} stand-in values, {truth.Length} true values");
        }
        _count = proxy.Length;
        _meanX = _count > 0 ? Correlation.Mean(proxy) : double.NaN;
        double meanY = _count > 0 ? Correlation.Mean(truth) : double.NaN, xy = 0, squares = 0;
        for (int i = 0; i < _count; i++)
        {
            _spread += (proxy[i] - _meanX) * (proxy[i] - _meanX);
            xy += (proxy[i] - _meanX) * (truth[i] - meanY);
        }
        _spread = Correlation.HasSpread(proxy) ? _spread : 0;
        Slope = _spread > 0 ? xy / _spread : double.NaN;
        Intercept = meanY - (Slope * _meanX);
        _leftOut = new double[_count];
        for (int i = 0; i < _count; i++)
        {
            double miss = truth[i] - Predict(proxy[i]), leverage = (1.0 / _count) + ((proxy[i] - _meanX) * (proxy[i] - _meanX) / _spread);
            squares += miss * miss;
            // The error of the line fitted without this point, at this point; without it there is no line where it alone has another proxy.
            _leftOut[i] = leverage < 1 ? Math.Abs(miss / (1 - leverage)) : double.PositiveInfinity;
        }
        Array.Sort(_leftOut);
        ResidualError = _count > 2 ? Math.Sqrt(squares / (_count - 2)) : double.NaN;
        LeftOutError = _count > 2 ? Math.Sqrt(_leftOut.Sum(e => e * e) / _count) : double.NaN;
    }

    /// <summary>b.</summary>
    public double Slope { get; }

    /// <summary>a.</summary>
    public double Intercept { get; }

    /// <summary>Standard error of a truth about the line, n - 2 degrees of freedom.</summary>
    public double ResidualError { get; }

    /// <summary>Root mean square of the errors at points the line has not seen (leave-one-out).</summary>
    public double LeftOutError { get; }

    /// <summary>a + b x.</summary>
    public double Predict(double proxy) => Intercept + (Slope * proxy);

    /// <summary>Where one new truth lies: +- t s sqrt(1 + 1/n + (x - mean)^2 / Sxx), Student with n - 2 degrees of freedom.</summary>
    public Interval Prediction(double proxy, double confidence = 0.9)
    {
        if (_count < 3 || !(_spread > 0))
        {
            return Interval.Undefined(confidence);
        }
        double away = proxy - _meanX;
        double reach = Distributions.StudentTwoSidedQuantile(confidence, _count - 2) * ResidualError
            * Math.Sqrt(1 + (1.0 / _count) + (away * away / _spread));
        return new Interval(Predict(proxy) - reach, Predict(proxy) + reach, confidence);
    }

    /// <summary>
    /// The same without an assumption about the errors (jackknife conformal): +- the ceil(confidence (n + 1))-th smallest leave-one-out
    /// error. Undefined with fewer than confidence / (1 - confidence) points: 9 at 90 %.
    /// </summary>
    public Interval Conformal(double proxy, double confidence = 0.9)
    {
        int rank = (int)Math.Ceiling((confidence * (_count + 1)) - 1e-9);
        if (_count < 3 || !(_spread > 0) || rank > _count)
        {
            return Interval.Undefined(confidence);
        }
        return new Interval(Predict(proxy) - _leftOut[rank - 1], Predict(proxy) + _leftOut[rank - 1], confidence);
    }
}
