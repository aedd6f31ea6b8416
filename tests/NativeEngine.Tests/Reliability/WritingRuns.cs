using System.Diagnostics;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using NativeEngine.Formats;
using NativeEngine.Tests.Ablation;
using NativeEngine.Tests.Support;

namespace NativeEngine.Tests.Reliability;

/// <summary>
/// Small command lines of every verb that writes, each into one folder, with what lay there before, and what undisturbed runs make of it. A few thousand weights,
/// so that a process is mostly its start.
/// </summary>
public sealed class WritingRuns : IDisposable
{
    private readonly AblationKit _kit = new();
    private readonly Lazy<string> _study;
    private readonly Dictionary<string, Dictionary<string, string>> _calm = [];
    private readonly Dictionary<string, (int, int)> _counts = [];
    private readonly Dictionary<string, TimeSpan> _lasts = [];
    private readonly Lazy<FaultShim> _shim = new();
    private readonly Lazy<string> _run;
    private int _next;

    public WritingRuns()
    {
        var random = new Random(3);
        float[] rows = [.. Enumerable.Range(0, 90 * 12).Select(_ => (float)random.NextDouble())];
        NpyWriter.WriteFloat32(_kit.File("features.npy"), [90, 12], rows);
        File.WriteAllLines(_kit.File("sources.txt"), Enumerable.Range(0, 90).Select(i => i % 7 == 0 ? "rare" : i % 2 == 0 ? "even" : "odd"));
        _study = new Lazy<string>(() =>
        {
            NEngine.Run("ablate", "train", _kit.StudyPath, "--output", _kit.File("study"), "--threads", "1").Expect(0);
            return _kit.File("study");
        });
        _run = new Lazy<string>(() =>
        {
            NEngine.Run(Train(_kit.File("run"))).Expect(0);
            return _kit.File("run");
        });
    }

    /// <summary>The names of all runs.</summary>
    public static IReadOnlyList<string> Names { get; } =
        ["train", "merge", "select", "export", "cluster", "tokenize", "report", "ablate train", "ablate rank", "features", "synth", "split"];

    /// <summary>An empty folder for one run after another; its path is part of what some of them write.</summary>
    public string NewFolder() => Path.Combine(_kit.File("runs"), $"{Interlocked.Increment(ref _next)}");

    /// <summary>The command line of a run into a folder.</summary>
    public string[] Args(string name, string folder)
    {
        string To(string file) => Path.Combine(folder, file);
        string seed = _kit.File("seed"), data = _kit.File("train.jsonl");
        return
        [
            .. name switch
            {
                "train" => Train(To("run")),
                "merge" => ["merge", "--linear", $"{seed}=0.25", $"{_run.Value}=0.75", "--output", To("merged"), "--shard-size", "6000", "--report", To("page.html")],
                "select" =>
                [
                    "select", "--features", _kit.File("features.npy"), "--sources", _kit.File("sources.txt"), "--budget", "20", "--adam", "--save-state", To("state.safetensors"),
                    "--output", To("chosen.json"), "--report", To("page.html"),
                ],
                "export" => ["export", "--model", seed, "--output", To("model.onnx"), "--external-data"],
                "cluster" => ["cluster", "--model", seed, "--data", data, "--clusters", "3", "--output", To("sources.txt"), "--labelled", To("labelled.jsonl"), "--report", To("page.html")],
                "tokenize" => ["data", "tokenize", data, "--train-bpe", "300", "--save-tokenizer", To("tokenizer"), "--output", To("tokens.safetensors")],
                "report" => ["report", _run.Value, "--output", To("page.html")],
                "ablate train" => ["ablate", "train", _kit.StudyPath, "--output", To("study"), "--checkpoint-seconds", "0"],
                "ablate rank" => ["ablate", "rank", _kit.StudyPath, "--output", To("study"), "--cache", Path.Combine(_study.Value, "cache")],
                "features" => ["features", "--model", seed, "--data", data, "--kind", "hidden", "--output", To("rows.npy")],
                "synth" => ["data", "synth", "--count", "40", "--output", To("train.jsonl"), "--valid", To("valid.jsonl.gz")],
                "split" => ["data", "split", data, "--output", To("train.jsonl"), "--valid", To("valid.jsonl")],
                _ => throw new ArgumentOutOfRangeException(nameof(name), name, null),
            },
            "--threads", "1", "--quiet",
        ];
    }

