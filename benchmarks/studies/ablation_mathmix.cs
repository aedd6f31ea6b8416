// Data ablation on a real mixture, from the data to the tables in one command; started again it goes on:
//   dotnet run benchmarks/studies/ablation_mathmix.cs -- --train T.jsonl --eval E.jsonl
// Writes report.md, report.json, confirmed.csv, ranking.csv, results.json and results.md into benchmarks/studies/ablation-mathmix (--output), keeps models and losses in
// artifacts/ablation-mathmix (--work). --threads N. Every verb's time and trainings are kept in WORK/log.json, so that the tables say what a run that was
// stopped and started again did in all.
using System.Diagnostics;
using System.Globalization;
using System.Runtime.CompilerServices;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

string root = Path.GetFullPath(Path.Combine(Root(), "../.."));
string output = Option("--output") ?? Path.Combine(root, "benchmarks/studies/ablation-mathmix");
string work = Option("--work") ?? Path.Combine(root, "artifacts/ablation-mathmix");
string threads = Option("--threads") ?? Environment.ProcessorCount.ToString(CultureInfo.InvariantCulture);
string executable = Path.Combine(root, "src/NativeEngine.Cli/bin/Release/net10.0/nengine");
if (Option("--train") is not { } train || Option("--eval") is not { } eval || !File.Exists(train) || !File.Exists(eval))
{
    Console.Error.WriteLine("give --train T.jsonl and --eval E.jsonl: a mixture with sources, and its held-out part");
    return 2;
}
if (!File.Exists(executable))
{
    Console.Error.WriteLine("build first: dotnet build -c Release NativeEngine.sln");
    return 2;
}
// In the order of what they tell: "fresh" judges what "study" chose on mixtures that chose nothing.
string[] steps = ["study", "fresh", "exhaustive", "race", "aligned", "pulled"];
Directory.CreateDirectory(work);
foreach (string name in steps)
{
    string text = File.ReadAllText(Path.Combine(root, "benchmarks/studies/ablation-mathmix", name + ".yaml"));
    File.WriteAllText(Path.Combine(work, name + ".yaml"), text.Replace(" TRAIN", " " + Path.GetFullPath(train)).Replace(" EVAL", " " + Path.GetFullPath(eval)));
}
string study = Path.Combine(work, "study"), cache = Path.Combine(work, "cache"), logFile = Path.Combine(work, "log.json");
var log = File.Exists(logFile) ? JsonNode.Parse(File.ReadAllText(logFile))!.AsArray() : [];
string plan = Ablate("plan", "study");
foreach (string name in steps)
{
    bool timed = name is "exhaustive" or "race";
    if (timed && !Done("rank", name) && Directory.Exists(Path.Combine(work, name)))
    {
        // Losses that a run which was stopped had found would not be timed again.
        Directory.Delete(Path.Combine(work, name), recursive: true);
    }
    foreach (string verb in timed ? new[] { "rank" } : ["train", "rank", "confirm"])
    {
        if (!Done(verb, name))
        {
            Ablate(verb, name);
        }
    }
    if (name == "study")
    {
        Ablate("report", name);
        foreach (string file in new[] { "report.md", "confirmed.csv", "ranking.csv" })
        {
            File.Copy(Path.Combine(study, file), Path.Combine(output, file), overwrite: true);
        }
    }
    // The tables of what is done so far.
    WriteResults();
}
return 0;

bool Done(string verb, string file) => log.Any(entry => (string?)entry!["verb"] == verb && (string?)entry["study"] == file);

double Seconds(string verb, string file, string kind) => log.Where(entry => (string?)entry!["verb"] == verb && (string?)entry["study"] == file).Sum(entry => (double)entry![kind]!);

