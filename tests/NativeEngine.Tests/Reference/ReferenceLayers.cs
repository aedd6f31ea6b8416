namespace NativeEngine.Tests.Reference;

/// <summary>The layers of a transformer, one plain loop per formula, in double.</summary>
internal static class ReferenceLayers
{
    public static void RmsNorm(double[] x, double[] weight, double epsilon, double[] y, double[] inverseRms)
    {
        int columns = weight.Length;
        for (int r = 0; r < inverseRms.Length; r++)
        {
            double squares = 0;
            for (int j = 0; j < columns; j++)
            {
                squares += x[(r * columns) + j] * x[(r * columns) + j];
            }
            inverseRms[r] = 1 / Math.Sqrt((squares / columns) + epsilon);
            for (int j = 0; j < columns; j++)
            {
                y[(r * columns) + j] = weight[j] * x[(r * columns) + j] * inverseRms[r];
            }
        }
    }

    public static void RmsNormBackward(double[] dy, double[] x, double[] weight, double[] inverseRms, double[] dx, double[] dweight)
    {
        int columns = weight.Length;
        for (int r = 0; r < inverseRms.Length; r++)
        {
            double s = inverseRms[r], mean = 0;
            for (int j = 0; j < columns; j++)
            {
                mean += dy[(r * columns) + j] * weight[j] * x[(r * columns) + j] / columns;
            }
            for (int j = 0; j < columns; j++)
            {
                int at = (r * columns) + j;
                dx[at] += s * ((dy[at] * weight[j]) - (x[at] * s * s * mean));
                dweight[j] += dy[at] * x[at] * s;
            }
        }
    }

    public static void Rope(int[] positions, double[] cos, double[] sin, int heads, int h, bool inverse, double[] x)
    {
        int half = h / 2;
        for (int head = 0; head < positions.Length * heads; head++)
        {
            for (int j = 0; j < half; j++)
            {
                int low = (head * h) + j, angle = (positions[head / heads] * half) + j;
                double c = cos[angle], s = inverse ? -sin[angle] : sin[angle];
                (x[low], x[low + half]) = ((x[low] * c) - (x[low + half] * s), (x[low + half] * c) + (x[low] * s));
            }
        }
    }

    public static void SwiGlu(double[] gate, double[] up, double[] y)
    {
        for (int i = 0; i < y.Length; i++)
        {
            y[i] = gate[i] / (1 + Math.Exp(-gate[i])) * up[i];
        }
    }

    public static void SwiGluBackward(double[] dy, double[] gate, double[] up, double[] dGate, double[] dUp)
    {
        for (int i = 0; i < dy.Length; i++)
        {
            double s = 1 / (1 + Math.Exp(-gate[i]));
            dGate[i] = dy[i] * up[i] * s * (1 + (gate[i] * (1 - s)));
            dUp[i] = dy[i] * gate[i] * s;
        }
    }

    /// <summary>Without row weights the logits are left alone.</summary>
    public static void CrossEntropy(double[] logits, int[] targets, double[]? rowWeights, double[] losses)
    {
        int classes = logits.Length / targets.Length;
        for (int r = 0; r < targets.Length; r++)
        {
            var row = logits.AsSpan(r * classes, classes);
            double maximum = double.NegativeInfinity, sum = 0;
            foreach (double x in row)
            {
                maximum = Math.Max(maximum, x);
            }
            foreach (double x in row)
            {
                sum += Math.Exp(x - maximum);
            }
            double logSumExp = maximum + Math.Log(sum);
            losses[r] = logSumExp - row[targets[r]];
            for (int j = 0; j < classes && rowWeights is not null; j++)
            {
                row[j] = rowWeights[r] * (Math.Exp(row[j] - logSumExp) - (j == targets[r] ? 1 : 0));
            }
        }
    }
}
