using System.Text.Json;
using NativeEngine.Formats;
using NativeEngine.Merging;
using NativeEngine.Merging.Methods;
using NativeEngine.Tests.Ablation;
using NativeEngine.Tests.Support;
using static NativeEngine.Tests.Golden.MergeGoldenCases;

namespace NativeEngine.Tests.Merging;

/// <summary>Every golden case that belongs to merging, through the library.</summary>
public sealed class MergeGoldenTests : IDisposable
{
    private readonly MergeKit _kit = new();

    public void Dispose() => _kit.Dispose();

    [Fact]
    public void File_Cases_AreAllKnown()
    {
        string[] here = ["M01", "M03", "M04", "M05", "M06", "M07", "M08", "M09", "M10", "M13", "M14", "M16", "M17", "M18", "M19"];
        // Statistics, search and surrogates of data ablation have their own tests.
        Assert.Equal(here.Concat(AblationGoldenTests.Cases).Order(StringComparer.Ordinal), All.Select(c => c.Id).Order(StringComparer.Ordinal));
        var tests = typeof(MergeGoldenTests).GetMethods().Select(m => m.Name).ToList();
        Assert.All(here, id => Assert.Single(tests, name => name.StartsWith(id + "_", StringComparison.Ordinal)));
    }

    [Fact]
    public void M01_Linear_Golden_Close()
    {
        var c = Get("M01");
        var variants = c.Inputs.GetProperty("variants").EnumerateArray().ToList();
        for (int i = 0; i < variants.Count; i++)
        {
            double[] got = _kit.Merge("linear", Rows(c.Inputs.GetProperty("models")), parameters:
                [("weight", Doubles(variants[i].GetProperty("weights"))), ("normalize", variants[i].GetProperty("normalize").GetBoolean())], shape: [2, 3]);
            c.AssertClose(c.Expected.GetProperty("variants")[i], got);
        }
    }

    [Fact]
    public void M03_BFloat16_Golden_SameBits()
    {
        var c = Get("M03");
        double[][] models = [.. c.Inputs.GetProperty("models_bf16_bits").EnumerateArray().Select(model =>
            model.EnumerateArray().Select(e => (double)HalfPrecision.FromBFloat16((ushort)Bits(e))).ToArray())];
        double[] merged = _kit.Merge("linear", models, parameters: [("weight", Doubles(c.Inputs.GetProperty("weights")))]);
        var stored = new byte[2 * merged.Length];
        Assert.Equal(-1, OutputRounding.Store(merged, DType.BF16, stored));
        uint[] expected = [.. c.Expected.GetProperty("bf16_bits_recommended").EnumerateArray().Select(Bits)];
        Assert.Equal(expected, Enumerable.Range(0, merged.Length).Select(i => (uint)BitConverter.ToUInt16(stored, 2 * i)));
        Assert.Contains(1, c.Expected.GetProperty("differs_from_mergekit").EnumerateArray().Select(e => e.GetInt32()));
    }

    [Fact]
    public void M04_Rounding_Golden_SameBits()
    {
        var rows = Get("M04").Expected.GetProperty("rows").EnumerateArray().ToList();
        Assert.Equal(30, rows.Count);
        var stored = new byte[2];
        foreach (var row in rows)
        {
            double[] value = [BitConverter.UInt32BitsToSingle(Bits(row.GetProperty("fp32_bits")))];
            foreach (var (type, field) in new[] { (DType.BF16, "bf16_bits"), (DType.F16, "fp16_bits") })
            {
                string text = row.GetProperty(field).GetString()!;
                uint infinity = type == DType.BF16 ? 0x7F80u : 0x7C00u;
                int bad = OutputRounding.Store(value, type, stored);
                uint got = BitConverter.ToUInt16(stored);
                Assert.Equal((got & infinity) == infinity ? 0 : -1, bad);
                if (text.StartsWith("any NaN", StringComparison.Ordinal))
                {
                    Assert.True((got & 0x7FFF) > infinity, $"{row.GetProperty("fp32_bits")}: {type} is {got:X4}, expected NaN");
                    continue;
                }
                Assert.True(got == Bits(row.GetProperty(field)), $"{row.GetProperty("fp32_bits")}: {type} is {got:X4}, expected {text}");
            }
        }
    }

