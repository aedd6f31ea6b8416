using NativeEngine.Formats;
using NativeEngine.Model;

namespace NativeEngine.Tests.Model;

public sealed class ModelFolderTests
{
    private const string Query = "model.layers.1.self_attn.q_proj.weight";

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Load_Saved_SameConfigurationBitsAndLosses(bool tied)
    {
        using var folder = new TinyModelFolder(tied);
        var (config, parameters) = ModelFolder.Load(folder.Path, folder.Device);
        using (parameters)
        {
            Assert.Equal(folder.Config, config);
            float[] saved = folder.Device.Download(folder.Parameters.Flat), loaded = folder.Device.Download(parameters.Flat);
            Assert.True(saved.Distinct().Count() > 1000);
            SameBits(saved, loaded);
            using var before = new LlamaModel(folder.Config, folder.Parameters);
            using var after = new LlamaModel(config, parameters);
            float[] losses = folder.Losses(before);
            Assert.True(losses.Distinct().Count() > 5);
            SameBits(losses, folder.Losses(after));
        }
    }

    [Fact]
    public void Validate_RotaryTableBeyondAnArray_IsRefused()
    {
        var config = ModelPresets.Create("1m", 256) with { ContextLength = 1 << 24, HeadSize = 256 };
        Assert.Contains("max_position_embeddings is 16777216, expected at most", Assert.Throws<EngineException>(() => config.Validate("config.json")).Message);
    }

    [Fact]
    public void Load_SavedInShards_SameBits()
    {
        using var folder = new TinyModelFolder();
        string sharded = folder.Beside("sharded");
        Directory.CreateDirectory(sharded);
        ConfigJson.Write(sharded, folder.Config, DType.F32);
        SafetensorsModelWriter.Write(
            sharded, [.. folder.Parameters.Layout.Entries.Select(e => ModelFolder.Spec(e, e.Name, DType.F32))],
            (spec, sink) => ModelFolder.Write(folder.Parameters, folder.Parameters.Layout.Find(spec.Name)!, sink), maxShardBytes: 4000);
        Assert.True(Directory.GetFiles(sharded, "*.safetensors").Length > 2);
        var (_, parameters) = ModelFolder.Load(sharded, folder.Device);
        using (parameters)
        {
            SameBits(folder.Device.Download(folder.Parameters.Flat), folder.Device.Download(parameters.Flat));
        }
    }

    [Fact]
    public void Load_SavedAsBFloat16_WeightsRoundedToNearestEven()
    {
        using var folder = new TinyModelFolder(type: DType.BF16);
        Assert.Contains("\"torch_dtype\": \"bfloat16\"", File.ReadAllText(Path.Combine(folder.Path, "config.json")), StringComparison.Ordinal);
        var (_, parameters) = ModelFolder.Load(folder.Path, folder.Device);
        using (parameters)
        {
            float[] saved = folder.Device.Download(folder.Parameters.Flat), loaded = folder.Device.Download(parameters.Flat);
            Assert.Contains(saved.Zip(loaded), pair => pair.First != pair.Second);
            SameBits(Array.ConvertAll(saved, Rounded), loaded);
        }

        static float Rounded(float value)
        {
            uint bits = BitConverter.SingleToUInt32Bits(value), low = bits & 0xFFFF, high = bits >> 16;
            return BitConverter.UInt32BitsToSingle((low > 0x8000 || (low == 0x8000 && (high & 1) == 1) ? high + 1 : high) << 16);
        }
    }

    [Fact]
    public void Adapter_SavedInPeftForm_LoadedAndMergedGiveTheSameLosses()
    {
        using var folder = new TinyModelFolder();
        using var adapter = Adapter(folder);
        string saved = folder.Beside("adapter");
        AdapterFolder.Save(saved, adapter, "base");
        using (var file = SafetensorsModel.Open(Path.Combine(saved, "adapter_model.safetensors")))
        {
            Assert.Equal(2 * 7 * 2, file.Tensors.Count);
            Assert.Equal([3L, 10L], file["base_model.model.model.layers.1.self_attn.q_proj.lora_A.weight"].Shape.ToArray());
            Assert.Equal([24L, 3L], file["base_model.model.model.layers.1.self_attn.q_proj.lora_B.weight"].Shape.ToArray());
        }
        using var loaded = AdapterFolder.Load(saved, folder.Config, folder.Device);
        Assert.Equal((3, 5f), (loaded.Rank, loaded.Alpha));
        Assert.Equal(LoraAdapter.AllTargets, loaded.Targets);
        using var plain = new LlamaModel(folder.Config, folder.Parameters);
        using var adapted = new LlamaModel(folder.Config, folder.Parameters, null, adapter);
        using var again = new LlamaModel(folder.Config, folder.Parameters, null, loaded);
        float[] without = folder.Losses(plain), with = folder.Losses(adapted);
        Assert.True(without.Zip(with, (a, b) => Math.Abs(a - b)).Max() > 0.1, "the adapter hardly changes a loss");
        SameBits(with, folder.Losses(again));
        loaded.MergeInto(folder.Parameters);
        float[] merged = folder.Losses(plain);
        for (int i = 0; i < merged.Length; i++)
        {
            // Of losses of about 5; merging rounds every weight once.
            Assert.Equal(with[i], merged[i], 1e-5);
        }
    }