string Ablate(string verb, string file)
{
    Console.Error.WriteLine($"ablate {verb} {file}.yaml");
    string[] arguments = ["ablate", verb, Path.Combine(work, file + ".yaml"), "--output", Path.Combine(work, file), "--cache", cache, "--threads", threads, "--json"];
    var clock = Stopwatch.StartNew();
    using var process = Process.Start(new ProcessStartInfo(executable, arguments) { RedirectStandardOutput = true })!;
    string answer = process.StandardOutput.ReadToEnd();
    process.WaitForExit();
    if (process.ExitCode != 0)
    {
        Console.Error.WriteLine($"{string.Join(' ', arguments)}\nended with {process.ExitCode}: {answer}");
        Environment.Exit(process.ExitCode);
    }
    var said = JsonNode.Parse(answer)!;
    log.RemoveAll(entry => (string?)entry!["verb"] == verb && (string?)entry["study"] == file);
    log.Add((JsonNode)new JsonObject
    {
        ["verb"] = verb,
        ["study"] = file,
        ["seconds"] = clock.Elapsed.TotalSeconds,
        ["processor_seconds"] = (double?)said["processor_seconds"] ?? 0,
        ["trained"] = (int?)said["trained"] ?? 0,
    });
    File.WriteAllText(logFile, log.ToJsonString(new JsonSerializerOptions { WriteIndented = true }) + "\n");
    return answer;
}

