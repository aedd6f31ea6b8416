using System.Text;
using System.Text.Json.Nodes;

/// <summary>The tables, and sentences that say what they say.</summary>
internal sealed class Report(Settings settings, Arm[] arms, Dictionary<(string Arm, int Seed), JsonObject> runs, StudyData data)
{
    private const string Macro = "macro_loss", Goal = "0.55 of full 2B's activation memory";

    /// <summary>Everything, to compute with.</summary>
    public JsonObject Json(JsonObject machine)
    {
        var list = new JsonArray();
        foreach (var run in runs.Values)
        {
            list.Add((JsonNode)run.DeepClone());
        }
        var summary = new JsonArray();
        foreach (var arm in arms)
        {
            var share = Share(arm.Id);
            summary.Add((JsonNode)new JsonObject
            {
                ["arm"] = arm.Id,
                ["overall_loss"] = Of(arm.Id, "overall_loss").Mean,
                ["macro_loss"] = Of(arm.Id, Macro).Mean,
                ["macro_loss_sd"] = Finite(Of(arm.Id, Macro).Deviation),
                ["small_source_loss"] = HasSmall ? Of(arm.Id, "small_source_loss").Mean : null,
                ["share_recovered"] = share?.Mean,
                ["share_low"] = Finite(share?.Low),
                ["share_high"] = Finite(share?.High),
                ["memory_to_full"] = Ratio(arm.Id, Arm.Full, "peak_activation_bytes"),
                ["time_to_random"] = Ratio(arm.Id, Arm.Random, "training_seconds"),
            });
        }
        return new JsonObject { ["schema"] = 1, ["quick"] = settings.Quick, ["machine"] = machine, ["arms"] = summary, ["runs"] = list };
    }

