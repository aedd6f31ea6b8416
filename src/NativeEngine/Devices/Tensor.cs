using System.Runtime.CompilerServices;

namespace NativeEngine.Devices;

/// <summary>
/// A contiguous row-major view of a part of a <see cref="DeviceBuffer{T}"/>. Light, copyable, owns nothing. The default value is "no
/// tensor" (<see cref="IsNone"/>), which kernels accept where their documentation says an argument is optional.
/// </summary>
public readonly struct Tensor<T>
    where T : unmanaged
{
    /// <summary>A view of <paramref name="shape"/> starting at element <paramref name="offset"/>. Errors: a view past the buffer's end.</summary>
    public Tensor(DeviceBuffer<T> buffer, long offset, Shape shape)
    {
        if (offset < 0 || offset + shape.Count > buffer.Length)
        {
            throw new ArgumentOutOfRangeException(nameof(offset), offset, $"a view {shape} at {offset} leaves its buffer of {buffer.Length} elements");
        }
        Buffer = buffer;
        Offset = offset;
        Shape = shape;
    }

    /// <summary>The owner of the memory.</summary>
    public DeviceBuffer<T> Buffer { get; }

    /// <summary>First element within the buffer.</summary>
    public long Offset { get; }

    /// <summary>Extents, row-major.</summary>
    public Shape Shape { get; }

    /// <summary>Number of elements.</summary>
    public long Length => Buffer is null ? 0 : Shape.Count;

    /// <summary>First extent; 0 for no tensor.</summary>
    public long Rows => Buffer is null ? 0 : Shape[0];

    /// <summary>Elements in a row: the product of all extents but the first.</summary>
    public long RowLength => Shape.Rank <= 1 ? 1 : Shape[1] * Shape[2] * Shape[3];

    /// <summary>True for the default value.</summary>
    public bool IsNone => Buffer is null;

    /// <summary>Rows <paramref name="first"/> .. first + count - 1 of the first axis.</summary>
    public Tensor<T> Slice(long first, long count)
    {
        if (first < 0 || count < 0 || first + count > Shape[0])
        {
            throw new ArgumentOutOfRangeException(nameof(first), first, $"rows {first}..{first + count} of a tensor {Shape}");
        }
        return new Tensor<T>(Buffer, Offset + (first * RowLength), Shape.WithRows(count));
    }

    /// <summary>The same elements under another shape. Errors: a different element count.</summary>
    public Tensor<T> Reshape(params ReadOnlySpan<long> extents)
    {
        var shape = new Shape(extents);
        return shape.Count == Length
            ? new Tensor<T>(Buffer, Offset, shape)
            : throw new ArgumentException($"a tensor {Shape} cannot be seen as {shape}: {Length} elements against {shape.Count}", nameof(extents));
    }

    /// <summary>Host address of the first element; meaningful on the CPU device only, null for no tensor.</summary>
    internal unsafe T* Pointer
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => Buffer is null ? null : (T*)Buffer.Handle + Offset;
    }

    /// <summary>Element type and shape.</summary>
    public override string ToString() => IsNone ? "none" : $"{typeof(T).Name}{Shape}";
}
