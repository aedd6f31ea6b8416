using NativeEngine.Devices.Cpu;
using NativeEngine.Evaluation;
using NativeEngine.Formats;
using NativeEngine.Tests.Model;
using NativeEngine.Tests.Support;

namespace NativeEngine.Tests.Formats;

/// <summary>What the check of an ONNX file tells of a good one and refuses in bad ones, each with its reason.</summary>
public sealed class OnnxModelFileTests
{
    [Fact]
    public void Open_ExportedModel_TellsInputsOutputsAndMetadata()
    {
        using var folder = new TemporaryFolder();
        using var device = new CpuDevice(threads: 1);
        using var tiny = new TinyModel(device);
        OnnxExporter.Export(folder.File("m.onnx"), tiny.Config, tiny.Parameters, new OnnxExportOptions { Metadata = new Dictionary<string, string> { ["k"] = "v" } });
        using var model = OnnxModelFile.Open(folder.File("m.onnx"));
        Assert.Equal(["input_ids int64[batch, sequence]", "attention_mask int64[batch, sequence]", "position_ids int64[batch, sequence]"], model.Inputs.Select(i => $"{i}"));
        Assert.Equal(["logits float[batch, sequence, 11]"], model.Outputs.Select(o => $"{o}"));
        Assert.Equal((17, "NativeEngine", "v"), (model.Opsets[""], model.Producer, model.Metadata["k"]));
        Assert.Equal("8", model.Metadata[OnnxExporter.ContextKey]);
        Assert.Equal([6L, 11], model.Tensors.Single(t => t.Name == "model.embed_tokens.weight").Dimensions.Reverse());
        Assert.Equal(64, model.Metadata[OnnxExporter.WeightsHashKey].Length);
        OnnxExporter.VerifyWeights(model);
    }

    [Fact]
    public void VerifyWeights_OneBitOff_RefusedInsideAndBeside()
    {
        using var folder = new TemporaryFolder();
        using var device = new CpuDevice(threads: 1);
        using var tiny = new TinyModel(device);
        foreach (bool external in new[] { false, true })
        {
            string path = folder.File($"{external}.onnx");
            OnnxExporter.Export(path, tiny.Config, tiny.Parameters, new OnnxExportOptions { ExternalData = external });
            string victim = external ? OnnxExporter.WeightsPathOf(path) : path;
            long at;
            using (var model = OnnxModelFile.Open(path))
            {
                OnnxExporter.VerifyWeights(model);
                var tensor = model.Tensors.First(t => t.Name.EndsWith("q_proj.weight", StringComparison.Ordinal));
                at = tensor.External?.Offset ?? tensor.RawOffset;
            }
            using (var stream = File.Open(victim, FileMode.Open))
            {
                stream.Position = at;
                int b = stream.ReadByte();
                stream.Position = at;
                stream.WriteByte((byte)(b ^ 1));
            }
            using var changed = OnnxModelFile.Open(path);
            Expect.Fails(ErrorKind.BadInput, () => OnnxExporter.VerifyWeights(changed), "SHA-256");
        }
    }

    [Fact]
    public void ExportWeights_OtherWeights_OnlyTheFileOfWeightsChanges()
    {
        using var folder = new TemporaryFolder();
        using var device = new CpuDevice(threads: 1);
        using var tiny = new TinyModel(device);
        string path = folder.File("m.onnx");
        OnnxExporter.Export(path, tiny.Config, tiny.Parameters, new OnnxExportOptions { ExternalData = true });
        byte[] before = File.ReadAllBytes(path), weights = File.ReadAllBytes(OnnxExporter.WeightsPathOf(path));
        device.Kernels.Scale(0.5f, tiny.Parameters.Flat);
        OnnxExporter.ExportWeights(path, tiny.Config, tiny.Parameters);
        Assert.Equal(before, File.ReadAllBytes(path));
        Assert.Equal(weights.Length, File.ReadAllBytes(OnnxExporter.WeightsPathOf(path)).Length);
        Assert.NotEqual(weights, File.ReadAllBytes(OnnxExporter.WeightsPathOf(path)));
        using (var model = OnnxModelFile.Open(path))
        {
            OnnxExporter.VerifyWeights(model);
        }
        using var other = new TinyModel(device, kvHeads: 2);
        Expect.Fails(ErrorKind.BadInput, () => OnnxExporter.ExportWeights(path, other.Config, other.Parameters), "num_key_value_heads");
        OnnxExporter.Export(folder.File("inline.onnx"), tiny.Config, tiny.Parameters);
        Expect.Fails(ErrorKind.BadInput, () => OnnxExporter.ExportWeights(folder.File("inline.onnx"), tiny.Config, tiny.Parameters), "inside the file");
    }

