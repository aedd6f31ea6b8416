using System.Buffers.Binary;
using System.Text;
using NativeEngine.Devices.Cpu;
using NativeEngine.Evaluation;
using NativeEngine.Formats;
using NativeEngine.Selection;
using NativeEngine.Tests.Model;

namespace NativeEngine.Tests.Fuzz;

/// <summary>Every format that is read, in one list: the tests and the command go through it.</summary>
internal static partial class FuzzFormats
{
    private static readonly Lazy<IReadOnlyList<FuzzFormat>> _all = new(() =>
    [
        Safetensors(), SafetensorsIndex(), Npy(), Npz(), Losses(), Onnx(),
        Jsonl(), JsonlChoices(), JsonlOrder(), JsonlGzip(), SourcesJsonl(), SourcesText(), SourcesArray(),
        Tokenizer(), TokenizerConfig(), Vocabulary(),
        Config(), AdapterConfiguration(), ModelWeights(), Adapter(), SelectorHistory(), FeatureArray(), FeatureTensor(),
        Recipe(), Study(), ConfigurationFile(), MixturesJson(), MixturesCsv(),
        State(), Checksums(), Run(), Metrics(), Certificate(), UnitKeys(), UnitCosts(), Claims(), Ranking(), Confirmation(), StudyReport(), RuntimeProfile(),
    ]);

    public static IReadOnlyList<FuzzFormat> All => _all.Value;

    private static readonly string[] _tensorWords =
        ["\"F32\"", "\"BF16\"", "\"F4\"", "\"BOOL\"", "\"a\":", "\"dtype\":", "\"shape\":[]", "\"data_offsets\":[0,0]", "\"__metadata__\":{}"];

    private static FuzzFormat Safetensors()
    {
        byte[][] seeds =
        [
            File("""{"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]},"b":{"dtype":"BF16","shape":[3],"data_offsets":[16,22]},"c":{"dtype":"U8","shape":[0,4],"data_offsets":[22,22]},"d":{"dtype":"F64","shape":[],"data_offsets":[22,30]}} """, 30),
            File("""{"x":{"dtype":"I64","shape":[1,2],"data_offsets":[0,16]}}""", 16),
            File("{}", 0),
        ];
        return new FuzzFormat("safetensors", seeds, new SafetensorsFields(seeds), () => bytes =>
        {
            using var file = SafetensorsFile.Parse("mutant", bytes);
            foreach (var tensor in file.Tensors)
            {
                Assert.Equal(tensor.ByteLength, tensor.Bytes(0, (int)tensor.ByteLength).Length);
                if (tensor.DType.IsFloat())
                {
                    Assert.Equal(tensor.ElementCount, tensor.ToFloat32().Length);
                }
                else if (tensor.DType.IsInteger())
                {
                    tensor.ReadInt64(0, new long[tensor.ElementCount]);
                }
            }
        })
        { Words = _tensorWords, Repair = Reframed };
    }

    private static FuzzFormat SafetensorsIndex() => Json(
        "model.safetensors.index.json", json => SafetensorsModel.ReadIndex(json),
        """{"metadata":{"total_size":36},"weight_map":{"a":"model-00001-of-00002.safetensors","b":"model-00001-of-00002.safetensors","c":"model-00002-of-00002.safetensors"}}""");

    private static FuzzFormat Npy()
    {
        byte[][] seeds =
        [
            NpyBytes("{'descr': '<f4', 'fortran_order': True, 'shape': (3, 2), }         \n", 24),
            NpyBytes("{'descr': '<i8', 'fortran_order': False, 'shape': (3,), }\n", 24),
            NpyBytes("{'descr': '|b1', 'fortran_order': False, 'shape': (), }\n", 1),
        ];
        return new FuzzFormat("npy", seeds, new NpyFields(), () => bytes =>
        {
            using var file = NpyFile.Parse("mutant", bytes);
            Assert.Equal(file.ElementCount, file.ToFloat32().Length);
            if (file.DType.IsInteger())
            {
                Assert.Equal(file.ElementCount, file.ToInt64().Length);
            }
            _ = (file.Rows, file.RowLength);
        })
        {
            Words = ["'<f8'", "'>f4'", "'|O'", "True", "False", "'shape':", "(0,)", "3L", "'descr':"],
            Repair = static bytes =>
            {
                int end = bytes.AsSpan().IndexOf((byte)'\n');
                if (end >= 10)
                {
                    BinaryPrimitives.WriteUInt16LittleEndian(bytes.AsSpan(8), (ushort)(end + 1 - 10));
                }
                return bytes;
            },
        };
    }

