using System.Text.Json;
using NativeEngine.Data;

namespace NativeEngine.Ablation;

/// <summary>
/// The documents of a study by what they are for. Every training document is in exactly one place: held out, given to the seed model, left out
/// because evaluation has it, or in its source's list for units. Which place depends on its own prompt (or text) and the study's seed alone.
/// </summary>
internal sealed class StudyDocuments
{
    private const int BuiltInTrain = 6000, BuiltInValid = 800;
    private const ulong BuiltInSeed = 1;

    private readonly Dictionary<string, (int All, int HeldOut, int Seed, int Repeated)> _counts = new(StringComparer.Ordinal);

    private StudyDocuments()
    {
    }

    /// <summary>Names of the sources of training documents, in order.</summary>
    public string[] Sources { get; private set; } = [];

    /// <summary>Documents for units by source, in the order they are cut.</summary>
    public Dictionary<string, List<Example>> Units { get; } = new(StringComparer.Ordinal);

    /// <summary>Documents for the seed model's own training.</summary>
    public List<Example> Seed { get; } = [];

    /// <summary>Documents to evaluate on.</summary>
    public List<Example> Evaluation { get; } = [];

    /// <summary>Bad lines left out, by file.</summary>
    public List<string> Remarks { get; } = [];

    /// <summary>What became of a source's documents.</summary>
    public (int All, int HeldOut, int Seed, int Repeated) Counts(string source) => _counts[source];

    public static StudyDocuments Read(StudyFile study, CancellationToken cancellation)
    {
        var documents = new StudyDocuments();
        var data = study.Data;
        bool evaluated = data.Evaluation.Count > 0 || data.IsBuiltIn;
        if (evaluated)
        {
            documents.Evaluation.AddRange(data.Evaluation.Count == 0
                ? MixtureSynthesizer.Generate(BuiltInValid, BuiltInSeed, SynthesisSplit.Valid, cancellation)
                : documents.ReadFiles(data.Evaluation, data.Fields with { KeepLines = false }, SynthesisSplit.Valid, cancellation));
        }
        var known = data.Decontaminate ? documents.Evaluation.Select(e => TextHash.Of(Identity(e))).ToHashSet() : [];
        foreach (var example in documents.ReadFiles(data.Train, data.Fields, SynthesisSplit.Train, cancellation))
        {
            documents.Place(example, study, evaluated, known);
        }
        // Documents read later may repeat one that was held out earlier.
        if (!evaluated && data.Decontaminate)
        {
            documents.RemoveRepeated();
        }
        documents.Sources = SourceOrder.Sort(documents._counts.Keys);
        if (data.OrderBy is { } field)
        {
            foreach (var list in documents.Units.Values)
            {
                Sort(list, field);
            }
        }
        if (study.Seed.BuiltIn)
        {
            documents.Seed.AddRange(MixtureSynthesizer.Generate(BuiltInTrain, BuiltInSeed, SynthesisSplit.Train, cancellation));
        }
        return documents;
    }

    private IEnumerable<Example> ReadFiles(IReadOnlyList<string> files, JsonlOptions options, SynthesisSplit split, CancellationToken cancellation)
    {
        foreach (string file in files)
        {
            if (file == StudyData.BuiltIn)
            {
                foreach (var example in MixtureSynthesizer.Generate(split == SynthesisSplit.Train ? BuiltInTrain : BuiltInValid, BuiltInSeed, split, cancellation))
                {
                    yield return example;
                }
                continue;
            }
            var reader = new JsonlReader(file, options);
            foreach (var example in reader.Read(cancellation))
            {
                yield return example;
            }
            if (reader.BadLineCount > 0)
            {
                Remarks.Add($"{file}: {reader.BadLineCount} of {reader.LineCount} lines left out; the first, line {reader.BadLines[0].Line}: {reader.BadLines[0].Reason}");
            }
        }
    }

    private void Place(Example example, StudyFile study, bool evaluated, HashSet<ulong> known)
    {
        var count = _counts.GetValueOrDefault(example.Source);
        count.All++;
        string identity = Identity(example);
        if (!evaluated && DataSplit.IsValid(identity, study.Data.HeldOut, study.RngSeed))
        {
            count.HeldOut++;
            Evaluation.Add(example);
        }
        else if (evaluated && known.Contains(TextHash.Of(identity)))
        {
            count.Repeated++;
        }
        // Another seed than the held-out split's, or the two would take the same documents.
        else if (study.Seed.Share > 0 && DataSplit.IsValid(identity, study.Seed.Share, ~study.RngSeed))
        {
            count.Seed++;
            Seed.Add(example);
        }
        else
        {
            Of(example.Source).Add(example);
        }
        _counts[example.Source] = count;
    }

    // The split is by prompt, so equal prompts are on one side already; what remains are equal texts under different prompts' names.
    private void RemoveRepeated()
    {
        var known = Evaluation.Select(e => TextHash.Of(e.Text)).ToHashSet();
        foreach (var (source, list) in Units)
        {
            var count = _counts[source];
            count.Repeated += list.RemoveAll(e => known.Contains(TextHash.Of(e.Text)));
            _counts[source] = count;
        }
    }

    private List<Example> Of(string source)
    {
        if (!Units.TryGetValue(source, out var list))
        {
            Units.Add(source, list = []);
        }
        return list;
    }

    private static string Identity(Example example) => example.Prompt ?? example.PlainText!;

    private static void Sort(List<Example> list, string field)
    {
        var keyed = list.Select((example, i) => (example, i, key: Key(example, field))).ToList();
        bool numbers = keyed.All(k => double.TryParse(k.key, System.Globalization.CultureInfo.InvariantCulture, out _));
        keyed.Sort((a, b) =>
        {
            int order = numbers
                ? double.Parse(a.key, System.Globalization.CultureInfo.InvariantCulture).CompareTo(double.Parse(b.key, System.Globalization.CultureInfo.InvariantCulture))
                : string.CompareOrdinal(a.key, b.key);
            return order != 0 ? order : a.i.CompareTo(b.i);
        });
        list.Clear();
        list.AddRange(keyed.Select(k => k.example));
    }

    /// <summary>The text of a field of an example's line. Errors: BadInput without it.</summary>
    internal static string Key(Example example, string field)
    {
        using var line = JsonDocument.Parse(example.RawLine);
        try
        {
            return line.RootElement.TryGetProperty(field, out var value) && value.ValueKind is JsonValueKind.String or JsonValueKind.Number
                ? value.ToString()
                : throw new EngineException(ErrorKind.BadInput, $"line {example.Line} of the data has no \"{field}\" to order by", "name a field that every line has under data.order_by");
        }
        // System.Text.Json decodes escapes late.
        catch (InvalidOperationException e)
        {
            throw new EngineException(ErrorKind.BadInput, $"line {example.Line} of the data has half of a surrogate pair in \"{field}\", which it is to be ordered by", inner: e);
        }
    }
}
