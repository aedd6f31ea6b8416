using System.Buffers.Binary;
using System.IO.Compression;
using System.Security.Cryptography;
using System.Text;

namespace NativeEngine.Tests.Fuzz;

/// <summary>
/// A safetensors file: its header damaged as JSON with the length before it repaired; and now and then a fresh valid file of random tensors, whose
/// shapes, types and order then meet one damaged number.
/// </summary>
internal sealed class SafetensorsFields(byte[][] seeds) : IFields
{
    private static readonly string[] _types = ["F32", "BF16", "F16", "F64", "I64", "I32", "I16", "I8", "U8", "BOOL", "U16", "U32", "U64", "F8_E4M3", "F4"];

    private readonly JsonFields _headers = new([.. seeds.Select(s => s[8..(8 + (int)BinaryPrimitives.ReadInt64LittleEndian(s))])]);
    private readonly byte[][] _data = [.. seeds.Select(s => s[(8 + (int)BinaryPrimitives.ReadInt64LittleEndian(s))..])];

    public byte[] Mutate(int seed, FuzzRandom random)
    {
        if (random.Once(3))
        {
            return Fresh(random);
        }
        byte[] header = _headers.Mutate(seed, random), data = _data[seed];
        if (random.Once(8))
        {
            data = random.Once(2) ? data[..random.Below(data.Length + 1)] : [.. data, 0];
        }
        return Framed(header, data, random.Once(4) ? random.Below(8) : 0);
    }

    /// <summary>A file of a header (with so many blanks after it) and data.</summary>
    public static byte[] Framed(byte[] header, byte[] data, int blanks = 0)
    {
        var length = new byte[8];
        BinaryPrimitives.WriteInt64LittleEndian(length, header.Length + blanks);
        return [.. length, .. header, .. Enumerable.Repeat((byte)' ', blanks), .. data];
    }

    private static byte[] Fresh(FuzzRandom random)
    {
        int count = random.Below(5), damaged = random.Once(2) ? -1 : random.Below(3 * Math.Max(1, count));
        var entries = new List<string>();
        long end = 0;
        for (int t = 0; t < count; t++)
        {
            string type = random.Of(_types);
            long[] shape = [.. Enumerable.Range(0, random.Below(4)).Select(_ => (long)random.Below(5))];
            long bits = shape.Aggregate(1L, (a, b) => a * b) * (type is "F4" ? 4 : type is "F32" or "I32" or "U32" ? 32 : type is "F64" or "I64" or "U64" ? 64 : type is "BF16" or "F16" or "I16" or "U16" ? 16 : 8);
            long begin = end;
            end += bits / 8;
            shape = damaged == 3 * t && shape.Length > 0 ? [.. shape[1..], shape[0] + 1, 1L << random.Below(63)] : shape;
            string name = random.Below(4) switch { 0 => $"t{t}", 1 => $"\\u00{65 + t}", 2 => $"é\U0001F600{t}", _ => $"model.layers.{t}.weight" };
            string extra = random.Once(5) ? ",\"note\":{\"a\":[1,{}]}" : "";
            string offsets = $"[{(damaged == (3 * t) + 1 ? begin + 1 : begin)},{(damaged == (3 * t) + 2 ? end - 1 : end)}]";
            string[] fields = [$"\"dtype\":\"{type}\"", $"\"shape\":[{string.Join(random.Once(3) ? " , " : ",", shape)}]", $"\"data_offsets\":{offsets}"];
            entries.Add($"\"{name}\":{{{string.Join(',', random.Once(2) ? fields : fields.Reverse())}{extra}}}");
        }
        if (random.Once(2))
        {
            entries.Insert(random.Below(entries.Count + 1), "\"__metadata__\":{\"format\":\"pt\",\"a\\u0062\":\"\\ud83d\\ude00\"}");
        }
        if (random.Once(3))
        {
            entries.Reverse();
        }
        byte[] data = new byte[end];
        for (int i = 0; i < data.Length; i++)
        {
            data[i] = (byte)random.Below(256);
        }
        return Framed(Encoding.UTF8.GetBytes($"{(random.Once(6) ? " \n" : "")}{{{string.Join(',', entries)}}}"), data, random.Below(9));
    }
}

