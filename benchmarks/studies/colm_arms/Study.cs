using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

/// <summary>Runs what is missing and reports.</summary>
internal sealed class Study : IDisposable
{
    // Measured with preset:0.2m on 2 processor cores with 512-bit registers; for the time estimate alone.
    private const double TrainingFlopsPerCore = 58e9, FeatureFlopsPerCore = 42e9, StartSeconds = 1.0;

    private readonly Settings _settings;
    private readonly DirectoryInfo _temporary = Directory.CreateTempSubdirectory("nengine-study-");
    private readonly StudyData _data;
    private readonly Arm[] _arms;
    private readonly Dictionary<(string Arm, int Seed), JsonObject> _runs = [];
    private readonly string _program = StudyData.Hash(Path.Combine(Engine.Root, "src/NativeEngine.Cli/bin/Release/net10.0/NativeEngine.dll"));

    public Study(Settings settings)
    {
        _settings = settings;
        var all = Arm.All(settings);
        if (settings.Arms.FirstOrDefault(a => all.All(arm => arm.Id != a)) is { } unknown)
        {
            throw new StudyException(2, $"no arm is named {unknown}; there are {string.Join(", ", all.Select(a => a.Id))}");
        }
        var wanted = settings.Arms.Length == 0 ? [.. all.Select(a => a.Id)] : settings.Arms.Append(Arm.Random).Append(Arm.Full).ToHashSet();
        foreach (var arm in all.Reverse().Where(a => wanted.Contains(a.Id)).ToList())
        {
            wanted.UnionWith(arm.Needs);
        }
        _arms = [.. all.Where(a => wanted.Contains(a.Id))];
        _data = new StudyData(settings, _temporary.FullName);
    }

    public void Dispose() => _temporary.Delete(recursive: true);

    public int Run()
    {
        if (_settings.DryRun)
        {
            return Estimate();
        }
        Directory.CreateDirectory(Path.Combine(_settings.Output, "runs"));
        if (_settings.ChooseRate.Length > 0)
        {
            return ChooseRate();
        }
        int done = 0, total = _settings.Seeds * _arms.Length;
        for (int seed = 1; seed <= _settings.Seeds; seed++)
        {
            foreach (var arm in _arms)
            {
                var run = _runs[(arm.Id, seed)] = Finish(arm, seed, Steps(arm, seed), _settings.Rate, arm.Id);
                Console.Error.WriteLine($"{++done}/{total}  {arm.Id} seed {seed}: {run["steps"]} steps, macro loss {(double)run["macro_loss"]!:F4}, {(double)run["wall_seconds"]!:F1} s");
            }
        }
        var report = new Report(_settings, _arms, _runs, _data);
        Write(Path.Combine(_settings.Output, "results.json"), Text(report.Json(Machine())));
        Write(Path.Combine(_settings.Output, "results.md"), report.Markdown(Machine(), RateTable()));
        Console.WriteLine(Path.Combine(_settings.Output, "results.md"));
        return 0;
    }

    /// <summary>The finished run's document: from the output folder, or by running it now.</summary>
    private JsonObject Finish(Arm arm, int seed, int steps, double rate, string name)
    {
        string file = Path.Combine(_settings.Output, "runs", $"{name}.seed{seed}.json");
        string[] options = Options(arm, seed, steps, rate);
        string key = string.Join(' ', options) + " " + _data.Hashes.ToJsonString();
        if (File.Exists(file))
        {
            var old = (JsonObject)JsonNode.Parse(File.ReadAllText(file))!;
            return (string?)old["key"] == key ? old
                : throw new StudyException(2, $"{file} is of other settings:\n  there {old["key"]}\n  asked {key}\nuse another --output, or remove it");
        }
        string folder = Path.Combine(_temporary.FullName, "run");
        string[] command = ["train", "--data", _data.Train, "--eval-data", _data.Eval, .. options, "--json", "--quiet", "--output", folder];
        var (output, wall, peak) = Engine.Run(command);
        var run = Document(arm, seed, steps, JsonNode.Parse(output)!, folder);
        run["key"] = key;
        string[] shown = [Engine.Relative, "train", "--data", _settings.Train ?? "TRAIN", "--eval-data", "EVAL", .. options, "--json", "--quiet", "--output", "OUT"];
        run["command"] = string.Join(' ', shown);
        run["wall_seconds"] = wall;
        run["peak_rss_bytes"] = (double)peak;
        run["program_sha256"] = _program;
        Directory.Delete(folder, recursive: true);
        Write(file, Text(run));
        return run;
    }

