using System.Text;
using NativeEngine.Formats;
using NativeEngine.Tests.Support;

namespace NativeEngine.Tests.Formats;

public class NpyTests
{
    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(31)]
    [InlineData(443)]
    public void Write_Rows_ReadBackInAnyPieces(int rows)
    {
        using var folder = new TemporaryFolder();
        string path = folder.File("f.npy");
        float[] values = [.. Enumerable.Range(0, rows * 7).Select(i => i * 0.37f)];
        NpyWriter.Write(path, DType.F32, [rows, 7], sink =>
        {
            for (int i = 0; i < rows; i++)
            {
                sink.Write(values.AsSpan(i * 7, 7));
            }
        });
        using var file = NpyFile.Open(path);
        Assert.Equal((rows, 7L, DType.F32), (file.Rows, file.RowLength, file.DType));
        Assert.Equal(values, file.ToFloat32());
        Assert.Equal(0, (new FileInfo(path).Length - (values.Length * 4)) % 64);
        if (rows > 2)
        {
            var two = new float[14];
            file.ReadRows(rows - 2, two);
            Assert.Equal(values[^14..], two);
            Assert.Throws<ArgumentException>(() => file.ReadRows(0, new float[8]));
        }
        Assert.Throws<ArgumentOutOfRangeException>(() => file.ReadFloat32(rows * 7, new float[1]));
    }

    [Fact]
    public void Write_IntegersAndScalar_ReadBack()
    {
        using var folder = new TemporaryFolder();
        NpyWriter.WriteInt64(folder.File("l"), [2], new[] { long.MinValue, 7 });
        NpyWriter.WriteInt32(folder.File("i"), [1, 2], new[] { -3, int.MaxValue });
        NpyWriter.WriteFloat32(folder.File("s"), [], new[] { 2.5f });
        using var longs = NpyFile.Open(folder.File("l"));
        using var ints = NpyFile.Open(folder.File("i"));
        using var scalar = NpyFile.Open(folder.File("s"));
        Assert.Equal([long.MinValue, 7], longs.ToInt64());
        Assert.Equal([-3, int.MaxValue], ints.ToInt64());
        Assert.Equal([2.5f], scalar.ToFloat32());
        Assert.Equal(1, scalar.Rows);
        Expect.Fails(ErrorKind.BadInput, () => scalar.ToInt64(), "F32");
        Assert.Throws<ArgumentException>(() => NpyWriter.WriteFloat32(folder.File("x"), [3], new float[2]));
        Assert.False(File.Exists(folder.File("x")));
    }

    // The bytes numpy.save of NumPy 1.24 gives for np.arange(3, dtype=np.float32).
    [Fact]
    public void Write_Array_HasNumPysBytes()
    {
        using var folder = new TemporaryFolder();
        NpyWriter.WriteFloat32(folder.File("a"), [3], new[] { 0f, 1f, 2f });
        byte[] expected = [.. "\u0001\0"u8, .. "v\0"u8, .. Encoding.ASCII.GetBytes("{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }".PadRight(117)), (byte)'\n',
            0, 0, 0, 0, 0, 0, 0x80, 0x3F, 0, 0, 0, 0x40];
        Assert.Equal([0x93, .. "NUMPY"u8, .. expected], File.ReadAllBytes(folder.File("a")));
    }

    [Theory]
    [InlineData("<f2", "003C00C0", "1,-2")]
    [InlineData("<f8", "000000000000F03F00000000000000C0", "1,-2")]
    [InlineData("|i1", "01FE", "1,-2")]
    [InlineData("|u1", "01FE", "1,254")]
    [InlineData("|b1", "0100", "1,0")]
    [InlineData("<i2", "0100FEFF", "1,-2")]
    [InlineData("<u2", "0100FEFF", "1,65534")]
    [InlineData("<i4", "01000000FEFFFFFF", "1,-2")]
    [InlineData("<u4", "01000000FEFFFFFF", "1,4294967294")]
    [InlineData("<i8", "0100000000000000FEFFFFFFFFFFFFFF", "1,-2")]
    [InlineData("<u8", "0100000000000000FEFFFFFFFFFFFF7F", "1,9223372036854775806")]
    public void Read_EveryType_AllVersions(string descr, string hex, string expected)
    {
        using var folder = new TemporaryFolder();
        long[] numbers = [.. expected.Split(',').Select(long.Parse)];
        for (int version = 1; version <= 3; version++)
        {
            using var file = NpyFile.Open(folder.Put("a.npy", Bytes($"{{'descr': '{descr}', 'fortran_order': False, 'shape': (2,)}}", Convert.FromHexString(hex), version)));
            Assert.Equal(numbers.Select(n => (float)n), file.ToFloat32());
            if (file.DType.IsInteger())
            {
                Assert.Equal(numbers, file.ToInt64());
            }
        }
    }

    [Fact]
    public void Read_FortranOrder_IsGivenInCOrder()
    {
        using var folder = new TemporaryFolder();
        long[] shape = [3, 4, 5];
        var data = new byte[60];
        for (int i = 0; i < 60; i++)
        {
            (int a, int b, int c) = (i / 20, i / 5 % 4, i % 5);
            data[a + (3 * b) + (12 * c)] = (byte)i;
        }
        using var file = NpyFile.Open(folder.Put("f", Bytes("{'descr': '|u1', 'fortran_order': True, 'shape': (3, 4, 5), }", data)));
        Assert.Equal(shape, file.Shape.ToArray());
        Assert.Equal(Enumerable.Range(0, 60).Select(i => (float)i), file.ToFloat32());
        Assert.Equal(Enumerable.Range(0, 60).Select(i => (long)i), file.ToInt64());
        var middle = new float[17];
        file.ReadFloat32(23, middle);
        Assert.Equal(Enumerable.Range(23, 17).Select(i => (float)i), middle);
    }

    [Theory]
    [InlineData("{'shape': (2L,), 'fortran_order': False, 'descr': \"<u1\"}\n", 2)]
    [InlineData("{'descr':'|u1','fortran_order':True,'shape':()}", 1)]
    [InlineData("{'descr': '|u1', 'fortran_order': False, 'shape': (0, 5,), }  ", 0)]
    public void Open_AllowedOddities_Accepted(string header, int bytes)
    {
        byte[] file = Bytes(header, new byte[bytes]);
        Assert.Equal(bytes, NpyHeader.Parse("f", file.Length, file).ElementCount);
    }

    [Theory]
    [InlineData("{'descr': '>f4', 'fortran_order': False, 'shape': (1,), }", 4, "big-endian elements (\">f4\")")]
    [InlineData("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }", 8, "Python objects")]
    [InlineData("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,), }", 4, "structured array")]
    [InlineData("{'descr': '<c8', 'fortran_order': False, 'shape': (1,), }", 8, "\"<c8\" are not read")]
    [InlineData("{'descr': '<U3', 'fortran_order': False, 'shape': (1,), }", 12, "\"<U3\" are not read")]
    [InlineData("{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }", 8, "truncated: <f4 [3] takes 12 bytes of data, the file has 8")]
    [InlineData("{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }", 8, "<f4 [1] takes 4 bytes of data, the file has 8")]
    [InlineData("{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296), }", 0, "more elements")]
    [InlineData("{'descr': '<f4', 'fortran_order': False, 'shape': (0, 4294967296, 4294967296), }", 0, "more elements")]
    [InlineData("{'descr': '<f4', 'fortran_order': False, 'shape': (-1,), }", 0, "whole numbers")]
    [InlineData("{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,), }", 0, "whole numbers")]
    [InlineData("{'descr': '<f4', 'fortran_order': False, 'shape': (1), }", 4, "must be a tuple")]
    [InlineData("{'descr': '<f4', 'fortran_order': False, 'shape': (1 1), }", 4, "must be a tuple")]
    [InlineData("{'descr': '<f4', 'fortran_order': False, 'shape': (,), }", 4, "whole numbers")]
    [InlineData("{'descr': '<f4', 'fortran_order': 0, 'shape': (1,), }", 4, "True or False")]
    [InlineData("{'descr': '<f4', 'fortran_order': False, }", 4, "shape is missing")]
    [InlineData("{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (1,), }", 4, "\"descr\" is repeated or unknown")]
    [InlineData("{'descr': '<f4', 'fortran_order': False, 'shape': (1,), 'x': 1}", 4, "\"x\" is repeated or unknown")]
    [InlineData("{'descr': '<f4', 'fortran_order': False, 'shape': (1,), } x", 4, "after the dictionary")]
    [InlineData("{'descr': '<f4', 'fortran_order': False, 'shape': (1,)", 4, "'}' is expected")]
    [InlineData("{'descr: <f4", 4, "quoted string")]
    [InlineData("__import__('os').system('true')", 4, "'{' is expected")]
    [InlineData("", 0, "'{' is expected")]
    public void Open_MalformedHeader_IsANamedSentence(string header, int bytes, string sentence)
    {
        using var folder = new TemporaryFolder();
        string path = folder.Put("bad.npy", Bytes(header, new byte[bytes]));
        Expect.Fails(ErrorKind.BadInput, () => NpyFile.Open(path).Dispose(), "bad.npy", sentence);
    }

    [Fact]
    public void Open_BadBeginning_IsANamedSentence()
    {
        using var folder = new TemporaryFolder();
        void Refused(byte[] bytes, string sentence) => Expect.Fails(ErrorKind.BadInput, () => NpyFile.Open(folder.Put("b", bytes)).Dispose(), sentence);
        Refused([], "not a .npy file");
        Refused("PK\u0003\u0004 an npz file"u8.ToArray(), "not a .npy file");
        Refused([0x93, .. "NUMPX\u0001\0\0\0"u8], "not a .npy file");
        Refused([0x93, .. "NUMPY\u0004\0\0\0"u8], "version 4.0");
        Refused([0x93, .. "NUMPY\u0001\u0001\0\0"u8], "version 1.1");
        Refused([0x93, .. "NUMPY\u0002\0\0\0"u8], "truncated");
        Refused([0x93, .. "NUMPY\u0001\0\u0011\u0027"u8], "a header of 10001 bytes, the limit is 10000");
        Refused([0x93, .. "NUMPY\u0002\0"u8, 0xFF, 0xFF, 0xFF, 0xFF], "a header of 4294967295 bytes");
        Refused([0x93, .. "NUMPY\u0001\0\u0010\u0027"u8], "the header ends at byte 10010, the file has 10");
    }

    [Fact]
    public void ReadInt64_AboveTheRange_IsNamed()
    {
        using var folder = new TemporaryFolder();
        byte[] data = Convert.FromHexString("00000000000000000000000000000080");
        using var file = NpyFile.Open(folder.Put("u", Bytes("{'descr': '<u8', 'fortran_order': False, 'shape': (2,), }", data)));
        Expect.Fails(ErrorKind.BadInput, () => file.ToInt64(), "element 1 is above 2^63-1");
        Assert.Equal([0f, 9223372036854775808f], file.ToFloat32());
    }

    [FactWithPython]
    public void NumPy_ReadsOursAndWeReadIts()
    {
        using var folder = new TemporaryFolder();
        NpyWriter.WriteFloat32(folder.File("ours.npy"), [2, 3], new[] { 1f, 2, 3, 4, 5, 6.5f });
        string said = Python.RunText("""
            import sys, numpy as np
            a = np.load(sys.argv[1])
            np.save(sys.argv[2], np.asfortranarray(a.astype(np.float16)))
            print(a.dtype, a.shape, a.sum())
            """, folder.File("ours.npy"), folder.File("theirs.npy"));
        Assert.Equal("float32 (2, 3) 21.5", said.Trim());
        using var theirs = NpyFile.Open(folder.File("theirs.npy"));
        Assert.True(theirs.FortranOrder);
        Assert.Equal([1f, 2, 3, 4, 5, 6.5f], theirs.ToFloat32());
    }

    /// <summary>A file of this version with this dictionary and this data.</summary>
    internal static byte[] Bytes(string header, byte[] data, int version = 1)
    {
        byte[] text = Encoding.Latin1.GetBytes(header);
        byte[] length = BitConverter.GetBytes(text.Length);
        return [0x93, .. "NUMPY"u8, (byte)version, 0, .. length.AsSpan(0, version == 1 ? 2 : 4), .. text, .. data];
    }
}
