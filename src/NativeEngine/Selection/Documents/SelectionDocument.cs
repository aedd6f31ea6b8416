using System.Text.Json;
using NativeEngine.Devices;
using NativeEngine.Formats;

namespace NativeEngine.Selection;

/// <summary>One source of a <see cref="SelectionDocument"/>.</summary>
public sealed record DocumentSource(string Source, int Size, int Budget, int Selected, bool Kept, double Objective, string? Algorithm = null);

/// <summary>
/// A selection as a file: what was selected, why, and everything needed to check it against the features again.
/// </summary>
public sealed record SelectionDocument
{
    /// <summary>Examples in the pool.</summary>
    public required int N { get; init; }

    /// <summary>Elements of a feature.</summary>
    public required int Dimension { get; init; }

    /// <summary>Examples asked for.</summary>
    public required int Budget { get; init; }

    /// <inheritdoc cref="SelectionResult.Indices"/>
    public required IReadOnlyList<int> Indices { get; init; }

    /// <inheritdoc cref="SelectionResult.Weights"/>
    public required IReadOnlyList<int> Weights { get; init; }

    /// <inheritdoc cref="SelectionResult.Gains"/>
    public required IReadOnlyList<double?> Gains { get; init; }

    /// <inheritdoc cref="SelectionResult.Objective"/>
    public required double Objective { get; init; }

    /// <inheritdoc cref="SelectionResult.Kept"/>
    public required IReadOnlyList<int> Kept { get; init; }

    /// <inheritdoc cref="SelectionResult.Dropped"/>
    public required IReadOnlyList<DroppedExample> Dropped { get; init; }

    /// <summary>Every source, ascending; "*" where sources competed together.</summary>
    public required IReadOnlyList<DocumentSource> Sources { get; init; }

    /// <inheritdoc cref="SelectionResult.Certificate"/>
    public required SelectionCertificate Certificate { get; init; }

    /// <inheritdoc cref="SelectionResult.Owners"/>
    public required IReadOnlyList<int> Owners { get; init; }

    /// <summary>For every example its position in <see cref="Sources"/>; -1 when dropped.</summary>
    public required IReadOnlyList<int> Groups { get; init; }

    /// <summary>For every example the part of its source it competed in; null where no source was partitioned.</summary>
    public IReadOnlyList<int>? Parts { get; init; }

    /// <summary>How the largest source was selected, and why; null where nothing was chosen by the objective.</summary>
    public SelectionChoice? Choice { get; init; }

    /// <inheritdoc cref="SelectionResult.Screening"/>
    public SelectionScreening? Screening { get; init; }

    /// <summary>How rows were compared.</summary>
    public required DistanceMetric Metric { get; init; }

    /// <summary>Columns kept per source; 0: all.</summary>
    public required int Top { get; init; }

    /// <summary>Whether features were normalised like Adam's updates.</summary>
    public required bool Adam { get; init; }

    /// <summary>Optimizer steps done before.</summary>
    public required long Step { get; init; }

    /// <summary>The history's file, where there was one.</summary>
    public string? State { get; init; }

    /// <summary>The data file whose examples these are, counted from 0 in its order; null for rows of features.</summary>
    public string? Data { get; init; }

    /// <summary>The line of each pick in the data file, from 1, in the order of <see cref="Indices"/>; null for rows of features.</summary>
    public IReadOnlyList<long>? Lines { get; init; }

    /// <summary>The own name of each pick in the data file, in the order of <see cref="Indices"/>; null where none was asked for.</summary>
    public IReadOnlyList<string>? Ids { get; init; }

    /// <summary>Milliseconds spent reading.</summary>
    public double ReadTime { get; init; }

    /// <summary>Milliseconds of the other parts.</summary>
    public SelectionTiming Timing { get; init; } = new(0, 0, 0, 0, 0);

    /// <summary>The device.</summary>
    public string Device { get; init; } = "cpu";

    /// <summary>Peak device memory.</summary>
    public long PeakBytes { get; init; }

