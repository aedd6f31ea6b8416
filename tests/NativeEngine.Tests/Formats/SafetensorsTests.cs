using System.Buffers.Binary;
using System.Text;
using NativeEngine.Formats;
using NativeEngine.Tests.Support;

namespace NativeEngine.Tests.Formats;

public class SafetensorsTests
{
    private static float[] Numbers(int count, uint stream = 0)
    {
        var random = new CounterRandom(11, RandomPurpose.Test, stream);
        return [.. Enumerable.Range(0, count).Select(i => (float)random.Normal((ulong)i))];
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(31)]
    [InlineData(443)]
    public void Write_OddSizes_ReadsBackTheSameBits(int count)
    {
        using var folder = new TemporaryFolder();
        string path = folder.File("a.safetensors");
        float[] values = Numbers(count), scalar = [-0.0f];
        SafetensorsWriter.WriteFloat32(path, null, ("first", [count], values), ("scalar", [], scalar), ("empty", [0, 7], Array.Empty<float>()));

        using var file = SafetensorsFile.Open(path);
        Assert.Equal(["first", "scalar", "empty"], file.Tensors.Select(t => t.Name));
        Assert.Equal("pt", file.Metadata["format"]);
        Assert.Equal(values.Select(BitConverter.SingleToInt32Bits), file["first"].ToFloat32().Select(BitConverter.SingleToInt32Bits));
        Assert.Equal(BitConverter.SingleToInt32Bits(-0.0f), BitConverter.SingleToInt32Bits(file["scalar"].ToFloat32()[0]));
        Assert.Equal([0, 7], file["empty"].Shape.ToArray());
        Assert.Empty(file["empty"].ToFloat32());
        Assert.Equal(0, file["first"].FileOffset % 8);
        Assert.Equal(["a.safetensors"], folder.Names());
    }

    [Fact]
    public void Write_SameContent_GivesTheSameBytes()
    {
        using var folder = new TemporaryFolder();
        float[] values = Numbers(100);
        SafetensorsWriter.WriteFloat32(folder.File("a"), null, ("x", [10, 10], values));
        SafetensorsWriter.WriteFloat32(folder.File("b"), null, ("x", [10, 10], values));
        byte[] bytes = File.ReadAllBytes(folder.File("a"));
        Assert.Equal(bytes, File.ReadAllBytes(folder.File("b")));
        Assert.Equal((byte)'{', bytes[8]);
        Assert.Equal(0, BinaryPrimitives.ReadInt64LittleEndian(bytes) % 8);
    }

    [Fact]
    public void Write_MixedTypesInPieces_WidestFirstAndEachReadsBack()
    {
        using var folder = new TemporaryFolder();
        string path = folder.File("m.safetensors");
        TensorSpec[] specs = [new("bytes", DType.U8, 3), new("half", DType.BF16, 5, 1000), new("ids", DType.I32, 2), new("long", DType.I64, 1), new("f", DType.F32, 3)];
        float[] values = Numbers(5000);
        SafetensorsWriter.Write(path, specs, (tensor, sink) =>
        {
            switch (tensor.Name)
            {
                case "bytes":
                    sink.WriteBytes([1, 2, 255]);
                    break;
                case "half":
                    for (int row = 0; row < 5; row++)
                    {
                        sink.Write(values.AsSpan(row * 1000, 1000));
                    }
                    break;
                case "ids":
                    sink.Write([-1, int.MaxValue]);
                    break;
                case "long":
                    sink.Write([long.MinValue]);
                    break;
                default:
                    sink.Write([1f, float.NaN, float.NegativeInfinity]);
                    break;
            }
        }, new Dictionary<string, string> { ["z"] = "ü\"", ["a"] = "" });

        using var file = SafetensorsFile.Open(path);
        Assert.Equal(["long", "ids", "f", "half", "bytes"], file.Tensors.Select(t => t.Name));
        Assert.Equal("ü\"", file.Metadata["z"]);
        var integers = new long[3];
        file["bytes"].ReadInt64(0, integers);
        Assert.Equal([1, 2, 255], integers);
        file["ids"].ReadInt64(0, integers.AsSpan(0, 2));
        Assert.Equal([-1, int.MaxValue], integers[..2]);
        file["long"].ReadInt64(0, integers.AsSpan(0, 1));
        Assert.Equal(long.MinValue, integers[0]);
        Assert.Equal([1f, float.NaN, float.NegativeInfinity], file["f"].ToFloat32());
        var middle = new float[777];
        file["half"].ReadFloat32(1111, middle);
        Assert.Equal(values.Skip(1111).Take(777).Select(v => HalfPrecision.FromBFloat16(HalfPrecision.ToBFloat16(v))), middle);
        Expect.Fails(ErrorKind.BadInput, () => file["ids"].ToFloat32(), "m.safetensors", "\"ids\"", "I32");
        Expect.Fails(ErrorKind.BadInput, () => file["f"].ReadInt64(0, integers), "\"f\"", "F32");
        Expect.Fails(ErrorKind.BadInput, () => _ = file["none"], "\"none\"", "5");
        Assert.Throws<ArgumentOutOfRangeException>(() => file["half"].ReadFloat32(4999, new float[2]));
    }