    [Fact]
    public void Export_AboveTheInlineLimit_WeightsLieBeside()
    {
        using var folder = new TemporaryFolder();
        using var device = new CpuDevice(threads: 1);
        using var tiny = new TinyModel(device);
        var report = OnnxExporter.Export(folder.File("m.onnx"), tiny.Config, tiny.Parameters, new OnnxExportOptions { InlineLimit = 100 });
        Assert.Equal(folder.File("m.onnx.safetensors"), report.WeightsPath);
        using var model = OnnxModelFile.Open(report.Path);
        Assert.Equal([Path.GetFullPath(report.WeightsPath!)], model.ExternalFiles);
        // The file of weights is one of safetensors, with the names and shapes of Hugging Face.
        using var weights = SafetensorsModel.Open(report.WeightsPath!);
        Assert.Equal(tiny.Config.Layout().Entries.Select(e => e.Name).Order(StringComparer.Ordinal), weights.Tensors.Select(t => t.Name).Order(StringComparer.Ordinal));
    }

    [Fact]
    public void Open_MissingOrCutWeights_Refused()
    {
        using var folder = new TemporaryFolder();
        string path = External(folder, "w.bin");
        Expect.Fails(ErrorKind.BadInput, () => OnnxModelFile.Open(path), "w.bin", "is not there");
        File.WriteAllBytes(folder.File("w.bin"), new byte[15]);
        Expect.Fails(ErrorKind.BadInput, () => OnnxModelFile.Open(path), "takes 16 bytes", "has 15");
        File.WriteAllBytes(folder.File("w.bin"), new byte[16]);
        OnnxModelFile.Open(path).Dispose();
        Directory.CreateDirectory(folder.File("d"));
        Expect.Fails(ErrorKind.BadInput, () => OnnxModelFile.Open(External(folder, "d")), "is not a file");
    }

    [Theory]
    [InlineData("/etc/hostname", "is absolute")]
    [InlineData("../secret", "leaves the folder")]
    [InlineData("a/../../secret", "leaves the folder")]
    [InlineData("C:\\x", "backslash")]
    [InlineData("file:secret", "is absolute")]
    [InlineData("", "is empty")]
    [InlineData("a\0b", "zero byte")]
    public void Open_WeightsOutsideTheFolder_RefusedByTheirPath(string location, string reason)
    {
        using var folder = new TemporaryFolder();
        File.WriteAllBytes(folder.File("secret"), new byte[100]);
        Directory.CreateDirectory(folder.File("models"));
        Expect.Fails(ErrorKind.BadInput, () => OnnxModelFile.Open(External(folder, location, "models/m.onnx")), reason);
    }

