using System.Text;
using System.Text.Json;
using FsCheck;
using NativeEngine.Data;
using NativeEngine.Devices;
using NativeEngine.Formats;
using NativeEngine.Selection;
using NativeEngine.Tests.Data;
using NativeEngine.Tests.Support;
using NativeEngine.Training;

namespace NativeEngine.Tests.Properties;

/// <summary>What is written is read back as it was: decode(encode(x)) = x.</summary>
public sealed class RoundTripProperties
{
    [Fact]
    public void Tokenizer_AnyText_DecodesToItself()
    {
        Tokenizer[] tokenizers = [ByteTokenizer.Create(), TokenizerSamples.Parse(TokenizerSamples.ByteLevel()), TokenizerSamples.Parse(TokenizerSamples.SentencePiece())];
        Property.Holds((string? raw, int mix) =>
        {
            // Words that merges know between whatever was generated.
            string text = Valid(raw) + (mix % 3 == 0 ? " hello world" : "") + (mix % 5 == 0 ? "é😀" : "");
            foreach (var tokenizer in tokenizers)
            {
                var encoded = tokenizer.Encode(text, addSpecialTokens: false);
                Assert.Equal(Encoding.UTF8.GetByteCount(text), encoded.ByteLength);
                Assert.Equal(encoded.Starts.Order(), encoded.Starts);
                if (tokenizer != tokenizers[2] || (!text.StartsWith(' ') && !text.Contains('▁', StringComparison.Ordinal)))
                {
                    Assert.Equal(text, tokenizer.Decode(encoded.Ids, skipSpecialTokens: false));
                }
            }
        }, times: 500);
    }

    [Fact]
    public void Npy_AnyShapeOrderAndPieces_ReadsTheValues() => Property.Holds((int[] raw, int shape, int cut) =>
    {
        long[] dimensions = [Property.In(0, 5, shape), Property.In(1, 4, shape / 6), Property.In(1, 3, shape / 24)];
        long count = dimensions.Aggregate(1L, (a, b) => a * b);
        float[] values = [.. Enumerable.Range(0, (int)count).Select(i => raw.Length == 0 ? i : BitConverter.Int32BitsToSingle(raw[i % raw.Length] * 2654435 % 1_000_000_000))];
        byte[] bytes = [.. NpyHeader.Bytes(DType.F32, dimensions), .. System.Runtime.InteropServices.MemoryMarshal.AsBytes<float>(values)];
        using var file = NpyFile.Parse("x", bytes);
        Assert.Equal(dimensions, file.Shape.ToArray());
        int piece = Property.In(1, 7, cut);
        var read = new float[values.Length];
        for (int at = 0; at < read.Length; at += piece)
        {
            file.ReadFloat32(at, read.AsSpan(at, Math.Min(piece, read.Length - at)));
        }
        Assert.Equal(values.Select(BitConverter.SingleToInt32Bits), read.Select(BitConverter.SingleToInt32Bits));
    }, times: 500);

    [Fact]
    public void Safetensors_AnyNamesTypesAndShapes_ReadBackTheSameBytes()
    {
        using var folder = new TemporaryFolder();
        string path = folder.File("x.safetensors");
        Property.Holds((string?[] rawNames, int[] raw) =>
        {
            string[] names = [.. rawNames.Select(Valid).Where(n => n != "__metadata__").Distinct().Take(6)];
            var tensors = names.Select((name, i) => (Name: name, Shape: new long[] { Property.In(0, 4, raw.ElementAtOrDefault(i)), 1 + i }, Values: Array.Empty<float>())).ToList();
            var filled = tensors.Select(t => (t.Name, t.Shape, Values: (ReadOnlyMemory<float>)Enumerable.Range(0, (int)(t.Shape[0] * t.Shape[1])).Select(i => raw.ElementAtOrDefault(i) * 0.1f).ToArray())).ToArray();
            SafetensorsWriter.WriteFloat32(path, new Dictionary<string, string> { ["note"] = Valid(rawNames.FirstOrDefault()) }, filled);
            using var file = SafetensorsFile.Open(path);
            Assert.Equal(names.Order(StringComparer.Ordinal), file.Tensors.Select(t => t.Name).Order(StringComparer.Ordinal));
            Assert.Equal(Valid(rawNames.FirstOrDefault()), file.Metadata["note"]);
            foreach (var (name, shape, values) in filled)
            {
                Assert.Equal(shape, file[name].Shape.ToArray());
                Assert.Equal(values.ToArray(), file[name].ToFloat32());
            }
        }, times: 60);
    }

    [Fact]
    public void Jsonl_AnyExamples_ReadBackInOrder() => Property.Holds((NonEmptyString[] texts, int mix) =>
    {
        Example[] examples = [.. texts.Select((t, i) => (mix + i) % 2 == 0 ? Example.FromText("s" + (i % 3), Filled(t.Get)) : Example.FromPrompt("s" + (i % 3), Filled(t.Get), Valid(t.Get) + i))];
        if (examples.Length == 0)
        {
            return;
        }
        using var stream = new MemoryStream();
        foreach (var example in examples)
        {
            JsonlWriter.Append(stream, example);
        }
        byte[] bytes = stream.ToArray();
        Example[] read = [.. new JsonlReader("x", () => new Trickle(bytes, Property.In(1, 9, mix))).Read()];
        Assert.Equal(examples.Select(e => (e.Source, e.Prompt, e.Completion, e.PlainText)), read.Select(e => (e.Source, e.Prompt, e.Completion, e.PlainText)));
    }, times: 300);

