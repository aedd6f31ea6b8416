using System.Text.Json;
using NativeEngine.Formats;

namespace NativeEngine.GpuCheck;

/// <summary>A selection, a training run, an evaluation and a merge through the executable: on the CPU once, on the device twice.</summary>
internal static class PathSection
{
    private const string Section = "path";

    public static void Run(CheckReport report, string device, CheckOptions options)
    {
        var folder = Directory.CreateTempSubdirectory("gpu-check-");
        try
        {
            new Paths(report, device, folder.FullName, options.Quick).Run();
        }
        catch (Exception error) when (error is IOException or JsonException or KeyNotFoundException)
        {
            report.Add(Section, "the files of the runs", false, error.Message);
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    private sealed class Paths(CheckReport report, string device, string folder, bool quick)
    {
        public void Run()
        {
            Select();
            CheckData.Few(folder);
            string? here = Train("cpu", "here"), there = Train(device, "there"), again = Train(device, "again");
            Same("training: weights of the device and of the CPU", here, there, "model.safetensors");
            Same("training: two runs on the device", there, again, "model.safetensors");
            Same("training: losses of every step", Metrics(here), Metrics(there), null);
            if (here is not null && there is not null)
            {
                string other = Train("cpu", "other", seed: 2)!;
                string[] line = ["merge", "--linear", $"{here}=0.25", $"{other}=0.75"];
                Same("merge: device and CPU", Output("cpu", "merged-here", line), Output(device, "merged-there", line), "model.safetensors");
                Generate(here);
            }
        }

        private void Select()
        {
            int n = quick ? 128 : 4096, d = quick ? 256 : 2560;
            var random = new CounterRandom(1, RandomPurpose.Test, 1);
            var values = new float[n * d];
            for (int i = 0; i < values.Length; i++)
            {
                values[i] = (float)random.Normal((ulong)i);
            }
            NpyWriter.WriteFloat32(File("f.npy"), [n, d], values);
            string[] line = ["select", "--features", File("f.npy"), "--budget", "50%", "--algorithm", "exact"];
            var here = Json("cpu", line);
            var there = Json(device, line);
            var again = Json(device, line);
            foreach (string member in (string[])["indices", "weights", "gains", "certificate"])
            {
                string? a = here?.GetProperty(member).GetRawText(), b = there?.GetProperty(member).GetRawText(), c = again?.GetProperty(member).GetRawText();
                report.Add(Section, $"selection of {n / 2} of {n}: {member}", a is not null && a == b && b == c, a == b && b == c ? "as on the CPU, twice" : "differs");
            }
        }

        private string[] Data => quick ? [File("few.jsonl"), "--eval-data", File("few.jsonl"), "--seq-len", "48"] : ["builtin"];

        private string? Train(string where, string name, int seed = 1) => Output(
            where, name, ["train", "--model", quick ? "preset:0.2m" : "preset:1m", "--data", .. Data, "--steps", quick ? "2" : "20", "--pool", quick ? "8" : "128", "--batch", quick ? "4" : "64", "--seed", $"{seed}"]);

        private void Generate(string model)
        {
            string[] line = ["generate", "--model", model, "--prompt", "What is", "--max-tokens", quick ? "4" : "16"];
            string? here = Json("cpu", line)?.GetProperty("text").GetString(), there = Json(device, line)?.GetProperty("text").GetString();
            report.Add(Section, "generation: text of the device and of the CPU", here is not null && here == there, here == there ? "the same" : $"'{there}' against '{here}'");
        }

        private string File(string name) => Path.Combine(folder, name);

        private JsonElement? Json(string where, string[] line)
        {
            var (code, output, error) = Programs.Run(Programs.NEngine, [.. line, "--json", "--quiet", "--device", where]);
            if (code != 0)
            {
                report.Add(Section, $"{line[0]} on {where}", false, $"exit code {code}: {error.Trim()}");
                return null;
            }
            using var document = JsonDocument.Parse(output);
            return document.RootElement.Clone();
        }

        private string? Output(string where, string name, string[] line) => Json(where, [.. line, "--output", File(name)]) is null ? null : File(name);

        // Times differ from run to run; what was computed may not.
        private string? Metrics(string? run)
        {
            if (run is null)
            {
                return null;
            }
            string kept = File(Path.GetFileName(run) + ".losses");
            System.IO.File.WriteAllLines(kept, System.IO.File.ReadLines(Path.Combine(run, "metrics.jsonl")).Select(Losses));
            return kept;
        }

        private static string Losses(string line)
        {
            using var document = JsonDocument.Parse(line);
            return string.Join(' ', document.RootElement.EnumerateObject().Where(m => m.Name is "step" or "loss" or "train_loss" or "grad_norm" or "objective").Select(m => m.ToString()));
        }

        private void Same(string what, string? a, string? b, string? file)
        {
            bool same = a is not null && b is not null
                && System.IO.File.ReadAllBytes(file is null ? a : Path.Combine(a, file)).AsSpan().SequenceEqual(System.IO.File.ReadAllBytes(file is null ? b : Path.Combine(b, file)));
            report.Add(Section, what, same, same ? "the same bytes" : "not the same bytes");
        }
    }
}
