using System.Runtime.InteropServices;
using System.Text;

namespace NativeEngine.CApi;

/// <summary>
/// The last failure's sentence and hint of one thread, as UTF-8 in native memory whose address stays the same as long as the thread lives. Texts beyond its capacity are cut between characters.
/// </summary>
internal sealed unsafe class ErrorText
{
    private const int Capacity = 4096;

    [ThreadStatic]
    private static ErrorText? _ofThread;

    private readonly byte* _message = (byte*)NativeMemory.AllocZeroed(Capacity), _hint = (byte*)NativeMemory.AllocZeroed(Capacity);

    private ErrorText()
    {
    }

    /// <summary>When the thread is gone nobody may look at the text any more.</summary>
    ~ErrorText()
    {
        NativeMemory.Free(_message);
        NativeMemory.Free(_hint);
    }

    private static ErrorText OfThread => _ofThread ??= new ErrorText();

    public static byte* Message => OfThread._message;

    public static byte* Hint => OfThread._hint;

    public static void Set(string message, string hint)
    {
        var text = OfThread;
        Copy(message, text._message);
        Copy(hint, text._hint);
    }

    private static void Copy(string text, byte* target)
    {
        Encoding.UTF8.GetEncoder().Convert(text, new Span<byte>(target, Capacity - 1), flush: true, out _, out int bytes, out _);
        target[bytes] = 0;
    }
}