    /// <summary>
    /// The folder as it is before a run: files of the same names with other content, that the run is to replace whole or not at all; for folders that a verb
    /// continues, what the first half of a run left.
    /// </summary>
    public void Prepare(string name, string folder)
    {
        if (Directory.Exists(folder))
        {
            Directory.Delete(folder, recursive: true);
        }
        Directory.CreateDirectory(folder);
        foreach (string file in name switch
        {
            "select" => ["state.safetensors", "chosen.json", "page.html"],
            "export" => ["model.onnx", "model.onnx.safetensors"],
            "cluster" => ["sources.txt", "labelled.jsonl"],
            "tokenize" => ["tokens.safetensors"],
            "report" => ["page.html"],
            "features" => ["rows.npy"],
            "synth" => ["train.jsonl", "valid.jsonl.gz"],
            "split" => ["train.jsonl", "valid.jsonl"],
            _ => (string[])[],
        })
        {
            File.WriteAllText(Path.Combine(folder, file), Old);
        }
    }

    /// <summary>
    /// A folder is never written over: where merge had published its result (whole, or <see cref="AssertNothingHalfMade"/> had said so) before it failed to make the
    /// page, a person deletes it to have both.
    /// </summary>
    public void MakeRoom(string name, string folder)
    {
        string merged = Path.Combine(folder, "merged");
        if (name == "merge" && Directory.Exists(merged) && Directory.EnumerateFileSystemEntries(merged).Any())
        {
            Directory.Delete(merged, recursive: true);
        }
    }

    /// <summary>The content of files that were there before.</summary>
    public const string Old = "what was there before";

    /// <summary>The shim for faults.</summary>
    internal FaultShim Shim => _shim.Value;

    /// <summary>How many changes, and besides how many deletions, an undisturbed run makes.</summary>
    public (int Changes, int Deletions) Counts(string name)
    {
        Calm(name);
        return _counts[name];
    }

    /// <summary>How long an undisturbed run takes.</summary>
    public TimeSpan Lasts(string name)
    {
        Calm(name);
        return _lasts[name];
    }

    /// <summary>What the folder holds after an undisturbed run.</summary>
    public Dictionary<string, string> Calm(string name)
    {
        lock (_calm)
        {
            if (!_calm.TryGetValue(name, out var calm))
            {
                string folder = NewFolder();
                Prepare(name, folder);
                string[] args = Args(name, folder);
                var clock = Stopwatch.StartNew();
                NEngine.Run(args, null, Shim.Environs(folder, at: 0)).Expect(0);
                (_counts[name], _lasts[name]) = (FaultShim.Counts(folder), clock.Elapsed);
                _calm[name] = calm = Contents(folder);
                Assert.NotEmpty(calm);
                Assert.DoesNotContain(calm.Keys, k => k.Contains(".tmp-", StringComparison.Ordinal) || k.Contains("probe", StringComparison.Ordinal));
            }
            return calm;
        }
    }

    /// <summary>
    /// Fails unless the folder is as an undisturbed run leaves it: the same files, with the same bytes but for times, paths and memory.
    /// </summary>
    public void AssertCalm(string name, string folder, string context)
    {
        var (expected, found) = (Calm(name), Contents(folder));
        Assert.True(
            expected.Keys.Order().SequenceEqual(found.Keys.Order()),
            $"{name}, {context}: not the same files: missing {string.Join(", ", expected.Keys.Except(found.Keys))}; too many {string.Join(", ", found.Keys.Except(expected.Keys))}");
        foreach (var (file, content) in expected)
        {
            Assert.True(content == found[file], $"{name}, {context}: {file} differs:\n{Short(content)}\n---\n{Short(found[file])}");
        }
    }

    /// <summary>
    /// Fails unless every file in the folder is what was there before or what an undisturbed run writes, whole: nothing half-made that somebody would read. Work in
    /// progress of verbs that continue is looked at by the verb itself.
    /// </summary>
    public void AssertNothingHalfMade(string name, string folder, string context, bool temporaries)
    {
        var (expected, found) = (Calm(name), Contents(folder));
        foreach (var (file, content) in found)
        {
            bool temporary = file.Split('/').Any(part => part.StartsWith(".tmp-", StringComparison.Ordinal) || part == ".nengine-lock");
            if (temporary || InProgress(file))
            {
                Assert.True(temporaries || !temporary, $"{name}, {context}: {file} is left over");
                continue;
            }
            Assert.True(content == Old || (expected.TryGetValue(file, out string? whole) && whole == content), $"{name}, {context}: {file} is neither old nor new:\n{Short(content)}\n---\n{Short(expected.GetValueOrDefault(file, "not there"))}");
        }
        foreach (string checkpoint in Directory.EnumerateDirectories(folder, "checkpoint-*", SearchOption.AllDirectories).Where(c => !c.Contains("/.tmp-", StringComparison.Ordinal) && !c.Contains("/cache/work/", StringComparison.Ordinal)))
        {
            string? damage = AtomicFolder.Verify(checkpoint);
            Assert.True(damage is null, $"{name}, {context}: {damage}");
        }
        Assert.DoesNotContain(Directory.EnumerateFiles(folder, "*.prom"), p => !File.ReadAllText(p).EndsWith('\n'));
    }

