using System.CommandLine;
using System.Globalization;
using NativeEngine.Data;
using NativeEngine.Formats;
using NativeEngine.Model;
using NativeEngine.Reporting;
using NativeEngine.Selection;
using NativeEngine.Training;

namespace NativeEngine.Cli.Verbs;

/// <summary>Finds sources where the data has no labels.</summary>
internal sealed class ClusterVerb : Verb
{
    private const int Typical = 3;
    private const int MostText = 160;

    private readonly Option<string> _model = Opt.RequiredText("--model", "DIR", "The model folder; one that was trained a little on this data separates it best.");
    private readonly Option<string?> _adapter = Opt.MaybeText("--adapter", "DIR", "A LoRA adapter to put on the model.");
    private readonly Option<string> _data = Opt.RequiredText("--data", "D.jsonl", "The examples.");
    private readonly Option<int> _clusters = Opt.Number("--clusters", "K", "Clusters to find.", 8, min: 1);
    private readonly Option<int> _restarts = Opt.Number("--restarts", "N", "Starts of k-means; the best counts.", 4, min: 1);
    private readonly Option<int> _seqLen = Opt.Number("--seq-len", "N", "Longest example in tokens; 0 is the model's context.", 0, min: 0);
    private readonly Option<string?> _labelled = Opt.MaybeText("--labelled", "L.jsonl", "Also write the examples with their cluster as source, for train and split.");
    private readonly Option<string?> _compare = Opt.MaybeText("--compare", "E.jsonl", "Also tell how another data set is spread over the same clusters: drift.");
    private readonly ReportOutput _report = new();
    private readonly DataInput _fields = new();

    public ClusterVerb()
        : base("cluster", "Finds sources where the data has no labels.", "nengine cluster --model runs/first --data train.jsonl --clusters 8 --output sources.txt")
    {
        Add("input", [_model, _adapter, _data, _seqLen, .. _fields.Options]);
        Add("clusters", _clusters, _restarts, _labelled, _compare, _report.Option);
    }

    public override int Run(VerbContext context)
    {
        string output = OutputFile.Check(context.NeedOutput(), context.Need(_data), context.Get(_compare));
        string? labelled = context.Get(_labelled) is { } l ? OutputFile.Check(l, context.Need(_data), context.Get(_compare)) : null, page = _report.Check(context);
        if (new[] { context.Need(_data), context.Get(_compare) }.FirstOrDefault(path => path == "-" || (path is not null && InputFile.IsPipe(path))) is { } once)
        {
            throw new EngineException(ErrorKind.Usage, $"cluster reads its data twice, {(once == "-" ? "standard input" : $"the pipe {once}")} can be read once", "write it to a file first");
        }
        using var device = context.OpenDevice();
        using var model = new OpenModel(context.Need(_model), context.Get(_adapter), device, context.Cancellation);
        int length = context.Need(_seqLen) is > 0 and int asked ? Math.Min(asked, model.Config.ContextLength) : model.Config.ContextLength;
        var (data, rows, d) = HiddenStates(context, model, context.Need(_data), length);
        if (context.DryRun)
        {
            context.Result.Write(
                text => text.WriteLine($"would find {context.Need(_clusters)} clusters of {data.Count} examples by {d} numbers each"),
                json =>
                {
                    json.WriteNumber("schema", 1);
                    json.WriteBoolean("dry_run", true);
                    json.WriteNumber("n", data.Count);
                    json.WriteNumber("dim", d);
                });
            return 0;
        }
        var clusters = KMeans.Fit(
            rows, d, new KMeansOptions { Clusters = context.Need(_clusters), Restarts = context.Need(_restarts), Seed = context.Seed, Threads = context.Threads.Count }, context.Cancellation);
        var (names, texts) = Label(context, data, clusters, labelled);
        AtomicFile.WriteAllText(output, string.Concat(names.Select(name => name + "\n")));
        ClusterDrift? drift = null;
        if (context.Get(_compare) is { } other)
        {
            var (_, otherRows, _) = HiddenStates(context, model, other, length);
            drift = ClusterDrift.Of(clusters.Assignment, clusters.Assign(otherRows, d, context.Threads.Count, context.Cancellation).Assignment, clusters.Clusters, context.Seed);
        }
        string[]? own = data.Sources.Count > 1 ? [.. Enumerable.Range(0, data.Count).Select(i => data.Sources[data.SourceOf(i)])] : null;
        var found = new ClusterFindings(clusters, rows, d, own, texts, drift, context.Get(_compare) ?? "");
        if (page is not null)
        {
            ReportOutput.Write(context, ClusterPage.Of(found, context.Need(_data), context.Need(_model), ReportOutput.Origin(context, device.Description)), page);
        }
        Write(context, found, data, output);
        return 0;
    }

