using NativeEngine.Devices;
using NativeEngine.Devices.Cpu;

namespace NativeEngine.Benchmarks.Works;

/// <summary>One row of the kernel table at one size.</summary>
public sealed record KernelCase(KernelRow Row, KernelSize Size)
{
    /// <summary>Every row at each of its benchmark sizes.</summary>
    public static IEnumerable<KernelCase> All => KernelTable.All.SelectMany(row => row.BenchmarkSizes.Select(size => new KernelCase(row, size)));

    /// <summary>Written as adamw n=16777216.</summary>
    public override string ToString() => $"{Row.Name} {Size}";
}

/// <summary>A kernel on its typical arguments. Arguments it updates drift from run to run; the work is the same.</summary>
public sealed class KernelWork : IWork
{
    private readonly CpuDevice _device;
    private readonly KernelCall _call;
    private readonly KernelRow _row;
    private readonly List<IDisposable> _buffers = [];

    public KernelWork(KernelCase kernel, int threads = 0)
    {
        _device = new CpuDevice(threads);
        _row = kernel.Row;
        _call = new KernelCall(kernel.Size);
        for (int i = 0; i < _row.Arguments.Count; i++)
        {
            var argument = _row.Arguments[i];
            var random = new CounterRandom(20240719, RandomPurpose.Test, (uint)i);
            if (argument.Floats is { } floats)
            {
                _call.Bind(argument.Name, Place(argument, floats(kernel.Size, random)));
            }
            else if (argument.Ints is { } ints)
            {
                _call.Bind(argument.Name, Place(argument, ints(kernel.Size, random)));
            }
            else
            {
                _call.Bind(argument.Name, Place(argument, argument.Doubles!(kernel.Size, random)));
            }
        }
    }

    public void Run()
    {
        _row.Launch(_device.Kernels, _call);
        _device.Synchronize();
    }

    public void Dispose()
    {
        _buffers.ForEach(b => b.Dispose());
        _device.Dispose();
    }

    private Tensor<T> Place<T>(KernelArgument argument, T[] values)
        where T : unmanaged
    {
        var buffer = _device.Allocate<T>(values, MemoryUse.Data);
        _buffers.Add(buffer);
        return new Tensor<T>(buffer, 0, argument.Shape(_call.Size));
    }
}