    [Fact]
    public void M05_MicroMacroTokenMixture_Golden_Close()
    {
        var c = Get("M05");
        double[][] units = [.. c.Inputs.GetProperty("groups").EnumerateObject().SelectMany(group => Rows(group.Value))];
        foreach (string kind in (string[])["micro", "macro", "token", "mixture"])
        {
            double[] weights = [.. c.Expected.GetProperty(kind).GetProperty("weights").EnumerateArray().Select(Fraction)];
            c.AssertClose(c.Expected.GetProperty(kind).GetProperty("merged"), _kit.Merge("linear", units, parameters: [("weight", weights)]));
        }

        static double Fraction(JsonElement text)
        {
            string[] parts = text.GetString()!.Split('/');
            return double.Parse(parts[0]) / (parts.Length > 1 ? double.Parse(parts[1]) : 1);
        }
    }

    [Fact]
    public void M06_AddedRemovedReplaced_Golden_EqualTheBatchMerge()
    {
        var c = Get("M06");
        double[][] units = Rows(c.Inputs.GetProperty("units"));
        double[] weights = Doubles(c.Inputs.GetProperty("weights"));
        var trace = c.Expected.GetProperty("add_trace").EnumerateArray().ToList();
        for (int n = 1; n <= units.Length; n++)
        {
            c.AssertClose(trace[n - 1].GetProperty("mean"), _kit.Merge("linear", units[..n], parameters: [("weight", weights[..n])]));
        }
        int removed = c.Inputs.GetProperty("remove_index").GetInt32();
        double[] without = [.. weights];
        without[removed] = 0;
        c.AssertClose(c.Expected.GetProperty("after_remove"), _kit.Merge("linear", units, parameters: [("weight", without)]));
        units[c.Inputs.GetProperty("replace").GetProperty("index").GetInt32()] = Doubles(c.Inputs.GetProperty("replace").GetProperty("new"));
        c.AssertClose(c.Expected.GetProperty("after_replace"), _kit.Merge("linear", units, parameters: [("weight", weights)]));
    }

    [Fact]
    public void M07_Slerp_Golden_Close()
    {
        var c = Get("M07");
        var cases = c.Inputs.GetProperty("cases").EnumerateArray().ToList();
        for (int i = 0; i < cases.Count; i++)
        {
            double[] got = _kit.Merge(
                "slerp", [Doubles(cases[i].GetProperty("other"))], Doubles(cases[i].GetProperty("base")), [("t", cases[i].GetProperty("t").GetDouble())]);
            c.AssertClose(c.Expected.GetProperty("cases")[i].GetProperty("merged"), got);
        }
    }

    [Fact]
    public void M08_TaskArithmetic_Golden_Close()
    {
        var c = Get("M08");
        var variants = c.Inputs.GetProperty("variants").EnumerateArray().ToList();
        for (int i = 0; i < variants.Count; i++)
        {
            c.AssertClose(c.Expected.GetProperty("variants")[i], _kit.Merge(
                "task_arithmetic", Rows(c.Inputs.GetProperty("models")), Doubles(c.Inputs.GetProperty("base")), Common(variants[i])));
        }
    }

    [Fact]
    public void M09_Ties_Golden_Close()
    {
        var c = Get("M09");
        var variants = c.Inputs.GetProperty("variants").EnumerateArray().ToList();
        for (int i = 0; i < variants.Count; i++)
        {
            c.AssertClose(c.Expected.GetProperty("variants")[i].GetProperty("merged"), _kit.Merge(
                "ties", Rows(c.Inputs.GetProperty("models")), Doubles(c.Inputs.GetProperty("base")),
                [.. Common(variants[i]), ("density", Doubles(c.Inputs.GetProperty("density"))), ("rescale", variants[i].GetProperty("rescale").GetBoolean())]));
        }
    }

    [Fact]
    public void M10_DareWithGivenMasks_Golden_Close()
    {
        var c = Get("M10");
        var variants = c.Inputs.GetProperty("variants").EnumerateArray().ToList();
        double[][] masks = Rows(c.Inputs.GetProperty("masks"));
        for (int i = 0; i < variants.Count; i++)
        {
            bool ties = variants[i].GetProperty("method").GetString() == "dare_ties";
            var method = new TaskVectors("masked", "", new MaskSparsifier(masks), ties, normalize: false, [TaskVectors.Density, TaskVectors.Rescale(true)]);
            int rescale = Array.IndexOf(["none", "l1", "paper"], variants[i].GetProperty("rescale").GetString());
            c.AssertClose(c.Expected.GetProperty("variants")[i], _kit.Merge(
                method, Rows(c.Inputs.GetProperty("models")), Doubles(c.Inputs.GetProperty("base")),
                [.. Common(variants[i]), ("density", variants[i].GetProperty("density").GetDouble()), ("rescale", rescale)]));
        }
    }