void WriteResults()
{
    var cost = JsonNode.Parse(plan)!;
    var confirm = JsonNode.Parse(File.ReadAllText(Path.Combine(study, "confirm.json")))!;
    var (rank, raced) = (Read("exhaustive", "rank.json"), Read("race", "rank.json"));
    string[] domains = [.. confirm["domains"]!.AsArray().Select(d => (string)d!)];
    int[] sizes = [.. confirm["mixtures"]!.AsArray().Select(m => m!["weights"]!.AsObject().Count)];
    var text = new StringBuilder();
    var results = new JsonObject
    {
        ["command"] = "dotnet run benchmarks/studies/ablation_mathmix.cs -- --train T.jsonl --eval E.jsonl",
        ["processor"] = Processor(),
        ["threads"] = int.Parse(threads),
        ["runtime"] = Environment.Version.ToString(),
        ["units"] = (int)cost["units"]!,
        ["parameters"] = (long)cost["parameters"]!,
        ["mixtures_truly_trained"] = sizes.Length,
    };
    text.AppendLine("# ablation-mathmix: results").AppendLine();
    text.AppendLine(string.Create(CultureInfo.InvariantCulture,
        $"{(int)cost["units"]!} units of {(int)cost["sources"]!} sources, {domains.Length} domains, {(long)cost["parameters"]!:N0} parameters; {sizes.Length} mixtures truly trained ({sizes.Count(s => s == 2)} pairs, {sizes.Count(s => s == 3)} triples, {sizes.Count(s => s == 4)} of four units). {Processor()}, {threads} thread{(threads == "1" ? "" : "s")}, .NET {Environment.Version}."));
    text.AppendLine().AppendLine("Correlation of each stand-in with the truth over mixtures, per domain, then averaged over domains (lowest domain in brackets):").AppendLine();
    results["correlations"] = Correlations(confirm, text);
    if (Read("fresh", "confirm.json") is { } fresh)
    {
        text.AppendLine().AppendLine($"The same over {fresh["mixtures"]!.AsArray().Count} mixtures drawn anew, after every setting and stand-in was fixed:").AppendLine();
        results["correlations_fresh"] = Correlations(fresh, text);
    }
    text.AppendLine().AppendLine("Closer stand-ins, all mixtures (mean over domains):").AppendLine().AppendLine("| | Pearson | Spearman | score off by |").AppendLine("|---|---|---|---|");
    var closer = new JsonArray();
    foreach (var (name, file) in new[] { ("average", "study"), ("average of aligned units", "aligned"), ("average of units pulled toward the seed", "pulled") })
    {
        if (Read(file, "confirm.json") is not { } answer)
        {
            continue;
        }
        var standIn = answer["stand_ins"]![0]!;
        var (pearson, spearman, off) = ((double)standIn["mean_pearson"]!, (double)standIn["mean_spearman"]!, (double)standIn["agreement"]!.AsArray()[^1]!["level_error"]!);
        closer.Add((JsonNode)new JsonObject { ["stand_in"] = name, ["pearson"] = pearson, ["spearman"] = spearman, ["score_off_by"] = off });
        text.AppendLine(string.Create(CultureInfo.InvariantCulture, $"| {name} | {pearson:0.000} | {spearman:0.000} | {off:0.000} |"));
    }
    results["closer_stand_ins"] = closer;
    var agreement = confirm["stand_ins"]![0]!["agreement"]!.AsArray();
    double covered = agreement.Take(domains.Length).Average(a => Number(a!["prediction_coverage"])), conformal = agreement.Take(domains.Length).Average(a => Number(a!["conformal_coverage"]));
    (results["prediction_coverage"], results["conformal_coverage"]) = (covered, conformal);
    double budgets = sizes.Sum(), n = (double)cost["units"]!;
    results["saving_all_pairs"] = n - 1;
    double raceSeconds = Seconds("rank", "race", "seconds"), raceWork = Seconds("rank", "race", "processor_seconds");
    if (raced is not null)
    {
        results["candidates_per_minute"] = (double)raced["candidates"]! / raceSeconds * 60;
        results["candidates_per_core_minute"] = (double)raced["candidates"]! / raceWork * 60;
    }
    results["trained_by_this_run"] = log.Sum(entry => (int)entry!["trained"]!);
    results["hours"] = log.Sum(entry => (double)entry!["seconds"]!) / 3600;
    text.AppendLine().AppendLine("| figure | |").AppendLine("|---|---|");
    Line($"stated 90 % prediction intervals cover, mean over domains (line fitted without the mixture)", $"{100 * covered:0} % (conformal {100 * conformal:0} %)");
    Line($"training steps for all pairs: naive / modular", $"{n * (n - 1):0} / {n:0} unit budgets = {n - 1:0}x");
    Line($"the mixtures truly trained for this table alone", $"{budgets:0} unit budgets");
    Line($"steps, tokens, FLOP of the unit models", $"{(long)cost["steps"]!:N0}, {(long)cost["tokens"]!:N0}, {(double)cost["flops"]!:0.0e+0}");
    if (rank is not null)
    {
        string best = Best(rank)[0];
        Line($"best by exhaustive ranking", $"{best}, score {Score(rank, best):0.0000} of {(double)rank["candidates"]!:N0} pairs and triples ({Seconds("rank", "exhaustive", "processor_seconds"):0} core-seconds with the searches)");
        foreach (var search in rank["searches"]!.AsArray())
        {
            Line($"found by {(string)search!["method"]!}", $"{(string)search["mixture"]!}, score {(double)search["score"]!:0.0000}, {(int)search["evaluations"]!} mixtures evaluated");
        }
        if (rank["descent"] is { } descent)
        {
            Line($"found by gradient descent over all weights", $"score {(double)descent["score"]!:0.0000} in {descent["scores"]!.AsArray().Count} steps, no limit on units; weights of at least 5 %: {string.Join(", ", descent["weights"]!.AsObject().Where(w => (double)w.Value! >= 0.05).OrderByDescending(w => (double)w.Value!).Select(w => string.Create(CultureInfo.InvariantCulture, $"{w.Key} {(double)w.Value!:0.00}")))}");
        }
    }
    if (rank is not null && raced is not null)
    {
        Line($"race of the same", $"{(double)raced["candidates"]!:N0} candidates in {raceSeconds:0} s and {raceWork:0} core-seconds, start and reading included: {(double)raced["candidates"]! / raceSeconds * 60:N0} a minute");
        string[] best = Best(rank), found = Best(raced);
        results["race_regret"] = Score(rank, found[0]) - Score(rank, best[0]);
        results["race_holds_of_16_best"] = best.Intersect(found).Count();
        Line($"best of the race, regret", $"{found[0]}, {Score(rank, found[0]) - Score(rank, best[0]):0.0000}; its 16 finalists hold {best.Intersect(found).Count()} of the 16 best");
    }
    Line($"this run, from an empty folder", $"{log.Sum(entry => (int)entry!["trained"]!)} models trained, {log.Sum(entry => (double)entry!["seconds"]!) / 60:0} minutes");
    text.AppendLine().AppendLine("Per domain, with intervals, calibration and costs by cache key: report.md. Every loss: confirmed.csv, ranking.csv.");
    File.WriteAllText(Path.Combine(output, "results.md"), text.ToString());
    File.WriteAllText(Path.Combine(output, "results.json"), results.ToJsonString(new JsonSerializerOptions { WriteIndented = true }) + "\n");

    void Line(FormattableString name, FormattableString value) => text.AppendLine(string.Create(CultureInfo.InvariantCulture, $"| {name.ToString(CultureInfo.InvariantCulture)} | {value.ToString(CultureInfo.InvariantCulture)} |"));
}

