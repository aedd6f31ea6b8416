using System.Text;
using System.Text.Json;
using NativeEngine.Ablation.Mixtures;
using NativeEngine.Ablation.Statistics;

namespace NativeEngine.Ablation;

/// <summary>
/// How a study's documents are written: indented, lines end with \n, schema 1 first. Numbers read back to the same bits; an undefined number is null, never 0.
/// </summary>
public static class StudyJson
{
    /// <summary>A document of these members.</summary>
    public static string Document(Action<Utf8JsonWriter> members)
    {
        using var stream = new MemoryStream();
        using (var json = new Utf8JsonWriter(stream, new JsonWriterOptions { Indented = true, NewLine = "\n" }))
        {
            json.WriteStartObject();
            json.WriteNumber("schema", 1);
            members(json);
            json.WriteEndObject();
        }
        return Encoding.UTF8.GetString(stream.ToArray()) + "\n";
    }

    /// <summary>A number, or null when it is undefined.</summary>
    public static void Number(this Utf8JsonWriter json, string name, double value)
    {
        json.WritePropertyName(name);
        json.Value(value);
    }

    /// <summary>A list of numbers.</summary>
    public static void Numbers(this Utf8JsonWriter json, string name, IEnumerable<double> values)
    {
        json.WriteStartArray(name);
        foreach (double value in values)
        {
            json.Value(value);
        }
        json.WriteEndArray();
    }

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

    /// <summary>An item of a list: a number, or null when it is undefined.</summary>
    public static void Value(this Utf8JsonWriter json, double value)
    {
        if (double.IsFinite(value))
        {
            json.WriteNumberValue(value);
        }
        else
        {
            json.WriteNullValue();
        }
    }
}
