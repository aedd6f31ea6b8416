namespace NativeEngine.Data;

/// <summary>How many examples went to which side.</summary>
/// <param name="Train">Examples for training.</param>
/// <param name="Valid">Examples held out.</param>
public sealed record DataSplitReport(long Train, long Valid);

/// <summary>
/// Splits a data file in two by a hash of the prompt (of the text where there is no prompt) and a seed: the same prompt always
/// falls on the same side, so the sides share none, and the side of an example does not depend on the others.
/// </summary>
public static class DataSplit
{
    /// <summary>Whether an example with this prompt is held out at this fraction: hash / 2⁶⁴ &lt; fraction.</summary>
    public static bool IsValid(string prompt, double fraction, ulong seed) =>
        (TextHash.Of(prompt, seed) >> 11) * (1.0 / (1UL << 53)) < fraction;

    /// <summary>How many examples <see cref="Write"/> would put on each side, without writing anything.</summary>
    public static DataSplitReport Count(JsonlReader reader, double validFraction, ulong seed, CancellationToken cancellation = default) =>
        Distribute(reader, validFraction, seed, static (_, _) => { }, cancellation);

    /// <summary>
    /// Writes both sides: lines as they stand in the input with all their fields when the reader keeps lines, else in the standard form. Both files are
    /// published at the end or not at all. A side without examples is an error. Cost: one pass, one line of memory.
    /// </summary>
    public static DataSplitReport Write(JsonlReader reader, string trainPath, string validPath, double validFraction, ulong seed,
        CancellationToken cancellation = default)
    {
        if (Path.GetFullPath(trainPath) == Path.GetFullPath(validPath))
        {
            throw new EngineException(ErrorKind.Usage, $"splitting {reader.Name}: both sides would be written to {trainPath}", "give --output and --valid different names");
        }
        DataSplitReport? report = null;
        JsonlWriter.Publish(trainPath, train => JsonlWriter.Publish(validPath, valid =>
            report = Distribute(reader, validFraction, seed, (example, held) => Append(held ? valid : train, example), cancellation)));
        return report!;
    }

    private static DataSplitReport Distribute(JsonlReader reader, double validFraction, ulong seed, Action<Example, bool> put,
        CancellationToken cancellation)
    {
        if (!(validFraction > 0 && validFraction < 1))
        {
            throw new EngineException(ErrorKind.Usage,
                FormattableString.Invariant($"splitting {reader.Name}: expected a held-out fraction between 0 and 1, got {validFraction}"), "--fraction 0.1 holds out a tenth");
        }
        long train = 0, valid = 0;
        foreach (var example in reader.Read(cancellation))
        {
            bool held = IsValid(example.Prompt ?? example.PlainText!, validFraction, seed);
            put(example, held);
            train += held ? 0 : 1;
            valid += held ? 1 : 0;
        }
        return train > 0 && valid > 0 ? new DataSplitReport(train, valid)
            : throw new EngineException(ErrorKind.BadInput,
                $"splitting {reader.Name}: of {train + valid} examples {train} would be for training and {valid} held out",
                "choose another fraction or seed");
    }

    private static void Append(Stream stream, Example example)
    {
        if (example.RawLine.IsEmpty)
        {
            JsonlWriter.Append(stream, example);
            return;
        }
        stream.Write(example.RawLine.Span);
        stream.WriteByte((byte)'\n');
    }
}
