using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;

namespace NativeEngine.Data;

/// <summary>A stable hash of a text: the first eight bytes of SHA-256 of its UTF-8 form, little-endian, optionally keyed by a seed.</summary>
internal static class TextHash
{
    public static ulong Of(string text, ulong? seed = null)
    {
        int length = Encoding.UTF8.GetMaxByteCount(text.Length) + sizeof(ulong);
        Span<byte> buffer = length <= 1024 ? stackalloc byte[1024] : new byte[length];
        int used = 0;
        if (seed is { } key)
        {
            BinaryPrimitives.WriteUInt64LittleEndian(buffer, key);
            used = sizeof(ulong);
        }
        used += Encoding.UTF8.GetBytes(text, buffer[used..]);
        Span<byte> digest = stackalloc byte[SHA256.HashSizeInBytes];
        SHA256.HashData(buffer[..used], digest);
        return BinaryPrimitives.ReadUInt64LittleEndian(digest);
    }
}
