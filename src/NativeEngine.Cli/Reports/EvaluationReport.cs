using System.Globalization;
using System.Text.Json;
using NativeEngine.Evaluation;
using NativeEngine.Formats;

namespace NativeEngine.Cli;

/// <summary>How an evaluation is shown: the JSON members scripts rely on, and a table.</summary>
internal static class EvaluationReport
{
    public static void WriteJson(Utf8JsonWriter json, EvaluationResult result, string engine = "native")
    {
        json.WriteNumber("schema", 1);
        json.WriteNumber("tokens", result.Total.Tokens);
        json.Number("nll", result.Total.MeanLoss);
        json.Number("perplexity", result.Total.Perplexity);
        json.Number("bits_per_byte", result.Total.BitsPerByte);
        json.Number("completion_nll", result.Total.CompletionLoss);
        json.Number("macro_nll", result.MacroLoss);
        json.Number("macro_completion_nll", result.MacroCompletionLoss);
        json.WriteString("engine", engine);
        json.Objects("sources", result.Sources, source =>
        {
            json.WriteString("source", source.Source);
            json.WriteNumber("examples", source.Examples);
            json.WriteNumber("tokens", source.Tokens);
            json.Number("nll", source.MeanLoss);
            json.Number("perplexity", source.Perplexity);
            json.Number("completion_nll", source.CompletionLoss);
        });
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
}
