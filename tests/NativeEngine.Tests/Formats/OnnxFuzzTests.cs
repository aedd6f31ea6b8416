using NativeEngine.Devices.Cpu;
using NativeEngine.Evaluation;
using NativeEngine.Formats;
using NativeEngine.Tests.Evaluation.Onnx;
using NativeEngine.Tests.Model;
using NativeEngine.Tests.Support;

namespace NativeEngine.Tests.Formats;

/// <summary>
/// Seeded mutants of a small exported model: bytes and bits, fields with their lengths repaired up the tree (so that damage lies deeper than
/// the framing), doubled and removed fields, numbers at the edges. The check may accept one or refuse it with BadInput; it may not allocate much
/// more than the file. Those it accepts go to ONNX Runtime where there is one, which may run or refuse them.
/// </summary>
public sealed class OnnxFuzzTests
{
    // NENGINE_TEST_MUTANTS makes a longer hunt of it: that many, and a twentieth through the runtime.
    private static readonly int _mutants = int.TryParse(Environment.GetEnvironmentVariable("NENGINE_TEST_MUTANTS"), out int asked) ? asked : 8000;
    private static readonly int _throughRuntime = _mutants / 20;

    private static readonly long[] _numbers = [0, 1, -1, 2, 7, 127, 128, 255, 65_536, int.MaxValue, 1L << 32, long.MaxValue, long.MinValue, 1L << 40];

    [Fact]
    public void Parse_Mutants_OnlyBadInputOrAcceptedWithoutMuchMemory()
    {
        byte[] seed = Seed();
        int accepted = 0;
        for (uint mutant = 0; mutant < _mutants; mutant++)
        {
            byte[] bytes = Mutate(seed, mutant);
            long before = GC.GetAllocatedBytesForCurrentThread();
            accepted += Accepts(bytes, mutant) ? 1 : 0;
            // Names as UTF-16, sets of them and a sentence: nothing that a length in the file could inflate.
            Assert.True(GC.GetAllocatedBytesForCurrentThread() - before < (40L * seed.Length) + (1 << 20), $"mutant {mutant}");
        }
        Assert.True(accepted > _mutants / 50 && accepted < _mutants * 9 / 10, $"{accepted} of {_mutants} accepted");
    }

    [FactWithOnnxRuntime]
    public void Session_AcceptedMutants_RunOrAreRefusedWithAReason()
    {
        byte[] seed = Seed();
        using var device = new CpuDevice(threads: 1);
        int tried = 0, ran = 0;
        for (uint mutant = 0; tried < _throughRuntime && mutant < _mutants; mutant++)
        {
            byte[] bytes = Mutate(seed, mutant);
            if (bytes.AsSpan().SequenceEqual(seed) || !Accepts(bytes, mutant))
            {
                continue;
            }
            tried++;
            try
            {
                using var file = OnnxModelFile.Parse("mutant", bytes);
                using var session = new OnnxSession(file, OnnxRuntime.Library!, device, threads: 1, contextLength: 8);
                session.Losses(OnnxSessionTests.Pack([[1, 5, 2], [4, 3]]));
                ran++;
            }
            catch (EngineException e)
            {
                Assert.True(e.Message.Length is > 20 and < 2000, $"mutant {mutant}: {e.Message}");
            }
        }
        Assert.True(tried == _throughRuntime && ran > 10 && ran < tried, $"{ran} of {tried} ran");
    }

    private static byte[] Seed()
    {
        using var device = new CpuDevice(threads: 1);
        using var tiny = new TinyModel(device);
        return OnnxExporter.ToBytes(tiny.Config, tiny.Parameters);
    }

    private static bool Accepts(byte[] bytes, uint mutant)
    {
        try
        {
            using var file = OnnxModelFile.Parse("mutant", bytes);
            return true;
        }
        catch (EngineException e) when (e.Kind == ErrorKind.BadInput)
        {
            return false;
        }
        catch (Exception e)
        {
            Assert.Fail($"mutant {mutant}: {e}");
            return false;
        }
    }

    private static byte[] Mutate(byte[] seed, uint mutant)
    {
        var random = new CounterRandom(mutant, RandomPurpose.Test, 77);
        ulong next = 0;
        int Below(int bound) => (int)random.Below(next++, bound);
        if (Below(4) == 0)
        {
            byte[] raw = [.. seed];
            for (int edits = 1 + Below(4); edits > 0; edits--)
            {
                raw[Below(raw.Length)] = (byte)Below(256);
            }
            return Below(4) == 0 ? raw[..Below(raw.Length)] : raw;
        }
        var tree = ProtoTree.Read(seed);
        for (int edits = 1 + Below(2); edits > 0; edits--)
        {
            tree.Mutate(Below, _numbers);
        }
        return tree.Write();
    }
}

