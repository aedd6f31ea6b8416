using NativeEngine.Devices;

namespace NativeEngine.Merging;

/// <summary>
/// A merge's weighted sums on a device: a window of every input is copied there, packed one after the other, and the sum comes back. The same
/// products and sums in double as on the CPU, rounded to float32 on the device and from there to the output type; a divisor goes into the weights.
/// So float32 output without a divisor has the CPU's bits, any other may differ by a unit in the last place. Memory: (K + 1) windows on the
/// device and one on the host. Reading the files and the bus to the device bound it, not the sum.
/// </summary>
internal sealed class DeviceSum(Device device) : IDisposable
{
    private const int Window = 1 << 20;

    private DeviceBuffer<float>? _inputs, _sum;
    private DeviceBuffer<double>? _weights;
    private float[] _host = [];

    /// <summary>Elements that are summed at a time.</summary>
    public static int Elements => Window;

    /// <summary>Bytes of the device for a number of inputs.</summary>
    public static long Bytes(int inputs) => ((inputs + 1L) * Window * sizeof(float)) + (inputs * sizeof(double));

    /// <summary>Whether a merge can be summed there: all inputs are stored as F32 or BF16.</summary>
    public static bool Takes(TensorMerge merge, long count) =>
        merge is WeightedTensorMerge weighted && count > 0 && weighted.Terms.All(term => term.IsStored);

    /// <summary>Elements [start, start + output.Length) of the merge, rounded to float32; at most <see cref="Elements"/> of them.</summary>
    public void Combine(WeightedTensorMerge merge, long start, Span<double> output)
    {
        int inputs = merge.Terms.Count, count = output.Length;
        Reserve(inputs);
        for (int k = 0; k < inputs; k++)
        {
            CopyIn(merge.Terms[k].Stored(start, count), count, new Tensor<float>(_inputs!, (long)k * count, new Shape(count)));
        }
        var weights = new Tensor<double>(_weights!, 0, new Shape(inputs));
        device.Upload<double>([.. merge.Weights.Select(weight => weight / merge.Divisor)], weights);
        var sum = new Tensor<float>(_sum!, 0, new Shape(count));
        device.Kernels.WeightedSum(new Tensor<float>(_inputs!, 0, new Shape(inputs, count)), weights, sum);
        device.Download(sum, _host.AsSpan(0, count));
        for (int i = 0; i < count; i++)
        {
            output[i] = _host[i];
        }
    }

    public void Dispose()
    {
        _inputs?.Dispose();
        _sum?.Dispose();
        _weights?.Dispose();
        (_inputs, _sum, _weights) = (null, null, null);
    }

    private void Reserve(int inputs)
    {
        if (_weights?.Length >= inputs)
        {
            return;
        }
        Dispose();
        _host = new float[Window];
        _inputs = device.Allocate<float>((long)inputs * Window, MemoryUse.Parameters);
        _sum = device.Allocate<float>(Window, MemoryUse.Parameters);
        _weights = device.Allocate<double>(inputs, MemoryUse.Parameters);
    }

    private unsafe void CopyIn(StoredElements elements, int count, Tensor<float> target)
    {
        if (!elements.IsBFloat16)
        {
            device.Upload(new ReadOnlySpan<float>((void*)elements.Address, count), target);
            return;
        }
        ushort* halves = (ushort*)elements.Address;
        for (int i = 0; i < count; i++)
        {
            _host[i] = BitConverter.UInt32BitsToSingle((uint)halves[i] << 16);
        }
        device.Upload<float>(_host.AsSpan(0, count), target);
    }
}
