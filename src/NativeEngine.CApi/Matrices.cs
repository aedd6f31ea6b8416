using NativeEngine.Devices;
using NativeEngine.Devices.Cpu;
using NativeEngine.Formats;

namespace NativeEngine.CApi;

/// <summary>The caller's rows of features.</summary>
internal sealed unsafe class Matrix
{
    // Far more than any machine addresses, far less than what overflows.
    private const long MostBytes = 1L << 46;

    private readonly byte* _data;
    private readonly long _stride;
    private readonly DType _type;

    public Matrix(MatrixStruct* given, string what)
    {
        if (given is null)
        {
            throw Arguments.Missing(what);
        }
        var m = Arguments.Read(given, what);
        _type = Arguments.Type(m.Type, $"the type of {what}");
        Rows = Arguments.Number(m.Rows, $"the rows of {what}", 1);
        Columns = Arguments.Number(m.Columns, $"the columns of {what}", 1);
        _stride = m.RowStride == 0 ? m.Columns : m.RowStride;
        if (_stride < Columns || _stride > MostBytes / 8 / Rows)
        {
            throw new CallException(Status.Argument, $"{what}: {Rows} rows of {Columns} elements cannot lie {_stride} elements apart");
        }
        ElementBytes = _type.Bits() / 8;
        _data = m.Data is not null ? (byte*)m.Data : throw Arguments.Missing($"the data of {what}");
        if ((nuint)_data % (nuint)ElementBytes != 0)
        {
            throw new CallException(Status.Argument, $"the data of {what} is at 0x{(nint)_data:x}, which is not aligned to {ElementBytes} bytes");
        }
    }

    public int Rows { get; }

    public int Columns { get; }

    private int ElementBytes { get; }

    private bool IsPlain => _type == DType.F32 && _stride == Columns;

    /// <summary>The rows [Rows, Columns] on a device: where they lie when that is possible.</summary>
    public DeviceBuffer<float> On(Device device)
    {
        if (IsPlain && device is CpuDevice cpu)
        {
            return cpu.Borrow((float*)_data, (long)Rows * Columns);
        }
        var buffer = device.Allocate<float>((long)Rows * Columns, MemoryUse.Selection);
        try
        {
            var row = new float[Columns];
            for (int r = 0; r < Rows; r++)
            {
                ReadRow(r, row);
                device.Upload<float>(row, new Tensor<float>(buffer, (long)r * Columns, new Shape(Columns)));
            }
            return buffer;
        }
        catch
        {
            buffer.Dispose();
            throw;
        }
    }

    /// <summary>Rows first .. first + count - 1 one after the other: where they lie, or in the scratch.</summary>
    public ReadOnlySpan<float> Slice(int first, int count, float[] scratch)
    {
        if (IsPlain)
        {
            return new ReadOnlySpan<float>((float*)_data + ((long)first * Columns), count * Columns);
        }
        for (int r = 0; r < count; r++)
        {
            ReadRow(first + r, scratch.AsSpan(r * Columns, Columns));
        }
        return scratch.AsSpan(0, count * Columns);
    }

    /// <summary>Elements that <see cref="Slice"/> needs for so many rows.</summary>
    public int Scratch(int rows) => IsPlain ? 0 : rows * Columns;

    private void ReadRow(int r, Span<float> target) =>
        ElementConversion.ToFloat32(_type, new ReadOnlySpan<byte>(_data + (r * _stride * ElementBytes), Columns * ElementBytes), target);
}