/// <summary>A protobuf message as a tree without a schema: what looks like a message is one.</summary>
internal sealed class ProtoTree
{
    private readonly List<Field> _fields = [];

    private sealed record Field(int Number, int Wire)
    {
        public int Number { get; set; } = Number;

        public ulong Value { get; set; }

        public byte[] Bytes { get; set; } = [];

        public ProtoTree? Message { get; set; }
    }

    public static ProtoTree Read(byte[] bytes) => TryRead(bytes, 0) ?? throw new InvalidOperationException("no protobuf");

    public void Mutate(Func<int, int> below, long[] numbers)
    {
        // Most fields are deep; walk down with a chance to stop.
        var at = this;
        while (below(8) > 0 && at._fields.Where(f => f.Message is { _fields.Count: > 0 }).ToList() is { Count: > 0 } inner)
        {
            at = inner[below(inner.Count)].Message!;
        }
        if (at._fields.Count == 0)
        {
            return;
        }
        int index = below(at._fields.Count);
        var field = at._fields[index];
        switch (below(7))
        {
            case 0:
                at._fields.RemoveAt(index);
                break;
            case 1:
                at._fields.Insert(below(at._fields.Count), field);
                break;
            case 2:
                field.Number = 1 + below(30);
                break;
            case 3:
                at._fields[index] = at._fields[below(at._fields.Count)];
                break;
            default:
                if (field.Wire == 0)
                {
                    field.Value = (ulong)numbers[below(numbers.Length)];
                }
                else if (field.Message is null && field.Bytes.Length > 0)
                {
                    byte[] copy = below(3) == 0 ? field.Bytes[..below(field.Bytes.Length)] : [.. field.Bytes];
                    if (copy.Length > 0)
                    {
                        copy[below(copy.Length)] ^= (byte)(1 << below(8));
                    }
                    field.Bytes = copy;
                }
                break;
        }
    }

    public byte[] Write()
    {
        using var stream = new MemoryStream();
        foreach (var field in _fields)
        {
            Number(stream, ((ulong)field.Number << 3) | (uint)field.Wire);
            switch (field.Wire)
            {
                case 0:
                    Number(stream, field.Value);
                    break;
                case 2:
                    byte[] bytes = field.Message?.Write() ?? field.Bytes;
                    Number(stream, (ulong)bytes.Length);
                    stream.Write(bytes);
                    break;
                default:
                    stream.Write(field.Bytes);
                    break;
            }
        }
        return stream.ToArray();
    }

    private static ProtoTree? TryRead(ReadOnlySpan<byte> bytes, int depth)
    {
        var tree = new ProtoTree();
        int at = 0;
        while (at < bytes.Length)
        {
            if (!TryNumber(bytes, ref at, out ulong tag) || tag >> 3 is 0 or > 100)
            {
                return null;
            }
            var field = new Field((int)(tag >> 3), (int)(tag & 7));
            switch (field.Wire)
            {
                case 0 when TryNumber(bytes, ref at, out ulong value):
                    field.Value = value;
                    break;
                case 2 when TryNumber(bytes, ref at, out ulong length) && length <= (ulong)(bytes.Length - at):
                    field.Bytes = bytes.Slice(at, (int)length).ToArray();
                    at += (int)length;
                    field.Message = depth < 8 && length > 1 ? TryRead(field.Bytes, depth + 1) : null;
                    break;
                case 5 when at + 4 <= bytes.Length:
                    field.Bytes = bytes.Slice(at, 4).ToArray();
                    at += 4;
                    break;
                default:
                    return null;
            }
            tree._fields.Add(field);
        }
        return tree;
    }

    private static bool TryNumber(ReadOnlySpan<byte> bytes, ref int at, out ulong value)
    {
        value = 0;
        for (int shift = 0; shift < 64 && at < bytes.Length; shift += 7)
        {
            byte b = bytes[at++];
            value |= (ulong)(b & 127) << shift;
            if (b < 128)
            {
                return true;
            }
        }
        return false;
    }

    private static void Number(Stream stream, ulong value)
    {
        for (; value > 127; value >>= 7)
        {
            stream.WriteByte((byte)(value | 128));
        }
        stream.WriteByte((byte)value);
    }
}
