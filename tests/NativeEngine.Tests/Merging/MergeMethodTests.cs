using NativeEngine.Formats;
using NativeEngine.Merging;

namespace NativeEngine.Tests.Merging;

/// <summary>What must hold for methods beyond their golden cases.</summary>
public sealed class MergeMethodTests : IDisposable
{
    private readonly MergeKit _kit = new();

    public static TheoryData<string> Names => [.. MergeMethods.All.Select(m => m.Name)];

    public void Dispose() => _kit.Dispose();

    [Fact]
    public void All_Registered_AreTheSeventeenOfTheDocumentation()
    {
        string[] expected =
        [
            "linear", "slerp", "nuslerp", "multislerp", "karcher", "task_arithmetic", "ties", "dare_linear", "dare_ties", "della", "della_linear", "breadcrumbs",
            "breadcrumbs_ties", "model_stock", "sce", "nearswap", "passthrough",
        ];
        Assert.Equal(expected, MergeMethods.All.Select(m => m.Name));
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Merge_AnyThreadsAndPieces_SameBits(string name)
    {
        long[] shape = [331, 101];
        var (models, b, parameters) = Case(name, 331 * 101);
        using var one = new MergeKit(threads: 1);
        double[] expected = one.Merge(name, models, b, parameters, shape, piece: int.MaxValue / 2);
        Assert.All(expected, v => Assert.True(double.IsFinite(v)));
        Assert.NotEqual(b ?? models[0], expected);
        foreach (var (threads, piece) in new[] { (2, 1), (3, 1000), (7, 4099) })
        {
            using var kit = new MergeKit(threads);
            Assert.Equal(expected.Select(BitConverter.DoubleToInt64Bits), kit.Merge(name, models, b, parameters, shape, piece).Select(BitConverter.DoubleToInt64Bits));
        }
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Merge_NaNInAModel_IsNeverLost(string name)
    {
        var (models, b, parameters) = Case(name, 60);
        // A small value beside large ones, so that trimming would drop it, and NaN in its place.
        foreach (int place in new[] { 0, 37, 59 })
        {
            double[][] broken = [.. models.Select(m => m.ToArray())];
            broken[^1][place] = double.NaN;
            Assert.Contains(_kit.Merge(name, broken, b, parameters), double.IsNaN);
        }
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Merge_ModelsEqualToEachOther_GivesThatModel(string name)
    {
        var (models, b, parameters) = Case(name, 60);
        if (name is "dare_linear" or "dare_ties" or "della" or "della_linear" or "breadcrumbs" or "breadcrumbs_ties" or "ties" or "sce")
        {
            parameters = [.. parameters.Where(p => p.Name is not ("density" or "epsilon" or "gamma" or "select_topk")),
                .. name.StartsWith("della", StringComparison.Ordinal) ? [("epsilon", 0.0)] : Array.Empty<(string Name, object Value)>(),
                .. name.StartsWith("bread", StringComparison.Ordinal) ? [("gamma", 0.0)] : Array.Empty<(string Name, object Value)>()];
        }
        // Weights that sum to 1, so that methods which do not normalize agree too.
        parameters = [.. parameters.Select(p => p.Name == "weight" ? ("weight", (object)(1.0 / models.Length)) : p.Name is "t" or "scale" ? (p.Name, 1.0) : p)];
        double[][] same = [.. models.Select(_ => models[0])];
        double[] got = _kit.Merge(name, same, name == "nearswap" ? models[0] : b, parameters);
        Assert.All(got.Zip(models[0]), pair => Assert.Equal(pair.Second, pair.First, 1e-9));
    }

    [Fact]
    public void Karcher_TwoVectors_IsTheMiddleOfTheArc()
    {
        double[] got = _kit.Merge("karcher", [[2, 0], [0, 2]], parameters: [("tol", 1e-14)]);
        Assert.Equal(Math.Sqrt(2), got[0], 1e-12);
        Assert.Equal(Math.Sqrt(2), got[1], 1e-12);
    }

    [Fact]
    public void ModelStock_KnownCosines_InterpolatesAsTheFormulaSays()
    {
        // Orthogonal differences: c = 0, the base alone; equal ones: c = 1, the mean alone; in between t = 2c / (1 + c).
        Assert.Equal([1.0, 1.0], _kit.Merge("model_stock", [[2, 1], [1, 2]], [1, 1]));
        Assert.Equal([2.0, 1.0], _kit.Merge("model_stock", [[2, 1], [2, 1]], [1, 1]));
        double[] half = _kit.Merge("model_stock", [[2, 0], [1, Math.Sqrt(3)]], [0, 0]);
        Assert.Equal(2.0 / 3 * 1.5, half[0], 1e-12);
        Assert.Equal(2.0 / 3 * Math.Sqrt(3) / 2, half[1], 1e-12);
    }

    [Fact]
    public void ModelStock_FilterWise_EqualsRowsMergedAlone()
    {
        double[][] models = [MergeKit.Normal(1, 30), MergeKit.Normal(2, 30), MergeKit.Normal(3, 30)];
        double[] b = MergeKit.Normal(4, 30), rows = _kit.Merge("model_stock", models, b, [("filter_wise", true)], [3, 10]);
        for (int r = 0; r < 3; r++)
        {
            double[] alone = _kit.Merge("model_stock", [.. models.Select(m => m[(10 * r)..((10 * r) + 10)])], b[(10 * r)..((10 * r) + 10)]);
            Assert.All(alone.Zip(rows[(10 * r)..]), pair => Assert.Equal(pair.First, pair.Second, 1e-12));
        }
    }

    [Fact]
    public void NearSwap_Distances_TakeNearAndLeaveFar()
    {
        double[] got = _kit.Merge("nearswap", [[1.25, 3, 1]], [1, 1, 1], [("t", 0.5)]);
        Assert.Equal([1.25, 1.5, 1], got);
    }

    [Fact]
    public void Sce_Signs_AreElectedAndWeighted()
    {
        // d = (3, -1), (1, -1), (-2, -1); mean squares 5, 1, 2.5; first element: + wins, (5*3 + 1*1) / 6.
        double[] got = _kit.Merge("sce", [[3, -1], [1, -1], [-2, -1]], [0, 0]);
        Assert.Equal(16.0 / 6, got[0], 1e-12);
        Assert.Equal(-1, got[1], 1e-12);
    }

    [Fact]
    public void MultiSlerp_WithBase_StaysAtTheMeanDistanceFromIt()
    {
        double[][] models = [MergeKit.Normal(1, 50), MergeKit.Normal(2, 50)];
        double[] b = MergeKit.Normal(3, 50), got = _kit.Merge("multislerp", models, b, [("weight", new[] { 1.0, 3.0 })]);
        double Distance(double[] x) => Math.Sqrt(x.Zip(b).Sum(p => (p.First - p.Second) * (p.First - p.Second)));
        Assert.Equal((0.25 * Distance(models[0])) + (0.75 * Distance(models[1])), Distance(got), 1e-6);
    }

    [Theory]
    [InlineData("dare_linear")]
    [InlineData("della_linear")]
    public void RandomDropping_ManyElements_KeepsItsShareAndItsL1Norm(string name)
    {
        const int N = 100_000;
        double[] delta = MergeKit.Normal(1, N), got = _kit.Merge(name, [delta], new double[N], [("weight", 1), ("density", 0.4)], [100, 1000], piece: 5000);
        double kept = got.Count(v => v != 0) / (double)N;
        Assert.Equal(0.4, kept, 5 * Math.Sqrt(0.24 / N));
        Assert.Equal(delta.Sum(Math.Abs), got.Sum(Math.Abs), 1e-6);
        // DELLA keeps large differences more often: its probabilities go from 0.25 to 0.55.
        double largest = Enumerable.Range(0, N).Where(i => Math.Abs(delta[i]) > 1.5).Average(i => got[i] != 0 ? 1.0 : 0);
        Assert.Equal(name == "dare_linear" ? 0.4 : 0.53, largest, 0.02);
    }

    [Fact]
    public void RandomDropping_SeedNameAndPlace_GiveOtherMasksAndNothingElseDoes()
    {
        double[] ones = [.. Enumerable.Repeat(1.0, 400)];
        double[] Run(string name, ulong seed, int models = 1) => _kit.Merge("dare_linear", [.. Enumerable.Repeat(ones, models)], new double[400],
            [("weight", 1), ("density", 0.5), ("rescale", 0)], name: name, seed: seed);
        double[] once = Run("a", 1);
        Assert.Equal(once, Run("a", 1));
        Assert.NotEqual(once, Run("b", 1));
        Assert.NotEqual(once, Run("a", 2));
        double[] two = Run("a", 1, models: 2);
        Assert.Contains(1.0, two);
        Assert.All(Enumerable.Range(0, 400), i => Assert.True(two[i] >= once[i]));
    }

    [Fact]
    public void Ties_TieAtTheCut_GoesToTheLowestIndex() =>
        Assert.Equal([1.0, -1, 0, 0, 2], _kit.Merge("ties", [[1, -1, 1, 1, 2]], new double[5], [("weight", 1), ("density", 0.6)]));

    [Fact]
    public void Della_ProbabilitiesOutsideTheUnitInterval_AreRefused()
    {
        var method = MergeMethods.Find("della")!;
        Assert.Contains("[0, 1]", method.Refuse(MergeKit.Values(method, 1, ("weight", 1), ("density", 0.1)), 1, 10), StringComparison.Ordinal);
        Assert.Null(method.Refuse(MergeKit.Values(method, 1, ("weight", 1), ("density", 0.5)), 1, 10));
    }

    [Fact]
    public void ToBFloat16_AllTiesAndNeighbours_RoundOnce()
    {
        var random = new CounterRandom(9, RandomPurpose.Test);
        for (ulong i = 0; i < 20_000; i++)
        {
            ushort low = (ushort)((int)random.Below(i, 0x7F7F) + (i % 2 == 0 ? 0x8000 : 0));
            double a = HalfPrecision.FromBFloat16(low), b = HalfPrecision.FromBFloat16((ushort)(low + 1)), middle = (a + b) / 2;
            Assert.Equal((low & 1) == 0 ? low : low + 1, OutputRounding.ToBFloat16(middle));
            // The nearest doubles to a tie: a float32 step in between would round them to the tie itself.
            Assert.Equal(low, OutputRounding.ToBFloat16(a < b ? Math.BitDecrement(middle) : Math.BitIncrement(middle)));
            Assert.Equal((ushort)(low + 1), OutputRounding.ToBFloat16(a < b ? Math.BitIncrement(middle) : Math.BitDecrement(middle)));
        }
    }

    [Theory]
    [InlineData(1)]
    [InlineData(15)]
    [InlineData(16)]
    [InlineData(1037)]
    public void OutputRounding_BFloat16InVectors_SameBitsAsOneByOne(int count)
    {
        var random = new CounterRandom(10, RandomPurpose.Test);
        double[] special = [0, -0.0, 1e-310, -1e-41, 3.3895313892515355e38, 1 + (1.0 / 256), 1 + (3.0 / 256), -1 - (1.0 / 256) - 1e-12];
        double[] values = [.. Enumerable.Range(0, count).Select(i => i % 5 == 0 ? special[i / 5 % special.Length]
            : Math.ScaleB(1 + (random.Below((ulong)(2 * i), 1 << 20) / (double)(1 << 20)), (int)random.Below((ulong)((2 * i) + 1), 270) - 145))];
        var stored = new byte[2 * count];
        Assert.Equal(-1, OutputRounding.Store(values, DType.BF16, stored));
        Assert.Equal(values.Select(OutputRounding.ToBFloat16), Enumerable.Range(0, count).Select(i => BitConverter.ToUInt16(stored, 2 * i)));
        foreach (double bad in new[] { double.NaN, double.NegativeInfinity, 3.4e38, 1e300 })
        {
            double kept = values[count / 2];
            values[count / 2] = bad;
            Assert.Equal(count / 2, OutputRounding.Store(values, DType.BF16, stored));
            values[count / 2] = kept;
        }
    }

    [Theory]
    [InlineData(DType.F32, DType.F32, 8.0)]
    [InlineData(DType.F32, DType.BF16, 1.0)]
    [InlineData(DType.BF16, DType.F32, 0.7)]
    [InlineData(DType.BF16, DType.BF16, 1.3)]
    public unsafe void StreamedSum_AnyLengthAndType_SameBitsAsOneInputAfterTheOther(DType from, DType to, double divisor)
    {
        double[] weights = [0.3, -1.0, 1e-3];
        foreach (int count in new[] { 1, 31, 32, 33, 1000 })
        {
            const int First = 3;
            float[][] x = [.. weights.Select((_, k) => MergeKit.Normal((uint)k, count + First)
                .Select(v => from == DType.F32 ? (float)v : HalfPrecision.FromBFloat16(HalfPrecision.ToBFloat16((float)v))).ToArray())];
            var expected = new double[count];
            for (int k = 0; k < x.Length; k++)
            {
                for (int i = 0; i < count; i++)
                {
                    expected[i] += weights[k] * x[k][First + i];
                }
            }
            int size = to.Bits() / 8;
            byte[] reference = new byte[count * size], target = new byte[count * size];
            Assert.Equal(-1, OutputRounding.Store([.. expected.Select(v => v / divisor)], to, reference));
            byte[][] stored = [.. x.Select(v => Stored(v, from))];
            fixed (byte* a = stored[0], b = stored[1], c = stored[2])
            {
                StoredElements[] inputs = [new((nint)a, from == DType.BF16), new((nint)b, from == DType.BF16), new((nint)c, from == DType.BF16)];
                Assert.Equal(-1, StreamedSum.Store(inputs, First, weights, divisor, to, target, new double[count]));
                Assert.Equal(reference, target);
                // The last element and one in the middle are no numbers: the first of them is told.
                Stored([float.NaN], from).CopyTo(stored[1], (First + count - 1) * (from.Bits() / 8));
                Stored([float.PositiveInfinity], from).CopyTo(stored[2], (First + (count / 2)) * (from.Bits() / 8));
                Assert.Equal(count / 2, StreamedSum.Store(inputs, First, weights, divisor, to, target, new double[count]));
            }
        }

        static byte[] Stored(float[] values, DType type) => type == DType.F32
            ? System.Runtime.InteropServices.MemoryMarshal.AsBytes<float>(values).ToArray()
            : [.. values.SelectMany(v => BitConverter.GetBytes(HalfPrecision.ToBFloat16(v)))];
    }

    /// <summary>Inputs and parameters that make every part of a method work.</summary>
    private static (double[][] Models, double[]? Base, (string Name, object Value)[] Parameters) Case(string name, int count)
    {
        var method = MergeMethods.Find(name)!;
        int k = Math.Min(method.Models.Max, 3);
        var parameters = new List<(string, object)>();
        foreach (var parameter in method.Parameters)
        {
            object? value = parameter.Name switch
            {
                "weight" => new[] { 0.5, 0.8, 0.3 },
                "density" => 0.6,
                "gamma" => 0.1,
                "t" => 0.4,
                "select_topk" => 0.7,
                "scale" => 1.5,
                _ => null,
            };
            if (value is not null)
            {
                parameters.Add((parameter.Name, value));
            }
        }
        double[][] models = [.. Enumerable.Range(0, k).Select(i => MergeKit.Normal((uint)i, count))];
        return (models, method.Base == BaseRule.Required ? MergeKit.Normal(9, count) : null, [.. parameters]);
    }
}
