using NativeEngine.Devices.Cpu;
using NativeEngine.Formats;
using NativeEngine.Merging;
using NativeEngine.Tests.Support;

namespace NativeEngine.Tests.Merging;

public sealed unsafe class BufferMergerTests
{
    [Theory]
    [InlineData(1, true, 1)]
    [InlineData(33, true, 2)]
    [InlineData(100_001, false, 3)]
    public void WeightedSum_Float32_SameBitsAsMergingFiles(int length, bool normalize, int threads)
    {
        using var folder = new TemporaryFolder();
        var random = new Random(length);
        double[] weights = [0.3, -0.1, 1.7];
        float[][] vectors = [.. weights.Select(_ => Enumerable.Range(0, length).Select(_ => (random.NextSingle() * 2) - 1).ToArray())];
        for (int k = 0; k < 3; k++)
        {
            Directory.CreateDirectory(folder.File($"m{k}"));
            SafetensorsWriter.WriteFloat32(folder.File($"m{k}/model.safetensors"), null, [("w", new long[] { length }, vectors[k])]);
        }
        string models = string.Concat(weights.Select((w, k) => FormattableString.Invariant($"  - model: {folder.File($"m{k}")}\n    parameters: {{weight: {w}}}\n")));
        using (var merger = new ParameterMerger(MergeRecipe.Parse($"merge_method: linear\nparameters: {{normalize: {(normalize ? "true" : "false")}}}\nmodels:\n{models}")))
        {
            merger.Run(folder.File("out"));
        }
        using var file = SafetensorsFile.Open(folder.File("out/model.safetensors"));
        float[] expected = file["w"].ToFloat32();

        using var device = new CpuDevice(threads);
        var result = new float[length + 1];
        result[length] = 77;
        fixed (float* a = vectors[0], b = vectors[1], c = vectors[2], y = result)
        {
            BufferMerger.WeightedSum(device, [(nint)a, (nint)b, (nint)c], DType.F32, weights, normalize, length, (nint)y, DType.F32);
        }
        Assert.Equal(expected, result[..length]);
        Assert.Equal(77, result[length]);
        Assert.Contains(result, v => v != 0);
    }

    [Fact]
    public void WeightedSum_OntoAnInputAndBfloat16_OneRounding()
    {
        using var device = new CpuDevice(2);
        float[] x = [1, 2, 3], y = [3, 2, 1];
        ushort[] half = new ushort[3];
        fixed (float* a = x, b = y)
        {
            fixed (ushort* h = half)
            {
                BufferMerger.WeightedSum(device, [(nint)a, (nint)b], DType.F32, [0.25, 0.75], true, 3, (nint)h, DType.BF16);
                BufferMerger.WeightedSum(device, [(nint)h, (nint)h], DType.BF16, [1, 1], false, 3, (nint)b, DType.F32);
                BufferMerger.WeightedSum(device, [(nint)a, (nint)b], DType.F32, [1, 1], false, 3, (nint)a, DType.F32);
            }
        }
        Assert.Equal([5f, 4, 3], y);
        Assert.Equal([6f, 6, 6], x);
    }

    [Fact]
    public void WeightedSum_Refusals_NameTheValue()
    {
        using var device = new CpuDevice(1);
        float[] x = [1, float.NaN, 3], y = new float[3];
        fixed (float* a = x, b = y)
        {
            nint from = (nint)a, to = (nint)b;
            string Refused(ErrorKind kind, nint[] inputs, double[] weights, DType type, bool normalize)
            {
                var e = Assert.Throws<EngineException>(() => BufferMerger.WeightedSum(device, inputs, type, weights, normalize, 3, to, DType.F32));
                Assert.Equal(kind, e.Kind);
                return e.Message;
            }
            Assert.Contains("element 1", Refused(ErrorKind.Numerical, [from], [1], DType.F32, true));
            Assert.Contains("sum to 0", Refused(ErrorKind.Usage, [from, from], [1, -1], DType.F32, true));
            Assert.Contains("2 weights", Refused(ErrorKind.Usage, [from], [1, 2], DType.F32, false));
            Assert.Contains("NaN", Refused(ErrorKind.Usage, [from], [double.NaN], DType.F32, false));
            Assert.Contains("I32", Refused(ErrorKind.Usage, [from], [1], DType.I32, false));
        }
    }
}