    [Fact]
    public void M13_Breadcrumbs_Golden_Equal()
    {
        var c = Get("M13");
        double[] delta = Doubles(c.Inputs.GetProperty("delta"));
        var cases = c.Inputs.GetProperty("cases").EnumerateArray().ToList();
        for (int i = 0; i < cases.Count; i++)
        {
            double[] got = _kit.Merge("breadcrumbs", [delta], new double[delta.Length],
                [("weight", 1), ("density", cases[i].GetProperty("density").GetDouble()), ("gamma", cases[i].GetProperty("gamma").GetDouble())]);
            c.AssertClose(c.Expected.GetProperty("cases")[i].GetProperty("masked_delta"), got);
        }
        var table = c.Inputs.GetProperty("k_table").EnumerateArray().ToList();
        for (int i = 0; i < table.Count; i++)
        {
            var (_, kept) = MagnitudeSparsifier.Ranks(table[i].GetProperty("density").GetDouble(), 0, table[i].GetProperty("numel").GetInt64());
            Assert.Equal(c.Expected.GetProperty("k_table")[i].GetInt64(), kept);
            var values = MergeKit.Values(MergeMethods.Find("ties")!, 1, ("weight", 1), ("density", table[i].GetProperty("density").GetDouble()));
            Assert.Equal(kept == 0, MergeMethods.Find("ties")!.Refuse(values, 1, table[i].GetProperty("numel").GetInt64()) is not null);
        }
    }

    [Fact]
    public void M14_Karcher_Golden_Close()
    {
        var c = Get("M14");
        double[][] models = Rows(c.Inputs.GetProperty("models"));
        c.AssertClose(c.Expected.GetProperty("merged"), _kit.Merge("karcher", models));
        c.AssertClose(c.Expected.GetProperty("fully_converged"), _kit.Merge("karcher", models, parameters: [("tol", 1e-15), ("max_iter", 1000)]));
        c.AssertClose(c.Expected.GetProperty("zero_vector_case"), _kit.Merge("karcher", Rows(c.Inputs.GetProperty("zero_vector_case"))));
        var gram = _kit.Scan.Gram(3, 4, (i, start, target, _) => models[i].AsSpan((int)start, target.Length).CopyTo(target));
        Assert.Equal(c.Expected.GetProperty("iterations_used").GetInt32(), Karcher.Mean(gram, 10, 1e-5).Steps);
    }

    [Fact]
    public void M16_VocabularyUnion_Golden_Close()
    {
        var c = Get("M16");
        using var folder = new TemporaryFolder();
        foreach (string side in (string[])["a", "b"])
        {
            double[][] rows = Rows(c.Inputs.GetProperty("embed_" + side));
            float[] values = [.. rows.SelectMany(r => r).Select(v => (float)v)];
            folder.Write($"{side}/tokenizer.json", $$$"""{"model":{"type":"BPE","vocab":{{{c.Inputs.GetProperty("vocab_" + side).GetRawText()}}},"merges":[]}}""");
            SafetensorsWriter.WriteFloat32(folder.File($"{side}/model.safetensors"), null, ("model.embed_tokens.weight", [rows.Length, 2], values));
        }
        var recipe = MergeRecipe.Parse($$$"""
            merge_method: linear
            models:
              - {model: "{{{folder.File("a")}}}", parameters: {weight: 0.5}}
              - {model: "{{{folder.File("b")}}}", parameters: {weight: 0.5}}
            tokenizer_source: union
            """);
        using (var merger = new ParameterMerger(recipe))
        {
            merger.Run(folder.File("out"));
        }
        using var result = SafetensorsModel.Open(folder.File("out"));
        c.AssertClose(c.Expected.GetProperty("union_merged"), Array.ConvertAll(result["model.embed_tokens.weight"].ToFloat32(), v => (double)v));
        var tokens = TokenVocabulary.Read(folder.File("out"))!;
        Assert.Equal(c.Expected.GetProperty("union_token_order").EnumerateArray().Select(e => e.GetString()), tokens.ById);
    }

