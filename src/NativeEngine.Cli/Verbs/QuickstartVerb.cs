using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using NativeEngine.Data;
using NativeEngine.Formats;
using NativeEngine.Reporting;
using NativeEngine.Training;

namespace NativeEngine.Cli.Verbs;

/// <summary>The tour: a built-in mixture, random against CoLM batches, a small data ablation with its confirmation, a merge, a report.</summary>
internal sealed class QuickstartVerb : Verb
{
    private const int Steps = 11;
    private const int Examples = 3000;
    private const int UnitExamples = 220;

    private static readonly string[] _ablated = ["arithmetic", "code", "dates", "records", "sorting", "stories"];

    private readonly Option<int> _steps = Opt.Number("--steps", "N", "Steps of each of the two trainings.", 120, min: 4);

    public QuickstartVerb()
        : base("quickstart", "The tour: trains, ablates, merges and evaluates on built-in data, and writes a report.", "nengine quickstart --output tour") =>
        Add("options", _steps);

    public override int Run(VerbContext context)
    {
        string given = context.NeedOutput(), marker = Path.Combine(given, "quickstart.json");
        bool resume = File.Exists(marker);
        string said = $"{{\"schema\":1,\"seed\":{context.Seed},\"steps\":{context.Need(_steps)}}}\n";
        if (resume && File.ReadAllText(marker) != said)
        {
            throw new EngineException(ErrorKind.Usage, $"{given} holds a tour with another --seed or --steps", "give the same, or choose another --output");
        }
        OutputFolder.Check(given, resume);
        if (context.DryRun)
        {
            context.Result.Write(
                text => text.WriteLine($"would write {Examples} examples, train two models for {context.Need(_steps)} steps, ablate six units, merge and evaluate, all in {given}; about a minute on two cores, less than 1 GiB of memory"),
                json =>
                {
                    json.WriteNumber("schema", 1);
                    json.WriteBoolean("dry_run", true);
                    json.WriteNumber("steps", Steps);
                });
            return 0;
        }
        using var output = OutputFolder.Open(given, resume);
        AtomicFile.WriteAllText(Path.Combine(output.Path, "quickstart.json"), said);
        output.Keep();
        context.ResumeHint = "run the same command again: it goes on where it was";
        string page = Go(context, given, output.Path);
        Finish(context, given, page);
        return 0;
    }

    private string Go(VerbContext context, string folder, string full)
    {
        string In(string name) => Path.Combine(folder, name);
        var tour = new Tour(context, Path.Combine(full, "steps"), Steps);
        string seed = $"{context.Seed}", steps = $"{context.Need(_steps)}", every = $"{Math.Max(1, context.Need(_steps) / 4)}";
        tour.Step("data", "a mixture of eight sources of different size", "data", "synth", "--count", $"{Examples}", "--output", In("train.jsonl"), "--valid", In("valid.jsonl"), "--valid-count", "400", "--seed", seed);
        foreach (string arm in (string[])["random", "colm"])
        {
            tour.Step(
                arm, arm == "random" ? "a model on random mini-batches: 64 of the 128 examples drawn at each step" : "the same model on CoLM mini-batches: small sources whole, medoids of the others",
                "train", "--model", "preset:0.2m", "--data", In("train.jsonl"), "--eval-data", In("valid.jsonl"), "--selection", arm, "--pool", "128", "--batch", "64", "--steps", steps,
                "--eval-every", every, "--checkpoint-every", every, "--output", In(arm), "--resume", "--seed", seed);
        }
        Study(context, full);
        string study = In("study.yaml"), ablation = In("ablation");
        tour.Step("plan", "a data ablation: six units of data, one small model each", "ablate", "plan", study, "--output", ablation);
        tour.Step("units", "six trainings, each once", "ablate", "train", study, "--output", ablation);
        var ranked = tour.Step("rank", "all 63 mixtures of them, scored by averaging parameters", "ablate", "rank", study, "--output", ablation);
        tour.Step("confirm", "a few mixtures truly trained: was the ranking right?", "ablate", "confirm", study, "--output", ablation);
        tour.Step("ablation", "its tables and its page", "ablate", "report", study, "--output", ablation);
        if (!tour.Has("merge") && Directory.Exists(Path.Combine(full, "merged")))
        {
            // A tour stopped between the merge and its record: a merge takes no folder that is there.
            Directory.Delete(Path.Combine(full, "merged"), recursive: true);
        }
        string[] winner = [.. Winner(Path.Combine(full, "ablation"), ablation, ranked)];
        tour.Step("merge", "the models of the best mixture, averaged into one", ["merge", "--linear", .. winner, "--output", In("merged"), "--report", In("merged.html")]);
        var merged = tour.Step("eval", "its perplexity on every source", "eval", "--model", In("merged"), "--data", In("valid.jsonl"), "--report", In("eval.html"));
        var before = tour.Step("eval-colm", "and that of the model it began with", "eval", "--model", In("colm"), "--data", In("valid.jsonl"));
        var parts = new QuickstartParts(
            MetricsHistory.Load(Path.Combine(full, "random", MetricsHistory.FileName)), MetricsHistory.Load(Path.Combine(full, "colm", MetricsHistory.FileName)),
            AblationPage.Of(Path.Combine(full, "ablation"), "six units", []), ranked.GetProperty("best")[0].GetProperty("mixture").GetString()!, Losses(before), Losses(merged));
        return ReportFiles.Write(QuickstartPage.Of(parts, ReportOutput.Origin(context, $"{context.Threads.Count} threads")), full);
    }