    [Fact]
    public void Write_SinkNotFilledOrOverfilled_ThrowsAndLeavesNothing()
    {
        using var folder = new TemporaryFolder();
        string path = folder.Put("a.safetensors", [7]);
        TensorSpec[] specs = [new("x", DType.F32, 2)];
        Assert.Throws<ArgumentException>(() => SafetensorsWriter.Write(path, specs, (_, sink) => sink.Write([1f])));
        Assert.Throws<ArgumentException>(() => SafetensorsWriter.Write(path, specs, (_, sink) => sink.Write([1f, 2f, 3f])));
        Assert.Throws<ArgumentException>(() => SafetensorsWriter.Write(path, specs, (_, sink) => sink.Write([1, 2])));
        Assert.Throws<ArgumentException>(() => SafetensorsWriter.Write(path, [specs[0], specs[0]], (_, sink) => sink.Write([1f, 2f])));
        Assert.Equal([7], File.ReadAllBytes(path));
        Assert.Equal(["a.safetensors"], folder.Names());
    }

    [Fact]
    public void Header_LongerThanTheLimit_WillNotFit()
    {
        TensorSpec[] specs = [.. Enumerable.Range(0, 10).Select(i => new TensorSpec($"t{i}", DType.F32, i))];
        int length = SafetensorsWriter.Header("f", specs, SafetensorsWriter.ModelMetadata).Length - 8;
        SafetensorsWriter.Header("f", specs, SafetensorsWriter.ModelMetadata, length);
        Expect.Fails(ErrorKind.WillNotFit, () => SafetensorsWriter.Header("f", specs, SafetensorsWriter.ModelMetadata, length - 1), "10 tensors", $"{length - 1} bytes");
        Expect.Fails(ErrorKind.WillNotFit, () => SafetensorsWriter.Header("f", specs, SafetensorsWriter.ModelMetadata, 100));
    }

    [Theory]
    [InlineData("F16", "003C00C0", 1f, -2f)]
    [InlineData("BF16", "803F00C0", 1f, -2f)]
    [InlineData("F64", "000000000000F03F00000000000000C0", 1f, -2f)]
    public void ReadFloat32_OtherFloats_Widens(string type, string hex, float first, float second)
    {
        byte[] data = Convert.FromHexString(hex);
        using var folder = new TemporaryFolder();
        string path = folder.Put("w", Bytes($$$"""{"x":{"dtype":"{{{type}}}","shape":[2],"data_offsets":[0,{{{data.Length}}}]}}""", data));
        using var file = SafetensorsFile.Open(path);
        Assert.Equal([first, second], file["x"].ToFloat32());
    }

    [Fact]
    public void Open_TypesWeDoNotCompute_AreListedAndRefusedByName()
    {
        using var folder = new TemporaryFolder();
        string path = folder.Put("w", Bytes("""{"q":{"dtype":"F8_E4M3","shape":[3],"data_offsets":[0,3]},"p":{"dtype":"F4","shape":[2],"data_offsets":[3,4]}}""", new byte[4]));
        using var file = SafetensorsFile.Open(path);
        Assert.Equal([DType.F8E4M3, DType.F4], file.Tensors.Select(t => t.DType));
        Assert.Equal(3, file["q"].Bytes(0, 3).Length);
        Expect.Fails(ErrorKind.BadInput, () => file["q"].ToFloat32(), "F8_E4M3");
    }

