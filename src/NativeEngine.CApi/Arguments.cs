using System.Runtime.InteropServices;
using System.Text;
using NativeEngine.Formats;

namespace NativeEngine.CApi;

/// <summary>Reads and writes what crosses the interface: structs with sizes, text, arrays.</summary>
internal static unsafe class Arguments
{
    private const int LargestStruct = 4096;

    private static readonly UTF8Encoding _strict = new(false, throwOnInvalidBytes: true);

    /// <summary>A copy of a struct of the caller's, which may be older (shorter: the rest is zero) or newer (longer: the rest must be zero). NULL: all zeros.</summary>
    public static T Read<T>(T* from, string what)
        where T : unmanaged
    {
        T value = default;
        if (from is null)
        {
            return value;
        }
        int size = SizeOf(from, what);
        for (int i = sizeof(T); i < size; i++)
        {
            if (((byte*)from)[i] != 0)
            {
                throw new CallException(Status.Abi, $"{what} sets a member that this library (ABI {Library.Abi >> 16}.{Library.Abi & 0xFFFF}) does not know", "use a newer library, or leave the member zero");
            }
        }
        Buffer.MemoryCopy(from, &value, sizeof(T), Math.Min(size, sizeof(T)));
        return value;
    }

    /// <summary>Refuses an output struct that is NULL or has no size.</summary>
    public static void CheckOutput<T>(T* to, string what)
        where T : unmanaged => _ = to is null ? throw Missing(what) : SizeOf(to, what);

    /// <summary>Fills a struct of the caller's as far as it goes; its size stays.</summary>
    public static void Write<T>(T* to, T value, string what)
        where T : unmanaged
    {
        int size = SizeOf(to, what);
        *(ulong*)&value = (ulong)size;
        Buffer.MemoryCopy(&value, to, size, Math.Min(size, sizeof(T)));
    }

    /// <summary>Text, or null for NULL.</summary>
    public static string? Text(byte* from, string what)
    {
        if (from is null)
        {
            return null;
        }
        try
        {
            return _strict.GetString(MemoryMarshal.CreateReadOnlySpanFromNullTerminated(from));
        }
        catch (ArgumentException)
        {
            throw new CallException(Status.Argument, $"{what} is not UTF-8 text");
        }
    }

    public static string NeedText(byte* from, string what) => Text(from, what) is { Length: > 0 } text ? text : throw Missing(what);

    /// <summary>Text out, by the rules of the header.</summary>
    public static void WriteText(string text, byte* buffer, ulong capacity, ulong* length)
    {
        int bytes = Encoding.UTF8.GetByteCount(text);
        if (length is not null)
        {
            *length = (ulong)bytes;
        }
        if (buffer is null && capacity == 0 && length is not null)
        {
            return;
        }
        if (buffer is null || capacity < (ulong)bytes + 1)
        {
            throw new CallException(Status.Buffer, $"the text has {bytes} bytes and a zero, the buffer {(buffer is null ? 0 : capacity)}", "ask for the length first");
        }
        Encoding.UTF8.GetBytes(text, new Span<byte>(buffer, bytes));
        buffer[bytes] = 0;
    }

    /// <summary>Refuses NULL and addresses that are not aligned to an element.</summary>
    public static T* Need<T>(T* pointer, string what)
        where T : unmanaged => pointer is null ? throw Missing(what) : Aligned(pointer, what);

    /// <summary>Refuses addresses that are not aligned to an element.</summary>
    public static T* Aligned<T>(T* pointer, string what)
        where T : unmanaged
    {
        return (nuint)pointer % (nuint)sizeof(T) == 0 ? pointer
            : throw new CallException(Status.Argument, $"{what} is at 0x{(nint)pointer:x}, which is not aligned to {sizeof(T)} bytes");
    }

    /// <summary>A member of a small enumeration.</summary>
    public static T Choice<T>(int value, string what, params ReadOnlySpan<T> choices) =>
        value >= 0 && value < choices.Length ? choices[value]
            : throw new CallException(Status.Argument, $"{what} is {value}; it may be 0 to {choices.Length - 1}");

    /// <summary>A whole number within a range.</summary>
    public static int Number(long value, string what, long least, long most = int.MaxValue) =>
        value >= least && value <= most ? (int)value : throw new CallException(Status.Argument, $"{what} is {value}; it may be {least} to {most}");

    /// <summary>A finite number; the default for 0.</summary>
    public static double Real(double value, string what, double zero) =>
        value == 0 ? zero : double.IsFinite(value) ? value : throw new CallException(Status.Argument, $"{what} is {value}; it must be finite");

    public static DType Type(int value, string what) => Choice(value, what, DType.F32, DType.BF16, DType.F16, DType.F64);

    public static CallException Missing(string what) => new(Status.Argument, $"{what} is needed, NULL or nothing was given");

    private static int SizeOf<T>(T* from, string what)
        where T : unmanaged
    {
        Aligned((ulong*)from, what);
        ulong size = *(ulong*)from;
        return size is >= sizeof(ulong) and <= LargestStruct ? (int)size
            : throw new CallException(Status.Argument, $"the size of {what} is {size}, which no struct has", "begin with NE_INIT(&s)");
    }
}