    private JsonObject Document(Arm arm, int seed, int steps, JsonNode result, string folder)
    {
        double tokens = 0, seconds = 0, candidates = 0, pool = 0, kept = 0;
        foreach (var step in File.ReadLines(Path.Combine(folder, "metrics.jsonl")).Select(l => JsonNode.Parse(l)!).Where(l => l["loss"] is not null))
        {
            tokens += (double)step["tokens"]!;
            seconds += (double)step["seconds"]!;
            kept += (double)step["kept"]!;
            foreach (var (name, counts) in (JsonObject)step["trained"]!)
            {
                double each = _data.Sources[name].Tokens * (double)counts![1]!;
                pool += each;
                candidates += (double)counts[0]! > 0 && !(arm.Keep && _data.Sources[name].Small) ? each : 0;
            }
        }
        // Where tokens are not bytes the estimate is scaled to what the same pools really had, which the full arm counted.
        double pooled = arm.Id == Arm.Full ? tokens : arm.Features == "" ? pool : (double)_runs[(Arm.Full, seed)]["tokens"]!;
        double featureTokens = arm.Features == "" ? 0 : candidates * pooled / pool;
        var work = Work.Of(JsonNode.Parse(File.ReadAllText(Path.Combine(folder, "config.json")))!);
        var sources = new JsonObject();
        foreach (var source in (JsonArray)result["eval"]!["sources"]!)
        {
            sources[(string)source!["source"]!] = (double?)source["nll"];
        }
        var small = _data.Sources.Values.Where(s => s.Small && sources[s.Name] is not null).ToList();
        var manifest = JsonNode.Parse(File.ReadAllText(Path.Combine(folder, "run.json")))!;
        return new JsonObject
        {
            ["arm"] = arm.Id,
            ["seed"] = seed,
            ["steps"] = steps,
            ["overall_loss"] = (double)result["eval"]!["nll"]!,
            ["macro_loss"] = (double)result["eval"]!["macro_nll"]!,
            ["small_source_loss"] = small.Count == 0 ? null : small.Average(s => (double)sources[s.Name]!),
            ["sources"] = sources,
            ["peak_activation_bytes"] = (double)result["peak_activation_bytes"]!,
            ["tokens_per_second"] = (double)result["tokens_per_second"]!,
            ["selection_seconds"] = (double)result["selection_seconds"]!,
            ["training_seconds"] = seconds,
            ["tokens"] = tokens,
            ["feature_tokens"] = featureTokens,
            ["kept_examples_per_step"] = kept / steps,
            ["flops"] = (tokens * work.TrainingPerToken) + (featureTokens * work.FeaturePerToken(arm.Features)),
            ["device"] = (string?)manifest["device"],
            ["runtime"] = (string?)manifest["runtime"],
            ["system"] = (string?)manifest["system"],
            ["version"] = (string?)manifest["version"],
        };
    }

    private string[] Options(Arm arm, int seed, int steps, double rate)
    {
        string[] pool = arm.Options.Contains("--pool") ? [] : ["--pool", $"{_settings.Pool}"];
        string[] accumulate = arm.Accumulates ? ["--micro-batch-tokens", $"{Math.Ceiling((double)_runs[(Arm.Full, seed)]["tokens"]! / _settings.Steps / 2)}"] : [];
        return
        [
            "--model", _settings.Model, "--loss-on", "all", "--seq-len", $"{_settings.Length}", .. pool, "--batch", $"{_settings.Batch}",
            "--steps", $"{steps}", "--lr", $"{rate}", "--seed", $"{seed}", "--threads", $"{_settings.Threads}", .. arm.Options, .. accumulate,
        ];
    }

    private int Steps(Arm arm, int seed)
    {
        if (arm.Budget == Budget.EqualSteps)
        {
            return _settings.Steps;
        }
        string measure = arm.Budget == Budget.EqualTime ? "training_seconds" : "flops";
        double ratio = (double)_runs[(Arm.Gradient, seed)][measure]! / (double)_runs[(arm.Base, seed)][measure]!;
        return Math.Max(1, (int)Math.Round(_settings.Steps * ratio));
    }

    // The rate is random B's best: no arm is favoured but the one that the others must beat.
    private int ChooseRate()
    {
        var random = _arms.First(a => a.Id == Arm.Random);
        var table = new JsonArray();
        foreach (double rate in _settings.ChooseRate)
        {
            var run = Finish(random, 0, _settings.Steps, rate, $"rate-{rate}");
            table.Add((JsonNode)new JsonObject { ["lr"] = rate, ["macro_loss"] = (double)run["macro_loss"]!, ["overall_loss"] = (double)run["overall_loss"]! });
            Console.WriteLine($"--lr {rate}: random B, seed 0, {_settings.Steps} steps: macro loss {(double)run["macro_loss"]!:F4}");
        }
        Write(Path.Combine(_settings.Output, "learning-rate.json"), Text(table));
        return 0;
    }

