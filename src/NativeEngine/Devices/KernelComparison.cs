using System.Globalization;

namespace NativeEngine.Devices;

/// <summary>How far two devices' results lie apart.</summary>
/// <param name="Largest">Largest |a - b| / (1 + |a|) over all elements; infinite where an integer differs, NaN where only one of two is a number.</param>
/// <param name="Place">The argument and element where it is.</param>
/// <param name="Expected">The value of the first device there.</param>
/// <param name="Actual">The value of the second device there.</param>
/// <param name="SameBits">Whether everything is equal to the bit.</param>
public readonly record struct KernelDifference(double Largest, string Place, double Expected, double Actual, bool SameBits)
{
    /// <summary>y[17] is 1.5 against 1.25, 0.1 apart.</summary>
    public override string ToString() => SameBits ? "the same bits"
        : string.Create(CultureInfo.InvariantCulture, $"{Place} is {Actual:R} against {Expected:R}, {Largest:G3} apart");
}

/// <summary>Everything a row of the kernel table wrote on one device.</summary>
public sealed class KernelResults
{
    // As double, with whether it is made of integers.
    private readonly Dictionary<string, (double[] Values, bool Exact)> _values = [];

    internal void Add(string argument, double[] values, bool exact) => _values.Add(argument, (values, exact));

    /// <summary>The largest difference of other results of the same row and size from these.</summary>
    public KernelDifference Against(KernelResults others)
    {
        var worst = new KernelDifference(0, "", 0, 0, SameBits: true);
        foreach (var (name, values) in _values)
        {
            double[] other = others._values[name].Values;
            for (int i = 0; i < values.Values.Length; i++)
            {
                double a = values.Values[i], b = other[i];
                if (BitConverter.DoubleToInt64Bits(a) == BitConverter.DoubleToInt64Bits(b) || (double.IsNaN(a) && double.IsNaN(b)))
                {
                    continue;
                }
                double apart = a == b ? 0 : values.Exact ? double.PositiveInfinity : Math.Abs(a - b) / (1 + Math.Abs(a));
                // NaN, where only one of two is a number or infinities differ, counts as more than anything.
                if (worst.SameBits || (!double.IsNaN(worst.Largest) && !(apart <= worst.Largest)))
                {
                    worst = new KernelDifference(apart, string.Create(CultureInfo.InvariantCulture, $"{name}[{i}]"), a, b, SameBits: false);
                }
            }
        }
        return worst;
    }
}

/// <summary>Runs rows of the kernel table with the same typical arguments on several devices and compares everything they wrote.</summary>
public static class KernelComparison
{
    private const ulong Seed = 20240719;

    /// <summary>Elements of all arguments.</summary>
    public static long Elements(KernelRow row, KernelSize size) => row.Arguments.Sum(a => a.Shape(size).Count);

    /// <summary>The largest difference of the second device from the first. Errors: those of the devices.</summary>
    public static KernelDifference Compare(KernelRow row, KernelSize size, Device first, Device second) => Run(row, size, first).Against(Run(row, size, second));

    /// <summary>Runs a row once. Errors: those of the device.</summary>
    public static KernelResults Run(KernelRow row, KernelSize size, Device device)
    {
        var call = new KernelCall(size);
        var buffers = new List<IDisposable>();
        var read = new List<Action>();
        var results = new KernelResults();
        try
        {
            for (int i = 0; i < row.Arguments.Count; i++)
            {
                var argument = row.Arguments[i];
                var random = new CounterRandom(Seed, RandomPurpose.Test, (uint)i);
                if (argument.Floats is { } floats)
                {
                    Place(floats(size, random), float.NaN, call.Bind, v => v, false);
                }
                else if (argument.Doubles is { } doubles)
                {
                    Place(doubles(size, random), double.NaN, call.Bind, v => v, false);
                }
                else
                {
                    Place(argument.Ints!(size, random), -1, call.Bind, v => v, true);
                }

                void Place<T>(T[] values, T undefined, Action<string, Tensor<T>> bind, Converter<T, double> widen, bool exact)
                    where T : unmanaged
                {
                    if (argument.Role == ArgumentRole.Out)
                    {
                        Array.Fill(values, undefined);
                    }
                    var buffer = device.Allocate<T>(values, MemoryUse.Data);
                    buffers.Add(buffer);
                    bind(argument.Name, new Tensor<T>(buffer, 0, argument.Shape(size)));
                    if (argument.Role != ArgumentRole.In)
                    {
                        read.Add(() => results.Add(argument.Name, Array.ConvertAll(device.Download(buffer.View), widen), exact));
                    }
                }
            }
            row.Launch(device.Kernels, call);
            device.Synchronize();
            read.ForEach(one => one());
        }
        finally
        {
            buffers.ForEach(buffer => buffer.Dispose());
        }
        return results;
    }
}
