using System.Globalization;
using System.Text.Json;
using NativeEngine.Evaluation;
using NativeEngine.Formats;

namespace NativeEngine.Cli;

/// <summary>How the answers to multiple-choice questions are shown.</summary>
internal static class ChoiceReport
{
    public static void WriteJson(Utf8JsonWriter json, ChoiceResult result, string engine)
    {
        json.WriteNumber("schema", 1);
        json.WriteString("task", "choice");
        json.WriteNumber("questions", result.Questions);
        json.WriteNumber("left_out", result.TooLong + result.NoToken);
        Accuracy(json, result.Total);
        Mean(json, "macro_accuracy", Proportion.Mean([.. result.Sources.Select(s => s.Plain)]));
        Mean(json, "macro_accuracy_normalized", Proportion.Mean([.. result.Sources.Select(s => s.Normalized)]));
        json.WriteString("engine", engine);
        json.Objects("sources", result.Sources, source =>
        {
            json.WriteString("source", source.Source);
            json.WriteNumber("questions", source.Plain.Trials);
            Accuracy(json, source);
        });
    }

    public static void WriteText(TextWriter text, ChoiceResult result)
    {
        int width = Math.Max(6, result.Sources.Select(s => s.Source.Length).DefaultIfEmpty(0).Max());
        text.WriteLine($"{"source".PadRight(width)}  questions  accuracy  95 % interval   per byte  95 % interval   chance");
        foreach (var source in result.Sources.Append(result.Total))
        {
            text.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"{source.Source.PadRight(width)}  {source.Plain.Trials,9}  {source.Plain.Value,8:F3}  {Interval(source.Plain)}  {source.Normalized.Value,8:F3}  {Interval(source.Normalized)}  {source.Chance,6:F3}"));
        }
        var (plain, normalized) = (Proportion.Mean([.. result.Sources.Select(s => s.Plain)]), Proportion.Mean([.. result.Sources.Select(s => s.Normalized)]));
        text.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"mean over sources: accuracy {plain.Value:F3} [{plain.Low:F3}, {plain.High:F3}], per byte {normalized.Value:F3} [{normalized.Low:F3}, {normalized.High:F3}]"));
    }

    private static string Interval(Proportion proportion)
    {
        var (low, high) = proportion.Interval();
        return string.Create(CultureInfo.InvariantCulture, $"[{low:F3}, {high:F3}]");
    }

    private static void Accuracy(Utf8JsonWriter json, ChoiceAccuracy accuracy)
    {
        One("accuracy", accuracy.Plain);
        One("accuracy_normalized", accuracy.Normalized);
        json.Number("chance", accuracy.Chance);

        void One(string name, Proportion proportion)
        {
            var (low, high) = proportion.Interval();
            Mean(json, name, (proportion.Value, low, high));
        }
    }

    private static void Mean(Utf8JsonWriter json, string name, (double Value, double Low, double High) mean)
    {
        json.Number(name, mean.Value);
        json.Numbers($"{name}_interval", new[] { mean.Low, mean.High });
    }
}