    /// <summary>Six sources in equal parts, and the study of them.</summary>
    private void Study(VerbContext context, string folder)
    {
        string data = Path.Combine(folder, "units.jsonl"), study = Path.Combine(folder, "study.yaml");
        if (File.Exists(study))
        {
            return;
        }
        var taken = _ablated.ToDictionary(source => source, _ => 0);
        // Another seed than the trainings': units are new data.
        var examples = MixtureSynthesizer.Generate(20 * UnitExamples, context.Seed + 1000, SynthesisSplit.Train, context.Cancellation)
            .Where(e => taken.ContainsKey(e.Source) && taken[e.Source]++ < UnitExamples).ToList();
        JsonlWriter.Write(data, examples, context.Cancellation);
        AtomicFile.WriteAllText(study, """
            # A data ablation: which of six sources should the model colm/ be trained on next?
            data:
              train: units.jsonl
              eval: valid.jsonl
            seed:
              model: colm
              data: 0.1
            units:
              tokens: 1000000      # larger than a source: each source is one unit
              tolerance: 1
              length: 128
            training:
              steps: STEPS
              batch: 8
              lr: 0.001
            evaluation:
              documents: 30        # of each source
            candidates:
              all_subsets: true
            search:
              descent: false
              surrogate: false
            confirm:
              best: 2
              spread: 4
              max_units: 3

            """.Replace("STEPS", Math.Max(2, context.Need(_steps) * 2 / 15).ToString(CultureInfo.InvariantCulture), StringComparison.Ordinal));
    }

    /// <summary>The models of the best mixture with their weights, as merge takes them.</summary>
    private static IEnumerable<string> Winner(string full, string shown, JsonElement ranked)
    {
        using var rank = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(full, "rank.json")));
        var keys = rank.RootElement.GetProperty("units").EnumerateArray().ToDictionary(u => u.GetProperty("unit").GetString()!, u => u.GetProperty("key").GetString()!);
        return ranked.GetProperty("best")[0].GetProperty("weights").EnumerateObject()
            .Select(w => $"{Path.Combine(shown, "cache", "entries", keys[w.Name])}={w.Value.GetDouble().ToString("R", CultureInfo.InvariantCulture)}").ToList();
    }

    private static Dictionary<string, double> Losses(JsonElement eval) => eval.GetProperty("sources").EnumerateArray()
        .Where(s => s.GetProperty("nll").ValueKind == JsonValueKind.Number).ToDictionary(s => s.GetProperty("source").GetString()!, s => s.GetProperty("nll").GetDouble());

    private static void Finish(VerbContext context, string folder, string page)
    {
        string[] next =
        [
            "nengine data split mine.jsonl --output train.jsonl --valid valid.jsonl",
            "nengine train --model preset:1m --data train.jsonl --eval-data valid.jsonl --steps 1000 --output runs/mine",
            "nengine eval --model runs/mine --data valid.jsonl --report mine.html",
        ];
        context.Result.Write(
            text =>
            {
                text.WriteLine($"the report is {ReportOutput.Shown(page)}; open it in a browser");
                text.WriteLine();
                text.WriteLine("next, with your own data (JSONL: {\"source\":…,\"prompt\":…,\"completion\":…} or {\"source\":…,\"text\":…} a line):");
                Array.ForEach(next, line => text.WriteLine("  " + line));
            },
            json =>
            {
                json.WriteNumber("schema", 1);
                json.WriteString("output", folder);
                json.WriteString("report", page);
                json.Strings("next", next);
            });
    }
}