    [Theory]
    [InlineData("  \n{}  ", "")]
    [InlineData("""{"a":{"dtype":"U8","shape":[0],"data_offsets":[2,2]},"b":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}""", "xx")]
    [InlineData("""{"a":{"dtype":"U8","shape":[],"data_offsets":[0,1],"note":[1,{"deep":2}]}}""", "x")]
    public void Open_AllowedOddities_Accepted(string json, string data)
    {
        byte[] bytes = Bytes(json, Encoding.ASCII.GetBytes(data));
        SafetensorsHeader.Parse("f", bytes.Length, bytes);
    }

    public static TheoryData<string, string, string, string> Malformed { get; } = new()
    {
        { "not an object", "[1]", "", "must be a JSON object, got an array" },
        { "empty header", "", "", "not the JSON" },
        { "not JSON", "{\"a\":", "", "not the JSON" },
        { "two documents", "{}{}", "", "not the JSON" },
        { "NUL padding", "{}\0\0", "", "not the JSON" },
        { "too deep", """{"a":{"x":[[[[[[[[[1]]]]]]]]]}}""", "", "depth" },
        { "lone surrogate", """{"\ud800":{}}""", "", "surrogate" },
        { "duplicate tensor", """{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}""", "x", "\"a\" stands twice" },
        { "duplicate through an escape", """{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"\u0061":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}""", "xx", "\"a\" stands twice" },
        { "duplicate field", """{"a":{"dtype":"U8","dtype":"U8","shape":[1],"data_offsets":[0,1]}}""", "x", "\"dtype\" stands twice" },
        { "duplicate metadata", """{"__metadata__":{"k":"1","k":"2"}}""", "", "\"k\" stands twice" },
        { "metadata of numbers", """{"__metadata__":{"k":1}}""", "", "\"k\" must be a string, got a number" },
        { "metadata array", """{"__metadata__":[]}""", "", "__metadata__ must be an object" },
        { "entry null", """{"a":null}""", "", "tensor \"a\" must be an object, got null" },
        { "bad dtype", """{"a":{"dtype":"F12","shape":[1],"data_offsets":[0,1]}}""", "x", "unknown dtype \"F12\"" },
        { "dtype number", """{"a":{"dtype":1,"shape":[1],"data_offsets":[0,1]}}""", "x", "dtype must be a string" },
        { "no dtype", """{"a":{"shape":[1],"data_offsets":[0,1]}}""", "x", "no \"dtype\"" },
        { "no shape", """{"a":{"dtype":"U8","data_offsets":[0,1]}}""", "x", "no \"shape\"" },
        { "no offsets", """{"a":{"dtype":"U8","shape":[1]}}""", "x", "no \"data_offsets\"" },
        { "negative dimension", """{"a":{"dtype":"U8","shape":[-1],"data_offsets":[0,1]}}""", "x", "got \"-1\" at place 0" },
        { "fractional dimension", """{"a":{"dtype":"U8","shape":[1.0],"data_offsets":[0,1]}}""", "x", "got \"1.0\"" },
        { "text dimension", """{"a":{"dtype":"U8","shape":["1"],"data_offsets":[0,1]}}""", "x", "got a string" },
        { "shape overflow", """{"a":{"dtype":"U8","shape":[4294967296,4294967296],"data_offsets":[0,0]}}""", "", "more elements than a file can hold" },
        { "overflow behind a zero", """{"a":{"dtype":"U8","shape":[0,4294967296,4294967296],"data_offsets":[0,0]}}""", "", "more elements" },
        { "byte overflow", """{"a":{"dtype":"F64","shape":[2305843009213693952],"data_offsets":[0,0]}}""", "", "more elements" },
        { "size mismatch", """{"a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,20]}}""", "", "F32 [2, 3] takes 24 bytes, data_offsets [0, 20] give 20" },
        { "half a byte", """{"a":{"dtype":"F4","shape":[1],"data_offsets":[0,1]}}""", "x", "do not fill whole bytes" },
        { "three offsets", """{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1,2]}}""", "x", "more than 2" },
        { "one offset", """{"a":{"dtype":"U8","shape":[1],"data_offsets":[0]}}""", "x", "[begin, end]" },
        { "backward offsets", """{"a":{"dtype":"U8","shape":[1],"data_offsets":[1,0]}}""", "x", "begin ≤ end" },
        { "late start", """{"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}""", "xx", "begins at byte 1 of the data and leaves a hole" },
        { "hole", """{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"b":{"dtype":"U8","shape":[1],"data_offsets":[2,3]}}""", "xxx", "\"b\" begins at byte 2 of the data and leaves a hole: tensor \"a\" ends at 1" },
        { "overlap", """{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}}""", "xxx", "\"b\" begins at byte 1 of the data and overlaps" },
        { "same bytes twice", """{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}""", "xx", "overlaps" },
        { "empty tensor inside another", """{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[0],"data_offsets":[1,1]}}""", "xx", "overlaps" },
        { "truncated data", """{"a":{"dtype":"U8","shape":[9],"data_offsets":[0,9]}}""", "xxx", "need 9 bytes of data, the file has 3" },
        { "bytes after the end", """{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}""", "xPK", "2 bytes lie after the last tensor" },
        { "data without tensors", "{}", "x", "1 bytes lie after" },
    };

