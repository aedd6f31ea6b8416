namespace NativeEngine.Formats;

/// <summary>
/// The checksum of ZIP members: CRC-32 of IEEE 802.3, polynomial x^32 + x^26 + x^23 + x^22 + x^16 + x^12 + x^11 + x^10 + x^8 + x^7 + x^5 + x^4 + x^2 + x + 1, bits reversed.
/// Four bytes a turn by four tables (Sarwate's method, sliced).
/// </summary>
internal static class Crc32
{
    private const uint Reversed = 0xEDB88320;
    private static readonly uint[][] _tables = Tables();

    public static uint Of(ReadOnlySpan<byte> bytes)
    {
        var (one, two, three, four) = (_tables[0], _tables[1], _tables[2], _tables[3]);
        uint crc = ~0u;
        int i = 0;
        for (; i + 4 <= bytes.Length; i += 4)
        {
            crc ^= BitConverter.ToUInt32(bytes[i..]);
            crc = four[(byte)crc] ^ three[(byte)(crc >> 8)] ^ two[(byte)(crc >> 16)] ^ one[crc >> 24];
        }
        for (; i < bytes.Length; i++)
        {
            crc = (crc >> 8) ^ one[(byte)(crc ^ bytes[i])];
        }
        return ~crc;
    }

    // Table t: the remainder of a byte that t more bytes follow.
    private static uint[][] Tables()
    {
        var tables = new uint[4][];
        for (int t = 0; t < tables.Length; t++)
        {
            tables[t] = new uint[256];
            for (uint b = 0; b < 256; b++)
            {
                uint crc = t == 0 ? b : tables[t - 1][b];
                for (int bit = 0; bit < 8; bit++)
                {
                    crc = (crc >> 1) ^ ((crc & 1) * Reversed);
                }
                tables[t][b] = crc;
            }
        }
        return tables;
    }
}