    private static FuzzFormat Npz()
    {
        var npy = Npy();
        byte[][] seeds = [ZipFields.Pack(packed: false, ("a", npy.Seeds[0])), ZipFields.Pack(packed: true, ("a", npy.Seeds[1]), ("b", npy.Seeds[2]))];
        // What ZipArchive makes of every entry of a directory.
        return new FuzzFormat("npz", seeds, new ZipFields(npy.Fields), () => bytes =>
        {
            using var file = NpzFile.Read("mutant", new MemoryStream(bytes), "a");
            Assert.Equal(file.ElementCount, file.ToFloat32().Length);
        })
        { TotalFactor = 32 };
    }

    private static byte[] NpyBytes(string header, int data)
    {
        var bytes = new byte[10 + header.Length + data];
        new byte[] { 0x93, (byte)'N', (byte)'U', (byte)'M', (byte)'P', (byte)'Y', 1, 0 }.CopyTo(bytes, 0);
        BinaryPrimitives.WriteUInt16LittleEndian(bytes.AsSpan(8), (ushort)header.Length);
        Encoding.ASCII.GetBytes(header).CopyTo(bytes, 10);
        return bytes;
    }

    private static FuzzFormat Onnx()
    {
        using var device = new CpuDevice(threads: 1);
        using var tiny = new TinyModel(device);
        var small = new OnnxModelBuilder();
        small.Input("input_ids", OnnxElement.Int64, "batch", "sequence");
        small.Node("Gather", "rows", [small.Node("Reshape", "table", [small.Constant("w", [0f, 1, 2, 3, 4, 5]), small.Constant("shape", 3, 2)]), "input_ids"], new OnnxAttribute("axis", Int: 0));
        small.Node("Softmax", "logits", ["rows"], new OnnxAttribute("axis", Int: -1));
        small.Output("logits", OnnxElement.Float, "batch", "sequence", 2);
        using var bytes = new MemoryStream();
        small.Build("graph", "tests", "1", [new("key", "value")]).WriteTo(bytes);
        byte[][] seeds = [.. Enumerable.Repeat(bytes.ToArray(), 7), OnnxExporter.ToBytes(tiny.Config, tiny.Parameters)];
        return new FuzzFormat("onnx", seeds, new ProtoFields(seeds), () => mutant =>
        {
            using var file = OnnxModelFile.Parse("mutant", mutant);
            OnnxDecoder.Of(file).ContextLength(file);
        });
    }

    private static FuzzFormat Losses()
    {
        var fields = new LossFields();
        byte[][] seeds = [LossFields.File(2, 0, 3)];
        return new FuzzFormat("losses", seeds, fields, () => bytes =>
        {
            using var map = MappedFile.Of("mutant", bytes);
            int damaged = NativeEngine.Ablation.Ranking.LossCache.Read(map, []);
            // Nothing is refused here: what is damaged is passed over, and counted.
            _ = damaged == 0 ? damaged : throw new EngineException(ErrorKind.BadInput, $"{damaged} records are damaged");
        });
    }

    private static FuzzFormat Config() => Json(
        "config.json", json =>
        {
            NativeEngine.Model.ConfigJson.Parse(json);
            // A merged or exported model has it copied, with what is not understood.
            using var copy = new System.Text.Json.Utf8JsonWriter(Stream.Null);
            json.WriteTo(copy);
        },
        """{"architectures":["LlamaForCausalLM"],"model_type":"llama","hidden_size":64,"intermediate_size":172,"num_hidden_layers":5,"num_attention_heads":8,"num_key_value_heads":4,"head_dim":8,"vocab_size":512,"max_position_embeddings":512,"rms_norm_eps":1e-05,"rope_theta":10000.0,"rope_scaling":null,"hidden_act":"silu","tie_word_embeddings":true,"attention_bias":false,"mlp_bias":false,"bos_token_id":1,"eos_token_id":[2,3],"torch_dtype":"float32"}""",
        """{"hidden_size":6,"intermediate_size":7,"num_hidden_layers":2,"num_attention_heads":3,"vocab_size":11,"rope_parameters":{"rope_type":"default","rope_theta":500}}""");

