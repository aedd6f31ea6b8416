using System.Globalization;
using System.Text.Json;
using NativeEngine.Evaluation;

namespace NativeEngine.Cli;

/// <summary>How an evaluation is shown: the JSON members scripts rely on, and a table.</summary>
internal static class EvaluationReport
{
    public static void WriteJson(Utf8JsonWriter json, EvaluationResult result, string engine = "native")
    {
        json.WriteNumber("schema", 1);
        json.WriteNumber("tokens", result.Total.Tokens);
        Number(json, "nll", result.Total.MeanLoss);
        Number(json, "perplexity", result.Total.Perplexity);
        Number(json, "bits_per_byte", result.Total.BitsPerByte);
        Number(json, "completion_nll", result.Total.CompletionLoss);
        Number(json, "macro_nll", result.MacroLoss);
        Number(json, "macro_completion_nll", result.MacroCompletionLoss);
        json.WriteString("engine", engine);
        json.WriteStartArray("sources");
        foreach (var source in result.Sources)
        {
            json.WriteStartObject();
            json.WriteString("source", source.Source);
            json.WriteNumber("examples", source.Examples);
            json.WriteNumber("tokens", source.Tokens);
            Number(json, "nll", source.MeanLoss);
            Number(json, "perplexity", source.Perplexity);
            Number(json, "completion_nll", source.CompletionLoss);
            json.WriteEndObject();
        }
        json.WriteEndArray();
    }

    public static void WriteText(TextWriter text, EvaluationResult result)
    {
        int width = Math.Max(6, result.Sources.Select(s => s.Source.Length).DefaultIfEmpty(0).Max());
        text.WriteLine($"{"source".PadRight(width)}  examples    tokens     loss  perplexity  bits/byte  completion loss");
        foreach (var source in result.Sources.Append(result.Total))
        {
            text.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"{source.Source.PadRight(width)}  {source.Examples,8}  {source.Tokens,8}  {source.MeanLoss,7:F4}  {source.Perplexity,10:F3}  {source.BitsPerByte,9:F4}  {source.CompletionLoss,15:F4}"));
        }
        text.WriteLine(string.Create(CultureInfo.InvariantCulture, $"mean over sources: loss {result.MacroLoss:F4}, completion loss {result.MacroCompletionLoss:F4}"));
    }

    /// <summary>A number, or null for what has none (the mean of a source without tokens): JSON has no NaN.</summary>
    public static void Number(Utf8JsonWriter json, string name, double value)
    {
        if (double.IsFinite(value))
        {
            json.WriteNumber(name, value);
        }
        else
        {
            json.WriteNull(name);
        }
    }
}
