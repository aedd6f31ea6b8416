namespace NativeEngine.Data;

/// <summary>
/// GPT-2's printable alphabet of bytes: the printable Latin-1 characters stand for themselves, the other 68 bytes for U+0100
/// onwards in ascending order. Byte-level vocabularies spell their tokens with it.
/// </summary>
internal static class ByteAlphabet
{
    private static readonly char[] _toChar = Build();
    private static readonly short[] _toByte = Invert(_toChar);

    public static char ToChar(byte value) => _toChar[value];

    /// <summary>The byte a character stands for, or -1.</summary>
    public static int ToByte(char value) => value < _toByte.Length ? _toByte[value] : -1;

    /// <summary>The characters of bytes.</summary>
    public static string Spell(ReadOnlySpan<byte> bytes) => string.Create(bytes.Length, bytes, static (chars, source) =>
    {
        for (int i = 0; i < chars.Length; i++)
        {
            chars[i] = ToChar(source[i]);
        }
    });

    private static char[] Build()
    {
        var table = new char[256];
        int next = 256;
        for (int b = 0; b < 256; b++)
        {
            bool printable = b is >= '!' and <= '~' or >= 0xA1 and <= 0xAC or >= 0xAE;
            table[b] = printable ? (char)b : (char)next++;
        }
        return table;
    }

    private static short[] Invert(char[] table)
    {
        var inverse = new short[table.Max() + 1];
        inverse.AsSpan().Fill(-1);
        for (int b = 0; b < 256; b++)
        {
            inverse[table[b]] = (short)b;
        }
        return inverse;
    }
}