    [Fact]
    public void CheckpointState_AnyOptions_ReadsBack() => Property.Holds((Dictionary<string, string?> options, int step, int epoch) =>
    {
        var state = new CheckpointState(Math.Abs((long)step), Math.Abs((long)epoch), new SamplerPosition(Property.In(0, 1000, epoch), Property.In(0, 1000, step)),
            options.Select(o => (Key: Valid(o.Key), Value: Valid(o.Value))).DistinctBy(o => o.Key).ToDictionary(o => o.Key, o => o.Value));
        var read = CheckpointState.Parse(StrictJson.Parse("x", state.ToJson()));
        Assert.Equal((state.Step, state.OptimizerSteps, state.Position), (read.Step, read.OptimizerSteps, read.Position));
        Assert.Equal(state.Options.OrderBy(o => o.Key, StringComparer.Ordinal), read.Options.OrderBy(o => o.Key, StringComparer.Ordinal));
    });

    [Fact]
    public void SelectionDocument_AnyNumbers_ReadsBackToTheBit() => Property.Holds((int[] numbers, double objective, string? name) =>
    {
        double value = double.IsFinite(objective) ? objective / 3e9 : 0.1;
        var document = new SelectionDocument
        {
            N = numbers.Length,
            Dimension = 3,
            Budget = 2,
            Indices = numbers,
            Weights = numbers,
            Gains = [.. numbers.Select(i => i % 2 == 0 ? (double?)null : i * value)],
            Objective = value,
            Kept = numbers,
            Dropped = [new DroppedExample(1, Valid(name))],
            Sources = [new DocumentSource(Valid(name), 1, 1, 1, true, value, "exact")],
            Certificate = new SelectionCertificate(value, value / 3),
            Owners = numbers,
            Groups = numbers,
            Metric = DistanceMetric.Cosine,
            Top = 1,
            Adam = false,
            Step = 7,
            State = Valid(name),
        };
        using var stream = new MemoryStream();
        using (var json = new Utf8JsonWriter(stream))
        {
            json.WriteStartObject();
            document.Write(json);
            json.WriteEndObject();
        }
        var read = SelectionDocument.Parse(StrictJson.Parse("x", stream.ToArray()));
        Assert.Equal(document.Gains.Select(g => g ?? -1), read.Gains.Select(g => g ?? -1));
        Assert.Equal((document.Objective, document.Certificate, document.Sources[0], document.Dropped[0], document.State), (read.Objective, read.Certificate, read.Sources[0], read.Dropped[0], read.State));
        Assert.Equal(document.Owners, read.Owners);
    });

    [Fact]
    public void LineSplitter_AnyBytesHoweverTheyArrive_SameLines() => Property.Holds((byte[] raw, int most) =>
    {
        // Line ends are rare among random bytes.
        byte[] bytes = [.. raw.Select(b => b % 5 == 0 ? (byte)'\n' : b % 7 == 0 ? (byte)'\r' : b)];
        Assert.Equal(Lines(new MemoryStream(bytes)), Lines(new Trickle(bytes, Property.In(1, 5, most))));

        static List<string> Lines(Stream stream)
        {
            var (splitter, lines) = (new LineSplitter(stream, 64), new List<string>());
            while (splitter.TryRead(out var line, out bool tooLong))
            {
                lines.Add($"{splitter.Line} {tooLong} {Convert.ToHexString(line.Span)}");
            }
            return lines;
        }
    }, times: 500);

    [Fact]
    public void BFloat16_AnyBits_IsTheNearestWithAnEvenLastBit() => Property.Holds((DoNotSize<uint> bits) =>
    {
        float value = BitConverter.UInt32BitsToSingle(bits.Item);
        ushort rounded = HalfPrecision.ToBFloat16(value);
        if (float.IsNaN(value))
        {
            Assert.True(float.IsNaN(HalfPrecision.FromBFloat16(rounded)));
            return;
        }
        // The neighbours in double, where a bfloat16 above the largest counts as infinity.
        ushort below = (ushort)(bits.Item >> 16), above = (ushort)(below + 1);
        double At(ushort b) => float.IsInfinity(HalfPrecision.FromBFloat16(b)) ? Math.CopySign(Math.ScaleB(1, 128), HalfPrecision.FromBFloat16(b)) : HalfPrecision.FromBFloat16(b);
        double exact = float.IsInfinity(value) ? At(below) : value, down = Math.Abs(exact - At(below)), up = Math.Abs(At(above) - exact);
        Assert.Equal(down < up || (down == up && below % 2 == 0) ? below : above, rounded);
    }, times: 20_000);

    // Half of a surrogate pair is no text.
    private static string Valid(string? text) => Encoding.UTF8.GetString(Encoding.UTF8.GetBytes(text ?? ""));

    private static string Filled(string text) => Valid(text) is { Length: > 0 } valid ? valid : "x";

    /// <summary>A stream that gives a few bytes at a time.</summary>
    private sealed class Trickle(byte[] bytes, int most) : MemoryStream(bytes)
    {
        public override int Read(byte[] buffer, int offset, int count) => base.Read(buffer, offset, Math.Min(count, 1 + (((int)Position * 7) % most)));
    }
}
