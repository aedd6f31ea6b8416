using System.Globalization;
using NativeEngine.Formats;
using NativeEngine.Tests.Support;
using NativeEngine.Training;

namespace NativeEngine.Tests.Training;

/// <summary>Faults planted into copies of a run, one at a time, and what is found of each.</summary>
public sealed class RunComparisonTests : IDisposable
{
    private static readonly string[] _tensors = ["model.embed_tokens.weight", "model.layers.0.self_attn.q_proj.weight", "model.layers.1.mlp.up_proj.weight"];
    private static readonly string[] _files = ["parameters.safetensors", "optimizer.m.safetensors", "optimizer.v.safetensors", "selector.safetensors"];
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Of_EqualRuns_FindsNothing()
    {
        string a = Run("a"), b = Run("b");
        var found = RunComparison.Of(a, b);
        Assert.Null(found.First);
        Assert.Equal((8, 4), (found.Steps, found.Checkpoints.Count));
    }

    [Fact]
    public void Of_TwoHundredPlantedFaults_FindsStepCauseTensorAndElement()
    {
        string a = Run("a");
        var random = new Random(11);
        for (int i = 0; i < 200; i++)
        {
            long step = 1 + random.Next(8);
            string b;
            switch (random.Next(4))
            {
                case 0:
                    b = Run("b", (s, name) => name == "pool" && s >= step ? 1 : 0);
                    Expect(step, after: false, PartingCause.DataOrder, "pool", -1);
                    break;
                case 1:
                    b = Run("b", (s, name) => name == "batch" && s >= step ? 1 : 0);
                    Expect(step, after: false, PartingCause.Selection, "batch", -1);
                    break;
                case 2:
                    b = Run("b", (s, name) => name == "loss" && s >= step ? 1e-7 : 0);
                    Expect(step, after: false, PartingCause.Values, "loss", -1);
                    break;
                default:
                    // One bit of one element, in the checkpoint of an even step and in those after it; the losses differ from the next step on.
                    step = 2 * ((step + 1) / 2);
                    string file = _files[random.Next(4)], tensor = _tensors[random.Next(3)];
                    int element = random.Next(50), bit = random.Next(23);
                    b = Run("b", (s, name) => name == "loss" && s > step ? 1e-7 : 0);
                    for (long s = step; s <= 8; s += 2)
                    {
                        Flip(Path.Combine(b, $"checkpoint-{s:D6}", file), tensor, element, bit);
                    }
                    Expect(step, after: true, PartingCause.Values, $"{file} {tensor}", element);
                    break;
            }
            Directory.Delete(b, recursive: true);

            void Expect(long at, bool after, PartingCause cause, string where, long element)
            {
                var first = RunComparison.Of(a, _folder.File("b")).First!;
                Assert.Equal((at, after, cause, where, element), (first.Step, first.After, first.Cause, first.Where, first.Element));
            }
        }
    }

    [Theory]
    [InlineData("seed", "2", PartingCause.RandomNumbers, "the seeds are 1 and 2")]
    [InlineData("pool", "32", PartingCause.Options, "pools have 16 and 32 examples")]
    [InlineData("content of the data (sha256)", "other", PartingCause.Data, "different data")]
    public void Of_OtherDrawsWithAnOptionThatDiffers_NamesTheOption(string option, string value, PartingCause cause, string words)
    {
        string a = Run("a"), b = Run("b", (_, name) => name == "pool" ? 1 : 0, options: (option, value));
        var first = RunComparison.Of(a, b).First!;
        Assert.Equal((1, cause), (first.Step, first.Cause));
        Assert.Contains(words, first.Sentence, StringComparison.Ordinal);
    }

    [Fact]
    public void Of_OneRunShorter_SaysWhereItEnds()
    {
        string a = Run("a"), b = Run("b");
        string metrics = Path.Combine(b, "metrics.jsonl");
        File.WriteAllLines(metrics, File.ReadAllLines(metrics).Take(5));
        var first = RunComparison.Of(a, b).First!;
        Assert.Equal((6, "step"), (first.Step, first.Where));
        Assert.Contains("the second run ends before step 6", first.Sentence, StringComparison.Ordinal);
    }

    [Fact]
    public void Of_CheckpointThatItsChecksumsRefuse_IsDamage()
    {
        string a = Run("a"), b = _folder.File("b");
        Run("b");
        string checkpoint = Path.Combine(b, "checkpoint-000004"), moved = _folder.File("moved");
        AtomicFolder.Publish(moved, to =>
        {
            foreach (string file in Directory.GetFiles(checkpoint))
            {
                File.Copy(file, Path.Combine(to, Path.GetFileName(file)));
            }
        });
        byte[] bytes = File.ReadAllBytes(Path.Combine(moved, "parameters.safetensors"));
        bytes[^3] ^= 0x10;
        File.WriteAllBytes(Path.Combine(moved, "parameters.safetensors"), bytes);
        Directory.Delete(checkpoint, recursive: true);
        Directory.Move(moved, checkpoint);
        var first = RunComparison.Of(a, b).First!;
        Assert.Equal((4, true, PartingCause.Damage, 49), (first.Step, first.After, first.Cause, first.Element));
        Assert.Contains("checksum", first.Sentence, StringComparison.Ordinal);
    }