    private (MixtureDataset Data, float[] Rows, int Dimension) HiddenStates(VerbContext context, OpenModel model, string path, int length)
    {
        var data = _fields.Load(context, path, model.Tokenizer, DatasetOptions.Evaluation(length));
        using var export = new FeatureExport(model.Model, data, new FeatureOptions(FeatureKind.Hidden, 1, 1e-3f, context.Seed));
        int d = (int)export.Dimension;
        long need = (2L * data.Count * d * sizeof(float)) + export.PeakBytes();
        if (need > context.MaxMemory)
        {
            throw new EngineException(ErrorKind.WillNotFit, $"these hidden states need {ByteSize.Format(need)} and may use {ByteSize.Format(context.MaxMemory)}", "raise --max-memory, or cluster a part of the data");
        }
        if (context.DryRun)
        {
            return (data, [], d);
        }
        using var progress = context.Progress("hidden states", data.Count, "examples");
        return (data, export.ToArray(done => progress.Report(done), context.Cancellation), d);
    }

    /// <summary>A name for every example of the file, also those too short for a hidden state, and the texts nearest to each centre.</summary>
    private (string[] Names, List<List<string>> Texts) Label(VerbContext context, MixtureDataset data, KMeans clusters, string? labelled)
    {
        var of = Enumerable.Range(0, data.Count).ToDictionary(data.InputIndex, i => i);
        var typical = Enumerable.Range(0, clusters.Clusters)
            .Select(c => Enumerable.Range(0, data.Count).Where(i => clusters.Assignment[i] == c).OrderBy(i => clusters.Distances[i]).ThenBy(i => i).Take(Typical).ToArray()).ToArray();
        var wanted = typical.SelectMany(t => t).ToHashSet();
        var found = new Dictionary<int, string>();
        var names = new List<string>();
        var marked = new List<Data.Example>();
        foreach (var example in _fields.Open(context, context.Need(_data)).Read(context.Cancellation))
        {
            string name = of.TryGetValue(names.Count, out int i) ? clusters.Assignment[i].ToString(CultureInfo.InvariantCulture) : "none";
            if (of.ContainsKey(names.Count) && wanted.Contains(i))
            {
                found[i] = OneLine(example.Text);
            }
            names.Add(name);
            if (labelled is not null)
            {
                marked.Add(example.PlainText is { } text ? Data.Example.FromText(name, text) : Data.Example.FromPrompt(name, example.Prompt!, example.Completion!));
            }
        }
        if (labelled is not null)
        {
            JsonlWriter.Write(labelled, marked, context.Cancellation);
        }
        return ([.. names], [.. typical.Select(t => t.Select(i => found[i]).ToList())]);
    }

    private static void Write(VerbContext context, ClusterFindings found, MixtureDataset data, string output)
    {
        var k = found.Clusters;
        int[] sizes = ClusterPage.Sizes(k);
        context.Result.Write(
            text =>
            {
                for (int c = 0; c < k.Clusters; c++)
                {
                    string drift = found.Drift is { } d ? string.Create(CultureInfo.InvariantCulture, $"  {100.0 * d.B[c] / Math.Max(1, d.B.Sum()),5:0.0} % there") : "";
                    text.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{c,3}  {sizes[c],8}  {100.0 * sizes[c] / data.Count,5:0.0} %{drift}"));
                    foreach (string example in found.Examples[c])
                    {
                        text.WriteLine($"       {example}");
                    }
                }
                text.WriteLine($"{ReportNumber.Percent(k.Explained)} of the variance lies between clusters, found in {k.Iterations} rounds");
                if (found.Drift is { } moved)
                {
                    text.WriteLine($"{found.Other}: {ReportNumber.Percent(moved.Distance)} of the examples would have to move; {ReportNumber.Percent(moved.Likelihood)} of random splits are as far apart");
                }
                text.WriteLine($"a cluster for every example is in {output}");
            },
            json =>
            {
                json.WriteNumber("schema", 1);
                json.WriteNumber("n", data.Count);
                json.WriteNumber("left_out", data.Report.NoLabel);
                json.WriteNumber("clusters", k.Clusters);
                json.WriteNumber("inertia", k.Inertia);
                json.WriteNumber("explained", k.Explained);
                json.WriteNumber("iterations", k.Iterations);
                json.Numbers("sizes", sizes);
                json.WriteStartArray("examples");
                foreach (var texts in found.Examples)
                {
                    json.WriteStartArray();
                    foreach (string text in texts)
                    {
                        json.WriteStringValue(text);
                    }
                    json.WriteEndArray();
                }
                json.WriteEndArray();
                if (found.Drift is { } drift)
                {
                    json.WriteStartObject("drift");
                    json.WriteString("data", found.Other);
                    json.Numbers("sizes", drift.B);
                    json.WriteNumber("distance", drift.Distance);
                    json.WriteNumber("likelihood", drift.Likelihood);
                    json.WriteEndObject();
                }
                json.WriteString("output", output);
            });
    }

    private static string OneLine(string text)
    {
        string line = text.ReplaceLineEndings(" ⏎ ").Trim();
        return line.Length <= MostText ? line : line[..(MostText - 1)] + "…";
    }
}