    /// <summary>Puts a document together. Names are the names of the source ids.</summary>
    public static SelectionDocument Of(SelectionResult result, SelectionPlan plan, IReadOnlyList<string> names, int dimension, bool adam, string? state)
    {
        var groups = new int[plan.PoolSize];
        var parts = new int[plan.PoolSize];
        Array.Fill(groups, -1);
        int source = -1;
        foreach (var group in plan.Groups)
        {
            source += group.Part == 0 ? 1 : 0;
            foreach (int i in group.Members)
            {
                (groups[i], parts[i]) = (source, group.Part);
            }
        }
        return new SelectionDocument
        {
            N = plan.PoolSize,
            Dimension = dimension,
            Budget = plan.Options.Budget,
            Indices = result.Indices,
            Weights = result.Weights,
            Gains = result.Gains,
            Objective = result.Objective,
            Kept = result.Kept,
            Dropped = result.Dropped,
            Sources = [.. result.Sources.Select(s => new DocumentSource(s.Source < 0 ? "*" : names[s.Source], s.Size, s.Budget, s.Selected, s.Kept, s.Objective, s.Algorithm is { } a ? NameOf(a) : null))],
            Certificate = result.Certificate ?? throw new ArgumentException("a random selection has no document"),
            Owners = result.Owners,
            Groups = groups,
            Parts = parts.Any(p => p > 0) ? parts : null,
            Metric = plan.Options.Metric,
            Top = plan.Options.Top,
            Adam = adam,
            Step = plan.Step,
            State = state,
            Timing = result.Timing,
            Choice = result.Choice,
            Screening = result.Screening,
        };
    }

    /// <summary>
    /// The same selection from a larger pool of <paramref name="n"/> examples, of which example i of this one is number <paramref name="positions"/>[i]; all others are
    /// dropped for this reason. Positions ascend.
    /// </summary>
    public SelectionDocument InPool(int n, IReadOnlyList<int> positions, string reason)
    {
        int[] Spread(IReadOnlyList<int> values, int otherwise, Func<int, int> map)
        {
            var spread = new int[n];
            Array.Fill(spread, otherwise);
            for (int i = 0; i < positions.Count; i++)
            {
                spread[positions[i]] = map(values[i]);
            }
            return spread;
        }
        int At(int i) => i < 0 ? i : positions[i];
        var left = Enumerable.Range(0, n).Except(positions).Select(i => new DroppedExample(i, reason));
        return this with
        {
            N = n,
            Indices = [.. Indices.Select(At)],
            Kept = [.. Kept.Select(At)],
            Dropped = [.. Dropped.Select(d => d with { Index = At(d.Index) }).Concat(left).OrderBy(d => d.Index)],
            Owners = Spread(Owners, -1, At),
            Groups = Spread(Groups, -1, g => g),
            Parts = Parts is null ? null : Spread(Parts, 0, p => p),
        };
    }

    /// <summary>Writes the members of the JSON object.</summary>
    public void Write(Utf8JsonWriter json)
    {
        json.WriteNumber("schema", 1);
        json.WriteNumber("n", N);
        json.WriteNumber("dim", Dimension);
        json.WriteNumber("budget", Budget);
        json.Numbers("indices", Indices);
        json.Numbers("weights", Weights);
        json.Numbers("gains", Gains.Select(gain => gain ?? double.NaN));
        json.WriteNumber("objective", Objective);
        json.Numbers("kept", Kept);
        json.Objects("dropped", Dropped, dropped =>
        {
            json.WriteNumber("index", dropped.Index);
            json.WriteString("reason", dropped.Reason);
        });
        json.Objects("sources", Sources, source =>
        {
            json.WriteString("source", source.Source);
            json.WriteNumber("size", source.Size);
            json.WriteNumber("budget", source.Budget);
            json.WriteNumber("selected", source.Selected);
            json.WriteBoolean("kept", source.Kept);
            json.WriteNumber("objective", source.Objective);
            if (source.Algorithm is not null)
            {
                json.WriteString("algorithm", source.Algorithm);
            }
        });
        json.WriteStartObject("certificate");
        json.WriteNumber("upper_bound", Certificate.UpperBound);
        json.WriteNumber("ratio", Certificate.Ratio);
        json.WriteEndObject();
        json.WriteStartObject("timing_ms");
        json.WriteNumber("read", Math.Round(ReadTime, 3));
        json.WriteNumber("normalize", Math.Round(Timing.Normalize, 3));
        json.WriteNumber("topk", Math.Round(Timing.TopK, 3));
        json.WriteNumber("distance", Math.Round(Timing.Distance, 3));
        json.WriteNumber("greedy", Math.Round(Timing.Greedy, 3));
        json.WriteNumber("total", Math.Round(ReadTime + Timing.Total, 3));
        json.WriteEndObject();
        json.WriteString("device", Device);
        json.WriteNumber("peak_bytes", PeakBytes);
        json.Numbers("owners", Owners);
        json.Numbers("groups", Groups);
        if (Parts is not null)
        {
            json.Numbers("parts", Parts);
        }
        if (Data is not null && Lines is not null)
        {
            json.WriteString("data", Data);
            json.WriteStartArray("lines");
            foreach (long line in Lines)
            {
                json.WriteNumberValue(line);
            }
            json.WriteEndArray();
        }
        if (Ids is not null)
        {
            json.Strings("ids", Ids);
        }
        WriteChoice(json, Choice);
        if (Screening is { } screening)
        {
            json.WriteStartObject("screening");
            json.WriteString("precision", screening.Precision.ToString().ToLowerInvariant());
            json.WriteNumber("screened_pairs", screening.Screened);
            json.WriteNumber("rescored_pairs", screening.Rescored);
            json.WriteNumber("float32_rows", screening.Rows);
            json.WriteBoolean("picks_as_fp32", true);
            json.WriteString("note", screening.Note);
            json.WriteEndObject();
        }
        json.WriteStartObject("options");
        json.WriteString("algorithm", NameOf(Choice?.Algorithm ?? SelectionAlgorithm.Exact));
        json.WriteString("metric", Metric.ToString().ToLowerInvariant());
        json.WriteNumber("top", Top);
        json.WriteBoolean("adam", Adam);
        json.WriteNumber("step", Step);
        json.WriteString("state", State);
        json.WriteEndObject();
    }

