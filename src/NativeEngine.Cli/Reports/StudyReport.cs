using System.Globalization;
using System.Text.Json;
using NativeEngine.Ablation;
using NativeEngine.Formats;

namespace NativeEngine.Cli;

/// <summary>The plan of a study as a table, and as the members of a JSON document.</summary>
internal static class StudyReport
{
    public static void WriteText(TextWriter text, OpenStudy study, StudyCost cost, StudyProbe probe, bool everyUnit)
    {
        var plan = study.Plan;
        int width = Math.Max(6, plan.Sources.Max(s => s.Name.Length));
        text.WriteLine($"{"source".PadRight(width)}  documents  held out    seed  repeated   units      tokens  evaluation");
        foreach (var s in plan.Sources)
        {
            text.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"{s.Name.PadRight(width)}  {s.Documents,9:N0}  {s.HeldOut,8:N0}  {s.Seed,6:N0}  {s.Repeated,8:N0}  {s.UnitCount,6:N0}  {s.Tokens,10:N0}  {s.EvaluationDocuments,6:N0} documents, {s.EvaluationTokens:N0} tokens"));
        }
        text.WriteLine();
        if (everyUnit)
        {
            width = Math.Max(4, plan.Units.Max(u => u.Name.Length));
            text.WriteLine($"{"unit".PadRight(width)}  documents      tokens  sequences  of the target");
            foreach (var u in plan.Units)
            {
                text.WriteLine(string.Create(CultureInfo.InvariantCulture,
                    $"{u.Name.PadRight(width)}  {u.Documents,9:N0}  {u.Tokens,10:N0}  {u.Sequences,9:N0}  {(u.Import is null ? $"{(double)u.Tokens / plan.Study.Units.Tokens:0.00}" : $"imported from {u.Import}")}"));
            }
            text.WriteLine();
        }
        text.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"{plan.Units.Count} units of about {plan.Study.Units.Tokens:N0} tokens, {plan.Domains.Count} domains, model of {plan.Config.ParameterCount:N0} parameters, sequences of {plan.Study.Units.Length} tokens"));
        text.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"{cost.Trainings} unit trainings of {plan.Study.Training.Budget.Steps:N0} steps of {plan.Study.Training.Budget.Batch}: {cost.Steps:N0} steps, {cost.Tokens:N0} tokens, {cost.Flops:0.0e+0} FLOP; the seed {cost.SeedSteps:N0} steps, {cost.SeedTokens:N0} tokens"));
        text.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"models {ByteSize.Format(cost.Bytes)}, memory of a training about {ByteSize.Format(probe.Memory.Total)}; {cost.InCache} of {cost.Trainings + 1} are in the cache"));
        text.WriteLine(cost.RemainingTokens == 0 ? "nothing is left to train" : !double.IsFinite(probe.TokensPerSecond)
            ? $"left: {cost.RemainingTokens.ToString("N0", CultureInfo.InvariantCulture)} tokens" : string.Create(CultureInfo.InvariantCulture,
            $"left: {cost.RemainingTokens:N0} tokens, about {ProgressLine.Duration(TimeSpan.FromSeconds(cost.RemainingTokens / probe.TokensPerSecond))} at {probe.TokensPerSecond:N0} tokens/s"));
        text.WriteLine();
        text.WriteLine("candidates         mixtures   trained one by one   by merging    saving");
        foreach (var f in cost.Families)
        {
            text.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{f.Name,-15} {Number(f.Candidates),11}  {Number(f.NaiveBudgets),11} budgets  {f.ModularBudgets,11:N0}  {Number(f.Saving),7}x"));
        }
        text.WriteLine(string.Create(CultureInfo.InvariantCulture, $"merging pays from {cost.BreakEven} candidates of two units on"));
    }

    public static void WriteJson(Utf8JsonWriter json, OpenStudy study, StudyCost cost, StudyProbe probe)
    {
        var plan = study.Plan;
        json.WriteNumber("schema", 1);
        json.WriteNumber("units", plan.Units.Count);
        json.WriteNumber("sources", plan.Sources.Count);
        json.WriteNumber("domains", plan.Domains.Count);
        json.WriteNumber("parameters", plan.Config.ParameterCount);
        json.WriteNumber("trainings", cost.Trainings);
        json.WriteNumber("steps", cost.Steps);
        json.WriteNumber("tokens", cost.Tokens);
        json.WriteNumber("flops", cost.Flops);
        json.WriteNumber("seed_steps", cost.SeedSteps);
        json.WriteNumber("seed_tokens", cost.SeedTokens);
        json.WriteNumber("model_bytes", cost.Bytes);
        json.WriteNumber("peak_bytes", probe.Memory.Total);
        json.WriteNumber("in_cache", cost.InCache);
        json.WriteNumber("remaining_tokens", cost.RemainingTokens);
        if (cost.RemainingTokens == 0 || double.IsFinite(probe.TokensPerSecond))
        {
            json.WriteNumber("remaining_seconds", cost.RemainingTokens == 0 ? 0 : cost.RemainingTokens / probe.TokensPerSecond);
        }
        else
        {
            json.WriteNull("remaining_seconds");
        }
        json.WriteNumber("break_even_pairs", cost.BreakEven);
        json.Objects("families", cost.Families, f =>
        {
            json.WriteString("family", f.Name);
            json.WriteNumber("candidates", f.Candidates);
            json.WriteNumber("naive_budgets", f.NaiveBudgets);
            json.WriteNumber("modular_budgets", f.ModularBudgets);
        });
        json.WriteString("cache", study.Cache.Folder);
        json.WriteString("plan", Path.Combine(study.Output, StudyFolder.PlanName));
    }

    private static string Number(double value) => value < 1e6
        ? value.ToString(value < 100 && value != Math.Floor(value) ? "0.0" : "N0", CultureInfo.InvariantCulture)
        : value.ToString("0.0e+0", CultureInfo.InvariantCulture);
}