/// <summary>A .npy file of a random version, type, order and shape with the data that it says; half of them with one thing wrong.</summary>
internal sealed class NpyFields : IFields
{
    private static readonly string[] _types = ["<f4", "<f8", "<f2", "<i8", "<i4", "<i2", "|i1", "<i1", "|u1", "<u8", "<u4", "<u2", "|b1", ">f4", "|O", "<c8", "<U3", "=f4", "f4", ""];

    public byte[] Mutate(int seed, FuzzRandom random)
    {
        int version = 1 + random.Below(3), wrong = random.Once(2) ? 0 : 1 + random.Below(6);
        string type = random.Of(_types);
        long[] shape = [.. Enumerable.Range(0, random.Below(4)).Select(_ => (long)random.Below(6))];
        long size = type.Length > 2 && char.IsAsciiDigit(type[2]) ? type[2] - '0' : 1, bytes = shape.Aggregate(size, (a, b) => a * b);
        string[] dimensions = [.. shape.Select(d => d.ToString())];
        if (wrong == 1 && dimensions.Length > 0)
        {
            dimensions[random.Below(dimensions.Length)] = random.Of(new[] { "-1", "1.0", "0x1", "4294967296", "9223372036854775807", "99999999999999999999", "1L", "True", "" });
        }
        if (wrong == 2)
        {
            dimensions = [.. dimensions, "0", "9223372036854775807", "2"];
        }
        string tuple = dimensions.Length == 1 ? $"({dimensions[0]},)" : $"({string.Join(random.Once(2) ? "," : ", ", dimensions)})";
        string order = wrong == 3 ? random.Of(new[] { "true", "1", "None", "'False'", "" }) : random.Once(3) ? "True" : "False";
        List<string> entries = [$"'descr': '{type}'", $"'fortran_order': {order}", $"'shape': {tuple}"];
        if (random.Once(4))
        {
            entries.Reverse();
        }
        if (wrong == 4)
        {
            entries.Insert(random.Below(entries.Count), random.Once(2) ? entries[0] : random.Of(new[] { "'x': 1", "'shape': ()", "'descr': [('a', '<f4')]" }));
        }
        string text = "{" + string.Join(", ", entries) + (random.Once(2) ? ", }" : "}");
        text = wrong == 5 ? text.Insert(random.Below(text.Length), random.Of(new[] { "(", ")", "'", "\"", "\\", "\0", "\u00fc", " ", ",", "#" })) : text;
        text = text.PadRight(text.Length + random.Below(20)) + "\n";
        byte[] header = Encoding.UTF8.GetBytes(text), data = new byte[Math.Max(0, bytes + (wrong == 6 ? random.Below(5) - 2 : 0))];
        for (int i = 0; i < data.Length; i++)
        {
            data[i] = (byte)random.Below(256);
        }
        byte[] length = version == 1 ? new byte[2] : new byte[4];
        if (version == 1)
        {
            BinaryPrimitives.WriteUInt16LittleEndian(length, (ushort)header.Length);
        }
        else
        {
            BinaryPrimitives.WriteInt32LittleEndian(length, header.Length);
        }
        return [0x93, .. "NUMPY"u8, (byte)version, 0, .. length, .. header, .. data];
    }
}

/// <summary>Another format, compressed; some of them damaged or cut after that.</summary>
internal sealed class GzipFields(IFields inner) : IFields
{
    public byte[] Mutate(int seed, FuzzRandom random)
    {
        byte[] packed = Compress(inner.Mutate(seed, random));
        return random.Below(8) switch
        {
            0 => packed[..random.Below(packed.Length + 1)],
            1 => [.. packed, .. packed],
            2 => [.. packed, (byte)random.Below(256)],
            _ => packed,
        };
    }

