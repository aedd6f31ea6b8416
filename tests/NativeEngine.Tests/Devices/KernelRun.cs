using NativeEngine.Devices;
using NativeEngine.Tests.Reference;

namespace NativeEngine.Tests.Devices;

/// <summary>
/// Runs one row of the kernel table at one size on one device, with guard words around every argument and NaN (or -1) in everything a
/// kernel must overwrite, and hands out the results. Device-independent: every device's tests use it.
/// </summary>
internal sealed class KernelRun
{
    private const float GuardFloat = -12345.678f;
    private const int GuardInt = -87654321;

    private KernelRun(KernelRow row, KernelSize size) => (Row, Size) = (row, size);

    public KernelRow Row { get; }

    public KernelSize Size { get; }

    /// <summary>Contents of every argument after the run.</summary>
    public Dictionary<string, float[]> Floats { get; } = [];

    public Dictionary<string, int[]> Ints { get; } = [];

    public Dictionary<string, double[]> Doubles { get; } = [];

    /// <summary>Random numbers of an argument: the same for the device and for the reference.</summary>
    private static CounterRandom RandomOf(int argument) => new(20240719, RandomPurpose.Test, (uint)argument);

    /// <summary>Guard is the number of words before and after each argument: with a multiple of four the arguments are 16-byte aligned.</summary>
    public static KernelRun On(Device device, KernelRow row, KernelSize size, int guard = 32)
    {
        var run = new KernelRun(row, size);
        var call = new KernelCall(size);
        var buffers = new List<IDisposable>();
        var readBack = new List<Action>();
        try
        {
            for (int i = 0; i < row.Arguments.Count; i++)
            {
                var argument = row.Arguments[i];
                bool output = argument.Role == ArgumentRole.Out;
                var shape = argument.Shape(size);
                if (argument.Floats is { } floats)
                {
                    var values = floats(size, RandomOf(i));
                    Assert.True(values.Any(v => v != 0) || output || shape.Count == 0, $"{row.Name}.{argument.Name}: typical values are all zero");
                    Place(values, output ? float.NaN : null, GuardFloat, call.Bind, run.Floats);
                }
                else if (argument.Doubles is { } doubles)
                {
                    Place(doubles(size, RandomOf(i)), output ? double.NaN : null, GuardFloat, call.Bind, run.Doubles);
                }
                else
                {
                    Place(argument.Ints!(size, RandomOf(i)), output ? -1 : null, GuardInt, call.Bind, run.Ints);
                }

                void Place<T>(T[] values, T? poison, T word, Action<string, Tensor<T>> bind, Dictionary<string, T[]> results)
                    where T : unmanaged, IEquatable<T>
                {
                    Assert.Equal(shape.Count, values.Length);
                    var padded = new T[values.Length + (2 * guard)];
                    Array.Fill(padded, word);
                    if (poison is { } p)
                    {
                        Array.Fill(values, p);
                    }
                    values.CopyTo(padded, guard);
                    var buffer = device.Allocate<T>(padded, MemoryUse.Data);
                    buffers.Add(buffer);
                    bind(argument.Name, new Tensor<T>(buffer, guard, shape));
                    readBack.Add(() =>
                    {
                        var after = device.Download(buffer.View);
                        for (int g = 0; g < guard; g++)
                        {
                            Assert.True(after[g].Equals(word) && after[^(g + 1)].Equals(word), $"{row.Name} {size}: wrote outside {argument.Name}");
                        }
                        results[argument.Name] = after[guard..^guard];
                        if (argument.Role == ArgumentRole.In)
                        {
                            Assert.True(results[argument.Name].AsSpan().SequenceEqual(values), $"{row.Name} {size}: changed its input {argument.Name}");
                        }
                    });
                }
            }
            row.Launch(device.Kernels, call);
            device.Synchronize();
            readBack.ForEach(read => read());
        }
        finally
        {
            buffers.ForEach(b => b.Dispose());
        }
        return run;
    }

    /// <summary>The same arguments through the reference.</summary>
    public static ReferenceCall Expected(KernelRow row, KernelSize size)
    {
        var call = new ReferenceCall(size);
        for (int i = 0; i < row.Arguments.Count; i++)
        {
            var argument = row.Arguments[i];
            if (argument.Floats is { } floats)
            {
                call.Floats[argument.Name] = Array.ConvertAll(floats(size, RandomOf(i)), v => (double)v);
            }
            else if (argument.Doubles is { } doubles)
            {
                call.Floats[argument.Name] = doubles(size, RandomOf(i));
            }
            else
            {
                call.Ints[argument.Name] = argument.Ints!(size, RandomOf(i));
            }
        }
        ReferenceKernels.All[row.Name].Run(call);
        return call;
    }

    /// <summary>Fails unless every output agrees with the reference within the reference's tolerance.</summary>
    public void AssertMatches(ReferenceCall expected)
    {
        double tolerance = ReferenceKernels.All[Row.Name].Tolerance;
        foreach (var argument in Row.Arguments.Where(a => a.Role != ArgumentRole.In))
        {
            if (argument.Ints is not null)
            {
                Assert.Equal(expected.Ints[argument.Name], Ints[argument.Name]);
                continue;
            }
            double[] got = argument.Doubles is not null ? Doubles[argument.Name] : Array.ConvertAll(Floats[argument.Name], v => (double)v);
            double[] want = expected.Floats[argument.Name];
            for (int i = 0; i < want.Length; i++)
            {
                double error = Math.Abs(got[i] - want[i]) / (1 + Math.Abs(want[i]));
                Assert.True(error <= tolerance, $"{Row.Name} {Size} {argument.Name}[{i}]: got {got[i]:R}, expected {want[i]:R}, error {error:G3} > {tolerance:G3}");
            }
        }
    }

    /// <summary>Fails unless both runs gave the same bits everywhere.</summary>
    public void AssertSameBits(KernelRun other, string what)
    {
        foreach (var (name, values) in Floats)
        {
            var bits = Array.ConvertAll(values, BitConverter.SingleToInt32Bits);
            Assert.True(bits.AsSpan().SequenceEqual(Array.ConvertAll(other.Floats[name], BitConverter.SingleToInt32Bits)), $"{Row.Name} {Size}: {name} differs {what}");
        }
        foreach (var (name, values) in Ints)
        {
            Assert.True(values.AsSpan().SequenceEqual(other.Ints[name]), $"{Row.Name} {Size}: {name} differs {what}");
        }
        foreach (var (name, values) in Doubles)
        {
            var bits = Array.ConvertAll(values, BitConverter.DoubleToInt64Bits);
            Assert.True(bits.AsSpan().SequenceEqual(Array.ConvertAll(other.Doubles[name], BitConverter.DoubleToInt64Bits)), $"{Row.Name} {Size}: {name} differs {what}");
        }
    }
}