    [Theory]
    [InlineData("model_type", "\"gpt2\"", "\"model_type\" is \"gpt2\"")]
    [InlineData("attention_bias", "true", "\"attention_bias\" is true")]
    [InlineData("mlp_bias", "true", "\"mlp_bias\" is true")]
    [InlineData("hidden_act", "\"gelu\"", "\"hidden_act\" is \"gelu\"")]
    [InlineData("rope_scaling", """{"rope_type":"llama3","factor":8.0}""", "\"llama3\"")]
    [InlineData("rope_scaling", """{"type":"linear","factor":2.0}""", "\"linear\"")]
    [InlineData("rope_scaling", """{"factor":2.0}""", "factor")]
    [InlineData("rope_parameters", """{"rope_type":"yarn","factor":2.0}""", "\"yarn\"")]
    [InlineData("num_key_value_heads", "3", "num_key_value_heads is 3")]
    [InlineData("head_dim", "5", "head_dim is 5")]
    [InlineData("hidden_size", null, "\"hidden_size\"")]
    [InlineData("hidden_size", "\"ten\"", "\"hidden_size\"")]
    [InlineData("num_hidden_layers", "0", "\"num_hidden_layers\"")]
    [InlineData("vocab_size", "259", "tensor \"model.embed_tokens.weight\" is [258 x 10], the configuration asks for [259 x 10]")]
    public void Load_ConfigurationThatIsNotThisModels_IsBadInputNamingMemberAndValue(string member, string? value, string expected)
    {
        using var folder = new TinyModelFolder();
        folder.Edit("config.json", member, value);
        Refused(folder, expected);
    }

    [Theory]
    [InlineData("rope_scaling", """{"rope_type":"default"}""")]
    [InlineData("rope_parameters", """{"rope_type":"default","rope_theta":500.0}""")]
    [InlineData("eos_token_id", "[257, 10]")]
    [InlineData("eos_token_id", "[]")]
    [InlineData("hidden_act", "\"swish\"")]
    public void Load_HarmlessVariantOfTheConfiguration_Loads(string member, string value)
    {
        using var folder = new TinyModelFolder();
        folder.Edit("config.json", member, value);
        var (config, parameters) = ModelFolder.Load(folder.Path, folder.Device);
        parameters.Dispose();
        Assert.Equal(500, config.RopeTheta);
        Assert.Equal(value == "[]" ? null : 257, config.EosTokenId);
    }

    [Fact]
    public void Load_MissingTensor_NamesItAndItsShape()
    {
        using var folder = new TinyModelFolder();
        folder.Rewrite(Query, DType.F32, shape: null);
        Refused(folder, $"tensor \"{Query}\" is missing; it should be [24 x 10]");
    }

    [Fact]
    public void Load_OtherShape_NamesBoth()
    {
        using var folder = new TinyModelFolder();
        folder.Rewrite(Query, DType.F32, 10, 24);
        Refused(folder, $"tensor \"{Query}\" is [10 x 24], the configuration asks for [24 x 10]");
    }

    [Fact]
    public void Load_OtherType_NamesIt()
    {
        using var folder = new TinyModelFolder();
        folder.Rewrite(Query, DType.I64, 24, 10);
        Refused(folder, "I64");
    }

    [Fact]
    public void Load_TensorWithoutAPlace_NamesIt()
    {
        using var folder = new TinyModelFolder();
        folder.Rewrite("model.layers.1.self_attn.q_proj.bias", DType.F32, 24);
        Refused(folder, "\"model.layers.1.self_attn.q_proj.bias\" has no place");
    }

    [Fact]
    public void Load_OutputMatrixBesideATiedEmbedding_IsIgnored()
    {
        using var folder = new TinyModelFolder();
        folder.Rewrite("lm_head.weight", DType.F32, 258, 10);
        ModelFolder.Load(folder.Path, folder.Device).Parameters.Dispose();
    }