    [FactOnUnix]
    public void Open_WeightsBehindALink_OnlyWithinTheFolder()
    {
        using var folder = new TemporaryFolder();
        File.WriteAllBytes(folder.File("secret"), new byte[100]);
        Directory.CreateDirectory(folder.File("models/inner"));
        Directory.CreateDirectory(folder.File("outer"));
        File.WriteAllBytes(folder.File("outer/w.bin"), new byte[16]);
        File.WriteAllBytes(folder.File("models/inner/w.bin"), new byte[16]);
        File.CreateSymbolicLink(folder.File("models/out"), folder.File("secret"));
        File.CreateSymbolicLink(folder.File("models/in"), "inner/w.bin");
        File.CreateSymbolicLink(folder.File("models/loop"), "loop");
        Directory.CreateSymbolicLink(folder.File("models/away"), folder.File("outer"));
        Expect.Fails(ErrorKind.BadInput, () => OnnxModelFile.Open(External(folder, "out", "models/m.onnx")), "link that leads outside");
        Expect.Fails(ErrorKind.BadInput, () => OnnxModelFile.Open(External(folder, "away/w.bin", "models/m.onnx")), "link that leads outside");
        Expect.Fails(ErrorKind.BadInput, () => OnnxModelFile.Open(External(folder, "loop", "models/m.onnx")), "links");
        OnnxModelFile.Open(External(folder, "in", "models/m.onnx")).Dispose();
        // A cache of models keeps both files elsewhere and links to them.
        Directory.CreateDirectory(folder.File("snapshot"));
        External(folder, "w.bin", "outer/m.onnx");
        File.CreateSymbolicLink(folder.File("snapshot/m.onnx"), "../outer/m.onnx");
        File.CreateSymbolicLink(folder.File("snapshot/w.bin"), "../outer/w.bin");
        OnnxModelFile.Open(folder.File("snapshot/m.onnx")).Dispose();
    }

    [Fact]
    public void Parse_DimensionsAndBytes_MustAgree()
    {
        Refused(Model(Tensor("w", [2, 2], new byte[15])), "takes 16 bytes", "has 15 bytes");
        Refused(Model(Tensor("w", [-2, 2], new byte[16])), "[-2, 2]");
        Refused(Model(Tensor("w", [1L << 40, 1L << 40], new byte[16])), "[1099511627776, 1099511627776]");
        Refused(Model(Tensor("w", [4], []).Int(13, 0)), "wire type");
        Refused(Model(Tensor("w", [4], new byte[16]).Bytes(4, new byte[16])), "in 2 places");
        Refused(Model(new ProtoMessage().Int(1, 4).Int(2, 99).Text(8, "w")), "type 99");
        Refused(Model(new ProtoMessage().Int(1, 1).Int(2, 1).Text(8, "w").Bytes(7, [1, 2, 3])), "of another type");
        Refused(Model(Tensor("w", [4], new byte[16]), Tensor("w", [4], new byte[16])), "stored twice");
        OnnxModelFile.Parse("m", Model(Tensor("w", [4], new byte[16]), Tensor("empty", [0, 5], []))).Dispose();
    }

    [Fact]
    public void Parse_NestedGraphs_RefusedBeyondTheDepth()
    {
        Assert.True(Nested(6));
        Assert.False(Nested(20));
        Assert.False(Nested(2000));

        static bool Nested(int depth)
        {
            var graph = new ProtoMessage();
            for (int i = 0; i < depth; i++)
            {
                var node = new ProtoMessage().Text(4, "If").Message(5, new ProtoMessage().Text(1, "then_branch").Message(6, graph).Int(20, 5));
                graph = new ProtoMessage().Message(1, node);
            }
            try
            {
                OnnxModelFile.Parse("m", Whole(graph)).Dispose();
                return true;
            }
            catch (EngineException e)
            {
                Assert.Contains("nested deeper", e.Message, StringComparison.Ordinal);
                return false;
            }
        }
    }

    [Fact]
    public void Parse_FunctionsThatCallEachOther_RefusedForSizeAndForCircles()
    {
        // Each calls the one before it ten times: 10^12 nodes in a few hundred bytes.
        var model = new ProtoMessage().Int(1, 8).Message(7, new ProtoMessage().Message(1, Call("f12")));
        model.Message(8, new ProtoMessage().Int(2, 17));
        for (int f = 1; f <= 12; f++)
        {
            var function = new ProtoMessage().Text(1, $"f{f}").Text(10, "own");
            for (int i = 0; i < 10; i++)
            {
                function.Message(7, f == 1 ? new ProtoMessage().Text(4, "Identity") : Call($"f{f - 1}"));
            }
            model.Message(25, function);
        }
        Refused(model.ToArray(), "written out", "1,000,000 nodes");
        var circle = new ProtoMessage().Int(1, 8).Message(7, new ProtoMessage().Message(1, Call("a"))).Message(8, new ProtoMessage().Int(2, 17));
        circle.Message(25, new ProtoMessage().Text(1, "a").Text(10, "own").Message(7, Call("b")));
        circle.Message(25, new ProtoMessage().Text(1, "b").Text(10, "own").Message(7, Call("a")));
        Refused(circle.ToArray(), "calls itself");

        static ProtoMessage Call(string name) => new ProtoMessage().Text(4, name).Text(7, "own");
    }