    private JsonArray? RateTable() =>
        Path.Combine(_settings.Output, "learning-rate.json") is var file && File.Exists(file) ? (JsonArray)JsonNode.Parse(File.ReadAllText(file))! : null;

    private int Estimate()
    {
        string folder = Path.Combine(_temporary.FullName, "shape");
        Engine.Run(
        [
            "train", "--model", _settings.Model, "--data", _data.Train, "--seq-len", $"{_settings.Length}", "--pool", "1", "--batch", "1",
            "--selection", "full", "--steps", "1", "--quiet", "--output", folder,
        ]);
        var work = Work.Of(JsonNode.Parse(File.ReadAllText(Path.Combine(folder, "config.json")))!);
        double small = _data.Sources.Values.Where(s => s.Small).Sum(s => s.Examples * s.Tokens) / _data.Sources.Values.Sum(s => s.Examples * s.Tokens);
        double total = 0, threads = _settings.Threads, gradient = Seconds(Arm.All(_settings).First(a => a.Id == Arm.Gradient));
        double overhead = StartSeconds + (_data.EvalTokens * work.ForwardPerToken / TrainingFlopsPerCore / threads);
        Console.WriteLine($"{_settings.Seeds} seeds x {_arms.Length} arms, {_settings.Batch} of {_settings.Pool}, {_settings.Length} tokens, {_settings.Steps} steps");
        Console.WriteLine($"{_data.Sources.Count} sources, {_data.MeanTokens:F0} tokens an example; equal budgets are taken to cost what {Arm.Gradient} does");
        Console.WriteLine($"seconds a run on {threads} quiet cores (training, then {overhead:F1} to start and to evaluate):");
        foreach (var arm in _arms)
        {
            double seconds = arm.Budget == Budget.EqualSteps ? Seconds(arm) : gradient;
            total += seconds + overhead;
            Console.WriteLine($"  {seconds,7:F1}  {arm.Id}");
        }
        Console.WriteLine($"together about {_settings.Seeds * total / 60:F0} minutes");
        return 0;

        double Seconds(Arm arm)
        {
            double tokens = _data.MeanTokens * _settings.Pool * _settings.Steps * (arm.Id == Arm.Full4 ? 2 : 1);
            double trained = arm.Options.Contains("full") ? tokens : tokens * _settings.Batch / _settings.Pool;
            double features = tokens * (arm.Keep ? 1 - small : 1) * work.FeaturePerToken(arm.Features);
            return ((trained * work.TrainingPerToken / TrainingFlopsPerCore) + (features / FeatureFlopsPerCore)) / threads;
        }
    }

    private JsonObject Machine() => new()
    {
        ["processor"] = Processor(),
        ["processors"] = Environment.ProcessorCount,
        ["threads"] = _settings.Threads,
        ["architecture"] = $"{RuntimeInformation.ProcessArchitecture}",
        ["device"] = _runs.Values.Select(r => (string?)r["device"]).FirstOrDefault(),
        ["system"] = _runs.Values.Select(r => (string?)r["system"]).FirstOrDefault(),
        ["runtime"] = _runs.Values.Select(r => (string?)r["runtime"]).FirstOrDefault(),
        ["nengine"] = _runs.Values.Select(r => (string?)r["version"]).FirstOrDefault(),
        ["builds of the program"] = _runs.Values.Select(r => (string?)r["program_sha256"]).Distinct().Count(),
        ["command"] = _settings.CommandLine,
        ["inputs_sha256"] = _data.Hashes.DeepClone(),
    };

    private static string Processor()
    {
        const string Linux = "/proc/cpuinfo";
        string? line = File.Exists(Linux) ? File.ReadLines(Linux).FirstOrDefault(l => l.StartsWith("model name", StringComparison.Ordinal)) : null;
        return line?[(line.IndexOf(':', StringComparison.Ordinal) + 1)..].Trim() ?? Environment.GetEnvironmentVariable("PROCESSOR_IDENTIFIER") ?? "unknown";
    }

    private static string Text(JsonNode node)
    {
        using var stream = new MemoryStream();
        using (var json = new Utf8JsonWriter(stream, new JsonWriterOptions { Indented = true, Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping }))
        {
            node.WriteTo(json);
        }
        return Encoding.UTF8.GetString(stream.ToArray()) + "\n";
    }

    private static void Write(string file, string text)
    {
        File.WriteAllText(file + ".tmp", text);
        File.Move(file + ".tmp", file, overwrite: true);
    }
}