    [Theory]
    [InlineData(0)]
    [InlineData(7)]
    [InlineData(100)]
    [InlineData(-1)]
    public void Load_TruncatedWeights_SaysSo(int length)
    {
        using var folder = new TinyModelFolder();
        using (var stream = File.OpenWrite(Path.Combine(folder.Path, "model.safetensors")))
        {
            stream.SetLength(length < 0 ? stream.Length + length : length);
        }
        Refused(folder, length is 0 or 7 ? $"it has {length} bytes" : "truncated");
    }

    [Fact]
    public void Load_NoWeights_NamesTheFiles()
    {
        using var folder = new TinyModelFolder();
        File.Delete(Path.Combine(folder.Path, "model.safetensors"));
        Refused(folder, "model.safetensors");
    }

    [Theory]
    [InlineData("use_dora", "true", "use_dora")]
    [InlineData("use_rslora", "true", "use_rslora")]
    [InlineData("bias", "\"all\"", "bias")]
    [InlineData("peft_type", "\"IA3\"", "IA3")]
    [InlineData("rank_pattern", """{"q_proj":8}""", "rank_pattern")]
    [InlineData("target_modules", """["q_proj","lm_head"]""", "lm_head")]
    [InlineData("target_modules", "\"all-linear\"", "target_modules")]
    [InlineData("target_modules", """["q_proj"]""", "has no place")]
    [InlineData("r", "0", "\"r\"")]
    [InlineData("r", "4", "[3 x 10]")]
    public void Adapter_ConfigurationThatWouldChangeTheNumbers_IsBadInput(string member, string value, string expected)
    {
        using var folder = new TinyModelFolder();
        using var adapter = Adapter(folder);
        string saved = folder.Beside("adapter");
        AdapterFolder.Save(saved, adapter, "base");
        TinyModelFolder.EditJson(Path.Combine(saved, "adapter_config.json"), member, value);
        var error = Assert.Throws<EngineException>(() => AdapterFolder.Load(saved, folder.Config, folder.Device).Dispose());
        Assert.Equal(ErrorKind.BadInput, error.Kind);
        Assert.Contains(expected, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Adapter_RankThatItsFileDoesNotHave_AsksForNoMemory()
    {
        using var folder = new TinyModelFolder();
        using var adapter = Adapter(folder);
        string saved = folder.Beside("adapter");
        AdapterFolder.Save(saved, adapter, "base");
        TinyModelFolder.EditJson(Path.Combine(saved, "adapter_config.json"), "r", "1000000000");
        // Matrices of that rank and no columns: they take no bytes.
        string tensors = string.Join(',', adapter.Parameters.Layout.Entries.Select(e =>
            $"\"base_model.model.{e.Name}\":{{\"dtype\":\"F32\",\"shape\":[{(e.Name.Contains("lora_A", StringComparison.Ordinal) ? "1000000000,0" : "0,1000000000")}],\"data_offsets\":[0,0]}}"));
        File.WriteAllBytes(Path.Combine(saved, "adapter_model.safetensors"), Fuzz.SafetensorsFields.Framed(System.Text.Encoding.UTF8.GetBytes($"{{{tensors}}}"), []));
        folder.Device.Memory.ResetPeak();
        long before = folder.Device.Memory.PeakBytes;
        var error = Assert.Throws<EngineException>(() => AdapterFolder.Load(saved, folder.Config, folder.Device).Dispose());
        Assert.Equal(ErrorKind.BadInput, error.Kind);
        Assert.Equal(before, folder.Device.Memory.PeakBytes);
    }

    private static LoraAdapter Adapter(TinyModelFolder folder)
    {
        var adapter = new LoraAdapter(folder.Device, folder.Config, 3, 5, LoraAdapter.AllTargets, trainable: false);
        adapter.Initialize(1);
        foreach (var entry in adapter.Parameters.Layout.Entries)
        {
            // B starts at zero, which would hide the whole adapter.
            ModelInitializer.Fill(adapter.Parameters, entry, 9, (uint)entry.Offset, 0.3);
        }
        return adapter;
    }

    private static void Refused(TinyModelFolder folder, string expected)
    {
        var error = Assert.Throws<EngineException>(() => ModelFolder.Load(folder.Path, folder.Device).Parameters.Dispose());
        Assert.Equal(ErrorKind.BadInput, error.Kind);
        Assert.Contains(expected, error.Message, StringComparison.Ordinal);
        Assert.Contains(folder.Path, error.Message, StringComparison.Ordinal);
    }

    private static void SameBits(float[] expected, float[] actual) =>
        Assert.Equal(Array.ConvertAll(expected, BitConverter.SingleToInt32Bits), Array.ConvertAll(actual, BitConverter.SingleToInt32Bits));
}
