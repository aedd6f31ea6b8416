using System.Diagnostics;
using System.Text.Json;
using NativeEngine.Data;
using NativeEngine.Tests.Support;

namespace NativeEngine.Tests.Docs;

/// <summary>Small stand-ins for the files that the documentation's commands name, and a shell in a folder of its own for each page.</summary>
public sealed class DocFolder : IDisposable
{
    private static readonly string[] _small = ["--pool", "8", "--batch", "4", "--seq-len", "32", "--steps", "2", "--checkpoint-every", "1", "--quiet"];

    private readonly TemporaryFolder _folder = new();
    private readonly Lazy<string> _origin;
    private readonly HashSet<string> _said = [];

    public DocFolder() => _origin = new Lazy<string>(Prepare);

    public void Dispose() => _folder.Dispose();

    /// <summary>A copy of all stand-ins, and the page's own: a study of another kind, a recipe with a mistake.</summary>
    public string For(string page)
    {
        string copy = _folder.File(page.Replace('/', '-'));
        Copy(_origin.Value, copy);
        string Read() => File.ReadAllText(RepositoryPaths.InRepository(page));
        switch (page)
        {
            case "docs/merge.md":
                string recipe = Read().Split("```yaml\n")[1].Split("```")[0];
                File.WriteAllText(Path.Combine(copy, "recipe.yaml"), recipe);
                File.WriteAllText(Path.Combine(copy, "typo.yaml"), recipe.Replace("density", "densty", StringComparison.Ordinal));
                break;
            case "docs/five-minutes.md":
                File.WriteAllLines(Path.Combine(copy, "mine.jsonl"), MixtureSynthesizer.Generate(120, 1, SynthesisSplit.Train)
                    .Select(e => JsonSerializer.Serialize(new Dictionary<string, string> { ["src"] = e.Source, ["text"] = e.Text })));
                Directory.Delete(Path.Combine(copy, "runs/mine"), recursive: true);
                break;
            case "docs/ablate.md":
                Directory.Delete(Path.Combine(copy, "runs/study"), recursive: true);
                File.WriteAllText(Path.Combine(copy, "typo.yaml"), File.ReadAllText(Path.Combine(copy, "study.yaml")).Replace("length:", "lenght:", StringComparison.Ordinal));
                break;
        }
        return copy;
    }

    /// <summary>
    /// Runs a line in a shell with nengine on the path. A stand-in that the line is about to make is taken away first; for a dry run it comes back.
    /// </summary>
    public NEngineResult Run(DocCommand command, string folder)
    {
        string line = command.Shell;
        string[] words = command.Words!;
        string? output = words is ["merge", ['r', ..], var last, ..] ? last
            : words is ["train" or "merge" or "quickstart", ..] && !words.Contains("--resume") ? words.SkipWhile(w => w != "--output").Skip(1).FirstOrDefault() : null;
        string? made = output is null ? null : Path.Combine(folder, output);
        string? aside = made is not null && Directory.Exists(made) ? made + ".aside" : null;
        if (aside is not null)
        {
            Directory.Move(made!, aside);
        }
        if (command.Trial == Trial.DryRun)
        {
            line = "nengine " + string.Join(' ', words.Select(w => $"'{w}'")) + " --dry-run";
        }
        var result = Shell(line, folder);
        if (aside is not null && !Directory.Exists(made))
        {
            Directory.Move(aside, made!);
        }
        return result;
    }

    /// <summary>Whether this line is heard for the first time on its page.</summary>
    public bool IsNew(DocCommand command) => _said.Add($"{command.Page} {command.Text}");

    private static NEngineResult Shell(string line, string folder)
    {
        var start = new ProcessStartInfo("bash", ["-c", "set -o pipefail; " + line])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            WorkingDirectory = folder,
        };
        start.Environment["PATH"] = Path.GetDirectoryName(RepositoryPaths.Executable) + Path.PathSeparator + start.Environment["PATH"];
        start.Environment["NENGINE_CUDA_LIBRARY"] = start.Environment["NENGINE_OPENCL_LIBRARY"] = NEngine.Nowhere;
        using var process = Process.Start(start)!;
        var (stdout, stderr) = (process.StandardOutput.ReadToEndAsync(), process.StandardError.ReadToEndAsync());
        process.StandardInput.Close();
        return NEngine.Finish(process, stdout, stderr);
    }

    private string Prepare()
    {
        string folder = _folder.File("origin");
        Directory.CreateDirectory(folder);
        void Examples(string name, int count, ulong seed, SynthesisSplit split = SynthesisSplit.Train) =>
            JsonlWriter.Write(Path.Combine(folder, name), MixtureSynthesizer.Generate(count, seed, split));
        void Write(string name, string text) => File.WriteAllText(Path.Combine(folder, name), text);
        void Line(string line) => Shell("nengine " + line, folder).Expect(0);
        Examples("mine.jsonl", 240, 1);
        Examples("mix.jsonl", 200, 2);
        Examples("train.jsonl", 150, 3);
        Examples("valid.jsonl", 20, 3, SynthesisSplit.Valid);
        Examples("mix.valid.jsonl", 20, 2, SynthesisSplit.Valid);
        Write("questions.jsonl", """{"source": "dates", "prompt": "date 1962-05-02 in words", "choices": ["24 June 1970", "2 May 1962"], "answer": 1}""" + "\n");
        Write("bad.jsonl", """{"source": "dates", "prompt": "date 1962-05-02 in words", "choices": ["24 June 1970", "2 May 1962"], "answer": 2}""" + "\n");
        Write("study.yaml", """
            data: {train: mix.jsonl, eval: mix.valid.jsonl}
            seed: {model: "preset:0.2m", data: 0.2, steps: 1}
            units: {tokens: 1000000, tolerance: 1, length: 16}
            training: {steps: 1, batch: 2, lr: 0.001}
            candidates: {k_of_n: [1, 2]}
            evaluation: {documents: 2}
            search: {descent: false, surrogate: false}
            confirm: {best: 1, spread: 2, max_units: 2}
            """);
        Line($"train --model preset:0.2m --data train.jsonl --output runs/first {string.Join(' ', _small)}");
        Line("features --model runs/first --data train.jsonl --seq-len 32 --output f.npy --sources-output s.txt --quiet");
        Line("select --features f.npy --sources s.txt --budget 50% --output selection.json --quiet");
        Line("select --features f.npy --sources s.txt --budget 40% --output other.json --quiet");
        Line("ablate train study.yaml --output runs/study --quiet");
        foreach (string name in (string[])["runs/mine", "runs/a", "runs/b", "units/algebra", "units/history", "tour/random", "tour/colm"])
        {
            Copy(Path.Combine(folder, "runs/first"), Path.Combine(folder, name));
        }
        File.Copy(Path.Combine(folder, "train.jsonl"), Path.Combine(folder, "tour/train.jsonl"));
        File.Copy(Path.Combine(folder, "valid.jsonl"), Path.Combine(folder, "tour/units.jsonl"));
        return folder;
    }

    private static void Copy(string from, string to)
    {
        foreach (string file in Directory.EnumerateFiles(from, "*", SearchOption.AllDirectories))
        {
            string target = Path.Combine(to, Path.GetRelativePath(from, file));
            Directory.CreateDirectory(Path.GetDirectoryName(target)!);
            File.Copy(file, target);
        }
    }
}