    [Fact]
    public void M17_Gradient_Golden_Close()
    {
        var c = Get("M17");
        var gradient = new Setting.Gradient(Doubles(c.Inputs.GetProperty("value")));
        foreach (var expected in c.Expected.GetProperty("cases").EnumerateArray())
        {
            int layers = expected.GetProperty("num_layers").GetInt32();
            c.AssertClose(expected.GetProperty("per_layer"), [.. Enumerable.Range(0, layers).Select(i => gradient.For("x", Setting.Depth(i, layers))!.Value)]);
        }
        Assert.Equal(c.Expected.GetProperty("pre_and_post_weights").GetDouble(), gradient.For("lm_head.weight", 0));
    }

    [Fact]
    public void M18_RealBytes_Golden_Equal()
    {
        var c = Get("M18");
        using var folder = new TemporaryFolder();
        foreach (string model in (string[])["model_a", "model_b"])
        {
            Directory.CreateDirectory(folder.File(model));
            foreach (var file in c.Inputs.GetProperty(model).EnumerateObject())
            {
                File.WriteAllBytes(folder.File($"{model}/{file.Name}"),
                    file.Value.ValueKind == JsonValueKind.String ? file.Value.GetBytesFromBase64() : JsonSerializer.SerializeToUtf8Bytes(file.Value));
            }
        }
        double[] weights = Doubles(c.Inputs.GetProperty("weights"));
        using (var merger = new ParameterMerger(MergeRecipe.Linear((folder.File("model_a"), weights[0]), (folder.File("model_b"), weights[1]))))
        {
            merger.Run(folder.File("out"));
        }
        using var result = SafetensorsModel.Open(folder.File("out"));
        foreach (var expected in c.Expected.GetProperty("tensors").EnumerateObject())
        {
            var tensor = result[expected.Name];
            Assert.Equal(expected.Value.GetProperty("dtype_in").GetString(), tensor.DType.FileName());
            Assert.Equal(Doubles(expected.Value.GetProperty("shape")), tensor.Shape.ToArray().Select(d => (double)d));
            var values = new double[tensor.ElementCount];
            if (tensor.DType.IsInteger())
            {
                var integers = new long[values.Length];
                tensor.ReadInt64(0, integers);
                values = Array.ConvertAll(integers, v => (double)v);
            }
            else
            {
                new FileTensor(tensor).Read(0, values);
            }
            c.AssertClose(expected.Value.GetProperty("merged_float32_or_int"), values);
        }
        foreach (var expected in c.Expected.GetProperty("bits_when_output_keeps_input_dtype").EnumerateObject())
        {
            byte[] bytes = result[expected.Name].Bytes(0, (int)result[expected.Name].ByteLength).ToArray();
            Assert.Equal(expected.Value.EnumerateArray().Select(Bits), Enumerable.Range(0, bytes.Length / 2).Select(i => (uint)BitConverter.ToUInt16(bytes, 2 * i)));
        }
    }

    [Fact]
    public void M19_DellaProbabilities_Golden_Close()
    {
        var c = Get("M19");
        double[][] rows = Rows(c.Inputs.GetProperty("delta"));
        var got = new double[rows.Sum(r => r.Length)];
        for (int i = 0; i < rows.Length; i++)
        {
            RankedRandomSparsifier.Probabilities(
                rows[i], c.Inputs.GetProperty("density").GetDouble(), c.Inputs.GetProperty("epsilon").GetDouble(), got.AsSpan(4 * i, 4));
        }
        c.AssertClose(c.Expected.GetProperty("keep_probability"), got);
    }

    private static (string Name, object Value)[] Common(JsonElement variant) =>
    [
        ("weight", Doubles(variant.GetProperty("weights"))), ("normalize", variant.GetProperty("normalize").GetBoolean()),
        ("lambda", variant.GetProperty("lambda").GetDouble()),
    ];

    /// <summary>Keeps what a given mask says, one mask per model.</summary>
    private sealed class MaskSparsifier(double[][] masks) : Sparsifier
    {
        public override Keep Prepare(TensorInputs inputs, int model, TensorScan scan) => new Masked(masks[model]);

        private sealed class Masked(double[] mask) : Keep
        {
            public override void Apply(long start, Span<double> d, MergeScratch scratch)
            {
                for (int i = 0; i < d.Length; i++)
                {
                    d[i] *= mask[start + i];
                }
            }
        }
    }
}
