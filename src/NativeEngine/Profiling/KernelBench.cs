using System.Diagnostics;
using NativeEngine.Devices;

namespace NativeEngine.Profiling;

/// <summary>
/// One row of the kernel table at one size, ready to run again and again: its arguments on the device with typical values. Large float
/// arguments repeat a block of draws, so that a gigabyte is there in a second. Outputs start as zeros.
/// </summary>
internal sealed class KernelBench : IDisposable
{
    // A prime, so that repetitions do not line up with rows.
    private const int Block = 65_537;
    private readonly List<IDisposable> _buffers = [];
    private readonly KernelRow _row;
    private readonly Device _device;
    private readonly KernelCall _call;

    public KernelBench(Device device, KernelRow row, KernelSize size)
    {
        (_device, _row, _call) = (device, row, new KernelCall(size));
        try
        {
            for (int i = 0; i < row.Arguments.Count; i++)
            {
                Place(row.Arguments[i], size, new CounterRandom(1, RandomPurpose.Test, (uint)i));
            }
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>Bytes of all arguments of a row at a size.</summary>
    public static long ArgumentBytes(KernelRow row, KernelSize size) =>
        row.Arguments.Sum(argument => argument.Shape(size).Count * (argument.Doubles is null ? sizeof(float) : sizeof(double)));

    /// <summary>Seconds of a run, over some of them one after the other: on the device's own clock where it has one, else the host's with a wait.</summary>
    public double Time(long times)
    {
        int from = _device.Mark();
        long start = Stopwatch.GetTimestamp();
        for (long i = 0; i < times; i++)
        {
            _row.Launch(_device.Kernels, _call);
        }
        if (from < 0)
        {
            _device.Synchronize();
            return Stopwatch.GetElapsedTime(start).TotalSeconds / times;
        }
        double seconds = _device.Seconds(from, _device.Mark());
        _device.ForgetMarks();
        _device.Synchronize();
        return seconds / times;
    }

    public void Dispose() => _buffers.ForEach(buffer => buffer.Dispose());

    private void Place(KernelArgument argument, KernelSize size, CounterRandom random)
    {
        var shape = argument.Shape(size);
        bool empty = argument.Role == ArgumentRole.Out;
        if (argument.Ints is { } ints)
        {
            var buffer = Keep(_device.Allocate<int>(shape.Count, MemoryUse.Data));
            _device.Upload<int>(empty ? new int[shape.Count] : ints(size, random), buffer.View);
            _call.Bind(argument.Name, new Tensor<int>(buffer, 0, shape));
        }
        else if (argument.Doubles is { } doubles)
        {
            var buffer = Keep(_device.Allocate<double>(shape.Count, MemoryUse.Data));
            _device.Upload<double>(empty ? new double[shape.Count] : doubles(size, random), buffer.View);
            _call.Bind(argument.Name, new Tensor<double>(buffer, 0, shape));
        }
        else
        {
            var buffer = Keep(_device.Allocate<float>(shape.Count, MemoryUse.Data));
            if (!empty && argument.Draw is { } draw && shape.Count > Block)
            {
                var block = new float[Block];
                for (int i = 0; i < Block; i++)
                {
                    block[i] = draw(random, (ulong)i);
                }
                for (long at = 0; at < shape.Count; at += Block)
                {
                    int count = (int)Math.Min(Block, shape.Count - at);
                    _device.Upload<float>(block.AsSpan(0, count), new Tensor<float>(buffer, at, new Shape(count)));
                }
            }
            else if (!empty)
            {
                _device.Upload<float>(argument.Floats!(size, random), buffer.View);
            }
            _call.Bind(argument.Name, new Tensor<float>(buffer, 0, shape));
        }
    }

    private DeviceBuffer<T> Keep<T>(DeviceBuffer<T> buffer)
        where T : unmanaged
    {
        _buffers.Add(buffer);
        return buffer;
    }
}