    public void Dispose()
    {
        _kit.Dispose();
        if (_shim.IsValueCreated)
        {
            _shim.Value.Dispose();
        }
    }

    private string[] Train(string output) =>
    [
        "train", "--model", _kit.File("seed"), "--data", _kit.File("train.jsonl"), "--eval-data", _kit.File("valid.jsonl"), "--seq-len", "16", "--pool", "12", "--batch", "6",
        "--steps", "4", "--checkpoint-every", "1", "--eval-every", "2", "--prometheus", Path.Combine(Path.GetDirectoryName(output)!, "run.prom"), "--resume", "--output", output,
    ];

    // Appended to while the run goes on, or taken over by whoever goes on.
    private static bool InProgress(string file) =>
        Path.GetFileName(file) is "metrics.jsonl" or "run.json" or "events.out.tfevents.0.nengine" || file.EndsWith(".prom", StringComparison.Ordinal)
        || file.Contains("/checkpoint-", StringComparison.Ordinal) || file.Contains("/cache/claims/", StringComparison.Ordinal) || file.Contains("/cache/work/", StringComparison.Ordinal)
        || file.EndsWith(".losses", StringComparison.Ordinal);

    /// <summary>Every file by its relative path, with its content as text without what differs from run to run.</summary>
    private static Dictionary<string, string> Contents(string folder) =>
        Directory.EnumerateFiles(folder, "*", SearchOption.AllDirectories)
            .Select(file => (Name: Path.GetRelativePath(folder, file), File: file))
            .DistinctBy(f => Plain(f.Name))
            .ToDictionary(f => Plain(f.Name), f => Content(f.Name, f.File, folder), StringComparer.Ordinal);

    // Losses lie in files named after the process.
    private static string Plain(string name) => name.EndsWith(".losses", StringComparison.Ordinal) ? Path.Combine(Path.GetDirectoryName(name)!, "process.losses") : name;

    private static string Content(string name, string path, string folder)
    {
        byte[] bytes = File.ReadAllBytes(path);
        string extension = Path.GetExtension(name);
        if (Encoding.UTF8.GetString(bytes) == Old)
        {
            return Old;
        }
        if (extension is ".prom" or ".losses" || name.Contains("tfevents", StringComparison.Ordinal) || Path.GetFileName(name) is "run.json" or "cost.json" or "checksums.json" or "seconds.txt")
        {
            return "there";
        }
        if (extension is ".html" or ".svg")
        {
            // Times are drawn; that the end is there tells that all of it is.
            string text = Encoding.UTF8.GetString(bytes).TrimEnd();
            return text.EndsWith(extension == ".html" ? "</html>" : "</svg>", StringComparison.Ordinal) ? "whole" : "cut short: " + text[Math.Max(0, text.Length - 60)..];
        }
        if (name.Contains("_files/", StringComparison.Ordinal))
        {
            return bytes.Length > 0 && bytes[^1] == '\n' ? "whole" : $"cut short, {bytes.Length} bytes";
        }
        if (extension is ".json")
        {
            return Whole(Encoding.UTF8.GetString(bytes)) ? Stable(JsonNode.Parse(bytes), folder)! : $"cut short, {bytes.Length} bytes";
        }
        if (extension is ".jsonl")
        {
            return string.Join('\n', Encoding.UTF8.GetString(bytes).Split('\n').Select(line => line.Length == 0 ? "" : Whole(line) ? Stable(JsonNode.Parse(line), folder) : line));
        }
        return Convert.ToBase64String(System.Security.Cryptography.SHA256.HashData(bytes)) + " " + bytes.Length;
    }

    private static bool Whole(string line)
    {
        try
        {
            using var document = JsonDocument.Parse(line);
            return true;
        }
        catch (JsonException)
        {
            return false;
        }
    }

    private static string Stable(JsonNode? node, string folder)
    {
        Strip(node);
        return node!.ToJsonString().Replace(folder, "FOLDER", StringComparison.Ordinal);

        static void Strip(JsonNode? node)
        {
            if (node is JsonObject o)
            {
                foreach (var (name, value) in o.ToList())
                {
                    if (name.EndsWith("seconds", StringComparison.Ordinal) || name.EndsWith("_ms", StringComparison.Ordinal) || name is "activation_bytes" or "peak_bytes" or "written" or "created")
                    {
                        o.Remove(name);
                    }
                    else
                    {
                        Strip(value);
                    }
                }
            }
            else if (node is JsonArray a)
            {
                foreach (var item in a)
                {
                    Strip(item);
                }
            }
        }
    }

    private static string Short(string text) => text.Length > 600 ? text[..600] + "…" : text;
}
