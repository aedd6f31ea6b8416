namespace NativeEngine.Ablation.Ranking;

/// <summary>
/// Slopes in the space of mixture weights. Merged parameters are theta(alpha) = sum of alpha_i theta_i, so dL/dalpha_i = &lt;dL/dtheta, theta_i&gt;
/// and d2L/dalpha_i dalpha_j = &lt;theta_i, H theta_j&gt;: one backward pass gives the slope for all n units.
/// </summary>
public static class MixtureDerivatives
{
    /// <summary>dL/dalpha from the gradient with respect to the merged parameters and the units' parameters.</summary>
    public static double[] Gradient(ReadOnlySpan<double> parameterGradient, IReadOnlyList<double[]> units)
    {
        var slopes = new double[units.Count];
        for (int u = 0; u < slopes.Length; u++)
        {
            slopes[u] = Dot(parameterGradient, units[u]);
        }
        return slopes;
    }

    /// <summary>d2L/dalpha2 from a function that gives H v for a direction v in parameter space, called once a unit.</summary>
    public static double[,] Hessian(Func<double[], double[]> hessianVector, IReadOnlyList<double[]> units)
    {
        var result = new double[units.Count, units.Count];
        for (int j = 0; j < units.Count; j++)
        {
            double[] product = hessianVector(units[j]);
            for (int i = 0; i < units.Count; i++)
            {
                result[i, j] = Dot(product, units[i]);
            }
        }
        return result;
    }

    /// <summary>An exponentiated-gradient step on the simplex (Kivinen and Warmuth 1997): alpha_i exp(-eta g_i) / Z.</summary>
    public static double[] ExponentiatedStep(ReadOnlySpan<double> weights, ReadOnlySpan<double> gradient, double eta)
    {
        // The simplex does not feel a constant added to all slopes; taking out the smallest keeps the exponentials from overflowing.
        double lowest = double.PositiveInfinity, sum = 0;
        foreach (double slope in gradient)
        {
            lowest = Math.Min(lowest, slope);
        }
        var next = new double[weights.Length];
        for (int u = 0; u < next.Length; u++)
        {
            next[u] = weights[u] * Math.Exp(-eta * (gradient[u] - lowest));
            sum += next[u];
        }
        for (int u = 0; u < next.Length; u++)
        {
            next[u] /= sum;
        }
        return next;
    }

    private static double Dot(ReadOnlySpan<double> a, ReadOnlySpan<double> b)
    {
        double sum = 0;
        for (int i = 0; i < a.Length; i++)
        {
            sum += a[i] * b[i];
        }
        return sum;
    }
}