    /// <summary>Writes the member "choice", unless there is none.</summary>
    public static void WriteChoice(Utf8JsonWriter json, SelectionChoice? choice)
    {
        if (choice is null)
        {
            return;
        }
        json.WriteStartObject("choice");
        json.WriteString("algorithm", NameOf(choice.Algorithm));
        json.WriteNumber("neighbours", choice.Neighbours);
        json.WriteNumber("parts", choice.Parts);
        json.WriteString("reason", choice.Reason);
        json.WriteEndObject();
    }

    /// <summary>Writes the document as a file, atomically.</summary>
    public void Save(string path) => AtomicFile.WriteAllBytes(path, JsonWriting.Document(Write, indented: false));

    /// <summary>Reads a document. Errors: BadInput with the member that is missing or of the wrong kind; whether it is true is not checked.</summary>
    public static SelectionDocument Load(string path) => Parse(StrictJson.Load(path));

    /// <summary>Reads the document.</summary>
    internal static SelectionDocument Parse(StrictJson json)
    {
        json.RequireSchema(1);
        var options = json.Require("options");
        var certificate = json.Require("certificate");
        return new SelectionDocument
        {
            N = json.RequireInt("n", 0),
            Dimension = json.RequireInt("dim", 0),
            Budget = json.RequireInt("budget", 0),
            Indices = Ints(json, "indices"),
            Weights = Ints(json, "weights"),
            Gains = [.. json.Require("gains").Items().Select(g => g.Kind == JsonValueKind.Null ? (double?)null : g.AsDouble())],
            Objective = json.RequireDouble("objective"),
            Kept = Ints(json, "kept"),
            Dropped = [.. json.Require("dropped").Items().Select(d => new DroppedExample(d.RequireInt("index"), d.RequireString("reason")))],
            Sources =
            [
                .. json.Require("sources").Items().Select(s => new DocumentSource(
                    s.RequireString("source"), s.RequireInt("size", 0), s.RequireInt("budget", 0), s.RequireInt("selected", 0), s.RequireBool("kept"),
                    s.RequireDouble("objective"), s.OptionalString("algorithm"))),
            ],
            Certificate = new SelectionCertificate(certificate.RequireDouble("upper_bound"), certificate.RequireDouble("ratio")),
            Owners = Ints(json, "owners"),
            Groups = Ints(json, "groups"),
            Parts = json.Optional("parts") is null ? null : Ints(json, "parts"),
            Data = json.OptionalString("data"),
            Lines = json.Optional("lines") is { } lines ? [.. lines.Items().Select(l => l.AsLong())] : null,
            Ids = json.Optional("ids") is { } ids ? [.. ids.Items().Select(i => i.AsString())] : null,
            Choice = json.Optional("choice") is { } choice
                ? new SelectionChoice(
                    Enum.TryParse(choice.RequireString("algorithm"), ignoreCase: true, out SelectionAlgorithm algorithm)
                        ? algorithm
                        : throw choice.Bad("names an algorithm that is not known"),
                    choice.RequireInt("neighbours", 0), choice.RequireInt("parts", 0), choice.RequireString("reason"))
                : null,
            Metric = options.RequireString("metric") switch
            {
                "l1" => DistanceMetric.L1,
                "l2" => DistanceMetric.L2,
                "cosine" => DistanceMetric.Cosine,
                var other => throw options.Bad($"has the metric \"{other}\"; l1, l2 and cosine are known"),
            },
            Top = options.RequireInt("top", 0),
            Adam = options.RequireBool("adam"),
            Step = options.RequireLong("step", 0),
            State = options.OptionalString("state"),
        };
    }

    private static string NameOf(SelectionAlgorithm algorithm) => algorithm.ToString().ToLowerInvariant();

    private static int[] Ints(StrictJson json, string name) => [.. json.Require(name).Items().Select(i => i.AsInt())];
}
