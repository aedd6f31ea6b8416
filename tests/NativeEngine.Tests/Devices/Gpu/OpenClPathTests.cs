using System.Text.Json;
using NativeEngine.Data;
using NativeEngine.Devices;
using NativeEngine.Devices.Cpu;
using NativeEngine.Formats;
using NativeEngine.Model;
using NativeEngine.Tests.Ablation;
using NativeEngine.Tests.Support;
using NativeEngine.Tests.Training;
using NativeEngine.Training;

namespace NativeEngine.Tests.Devices.Gpu;

/// <summary>Whole paths on a real OpenCL implementation, through the library and the executable: what the CPU gives.</summary>
public sealed class OpenClPathTests : IDisposable
{
    private const string Stories = "data/stories260K";
    private const string Lily = "Once upon a time, there was a little girl named Lily. She loved to play outside in the park.";
    private const string Cats = "The 3 cats (née Ünï) couldn't swim; they cost $4.50!";

    // The test harness hides the machine's devices from the executable; these tests show them again.
    private static readonly Dictionary<string, string?> _shown = new() { ["NENGINE_OPENCL_LIBRARY"] = null };
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [FactWithOpenCl]
    public void Train_Colm_PicksLossesAndStateOfTheCpu()
    {
        var options = TinyTraining.Options();
        using var cpu = new TinyTraining(options);
        var device = OpenCl.Open();
        using (var gpu = new TinyTraining(options, device: device))
        {
            var expected = cpu.Train(3).Select(s => (s.Loss, s.GradientNorm, s.Objective));
            Assert.Equal(expected, gpu.Train(3).Select(s => (s.Loss, s.GradientNorm, s.Objective)));
            Assert.Equal(cpu.State(), gpu.State());
        }
        Assert.Equal(0, device.Memory.LiveBytes);
    }

    [FactWithOpenCl]
    public void Train_InFullSwing_AsksTheDriverForNoMemory()
    {
        var device = OpenCl.Open();
        using var gpu = new TinyTraining(TinyTraining.Options() with { Steps = 12, Pool = 8, Batch = 8, Selection = BatchSelection.Full }, device: device);
        gpu.Train(8);
        long before = device.DriverAllocations;
        gpu.Train(3);
        Assert.Equal(before, device.DriverAllocations);
    }

    [FactWithOpenCl(Stories)]
    public void Eval_Stories260K_KnownLosses()
    {
        string data = _folder.Write("two.jsonl", $$"""{"text":"{{Lily}}","source":"lily"}""" + "\n" + $$"""{"text":"{{Cats}}","source":"cats"}""" + "\n");
        var run = Run("eval", "--model", RepositoryPaths.Shared(Stories), "--data", data);
        var sources = run.GetProperty("sources").EnumerateArray().ToDictionary(s => s.GetProperty("source").GetString()!, s => s.GetProperty("nll").GetDouble());
        Assert.Equal(0.180356, sources["lily"], 1e-5);
        Assert.Equal(7.487846, sources["cats"], 1e-5);
    }

    [FactWithOpenCl(Stories)]
    public void Generate_Stories260K_KnownText()
    {
        var run = Run("generate", "--model", RepositoryPaths.Shared(Stories), "--max-tokens", "31");
        Assert.StartsWith(Lily, run.GetProperty("text").GetString(), StringComparison.Ordinal);
    }

    [FactWithOpenCl]
    public void Select_AdamAndTop_TheDocumentOfTheCpu()
    {
        const int N = 60, D = 257;
        var random = new CounterRandom(5, RandomPurpose.Test, 1);
        NpyWriter.WriteFloat32(_folder.File("f.npy"), [N, D], Enumerable.Range(0, N * D).Select(i => (float)random.Normal((ulong)i)).ToArray());
        NpyWriter.WriteInt64(_folder.File("s.npy"), [N], Enumerable.Range(0, N).Select(i => (long)(i % 3)).ToArray());
        string[] line = ["select", "--features", _folder.File("f.npy"), "--sources", _folder.File("s.npy"), "--budget", "50%", "--top", "64", "--adam"];
        var there = Run(line);
        var here = NEngine.Run([.. line, "--json", "--device", "cpu"]).Expect(0).Json();
        foreach (string member in (string[])["indices", "weights", "gains", "objective", "certificate", "sources"])
        {
            Assert.Equal(here.GetProperty(member).GetRawText(), there.GetProperty(member).GetRawText());
        }
        Assert.Equal(OpenCl.Name, there.GetProperty("device").GetString());
    }

    [FactWithOpenCl]
    public void Features_Grad_TheBytesOfTheCpu()
    {
        string model = SaveModel("model", 3), data = _folder.File("data.jsonl");
        JsonlWriter.Write(data, MixtureSynthesizer.Generate(20, 5, SynthesisSplit.Train));
        string[] line = ["features", "--model", model, "--data", data, "--kind", "grad"];
        Run([.. line, "--output", _folder.File("there.npy")]);
        NEngine.Run([.. line, "--output", _folder.File("here.npy")]).Expect(0);
        Assert.Equal(File.ReadAllBytes(_folder.File("here.npy")), File.ReadAllBytes(_folder.File("there.npy")));
    }