    [Fact]
    public void Parse_GraphsThatAreNone_Refused()
    {
        Refused([], "no graph");
        Refused("garbage"u8.ToArray(), "byte");
        Refused(new ProtoMessage().Int(1, 8).Message(7, new ProtoMessage()).ToArray(), "no operator set");
        Refused(new ProtoMessage().Message(7, new ProtoMessage()).Message(8, new ProtoMessage().Int(2, 17)).ToArray(), "version of the format");
        byte[] good = Whole(new ProtoMessage());
        Refused([.. good, .. good], "appears twice");
        Refused(Whole(new ProtoMessage().Message(1, new ProtoMessage().Text(1, "x").Text(4, "Neg"))), "nothing before it makes");
        Refused(Whole(new ProtoMessage().Message(1, new ProtoMessage().Text(4, "Loop"))), "loops have no bound");
        Refused(Whole(new ProtoMessage().Message(1, new ProtoMessage().Text(2, "y"))), "no operation");
        Refused(Whole(new ProtoMessage().Message(15, new ProtoMessage())), "sparse");
        Refused(Whole(new ProtoMessage().Message(12, new ProtoMessage().Text(1, "y"))), "no node makes");
        Refused(new ProtoMessage().Int(1, 8).Message(20, new ProtoMessage()).ToArray(), "training");
        Refused([0x0B], "wire type 3");
        Refused([0x08, .. Enumerable.Repeat((byte)0xFF, 10), 1], "more than 64 bits");
    }

    [Fact]
    public void Parse_ShapesOfTerabytes_RefusedBeforeARuntimeMakesThem()
    {
        foreach (string operation in new[] { "ConstantOfShape", "Expand", "Tile" })
        {
            string[] inputs = operation == "ConstantOfShape" ? ["s"] : ["s", "s"];
            var node = new ProtoMessage();
            inputs.ToList().ForEach(i => node.Text(1, i));
            var graph = new ProtoMessage().Message(1, node.Text(2, "y").Text(4, operation));
            graph.Message(5, new ProtoMessage().Int(1, 2).Int(2, 7).Text(8, "s").Bytes(9, System.Runtime.InteropServices.MemoryMarshal.AsBytes([1L << 20, 1L << 20])));
            Refused(Whole(graph), "[1048576, 1048576]");
        }
        var shape = new ProtoMessage().Int(8, 1L << 20).Int(8, 1L << 20).Text(1, "shape").Int(20, 7);
        Refused(Whole(new ProtoMessage().Message(1, new ProtoMessage().Text(2, "y").Text(4, "RandomNormal").Message(5, shape))), "[1048576, 1048576]");
    }

    private static void Refused(byte[] model, params string[] parts) => Expect.Fails(ErrorKind.BadInput, () => OnnxModelFile.Parse("m", model), parts);

    private static ProtoMessage Tensor(string name, long[] shape, byte[] raw)
    {
        var tensor = new ProtoMessage();
        shape.ToList().ForEach(d => tensor.Int(1, d));
        return tensor.Int(2, OnnxElement.Float).Text(8, name).Bytes(9, raw);
    }

    private static byte[] Model(params ProtoMessage[] tensors)
    {
        var graph = new ProtoMessage();
        tensors.ToList().ForEach(t => graph.Message(5, t));
        return Whole(graph);
    }

    private static byte[] Whole(ProtoMessage graph) => new ProtoMessage().Int(1, 8).Message(7, graph).Message(8, new ProtoMessage().Int(2, 17)).ToArray();

    private static string External(TemporaryFolder folder, string location, string name = "m.onnx")
    {
        var tensor = new ProtoMessage().Int(1, 4).Int(2, OnnxElement.Float).Text(8, "w").Message(13, new ProtoMessage().Text(1, "location").Text(2, location)).Int(14, 1);
        File.WriteAllBytes(folder.File(name), Model(tensor));
        return folder.File(name);
    }
}
