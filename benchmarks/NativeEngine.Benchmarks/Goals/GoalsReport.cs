using System.Globalization;
using System.Text;
using System.Text.Json;

namespace NativeEngine.Benchmarks.Goals;

/// <summary>The tables of one run: goals.md for people, goals.json for machines.</summary>
internal sealed class GoalsReport(
    GoalsOptions options, MachineFacts machine, MachineLoad load, Peer peer, Roofs roofs, IReadOnlyList<GoalResult> results)
{
    private readonly (double Others, double Stolen) _taken = load.Taken();

    /// <summary>Why the figures are not clean; empty when they are.</summary>
    public string Disturbance
    {
        get
        {
            var reasons = new List<string>();
            if (load.AtStart is not <= MachineLoad.MostLoad)
            {
                reasons.Add($"the load average was {Number(load.AtStart, "0.00")} at the start");
            }
            if (_taken.Others > MachineLoad.MostTaken)
            {
                reasons.Add($"other processes took {Percent(_taken.Others)} of the processors during the run");
            }
            if (_taken.Stolen > MachineLoad.MostTaken)
            {
                reasons.Add($"the hypervisor kept {Percent(_taken.Stolen)} of them");
            }
            return string.Join("; ", reasons);
        }
    }

    /// <summary>One result on one line.</summary>
    public static string Line(GoalResult r) =>
        $"{r.Name}: {Figure(r.Ours, r.Unit)}{Rate(r)}, peer {(r.Peer is null ? "-" : Figure(r.Peer, r.Unit))}, {Ratio(r)}, {Share(r)}, goal {Goal(r)}: {r.Verdict}";

    /// <summary>goals; with fewer sections these too, so that a part never takes the whole's place.</summary>
    public string Name =>
        options.Quick ? "quick" : options.Only.Count == GoalsOptions.Sections.Count ? "goals" : $"goals-{string.Join('-', options.Only)}";

    /// <summary>Writes both files into a folder.</summary>
    public void Write(string folder)
    {
        Directory.CreateDirectory(folder);
        string name = Name;
        File.WriteAllText(Path.Combine(folder, $"{name}.md"), Markdown());
        using (var stream = File.Create(Path.Combine(folder, $"{name}.json")))
        {
            Json(stream);
        }
    }

    private string Markdown()
    {
        var text = new StringBuilder();
        void Add(string line) => text.Append(line).Append('\n');
        Add($"# {machine.Processor}");
        Add("");
        if (Disturbance.Length > 0)
        {
            Add($"**Disturbed, not to be quoted: {Disturbance}.**");
            Add("");
        }
        Add($"- command: `dotnet run benchmarks/compare.cs -- {options.CommandLine}`".TrimEnd());
        Add($"- commit {machine.Commit}; {machine.Runtime}; {machine.System}; {machine.Memory} of memory; {options.Threads} threads");
        Add($"- peer: {peer.Environment ?? $"none ({peer.Missing})"}");
        Add($"- load average at the start {Number(load.AtStart, "0.00")}; taken during the run: by others {Percent(_taken.Others)}, by the hypervisor {Percent(_taken.Stolen)}");
        Add($"- roofs in this run: FMA {Number(roofs.FmaGflops, "0")} GFLOP/s, min+fma {Number(roofs.MinFmaGterms, "0.0")} G terms/s, copy {Number(roofs.CopyGigabytes, "0.0")} GB/s (read + written)");
        Add($"- medians of {options.Rounds} round{(options.Rounds == 1 ? "" : "s")} in turns, smallest to largest sample; ratio = peer / ours, smallest to largest of a round");
        foreach (var section in results.GroupBy(r => r.Section))
        {
            Add("");
            Add($"## {char.ToUpperInvariant(section.Key[0])}{section.Key[1..]}");
            Add("");
            Add("| work | ours | peer | ratio | share of a roof | goal | |");
            Add("|---|---|---|---|---|---|---|");
            foreach (var r in section)
            {
                string theirs = r.Peer is null ? "-" : $"{Figure(r.Peer, r.Unit)} {r.PeerName}{(r.PeerSetting.Length > 0 ? ", " + r.PeerSetting : "")}";
                string quality = r.Quality is { } q ? $"; objective / peer's = {q.ToString("0.0000000", CultureInfo.InvariantCulture)}" : "";
                Add($"| {r.Name} | {Figure(r.Ours, r.Unit)}{Rate(r)} | {theirs} | {Ratio(r)} | {Share(r)} | {Goal(r)} | {Verdict(r)}{quality} |");
            }
        }
        return text.ToString();
    }

    private void Json(Stream stream)
    {
        using var json = new Utf8JsonWriter(stream, new JsonWriterOptions { Indented = true });
        json.WriteStartObject();
        json.WriteNumber("schema", 1);
        json.WriteString("processor", machine.Processor);
        json.WriteString("command", options.CommandLine);
        json.WriteString("commit", machine.Commit);
        json.WriteString("runtime", machine.Runtime);
        json.WriteString("system", machine.System);
        json.WriteNumber("threads", options.Threads);
        json.WriteString("peer", peer.Environment ?? $"none ({peer.Missing})");
        json.WriteString("disturbed", Disturbance);
        Maybe("load_at_start", load.AtStart);
        json.WriteNumber("taken_by_others", _taken.Others);
        json.WriteNumber("taken_by_hypervisor", _taken.Stolen);
        json.WriteNumber("fma_gflops", roofs.FmaGflops);
        json.WriteNumber("min_fma_gterms", roofs.MinFmaGterms);
        json.WriteNumber("copy_gigabytes", roofs.CopyGigabytes);
        json.WriteStartArray("rows");
        foreach (var r in results)
        {
            json.WriteStartObject();
            json.WriteString("section", r.Section);
            json.WriteString("work", r.Name);
            json.WriteString("unit", r.Unit);
            Side("ours", r.Ours);
            Side("peer", r.Peer);
            json.WriteString("peer_name", r.PeerName);
            json.WriteString("peer_setting", r.PeerSetting);
            Maybe("ratio", r.Ratio);
            Maybe("ratio_least", r.RatioRange?.Least);
            Maybe("ratio_most", r.RatioRange?.Most);
            Maybe("goal_ratio", r.GoalRatio);
            json.WriteString("roof", r.RoofName);
            Maybe("share", r.Share);
            Maybe("goal_share", r.GoalShare);
            Maybe("quality", r.Quality);
            Maybe("gigabytes_per_second", r.Gigabytes);
            json.WriteString("verdict", Verdict(r));
            json.WriteEndObject();
        }
        json.WriteEndArray();
        json.WriteEndObject();

        void Side(string name, Measurement? side)
        {
            if (side is null)
            {
                json.WriteNull(name);
                return;
            }
            json.WriteStartObject(name);
            json.WriteNumber("median", side.Median);
            json.WriteNumber("smallest", side.Smallest);
            json.WriteNumber("largest", side.Largest);
            json.WriteNumber("samples", side.Count);
            json.WriteEndObject();
        }

        void Maybe(string name, double? value)
        {
            if (value is { } v && double.IsFinite(v))
            {
                json.WriteNumber(name, v);
            }
            else
            {
                json.WriteNull(name);
            }
        }
    }

    private string Verdict(GoalResult r) => r.Verdict is "met" or "missed" && Disturbance.Length > 0 ? $"disturbed ({r.Verdict})" : r.Verdict;

    private static string Figure(Measurement side, string unit)
    {
        if (unit == "MiB")
        {
            return $"{Number(side.Median, "0.0")} MiB ({Number(side.Smallest, "0.0")}–{Number(side.Largest, "0.0")})";
        }
        var (scale, name) = side.Median switch { >= 1 => (1.0, "s"), >= 1e-3 => (1e3, "ms"), _ => (1e6, "µs") };
        return $"{Three(side.Median * scale)} {name} ({Three(side.Smallest * scale)}–{Three(side.Largest * scale)})";
    }

    private static string Rate(GoalResult r) => r.Gigabytes is { } rate ? $" = {Three(rate)} GB/s" : "";

    private static string Ratio(GoalResult r) => r is { Ratio: { } ratio, RatioRange: { } range } ? $"{Three(ratio)}× ({Three(range.Least)}–{Three(range.Most)})" : "-";

    private static string Share(GoalResult r) => r.Share is { } share ? $"{Percent(share)} of {r.RoofName}" : "-";

    private static string Goal(GoalResult r) => r.GoalRatio is { } ratio ? $"≥ {Three(ratio)}×" : r.GoalShare is { } share ? $"≥ {Percent(share)}" : "-";

    private static string Three(double value) => Number(value, Math.Abs(value) switch { >= 100 => "0", >= 10 => "0.0", _ => "0.00" });

    private static string Percent(double value) => Number(100 * value, "0.#") + " %";

    private static string Number(double? value, string format) => value?.ToString(format, CultureInfo.InvariantCulture) ?? "unknown";
}
