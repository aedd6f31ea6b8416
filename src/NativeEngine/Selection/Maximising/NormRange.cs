using NativeEngine.Devices;

namespace NativeEngine.Selection;

/// <summary>Whether the norms that cosines are divided by lie within float32.</summary>
internal static class NormRange
{
    /// <summary>
    /// Refuses rows [n,h] whose sum of squares leaves the range of float32: their cosines would count as 0. Scratch is one element. Cost: one pass; rows are looked at one by
    /// one only when the sum over all of them is too large. Errors: Numerical naming the row.
    /// </summary>
    public static void Require(Tensor<float> x, DistanceMetric metric, Tensor<float> scratch)
    {
        if (metric != DistanceMetric.Cosine || x.Length == 0)
        {
            return;
        }
        var device = x.Buffer.Device;
        device.Kernels.SumOfSquares(x.Reshape(x.Length), scratch);
        float all = 0;
        device.Download(scratch, new Span<float>(ref all));
        if (float.IsFinite(all))
        {
            return;
        }
        float[] values = device.Download(x.Reshape(x.Length));
        for (int i = 0, width = (int)x.RowLength; i < x.Rows; i++)
        {
            double sum = 0;
            foreach (float value in values.AsSpan(i * width, width))
            {
                sum += (double)value * value;
            }
            if (!float.IsFinite((float)sum))
            {
                throw new EngineException(ErrorKind.Numerical, $"the norm of feature {i} of {x.Rows} is {Math.Sqrt(sum)}: its square leaves the range of float32", "scale the features down; cosines do not change");
            }
        }
    }
}