static JsonArray Correlations(JsonNode confirm, StringBuilder text)
{
    int domains = confirm["domains"]!.AsArray().Count;
    int[] sizes = [.. confirm["mixtures"]!.AsArray().Select(m => m!["weights"]!.AsObject().Count)];
    double[][] truth = [.. confirm["mixtures"]!.AsArray().Select(m => Numbers(m!["true_losses"]!))];
    text.AppendLine("| stand-in | pairs: Pearson | Spearman | triples: Pearson | Spearman | all: Pearson | Spearman |").AppendLine("|---|---|---|---|---|---|---|");
    var table = new JsonArray();
    foreach (var standIn in confirm["stand_ins"]!.AsArray())
    {
        string name = (string)standIn!["stand_in"]! + ((bool)standIn["baseline"]! ? " (baseline)" : "");
        double[][] losses = [.. standIn["losses"]!.AsArray().Select(m => Numbers(m!))];
        var row = new JsonObject { ["stand_in"] = name };
        text.Append($"| {name} ");
        foreach (var (family, size) in new[] { ("pairs", 2), ("triples", 3), ("all", 0) })
        {
            int[] members = [.. Enumerable.Range(0, sizes.Length).Where(i => size == 0 || sizes[i] == size)];
            double[] pearson = [.. Enumerable.Range(0, domains).Select(d => Pearson([.. members.Select(i => losses[i][d])], [.. members.Select(i => truth[i][d])]))];
            double[] spearman = [.. Enumerable.Range(0, domains).Select(d => Pearson(Ranks([.. members.Select(i => losses[i][d])]), Ranks([.. members.Select(i => truth[i][d])])))];
            row[family] = new JsonObject { ["pearson"] = pearson.Average(), ["spearman"] = spearman.Average(), ["lowest_pearson"] = pearson.Min(), ["lowest_spearman"] = spearman.Min() };
            text.Append(CultureInfo.InvariantCulture, $"| {pearson.Average():0.000} ({pearson.Min():0.00}) | {spearman.Average():0.000} ({spearman.Min():0.00}) ");
        }
        table.Add((JsonNode)row);
        text.AppendLine("|");
    }
    return table;
}

JsonNode? Read(string name, string file) => Path.Combine(work, name, file) is var path && File.Exists(path) ? JsonNode.Parse(File.ReadAllText(path)) : null;

// The sixteen best candidates; what a search alone found is none.
static string[] Best(JsonNode ranking) =>
    [.. ranking["mixtures"]!.AsArray().Where(m => ((string)m!["origin"]!).Contains("candidate")).Take(16).Select(m => (string)m!["mixture"]!)];

static double Score(JsonNode ranking, string mixture) => (double)ranking["mixtures"]!.AsArray().First(m => (string)m!["mixture"]! == mixture)!["score"]!;

string? Option(string name) => Array.IndexOf(args, name) is >= 0 and var at && at + 1 < args.Length ? args[at + 1] : null;

static double[] Numbers(JsonNode list) => [.. list.AsArray().Select(Number)];

static double Number(JsonNode? value) => value is null ? double.NaN : (double)value;

static double Pearson(double[] a, double[] b)
{
    double meanA = a.Average(), meanB = b.Average(), ab = 0, aa = 0, bb = 0;
    for (int i = 0; i < a.Length; i++)
    {
        ab += (a[i] - meanA) * (b[i] - meanB);
        aa += (a[i] - meanA) * (a[i] - meanA);
        bb += (b[i] - meanB) * (b[i] - meanB);
    }
    return ab / Math.Sqrt(aa * bb);
}

static double[] Ranks(double[] values) => [.. values.Select(v => values.Count(w => w < v) + (0.5 * (values.Count(w => w == v) - 1)))];

static string Processor() => File.Exists("/proc/cpuinfo")
    ? File.ReadLines("/proc/cpuinfo").FirstOrDefault(l => l.StartsWith("model name"))?.Split(':')[1].Trim() ?? "unknown processor" : "unknown processor";

static string Root([CallerFilePath] string file = "") => Path.GetDirectoryName(file)!;