    public string Markdown(JsonObject machine, JsonArray? rates)
    {
        var text = new StringBuilder();
        text.Append(settings.Quick ? "# CoLM's arms: a quick trial of the machinery, not a study\n\n" : "# CoLM's arms on a data mixture\n\n");
        text.Append($"{settings.Batch} of {settings.Pool} examples a step, {settings.Length} tokens at most, {settings.Steps} steps, {settings.Model}, learning rate {settings.Rate} for every arm, seeds 1 to {settings.Seeds}. ")
            .Append($"{data.Sources.Count} sources, of which {data.Sources.Values.Count(s => s.Small)} are below the mean size. Losses are held-out, in nats a token, mean ± standard deviation over seeds; lower is better. ")
            .Append("Share: (random B − arm) / (random B − full 2B) on the macro average, paired by seed, with a 90 % t-interval. Memory: peak activation bytes. Time: seconds of the steps, selection included.\n\n");
        text.Append("| arm | steps | overall | macro average | small sources | share of the gap | memory / full 2B | time / random B |\n|---|---|---|---|---|---|---|---|\n");
        foreach (var arm in arms)
        {
            text.Append($"| {arm.Title} | {Steps(arm.Id)} | {Of(arm.Id, "overall_loss").Spread("F4")} | {Of(arm.Id, Macro).Spread("F4")} | ")
                .Append($"{(HasSmall ? Of(arm.Id, "small_source_loss").Spread("F4") : "none")} | ")
                .Append($"{Shown(arm.Id)} | {Ratio(arm.Id, Arm.Full, "peak_activation_bytes"):F2} | {Ratio(arm.Id, Arm.Random, "training_seconds"):F2} |\n");
        }
        text.Append("\nDifference from random B (negative is better), paired by seed, 90 % interval; and what the arm costs:\n\n");
        text.Append("| arm | overall | macro average | small sources | FLOPs / random B | selection's share of time | tokens/s | peak activations, MiB | peak RSS, MiB |\n|---|---|---|---|---|---|---|---|---|\n");
        foreach (var arm in arms)
        {
            text.Append($"| {arm.Title} | {Difference(arm.Id, Arm.Random, "overall_loss").Interval("F4")} | {Difference(arm.Id, Arm.Random, Macro).Interval("F4")} | ")
                .Append($"{(HasSmall ? Difference(arm.Id, Arm.Random, "small_source_loss").Interval("F4") : "none")} | {Ratio(arm.Id, Arm.Random, "flops"):F2} | ")
                .Append($"{100 * Of(arm.Id, "selection_seconds").Mean / Of(arm.Id, "training_seconds").Mean:F0} % | {Of(arm.Id, "tokens_per_second").Mean:F0} | ")
                .Append($"{Of(arm.Id, "peak_activation_bytes").Mean / (1 << 20):F1} | {Of(arm.Id, "peak_rss_bytes").Mean / (1 << 20):F0} |\n");
        }
        text.Append("\n## Reading\n\n");
        foreach (string sentence in Reading())
        {
            text.Append($"- {sentence}\n");
        }
        text.Append("\n## How it was made\n\n```\n").Append(settings.CommandLine).Append("\n```\n\n");
        foreach (var (name, value) in machine.Where(m => m.Key is not ("command" or "inputs_sha256")))
        {
            text.Append($"- {name}: {value}\n");
        }
        text.Append($"- inputs (SHA-256): {string.Join(", ", data.Hashes.Select(h => $"{h.Key} {h.Value}"))}\n");
        text.Append($"- learning rate: {settings.Rate}{(rates is null ? ", given" : $"; random B's macro-average loss, seed 0: {Rates(rates)}")}\n");
        text.Append("- each run's exact command is in results.json (EVAL: the held-out file cut to the trained length; TRAIN: the generated mixture; OUT: a temporary folder)\n");
        return text.ToString();
    }

    private static string Rates(JsonArray rates) => string.Join(", ", rates.Select(r => $"{(double)r!["macro_loss"]!:F4} at {(double)r["lr"]!}"));

    private bool HasSmall => runs.Values.All(r => r["small_source_loss"] is not null);

    private List<string> Reading()
    {
        var gap = Difference(Arm.Random, Arm.Full, Macro);
        string clear = Share(Arm.Full) is null ? "In at least one seed the gap is not positive, so shares of it are undefined."
            : gap.Low > 0 ? "Twice the batch is better, so there is a gap to recover."
            : gap.Values.Length == 1 ? "One seed cannot say whether the gap is real."
            : "The interval reaches zero: the gap is not clear, and shares of it say little.";
        List<string> said = [$"Random B's macro-average loss minus full 2B's: {gap.Interval("F4")}. {clear}"];
        var others = arms.Where(a => a.Budget == Budget.EqualSteps && a.Id is not (Arm.Random or Arm.Full or Arm.Full4) && !a.Accumulates).ToList();
        Add("Better than random B on the macro average at equal steps (the 90 % interval excludes zero)", a => Difference(a.Id, Arm.Random, Macro).High < 0);
        Add("Worse than random B", a => Difference(a.Id, Arm.Random, Macro).Low > 0);
        Add("Not to be told from random B with these seeds", a => Difference(a.Id, Arm.Random, Macro) is var d && !(d.High < 0) && !(d.Low > 0));
        var cheap = others.Where(a => Share(a.Id) is not null && Ratio(a.Id, Arm.Full, "peak_activation_bytes") <= 0.55).ToList();
        if (cheap.Count > 0 && gap.Low > 0)
        {
            var best = cheap.MaxBy(a => Share(a.Id)!.Mean)!;
            said.Add($"Largest share within {Goal}: {best.Title}, {Shown(best.Id)}; half of the gap is {(Share(best.Id)!.Mean >= 0.5 ? "reached on average" : "not reached")}.");
        }
        else if (others.Count > 0 && cheap.Count == 0 && Share(Arm.Full) is not null)
        {
            said.Add($"No selecting arm stayed within {Goal}.");
        }
        Compare(Arm.Composition, Arm.Quotas, Macro, "macro-average");
        Compare(Arm.Composition, Arm.Quotas, "small_source_loss", "small-source");
        Compare(Arm.Gradient, Arm.Composition, Macro, "macro-average");
        Compare(Arm.Gradient, Arm.Full4, Macro, "macro-average");
        Compare(Arm.Gradient, Arm.RandomTime, Macro, "macro-average");
        Compare(Arm.Gradient, Arm.FullCompute, Macro, "macro-average");
        Compare(Arm.Gradient, Arm.AccumulatedTime, Macro, "macro-average");
        said.Add($"{settings.Seeds} seed{(settings.Seeds == 1 ? "" : "s")}, one data set, one model size: the intervals cover the seeds alone. " +
            $"With {others.Count} arm{(others.Count == 1 ? "" : "s")} compared at 90 %, about {0.05 * others.Count:F1} would look better than random B by chance.");
        if (runs.Values.Select(r => (string?)r["program_sha256"]).Distinct().Count() is > 1 and var programs)
        {
            said.Add($"The runs were made by {programs} different builds of the program.");
        }
        return said;

        void Add(string what, Func<Arm, bool> which)
        {
            var names = others.Where(which).Select(a => $"{a.Title} ({Difference(a.Id, Arm.Random, Macro).Interval("F4")})").ToList();
            if (others.Count > 0)
            {
                said.Add($"{what}: {(names.Count == 0 ? "none" : string.Join("; ", names))}.");
            }
        }

        void Compare(string one, string other, string measure, string name)
        {
            if (arms.All(a => a.Id != one) || arms.All(a => a.Id != other) || (measure != Macro && !HasSmall))
            {
                return;
            }
            var d = Difference(one, other, measure);
            said.Add($"{Title(one)} against {Title(other)}, {name} loss: {d.Interval("F4")}, {(d.High < 0 ? "better" : d.Low > 0 ? "worse" : "not to be told apart")}.");
        }
    }

    private string Title(string arm) => arms.First(a => a.Id == arm).Title;

    private Sample Of(string arm, string measure) => new([.. Seeds().Select(s => (double)runs[(arm, s)][measure]!)]);

    private Sample Difference(string arm, string other, string measure) =>
        new([.. Seeds().Select(s => (double)runs[(arm, s)][measure]! - (double)runs[(other, s)][measure]!)]);

    private double Ratio(string arm, string other, string measure) => Of(arm, measure).Mean / Of(other, measure).Mean;

    /// <summary>Null unless the gap is positive in every seed.</summary>
    private Sample? Share(string arm)
    {
        var gap = Difference(Arm.Random, Arm.Full, Macro).Values;
        return gap.All(g => g > 0) ? new([.. Difference(Arm.Random, arm, Macro).Values.Zip(gap, (won, all) => won / all)]) : null;
    }

    private string Shown(string arm) =>
        Share(arm) is not { } share ? "undefined" : arm is Arm.Random or Arm.Full ? $"{100 * share.Mean:F0} %" : share.Interval("F0", 100, " %");

    private string Steps(string arm) => string.Join(", ", Seeds().Select(s => (int)runs[(arm, s)]["steps"]!).Distinct());

    private IEnumerable<int> Seeds() => Enumerable.Range(1, settings.Seeds);

    private static double? Finite(double? value) => value is { } x && double.IsFinite(x) ? x : null;
}
