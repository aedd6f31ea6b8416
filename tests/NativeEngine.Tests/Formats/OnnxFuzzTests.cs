using NativeEngine.Devices.Cpu;
using NativeEngine.Evaluation;
using NativeEngine.Formats;
using NativeEngine.Tests.Evaluation.Onnx;
using NativeEngine.Tests.Fuzz;
using NativeEngine.Tests.Model;
using NativeEngine.Tests.Support;

namespace NativeEngine.Tests.Formats;

/// <summary>Mutants of a small exported model that the check accepts go to ONNX Runtime, which may run or refuse them. The check itself is held to its promises by <see cref="FuzzTests"/>.</summary>
public sealed class OnnxFuzzTests
{
    private const int ThroughRuntime = 400, Most = 8000;

    [FactWithOnnxRuntime]
    public void Session_AcceptedMutants_RunOrAreRefusedWithAReason()
    {
        using var device = new CpuDevice(threads: 1);
        using var tiny = new TinyModel(device);
        byte[] seed = OnnxExporter.ToBytes(tiny.Config, tiny.Parameters);
        var fields = new ProtoFields(seed);
        int tried = 0, ran = 0;
        for (int mutant = 0; tried < ThroughRuntime && mutant < Most; mutant++)
        {
            byte[] bytes = fields.Mutate(0, new FuzzRandom(77, "onnx", mutant));
            if (bytes.AsSpan().SequenceEqual(seed) || !Accepts(bytes))
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
        Assert.True(tried == ThroughRuntime && ran > 10 && ran < tried, $"{ran} of {tried} ran");
    }

    private static bool Accepts(byte[] bytes)
    {
        try
        {
            using var file = OnnxModelFile.Parse("mutant", bytes);
            return true;
        }
        catch (EngineException)
        {
            return false;
        }
    }
}
