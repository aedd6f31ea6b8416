using System.IO.Compression;

namespace NativeEngine.Formats;

/// <summary>
/// One array of a NumPy .npz archive (numpy.savez and savez_compressed: a ZIP of .npy files), taken into memory. Sizes that the archive states are believed only as
/// far as bytes arrive: deflate makes at most 1,032 bytes of one, the .npy header must agree, and so must the checksum (CRC-32). Never read: encrypted
/// members, arrays of Python objects, arrays of more than 2^31 - 57 bytes. Memory: the array.
/// </summary>
public static class NpzFile
{
    /// <summary>The ending of such a file's name.</summary>
    public const string Ending = ".npz";

    private const string Member = ".npy";
    private const long DeflateMost = 1032;
    private const int FirstPart = 1 << 18;

    /// <summary>Opens an array by its name, or the only one for null. Errors: BadInput with what the archive holds.</summary>
    public static NpyFile Open(string path, string? array)
    {
        FileStream file;
        try
        {
            file = InputFile.Open(path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw FormatErrors.Unreadable(path, e);
        }
        using (file)
        {
            return Read(path, file, array);
        }
    }

    /// <summary>The same from a stream that can seek; <paramref name="path"/> is for messages.</summary>
    internal static NpyFile Read(string path, Stream stream, string? array)
    {
        try
        {
            using var archive = new ZipArchive(stream, ZipArchiveMode.Read, leaveOpen: true);
            var member = Find(path, archive, array);
            string name = $"{path}#{NameOf(member)}";
            return NpyFile.Parse(name, Unpack(name, member));
        }
        catch (Exception e) when (e is InvalidDataException or IOException or NotSupportedException or ArgumentException)
        {
            throw FormatErrors.Bad(path, $"not an archive that can be read: {e.Message.TrimEnd('.')}", "numpy.savez and numpy.savez_compressed write such archives", e);
        }
    }

    private static ZipArchiveEntry Find(string path, ZipArchive archive, string? array)
    {
        ZipArchiveEntry[] arrays = [.. archive.Entries.Where(e => e.FullName.EndsWith(Member, StringComparison.Ordinal))];
        string[] names = [.. arrays.Select(NameOf)];
        string held = names.Length == 0 ? "no array" : $"{names.Length} arrays ({string.Join(", ", names.Take(8))}{(names.Length > 8 ? ", …" : "")})";
        ZipArchiveEntry[] meant = array is null ? arrays : [.. arrays.Where(e => NameOf(e) == array)];
        return meant.Length == 1 ? meant[0] : throw FormatErrors.Bad(
            path, array is null ? $"the archive holds {held}" : $"the archive holds {held}, {(meant.Length == 0 ? "none" : "more than one")} of them '{array}'", names.Length == 0 ? null : $"name one: {path}#{names[0]}");
    }

    private static string NameOf(ZipArchiveEntry entry) => entry.FullName[..^Member.Length];

    private static byte[] Unpack(string name, ZipArchiveEntry entry)
    {
        if (entry.IsEncrypted)
        {
            throw FormatErrors.Bad(name, "the array is encrypted, which is not read");
        }
        long length = entry.Length;
        if (length > Array.MaxLength)
        {
            throw FormatErrors.Bad(name, $"the array has {FormatErrors.Count(length)} bytes, at most {FormatErrors.Count(Array.MaxLength)} are read from an archive", "numpy.save writes it as a .npy file, which is read in pieces");
        }
        if (length > DeflateMost * (entry.CompressedLength + 1))
        {
            throw FormatErrors.Bad(name, $"{FormatErrors.Count(length)} bytes are said to be packed in {FormatErrors.Count(entry.CompressedLength)}, more than deflate can");
        }
        // The rest of the place is made once the first part has arrived.
        var bytes = new byte[Math.Min(length, FirstPart)];
        using var stream = entry.Open();
        int at = 0;
        while (at < length)
        {
            int read = stream.Read(bytes, at, bytes.Length - at);
            if (read == 0)
            {
                throw FormatErrors.Bad(name, $"truncated: {FormatErrors.Count(at)} of {FormatErrors.Count(length)} bytes are there");
            }
            at += read;
            if (at == bytes.Length && at < length)
            {
                Array.Resize(ref bytes, (int)length);
            }
        }
        if (stream.ReadByte() >= 0)
        {
            throw FormatErrors.Bad(name, $"the array goes on after the {FormatErrors.Count(length)} bytes that the archive states");
        }
        uint sum = Crc32.Of(bytes);
        return sum == entry.Crc32 ? bytes : throw FormatErrors.Bad(name, $"damaged: its checksum is {sum:x8}, the archive states {entry.Crc32:x8}");
    }
}
