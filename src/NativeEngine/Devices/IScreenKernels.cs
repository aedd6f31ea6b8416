namespace NativeEngine.Devices;

/// <summary>Integers that stand for float32 values while pairs of rows are screened; the value is their size in bytes.</summary>
public enum ScreenType
{
    /// <summary>8 bits, unsigned.</summary>
    Int8 = 1,
    /// <summary>16 bits, signed.</summary>
    Int16 = 2,
}

/// <summary>
/// Rows [n,h] rounded to integers, x about middle + step q, with what the rounding cost each row. Owns its memory.
/// </summary>
public sealed class ScreenedRows : IDisposable
{
    private const int Line = 64, Page = 4096, RowTile = 4, Statistics = 4;
    private readonly DeviceBuffer<byte> _values;
    private readonly DeviceBuffer<double> _statistics;

    internal ScreenedRows(Device device, long rows, long columns, ScreenType type, double middle, double step)
    {
        (Rows, Columns, Type, Middle, Step) = (rows, columns, type, middle, step);
        Stride = RowBytes(columns, type);
        _values = device.Allocate<byte>(Padded(rows) * Stride, MemoryUse.Selection);
        _statistics = device.Allocate<double>(Padded(rows) * Statistics, MemoryUse.Selection);
    }

    /// <summary>Rows n.</summary>
    public long Rows { get; }

    /// <summary>Columns h.</summary>
    public long Columns { get; }

    /// <summary>Type of q.</summary>
    public ScreenType Type { get; }

    /// <summary>Value that q = 0 stands for (for bytes: 128).</summary>
    public double Middle { get; }

    /// <summary>Distance of two neighbouring values.</summary>
    public double Step { get; }

    /// <summary>Bytes from one row to the next.</summary>
    public long Stride { get; }

    internal Tensor<byte> Values => _values.View;

    /// <summary>For every row e_i: its part of the difference between a screened and a float32 distance.</summary>
    internal Tensor<double> Errors => Statistic(0);

    /// <summary>For every row the sum of its integers.</summary>
    internal Tensor<double> Sums => Statistic(1);

    /// <summary>For every row the two sums that float32 distances want.</summary>
    internal Tensor<double> Firsts => Statistic(2);

    internal Tensor<double> Seconds => Statistic(3);

    /// <summary>Device memory for n rows of h columns.</summary>
    public static long Bytes(long n, long h, ScreenType type) => Padded(n) * (RowBytes(h, type) + (Statistics * sizeof(double)));

    /// <inheritdoc/>
    public void Dispose()
    {
        _values.Dispose();
        _statistics.Dispose();
    }

    /// <summary>Whole cache lines, and never whole pages: rows that start at the same place of a page would share the same cache sets.</summary>
    private static long RowBytes(long columns, ScreenType type)
    {
        long bytes = ((columns * (int)type) + Line - 1) / Line * Line;
        return bytes % Page == 0 ? bytes + Line : bytes;
    }

    /// <summary>Rows that are read past the end are zeros.</summary>
    private static long Padded(long rows) => (rows + RowTile - 1) / RowTile * RowTile;

    private Tensor<double> Statistic(int which)
    {
        long padded = Padded(Rows);
        return _statistics.View.Slice(which * padded, padded);
    }
}

/// <summary>
/// L1 distances bounded by integer arithmetic, which is quicker than float32 and exact: what a device may have beside <see cref="IKernels"/>.
/// With q the rounded rows, e_i = sum over k of |x[i,k] - middle - step q[i,k]| + the rounding of float32 sums,
/// |D[i,j] - step sum over k of |q[i,k] - q[j,k]|| is at most e_i + e_j by the triangle inequality, where D is the float32 distance of <see cref="IKernels.Distances"/>.
/// </summary>
public interface IScreenKernels
{
    /// <summary>Rounds the rows of x [n,h], all finite; the step is the one of a few that costs a sample of the rows least.</summary>
    ScreenedRows Round(Tensor<float> x, ScreenType type);

    /// <summary>
    /// bounds[r,c] = the largest number known not to exceed the distance of rows first + r and other + c; first and other are multiples of 4. Largest receives, for every square of
    /// <see cref="ScreenSquare"/> rows and columns (row by row of squares), a number that no distance in it exceeds. Cost: m p h terms, half of them when both ranges are the same.
    /// </summary>
    void LowerBounds(ScreenedRows rows, long first, long other, Tensor<float> bounds, Span<float> largest);

    /// <summary>Distances of single pairs of rows of x, with the bits that <see cref="IKernels.Distances"/> gives them.</summary>
    void PairDistances(Tensor<float> x, ScreenedRows rows, ReadOnlySpan<int> left, ReadOnlySpan<int> right, Span<float> distances);

    /// <summary>Rows and columns of a square of <see cref="LowerBounds"/>.</summary>
    int ScreenSquare { get; }
}