    private static FuzzFormat AdapterConfiguration() => Json(
        "adapter_config.json", json =>
        {
            foreach (var target in AdapterConfig.Parse(json).Targets)
            {
                target.AsString();
            }
        },
        """{"peft_type":"LORA","task_type":"CAUSAL_LM","base_model_name_or_path":"x","r":8,"lora_alpha":16,"lora_dropout":0.0,"bias":"none","fan_in_fan_out":false,"use_rslora":false,"use_dora":false,"rank_pattern":{},"alpha_pattern":null,"target_modules":["q_proj","v_proj"]}""");

    /// <summary>The weights of a fixed configuration, as a checkpoint or a model folder holds them.</summary>
    private static FuzzFormat ModelWeights()
    {
        byte[][] seeds = [File("""{"model.embed_tokens.weight":{"dtype":"F32","shape":[4,2],"data_offsets":[0,32]},"model.norm.weight":{"dtype":"BF16","shape":[2],"data_offsets":[32,36]},""" + Block() + "}", 36 + (4 * (4 + 4 + 4 + 4 + 6 + 6 + 6 + 2 + 2)))];
        return new FuzzFormat("weights", seeds, new SafetensorsFields(seeds), () =>
        {
            var device = new CpuDevice(threads: 1);
            return bytes => Metered(device, bytes, () =>
            {
                using var file = SafetensorsModel.Parse("mutant", bytes);
                using var parameters = NativeEngine.Model.ModelFolder.LoadWeights(_oneLayer, file, device);
            });
        })
        { Kinds = [ErrorKind.BadInput, ErrorKind.Numerical], Words = _tensorWords, Repair = Reframed };

        static string Block()
        {
            (string Name, string Shape, int Count)[] parts =
            [
                ("self_attn.q_proj", "2,2", 4), ("self_attn.k_proj", "2,2", 4), ("self_attn.v_proj", "2,2", 4), ("self_attn.o_proj", "2,2", 4), ("mlp.gate_proj", "3,2", 6), ("mlp.up_proj", "3,2", 6),
                ("mlp.down_proj", "2,3", 6), ("input_layernorm", "2", 2), ("post_attention_layernorm", "2", 2),
            ];
            int end = 36;
            return string.Join(',', parts.Select(p =>
            {
                int begin = end;
                end += 4 * p.Count;
                return $"\"model.layers.0.{p.Name}.weight\":{{\"dtype\":\"F32\",\"shape\":[{p.Shape}],\"data_offsets\":[{begin},{end}]}}";
            }));
        }
    }

    /// <summary>A LoRA adapter: as training and evaluation open it, and as a merge does.</summary>
    private static FuzzFormat Adapter()
    {
        const string Layer = "base_model.model.model.layers.0.";
        byte[][] seeds =
        [
            File($$$"""{"{{{Layer}}}self_attn.q_proj.lora_A.weight":{"dtype":"F32","shape":[3,2],"data_offsets":[0,24]},"{{{Layer}}}self_attn.q_proj.lora_B.weight":{"dtype":"BF16","shape":[2,3],"data_offsets":[24,36]}}""", 36),
        ];
        return new FuzzFormat("adapter weights", seeds, new SafetensorsFields(seeds), () =>
        {
            var device = new CpuDevice(threads: 1);
            var config = AdapterConfig.Parse(StrictJson.Parse("adapter_config.json", """{"peft_type":"LORA","r":3,"lora_alpha":6,"target_modules":["q_proj"]}"""u8));
            return bytes => Metered(device, bytes, () =>
            {
                using var file = SafetensorsModel.Parse("mutant", bytes);
                NativeEngine.Merging.AdapterWeights.Of(config, file);
                using var adapter = NativeEngine.Model.AdapterFolder.Of(config, file, _oneLayer, device, trainable: false, default);
            });
        })
        { Kinds = [ErrorKind.BadInput, ErrorKind.Numerical], Words = _tensorWords, Repair = Reframed };
    }