    [FactWithOpenCl]
    public void Merge_Linear_TheBytesOfTheCpu()
    {
        string a = SaveModel("a", 3), b = SaveModel("b", 4);
        string[] line = ["merge", "--linear", $"{a}=0.25", $"{b}=0.75"];
        var report = Run([.. line, "--output", _folder.File("there")]);
        Assert.Equal(report.GetProperty("parameters").GetInt64(), report.GetProperty("parameters_on_device").GetInt64());
        NEngine.Run([.. line, "--output", _folder.File("here")]).Expect(0);
        Assert.Equal(File.ReadAllBytes(_folder.File("here/model.safetensors")), File.ReadAllBytes(_folder.File("there/model.safetensors")));
    }

    [FactWithOpenCl]
    public void Merge_MethodOfRanks_StaysOnTheCpuAndSaysSo()
    {
        string a = SaveModel("a", 3), b = SaveModel("b", 4), c = SaveModel("c", 5);
        string recipe = _folder.Write("ties.yaml", $$"""
            merge_method: ties
            base_model: {{a}}
            models:
              - model: {{b}}
                parameters: {weight: 1, density: 0.5}
              - model: {{c}}
                parameters: {weight: 1, density: 0.5}
            """);
        var run = NEngine.Run(["merge", recipe, _folder.File("out"), "--device", OpenCl.Name], null, _shown).Expect(0);
        Assert.Contains("parameters were merged on the CPU", run.StdErr, StringComparison.Ordinal);
    }

    [FactWithOpenCl]
    public void Ablate_TrainRankConfirm_TheBytesOfTheCpu()
    {
        using var kit = new AblationKit();
        kit.Write(rest: """
            candidates:
              dirichlet: {count: 3, step: 0.25}
            evaluation:
              resamples: 20
            search:
              finalists: 2
              keep: 2
              surrogate: 2
              descent: {steps: 1}
            confirm:
              best: 1
              spread: 2
            """);
        foreach (string verb in (string[])["train", "rank", "confirm"])
        {
            Run("ablate", verb, kit.StudyPath, "--output", kit.File("there"));
            NEngine.Run("ablate", verb, kit.StudyPath, "--output", kit.File("here"), "--json").Expect(0);
        }
        foreach (string file in (string[])["rank.json", "confirm.json"])
        {
            Assert.Equal(File.ReadAllText(kit.File($"here/{file}")), File.ReadAllText(kit.File($"there/{file}")));
        }
        string[] trained = [.. Directory.GetFiles(kit.File("here/cache"), "model.safetensors", SearchOption.AllDirectories)];
        Assert.True(trained.Length > 5, $"{trained.Length} models were trained");
        Assert.All(trained, file => Assert.Equal(File.ReadAllBytes(file), File.ReadAllBytes(file.Replace("/here/", "/there/", StringComparison.Ordinal))));
    }

    [FactWithOpenCl]
    public void Profile_OneKernel_RoofsOfTheDevice()
    {
        var run = Run("profile", "--kernel", "copy", "--quick");
        var roofs = run.GetProperty("roofs")[0];
        Assert.StartsWith(OpenCl.Name, roofs.GetProperty("device").GetString(), StringComparison.Ordinal);
        Assert.True(roofs.GetProperty("copy_bytes_per_second").GetDouble() > 0);
        Assert.True(roofs.GetProperty("min_add_terms_per_second").GetDouble() > 0);
        Assert.True(run.GetProperty("rows").GetArrayLength() > 0);
    }

    [FactWithOpenCl]
    public void Doctor_Json_TheDeviceAfterItsSelfTest()
    {
        var report = NEngine.Run(["doctor", "--json"], null, _shown).Expect(0).Json();
        var device = report.GetProperty("devices").EnumerateArray().First(d => d.GetProperty("name").GetString() == OpenCl.Name);
        Assert.True(device.GetProperty("available").GetBoolean(), device.GetRawText());
        Assert.True(device.GetProperty("self_test").GetProperty("passed").GetBoolean());
        Assert.Contains(report.GetProperty("libraries").EnumerateArray(), l => l.GetProperty("name").GetString() == "opencl" && l.GetProperty("path").GetString() is not null);
    }

    private static JsonElement Run(params string[] args) => NEngine.Run([.. args, "--json", "--device", OpenCl.Name], null, _shown).Expect(0).Json();

    private string SaveModel(string name, ulong seed)
    {
        var config = TinyTraining.Config();
        using var device = new CpuDevice(threads: 1);
        using var parameters = new ParameterSet(device, config.Layout(), MemoryUse.Parameters);
        ModelInitializer.Initialize(config, parameters, seed);
        ModelFolder.Save(_folder.File(name), config, parameters, ByteTokenizer.Create());
        return _folder.File(name);
    }
}
