using NativeEngine.Formats;

namespace NativeEngine.Training;

/// <summary>metrics.jsonl read back: the steps and the evaluations in the order of the file.</summary>
public sealed record MetricsHistory(IReadOnlyList<LoggedStep> Steps, IReadOnlyList<LoggedEvaluation> Evaluations)
{
    /// <summary>The file's name in a run's folder.</summary>
    public const string FileName = "metrics.jsonl";

    /// <summary>Steps that <see cref="Load(string, int)"/> keeps apart for a report: many times the pixels of its figures.</summary>
    public const int ForReport = 1 << 15;

    /// <summary>Reads a file; a last line cut short by a crash is left out. Errors: BadInput with the line.</summary>
    public static MetricsHistory Load(string path) => Load(path, int.MaxValue);

    /// <summary>
    /// The same with at most <paramref name="most"/> steps in memory: a longer run is put together in stretches of 2, 4, 8 … steps as it is read, so that sums, counts and greatest
    /// values stay exact.
    /// </summary>
    public static MetricsHistory Load(string path, int most) => Of(Lines(path), most);

    /// <summary>
    /// The lines of a file as they are read, in its order; a last one that is cut short is left out. Memory: a line. Errors: BadInput with the line.
    /// </summary>
    internal static IEnumerable<MetricsLine> Lines(string path)
    {
        using var lines = Lines(path, InputFile.ReadLines(path)).GetEnumerator();
        while (true)
        {
            try
            {
                if (!lines.MoveNext())
                {
                    yield break;
                }
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                throw FormatErrors.Bad(path, $"cannot be read: {e.Message}", inner: e);
            }
            yield return lines.Current;
        }
    }

    /// <summary>Reads the lines of a file; <paramref name="path"/> is for messages.</summary>
    internal static MetricsHistory Parse(string path, IEnumerable<string> lines) => Of(Lines(path, lines), int.MaxValue);

    private static MetricsHistory Of(IEnumerable<MetricsLine> lines, int most)
    {
        long stretch = 1;
        var steps = new List<LoggedStep>();
        var evaluations = new List<LoggedEvaluation>();
        foreach (var line in lines)
        {
            if (line.Evaluation is { } evaluation)
            {
                evaluations.Add(evaluation);
                continue;
            }
            steps.Add(line.Step!);
            if (steps.Count > 1 && stretch > 1 && steps[^2].Count < stretch)
            {
                steps[^2] = steps[^2].With(steps[^1]);
                steps.RemoveAt(steps.Count - 1);
            }
            else if (steps.Count > most)
            {
                stretch *= 2;
                int kept = 0;
                for (int i = 0; i < steps.Count; i += 2)
                {
                    steps[kept++] = i + 1 < steps.Count ? steps[i].With(steps[i + 1]) : steps[i];
                }
                steps.RemoveRange(kept, steps.Count - kept);
            }
        }
        return new MetricsHistory(steps, evaluations);
    }

    private static IEnumerable<MetricsLine> Lines(string path, IEnumerable<string> lines)
    {
        long number = 0;
        Exception? wrong = null;
        foreach (string text in lines)
        {
            if (wrong is not null)
            {
                throw FormatErrors.Bad(path, $"line {number} is not a line of metrics: {wrong.Message}", inner: wrong);
            }
            number++;
            if (MetricsLine.TryRead(text, out var line, out wrong))
            {
                yield return line;
            }
        }
    }
}
