using System.IO.Compression;
using System.Text;
using NativeEngine.Formats;
using NativeEngine.Tests.Support;

namespace NativeEngine.Tests.Formats;

public sealed class NpzTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Write_Twice_SameBytesAndReadBack()
    {
        string one = _folder.File("one.npz"), two = _folder.File("two.npz");
        foreach (string path in (string[])[one, two])
        {
            NpzWriter.Write(path, archive =>
            {
                archive.Add("whole", [long.MinValue, 0, 7]);
                archive.Add("half", [0.5, double.NaN]);
            });
        }
        Assert.Equal(File.ReadAllBytes(one), File.ReadAllBytes(two));
        using var whole = NpzFile.Open(one, "whole");
        using var half = NpzFile.Open(one, "half");
        Assert.Equal([long.MinValue, 0, 7], whole.ToInt64());
        Assert.Equal([0.5f, float.NaN], half.ToFloat32());
        Assert.Equal(one + "#whole", whole.Path);
    }

    [Fact]
    public void Open_ArrayLargerThanItsFirstPart_IsWhole()
    {
        string path = _folder.File("large.npz");
        long[] values = [.. Enumerable.Range(0, 300_000).Select(i => (long)i * i)];
        NpzWriter.Write(path, archive => archive.Add("a", values));
        using var file = NpzFile.Open(path, null);
        Assert.Equal(values, file.ToInt64());
    }

    [Theory]
    [InlineData(null, "2 arrays (a, b)")]
    [InlineData("c", "none of them 'c'")]
    public void Open_NoSuchArray_SaysWhatIsThere(string? name, string expected)
    {
        var error = Refused(Archive(("a.npy", Npy()), ("b.npy", Npy()), ("notes.txt", [1])), name);
        Assert.Contains(expected, error.Message, StringComparison.Ordinal);
        Assert.EndsWith("#a", error.Hint, StringComparison.Ordinal);
    }

    [Fact]
    public void Open_NoArrayOrTwoOfOneName_IsRefused()
    {
        Assert.Contains("no array", Refused(Archive(("notes.txt", [1])), null).Message, StringComparison.Ordinal);
        Assert.Contains("more than one of them 'a'", Refused(Archive(("a.npy", Npy()), ("a.npy", Npy())), "a").Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Open_EveryByteDamaged_IsRefusedOrTheSameArray()
    {
        byte[] whole = Archive(("a.npy", Npy()));
        int refused = 0;
        for (int i = 0; i < whole.Length; i++)
        {
            byte[] damaged = [.. whole];
            damaged[i] ^= 0x10;
            try
            {
                using var file = NpzFile.Read("damaged", new MemoryStream(damaged), null);
                Assert.Equal([3, 1, 2], file.ToInt64());
            }
            catch (EngineException e)
            {
                Assert.Equal(ErrorKind.BadInput, e.Kind);
                refused++;
            }
        }
        // Times, attributes and versions say nothing of the array; all of the array itself is under the checksum.
        Assert.InRange(refused, Npy().Length, whole.Length);
    }

    [Theory]
    [InlineData(3_000_000_000u, "at most")]
    [InlineData(2_000_000u, "more than deflate can")]
    [InlineData(200u, "truncated")]
    public void Open_LengthThatIsNotThere_IsRefusedBeforeItIsAllocated(uint length, string expected)
    {
        byte[] file = Archive(("a.npy", Npy()));
        int directory = file.AsSpan().IndexOf("PK\u0001\u0002"u8);
        BitConverter.GetBytes(length).CopyTo(file, directory + 24);
        long before = GC.GetAllocatedBytesForCurrentThread();
        Assert.Contains(expected, Refused(file, null).Message, StringComparison.Ordinal);
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 1 << 20);
    }

    [FactWithPython]
    public void Numpy_ReadsOursAndWeReadItsOwn()
    {
        string ours = _folder.File("ours.npz");
        NpzWriter.Write(ours, archive =>
        {
            archive.Add("whole", [5, -3]);
            archive.Add("half", [0.25, 8]);
        });
        string script = $"""
            import numpy as np
            z = np.load(r'{ours}')
            assert z.files == ['whole', 'half'] and z['whole'].tolist() == [5, -3] and z['half'].tolist() == [0.25, 8] and z['whole'].dtype == np.int64
            for name, save in (('stored', np.savez), ('packed', np.savez_compressed)):
                save(r'{_folder.Path}/' + name + '.npz', f=np.asfortranarray(np.arange(6, dtype='float32').reshape(2, 3)), zeros=np.zeros(100000, dtype='u1'))
            """;
        Assert.Equal("", Python.RunText(script));
        foreach (string name in (string[])["stored", "packed"])
        {
            using var f = NpzFile.Open(_folder.File(name + ".npz"), "f");
            using var zeros = NpzFile.Open(_folder.File(name + ".npz"), "zeros");
            Assert.Equal([0f, 1, 2, 3, 4, 5], f.ToFloat32());
            Assert.All(zeros.ToInt64(), v => Assert.Equal(0, v));
        }
    }

    private static EngineException Refused(byte[] file, string? name)
    {
        var error = Assert.Throws<EngineException>(() => NpzFile.Read("file.npz", new MemoryStream(file), name));
        Assert.Equal(ErrorKind.BadInput, error.Kind);
        return error;
    }

    private static byte[] Npy()
    {
        string header = "{'descr': '<i2', 'fortran_order': False, 'shape': (3,)}\n";
        return [0x93, .. "NUMPY"u8, 1, 0, (byte)header.Length, 0, .. Encoding.ASCII.GetBytes(header), 3, 0, 1, 0, 2, 0];
    }

    private static byte[] Archive(params (string Name, byte[] Bytes)[] members)
    {
        using var target = new MemoryStream();
        using (var archive = new ZipArchive(target, ZipArchiveMode.Create, leaveOpen: true))
        {
            foreach (var (name, bytes) in members)
            {
                using var stream = archive.CreateEntry(name, CompressionLevel.NoCompression).Open();
                stream.Write(bytes);
            }
        }
        return target.ToArray();
    }
}