    public static byte[] Compress(byte[] bytes)
    {
        using var target = new MemoryStream();
        using (var gzip = new GZipStream(target, CompressionLevel.Fastest))
        {
            gzip.Write(bytes);
        }
        return target.ToArray();
    }
}

/// <summary>A damaged array in a sound archive, or a sound one in an archive whose directory says something else.</summary>
internal sealed class ZipFields(IFields inner) : IFields
{
    private static readonly string[] _names = ["a", "b", "", "a/b", "../a", "ä"];

    public byte[] Mutate(int seed, FuzzRandom random)
    {
        (string, byte[])[] members = [.. Enumerable.Range(0, 1 + random.Below(3)).Select(i => (i == 0 ? "a" : random.Of(_names), inner.Mutate(seed, random)))];
        byte[] file = Pack(random.Once(2), members);
        switch (random.Below(6))
        {
            case 0:
                return file[..random.Below(file.Length + 1)];
            case 1:
            case 2:
                // The directory and its end: sizes, checksums, methods, offsets, counts.
                for (int damages = 1 + random.Below(3); damages > 0; damages--)
                {
                    int directory = file.AsSpan().LastIndexOf("PK\u0001\u0002"u8), at = Math.Max(0, directory) + random.Below(file.Length - Math.Max(0, directory));
                    file[at] = random.Once(2) ? (byte)random.Below(256) : random.Of(new byte[] { 0, 1, 0x7F, 0xFF });
                }
                return file;
            default:
                return file;
        }
    }

    public static byte[] Pack(bool packed, params (string Name, byte[] Bytes)[] members)
    {
        using var target = new MemoryStream();
        using (var archive = new ZipArchive(target, ZipArchiveMode.Create, leaveOpen: true))
        {
            foreach (var (name, bytes) in members)
            {
                using var stream = archive.CreateEntry(name + ".npy", packed ? CompressionLevel.Fastest : CompressionLevel.NoCompression).Open();
                stream.Write(bytes);
            }
        }
        return target.ToArray();
    }
}

/// <summary>A file of cached losses: records whose counts and sums are at the edges, some with a checksum that fits.</summary>
internal sealed class LossFields : IFields
{
    /// <summary>A sound file of records with so many losses.</summary>
    public static byte[] File(params int[] counts) => [.. "NELOSS1\n"u8, .. counts.SelectMany(count => Record(count, count, new FuzzRandom(1, "losses", count), damaged: false))];

    private static readonly int[] _counts = [0, 1, 2, 3, 5, -1, 1000, 100_000_000, 268_435_450, int.MaxValue, int.MinValue];

    public byte[] Mutate(int seed, FuzzRandom random)
    {
        var file = new List<byte>(random.Once(20) ? "NELOSS2\n"u8.ToArray() : "NELOSS1\n"u8.ToArray());
        for (int records = random.Below(4); records > 0; records--)
        {
            int told = random.Once(3) ? random.Of(_counts) : random.Below(5), has = told is >= 0 and < 8 && !random.Once(6) ? told : random.Below(5);
            file.AddRange(Record(told, has, random, damaged: random.Once(4)));
        }
        return [.. random.Once(3) ? file.Take(random.Below(file.Count + 1)) : file];
    }

    private static byte[] Record(int told, int has, FuzzRandom random, bool damaged)
    {
        var record = new byte[36 + (8 * has)];
        for (int i = 0; i < record.Length; i++)
        {
            record[i] = (byte)random.Below(256);
        }
        BinaryPrimitives.WriteInt32LittleEndian(record.AsSpan(32), told);
        byte[] sum = SHA256.HashData(record)[..8];
        sum[0] ^= (byte)(damaged ? 1 : 0);
        return [.. record, .. sum];
    }
}