    [Theory]
    [MemberData(nameof(Malformed))]
    public void Open_Malformed_IsANamedSentence(string what, string json, string data, string sentence)
    {
        Assert.NotEmpty(what);
        using var folder = new TemporaryFolder();
        string path = folder.Put("bad.safetensors", Bytes(json, Encoding.ASCII.GetBytes(data)));
        Expect.Fails(ErrorKind.BadInput, () => SafetensorsFile.Open(path).Dispose(), "bad.safetensors", sentence);
    }

    [Fact]
    public void Open_BadBeginning_IsANamedSentence()
    {
        using var folder = new TemporaryFolder();
        void Refused(byte[] bytes, string sentence)
            => Expect.Fails(ErrorKind.BadInput, () => SafetensorsFile.Open(folder.Put("b", bytes)).Dispose(), sentence);
        Refused([], "it has 0 bytes");
        Refused([1, 0, 0, 0, 0, 0, 0], "it has 7 bytes");
        Refused([255, 255, 255, 255, 255, 255, 255, 255, 1], "header of 18446744073709551615 bytes, the limit is 100000000");
        Refused([1, 0xE1, 0xF5, 5, 0, 0, 0, 0], "header of 100000001 bytes");
        Refused([3, 0, 0, 0, 0, 0, 0, 0, (byte)'{', (byte)'}'], "the header ends at byte 11, the file has 10");
        Refused([4, 0, 0, 0, 0, 0, 0, 0, (byte)'{', (byte)'"', 0xC3, 0x28], "not UTF-8 (byte 10 of the file)");
        Expect.Fails(ErrorKind.BadInput, () => SafetensorsFile.Open(folder.File("missing")), "missing: there is no such file");
        Expect.Fails(ErrorKind.BadInput, () => SafetensorsFile.Open(folder.Path), "this is a folder");
    }

    [FactWithSharedData("data/stories260K/model.safetensors")]
    public void Open_RealModel_ListsAllTensorsAndTheyAreFinite()
    {
        using var file = SafetensorsFile.Open(RepositoryPaths.Shared("data/stories260K/model.safetensors"));
        Assert.Equal(1 + (5 * 9) + 1, file.Tensors.Count);
        Assert.Equal([512, 64], file["model.embed_tokens.weight"].Shape.ToArray());
        Assert.All(file.Tensors, tensor => Assert.All(tensor.ToFloat32(), value => Assert.True(float.IsFinite(value))));
    }

    /// <summary>The bytes of a file with this header and this data.</summary>
    internal static byte[] Bytes(string json, byte[] data)
    {
        byte[] header = Encoding.UTF8.GetBytes(json);
        var bytes = new byte[8 + header.Length + data.Length];
        BinaryPrimitives.WriteInt64LittleEndian(bytes, header.Length);
        header.CopyTo(bytes, 8);
        data.CopyTo(bytes, 8 + header.Length);
        return bytes;
    }
}
