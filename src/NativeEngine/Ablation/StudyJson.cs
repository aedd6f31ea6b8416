using System.Text;
using System.Text.Json;
using NativeEngine.Ablation.Mixtures;
using NativeEngine.Ablation.Statistics;
using NativeEngine.Formats;

namespace NativeEngine.Ablation;

/// <summary>
/// How a study's documents are written: schema 1 first, an undefined interval is null.
/// </summary>
public static class StudyJson
{
    /// <summary>A document of these members.</summary>
    public static string Document(Action<Utf8JsonWriter> members) => Encoding.UTF8.GetString(JsonWriting.Document(json =>
    {
        json.WriteNumber("schema", 1);
        members(json);
    }));

    /// <summary>An interval as [low, high], or null.</summary>
    public static void Interval(this Utf8JsonWriter json, string name, Interval interval)
    {
        if (interval.IsDefined)
        {
            json.Numbers(name, [interval.Low, interval.High]);
        }
        else
        {
            json.WriteNull(name);
        }
    }

    /// <summary>The units of a mixture with their weights.</summary>
    public static void Weights(this Utf8JsonWriter json, Mixture mixture, IReadOnlyList<string> names)
    {
        json.WriteString("mixture", mixture.Describe(names));
        json.WriteStartObject("weights");
        foreach (int unit in mixture.Units)
        {
            json.WriteNumber(names[unit], mixture.Weights[unit]);
        }
        json.WriteEndObject();
    }
}
