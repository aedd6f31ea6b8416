using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace NativeEngine.Devices.Cpu;

/// <summary>What a metric adds up over the columns of two rows, and how the sums become a distance (or a similarity).</summary>
internal unsafe interface IRowMetric<L>
    where L : unmanaged, ILanes<L>
{
    /// <summary>The two sums of each row of a panel that <see cref="Finish"/> wants.</summary>
    static abstract void Own(float* panel, long h, double* firsts, double* seconds);

    /// <summary>Sums of two panels, see <see cref="PairSums{L}"/>.</summary>
    static abstract void Add(float* a, float* b, long steps, double* sums, long ld, PairStep step);

    /// <summary>The values of a row against eight others; NaN says that a value must be computed by <see cref="Careful"/>.</summary>
    static abstract Vector256<float> Finish(double* sums, double first, double second, double* firsts, double* seconds);

    /// <summary>The value of a pair by the slow and safe way.</summary>
    static abstract double Careful(float* a, float* b, long h);
}

/// <summary>
/// Sum of |a - b| as sum a + sum b - 2 sum min(a, b): two operations a term instead of three. Where the distance is below 1/16 of the rows'
/// norms, so that the subtraction would lose more than four bits, the difference form is used.
/// </summary>
internal readonly unsafe struct Manhattan<L> : IRowMetric<L>
    where L : unmanaged, ILanes<L>
{
    private const double Cancellation = 1.0 / 16;

    public static void Own(float* panel, long h, double* firsts, double* seconds)
    {
        PairSums<L>.Own<PairSums<L>.Minimum>(panel, h, firsts);
        PairSums<L>.Own<PairSums<L>.Magnitude>(panel, h, seconds);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Add(float* a, float* b, long steps, double* sums, long ld, PairStep step) => PairSums<L>.Add<PairSums<L>.Minimum>(a, b, steps, sums, ld, step);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Finish(double* sums, double first, double second, double* firsts, double* seconds)
    {
        return Vector256.Narrow(Four(0), Four(4));

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        Vector256<double> Four(int at)
        {
            var sum = Vector256.Load(sums + at);
            var distance = Vector256.Create(first) + Vector256.Load(firsts + at) - (sum + sum);
            var smallest = Vector256.Create(Cancellation) * (Vector256.Create(second) + Vector256.Load(seconds + at));
            return Vector256.ConditionalSelect(Vector256.GreaterThanOrEqual(distance, smallest), distance, Vector256.Create(double.NaN));
        }
    }

    public static double Careful(float* a, float* b, long h) => PairSums<L>.One<PairSums<L>.Difference>(a, b, h);
}

/// <summary>Root of the sum of (a - b)^2, from the differences: nothing cancels, and it is as quick as a product where adders have their own ports.</summary>
internal readonly unsafe struct Euclidean<L> : IRowMetric<L>
    where L : unmanaged, ILanes<L>
{
    public static void Own(float* panel, long h, double* firsts, double* seconds)
    {
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Add(float* a, float* b, long steps, double* sums, long ld, PairStep step) =>
        PairSums<L>.Add<PairSums<L>.SquaredDifference>(a, b, steps, sums, ld, step);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Finish(double* sums, double first, double second, double* firsts, double* seconds) =>
        Vector256.Narrow(Vector256.Sqrt(Vector256.Load(sums)), Vector256.Sqrt(Vector256.Load(sums + 4)));

    public static double Careful(float* a, float* b, long h) => Math.Sqrt(PairSums<L>.One<PairSums<L>.SquaredDifference>(a, b, h));
}

/// <summary>Cosine, 0 for a zero row, on a grid of 2^-24 (about float32's own step below 1).</summary>
internal readonly unsafe struct CosineAngle<L> : IRowMetric<L>
    where L : unmanaged, ILanes<L>
{
    private const double Grid = 1 << 24;

    public static void Own(float* panel, long h, double* firsts, double* seconds)
    {
        PairSums<L>.Own<PairSums<L>.Product>(panel, h, firsts);
        for (int i = 0; i < PairSums<L>.Panel; i++)
        {
            firsts[i] = 1 / Math.Sqrt(firsts[i]);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Add(float* a, float* b, long steps, double* sums, long ld, PairStep step) => PairSums<L>.Add<PairSums<L>.Product>(a, b, steps, sums, ld, step);

    /// <summary>First and firsts are 1 / norm, infinite for a zero row, whose products (0 times infinity) are NaN and become 0.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Finish(double* sums, double first, double second, double* firsts, double* seconds)
    {
        return Vector256.Narrow(Four(0), Four(4));

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        Vector256<double> Four(int at)
        {
            var cosine = Vector256.Load(sums + at) * Vector256.Create(first) * Vector256.Load(firsts + at);
            cosine = Vector256.ConditionalSelect(Vector256.Equals(cosine, cosine), cosine, default);
            cosine = Vector256.Min(Vector256.Max(cosine, Vector256.Create(-1.0)), Vector256.Create(1.0));
            return Vector256.Round(cosine * Vector256.Create(Grid)) * Vector256.Create(1 / Grid);
        }
    }

    public static double Careful(float* a, float* b, long h) => 0;
}