    private static readonly NativeEngine.Model.LlamaConfig _oneLayer = new()
    {
        VocabularySize = 4,
        HiddenSize = 2,
        IntermediateSize = 3,
        Layers = 1,
        Heads = 1,
        KeyValueHeads = 1,
        HeadSize = 2,
        ContextLength = 8,
        TiedEmbeddings = true,
    };

    private static FuzzFormat FeatureArray() => Npy() with
    {
        Name = "features.npy",
        Seeds = [NpyBytes("{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2), }\n", 24), NpyBytes("{'descr': '<f8', 'fortran_order': True, 'shape': (2, 2), }\n", 32)],
        Open = () => Features(bytes => FeatureFile.Of("mutant", NpyFile.Parse("mutant", bytes))),
    };

    private static FuzzFormat FeatureTensor()
    {
        byte[][] seeds = [File("""{"features":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]}}""", 24), File("""{"x":{"dtype":"BF16","shape":[3,2],"data_offsets":[0,12]}}""", 12)];
        return Safetensors() with
        {
            Name = "features.safetensors",
            Seeds = seeds,
            Fields = new SafetensorsFields(seeds),
            Open = () => Features(bytes => FeatureFile.Of("mutant", SafetensorsFile.Parse("mutant", bytes), null)),
        };
    }

    private static Action<byte[]> Features(Func<byte[], FeatureFile> open)
    {
        var device = new CpuDevice(threads: 1);
        return bytes => Metered(device, bytes, () =>
        {
            using var file = open(bytes);
            using var rows = file.Load(device);
            Assert.Equal((long)file.Rows * file.Columns, rows.Length);
        });
    }

    /// <summary>Memory of a device is not the runtime's, so its own meter says what a reader asks for; none may be left.</summary>
    private static void Metered(CpuDevice device, byte[] bytes, Action read)
    {
        long before = device.Memory.LiveBytes;
        device.Memory.ResetPeak();
        try
        {
            read();
        }
        finally
        {
            Assert.InRange(device.Memory.PeakBytes - before, 0, (4 * bytes.Length) + (1 << 20));
            Assert.Equal(before, device.Memory.LiveBytes);
        }
    }

    private static FuzzFormat SelectorHistory()
    {
        byte[][] seeds = [File("""{"__metadata__":{"step":"12","seed":"7"},"m":{"dtype":"F32","shape":[3],"data_offsets":[0,12]},"v":{"dtype":"F32","shape":[3],"data_offsets":[12,24]}}""", 24)];
        return new FuzzFormat("selector state", seeds, new SafetensorsFields(seeds), () =>
        {
            var device = new CpuDevice(threads: 1);
            return bytes => Metered(device, bytes, () =>
            {
                using var normalizer = GradientNormalizer.Adam(device);
                using var file = SafetensorsFile.Parse("mutant", bytes);
                SelectorState.Read(file, normalizer, 3);
            });
        })
        { Words = _tensorWords, Repair = Reframed };
    }

    /// <summary>A JSON document read through StrictJson.</summary>
    private static FuzzFormat Json(string name, Action<StrictJson> read, params string[] seeds)
    {
        byte[][] bytes = [.. seeds.Select(Encoding.UTF8.GetBytes)];
        return new FuzzFormat(name, bytes, new JsonFields(bytes), () => mutant => read(StrictJson.Parse("mutant", mutant))) { TotalFactor = 64 };
    }

    // Small whole numbers, so that data are finite in every type.
    private static byte[] File(string header, int data) => SafetensorsFields.Framed(Encoding.UTF8.GetBytes(header), [.. Enumerable.Range(0, data).Select(i => (byte)(i * 37 % 61))]);

    // The length of the header, when the data kept theirs.
    private static byte[] Reframed(byte[] bytes)
    {
        int end = bytes.AsSpan().LastIndexOf((byte)'}') + 1;
        if (end > 8)
        {
            BinaryPrimitives.WriteInt64LittleEndian(bytes, end - 8);
        }
        return bytes;
    }
}
