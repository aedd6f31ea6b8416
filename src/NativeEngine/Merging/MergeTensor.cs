using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using NativeEngine.Formats;

namespace NativeEngine.Merging;

/// <summary>
/// A tensor as one input of a merge sees it: elements 0 .. Count-1 in row-major order, read in any pieces as double, from several threads
/// at a time. Nothing is held in memory but what an implementation says.
/// </summary>
internal abstract class MergeTensor
{
    /// <summary>The dimensions, slowest first.</summary>
    public abstract IReadOnlyList<long> Shape { get; }

    /// <summary>Number of elements.</summary>
    public long Count => Shape.Aggregate(1L, (product, extent) => product * extent);

    /// <summary>Elements of the last axis; all of a vector.</summary>
    public long RowLength => Shape.Count == 0 ? 1 : Shape[^1];

    /// <summary>Reads elements [start, start + target.Length).</summary>
    public abstract void Read(long start, Span<double> target);

    /// <summary>Makes a range of elements ready to be read: what must be fetched from a disk is, and a file that cannot be read is BadInput.</summary>
    public virtual void Bring(long start, long count)
    {
    }

    /// <summary>A range of elements is not needed for now.</summary>
    public virtual void Forget(long start, long count)
    {
    }

    /// <summary>Whether <see cref="Stored"/> can be asked: the elements lie in memory as F32 or BF16.</summary>
    public virtual bool IsStored => false;

    /// <summary>Where elements [start, start + count) lie.</summary>
    public virtual StoredElements Stored(long start, int count) => throw new NotSupportedException("not stored as F32 or BF16");

    /// <summary>sum[i] += weight * element[start + i], product and sum rounded one after the other.</summary>
    public virtual void AddScaled(double weight, long start, Span<double> sum)
    {
        Span<double> values = stackalloc double[512];
        for (int done = 0; done < sum.Length; done += values.Length)
        {
            var part = sum.Slice(done, Math.Min(values.Length, sum.Length - done));
            Read(start + done, values[..part.Length]);
            for (int i = 0; i < part.Length; i++)
            {
                part[i] += weight * values[i];
            }
        }
    }
}

/// <summary>A tensor that is in memory already.</summary>
internal sealed class ArrayTensor(double[] values, params long[] shape) : MergeTensor
{
    public override IReadOnlyList<long> Shape { get; } = shape.Length == 0 ? [values.Length] : shape;

    public override void Read(long start, Span<double> target) => values.AsSpan((int)start, target.Length).CopyTo(target);
}

/// <summary>A tensor of a mapped file: F64, F32, BF16 or F16, each widened exactly.</summary>
internal sealed class FileTensor(SafetensorsTensor tensor) : MergeTensor
{
    private const int Piece = 1024;

    public override IReadOnlyList<long> Shape { get; } = tensor.Shape.ToArray();

    public override void Read(long start, Span<double> target)
    {
        if (tensor.DType == DType.F64)
        {
            MemoryMarshal.Cast<byte, double>(Bytes(start, target.Length)).CopyTo(target);
            return;
        }
        Span<float> floats = stackalloc float[Piece];
        for (int done = 0; done < target.Length; done += Piece)
        {
            int count = Math.Min(Piece, target.Length - done);
            tensor.ReadFloat32(start + done, floats[..count]);
            Widen(floats[..count], target.Slice(done, count));
        }
    }

    public override void Bring(long start, long count) => tensor.Bring(start * Size, count * Size);

    public override void Forget(long start, long count) => tensor.Forget(start * Size, count * Size);

    public override bool IsStored => tensor.DType is DType.F32 or DType.BF16;

    public override unsafe StoredElements Stored(long start, int count) =>
        new((nint)Unsafe.AsPointer(ref MemoryMarshal.GetReference(Bytes(start, count))), tensor.DType == DType.BF16);

    private int Size => tensor.DType.Bits() / 8;

    private static void Widen(ReadOnlySpan<float> source, Span<double> target)
    {
        int i = 0;
        for (; i + 8 <= source.Length; i += 8)
        {
            var eight = Vector256.Create(source[i..]);
            Vector256.WidenLower(eight).CopyTo(target[i..]);
            Vector256.WidenUpper(eight).CopyTo(target[(i + 4)..]);
        }
        for (; i < source.Length; i++)
        {
            target[i] = source[i];
        }
    }

    private ReadOnlySpan<byte> Bytes(long start, int count) => tensor.Bytes(start * Size, count * Size);
}
