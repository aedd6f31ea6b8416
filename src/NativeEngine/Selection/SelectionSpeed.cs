using System.Diagnostics;
using NativeEngine.Devices;

namespace NativeEngine.Selection;

/// <summary>How quick distances are on a device at this moment, for predictions: good to a factor of two, less on a busy machine.</summary>
/// <param name="TermsPerSecond">Terms of distances.</param>
public sealed record SelectionSpeed(double TermsPerSecond)
{
    /// <summary>Elements of a matrix that lazy greedy passes in a second, several times each.</summary>
    private const double MatrixElementsPerSecond = 5e8;

    /// <summary>Times the distances of 512 rows of 1024 columns: about 10 ms and 3 MiB.</summary>
    public static SelectionSpeed Measure(Device device, DistanceMetric metric)
    {
        const long N = 512, H = 1024;
        using var x = device.Allocate<float>(N * H, MemoryUse.Selection);
        using var d = device.Allocate<float>((N * N) + 1, MemoryUse.Selection);
        double best = double.PositiveInfinity;
        for (int i = 0; i < 4; i++)
        {
            long start = Stopwatch.GetTimestamp();
            device.Kernels.Similarity(x.View.Reshape(N, H), metric, new Tensor<float>(d, 0, new Shape(N, N)), new Tensor<float>(d, N * N, new Shape(1)));
            device.Synchronize();
            best = Math.Min(best, Stopwatch.GetElapsedTime(start).TotalSeconds);
        }
        return new SelectionSpeed(N * (N + 1) / 2 * H / best);
    }

    /// <summary>Seconds of a selection's distances and greedy, reading apart.</summary>
    public double Seconds(SelectionMemory need) => (need.Terms / TermsPerSecond) + (need.MatrixElements / MatrixElementsPerSecond);
}