    /// <summary>A run of eight steps with a checkpoint after every second, as train lays it out.</summary>
    [Fact]
    public void Of_StepsOutOfOrder_AreRefusedByNumber()
    {
        string a = Run("a"), b = Run("b"), metrics = Path.Combine(b, MetricsHistory.FileName);
        string[] lines = File.ReadAllLines(metrics);
        File.WriteAllLines(metrics, [.. lines, lines[4]]);
        var error = Assert.Throws<EngineException>(() => RunComparison.Of(a, b));
        Assert.Equal(ErrorKind.BadInput, error.Kind);
        Assert.Contains("has step 5 after step 8", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Of_ShorterRun_EndsWhereItEnds()
    {
        string a = Run("a"), b = Run("b"), metrics = Path.Combine(b, MetricsHistory.FileName);
        File.WriteAllLines(metrics, File.ReadAllLines(metrics)[..6]);
        var found = RunComparison.Of(a, b);
        Assert.Equal((7, "step", 6), (found.First!.Step, found.First.Where, found.Steps));
        Assert.Contains("the second run ends before step 7", found.First.Sentence, StringComparison.Ordinal);
    }

    private string Run(string name, Func<long, string, double>? change = null, (string Name, string Value)? options = null)
    {
        string folder = _folder.File(name);
        Directory.CreateDirectory(folder);
        change ??= (_, _) => 0;
        var lines = Enumerable.Range(1, 8).Select(step => string.Create(
            CultureInfo.InvariantCulture,
            $"{{\"step\":{step},\"loss\":{(3.0 / step) + change(step, "loss"):R},\"lr\":0.001,\"grad_norm\":{1.0 / step:R},\"examples\":8,\"kept\":1,\"tokens\":99,\"pool\":\"{step + (1000 * change(step, "pool"))}\",\"batch\":\"{(77 * step) + (1000 * change(step, "batch"))}\",\"unix_seconds\":{Random.Shared.Next()},\"trained\":{{\"s\":[8,16]}}}}"));
        File.WriteAllText(Path.Combine(folder, "metrics.jsonl"), string.Join('\n', lines) + "\n");
        string seed = options is { Name: "seed" } s ? s.Value : "1", pool = options is { Name: "pool" } p ? p.Value : "16", data = options is { Name: not ("seed" or "pool") } d ? d.Value : "same";
        File.WriteAllText(
            Path.Combine(folder, "run.json"),
            $"{{\"command\":[\"nengine\"],\"version\":\"1\",\"commit\":null,\"runtime\":\"r\",\"system\":\"s\",\"device\":\"d\",\"options\":{{\"seed\":\"{seed}\",\"pool\":\"{pool}\",\"content of the data (sha256)\":\"{data}\"}},\"inputs\":{{}}}}");
        for (long step = 2; step <= 8; step += 2)
        {
            string checkpoint = Path.Combine(folder, $"checkpoint-{step:D6}");
            Directory.CreateDirectory(checkpoint);
            File.WriteAllText(Path.Combine(checkpoint, "state.json"), $"{{\"schema\":1,\"step\":{step},\"optimizer_steps\":{step},\"epoch\":0,\"offset\":{16 * step},\"options\":{{}}}}");
            foreach (string file in _files)
            {
                string first = Path.Combine(_folder.File("a"), $"checkpoint-{step:D6}", file);
                if (name == "a")
                {
                    SafetensorsWriter.WriteFloat32(first, null, [.. _tensors.Select(t => (t, (long[])[50], Values(step, file, t)))]);
                }
                else
                {
                    File.Copy(first, Path.Combine(checkpoint, file));
                }
            }
        }
        return folder;

        static ReadOnlyMemory<float> Values(long step, string file, string tensor) =>
            Enumerable.Range(0, 50).Select(i => (float)Math.Sin(i + step + file.Length + tensor.Length)).ToArray();
    }

    private static void Flip(string path, string tensor, int element, int bit)
    {
        long offset;
        using (var file = SafetensorsFile.Open(path))
        {
            offset = file[tensor].FileOffset + (4 * element) + (bit / 8);
        }
        byte[] bytes = File.ReadAllBytes(path);
        bytes[offset] ^= (byte)(1 << (bit % 8));
        File.WriteAllBytes(path, bytes);
    }
}
