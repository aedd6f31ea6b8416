using System.Text.Json;

namespace NativeEngine.Formats;

/// <summary>
/// How the program's own JSON is written: documents, and the lists in them. Members stand in the order of the calls; numbers read back to the same bits; one
/// that is not finite is null, never 0.
/// </summary>
public static class JsonWriting
{
    /// <summary>A document in UTF-8: one object of these members and a final \n. Lines end with \n on every system.</summary>
    public static byte[] Document(Action<Utf8JsonWriter> members, bool indented = true) => Document(members, new JsonWriterOptions { Indented = indented, NewLine = "\n" });

    /// <summary>A document in another form.</summary>
    public static byte[] Document(Action<Utf8JsonWriter> members, JsonWriterOptions options)
    {
        using var buffer = new MemoryStream();
        using (var json = new Utf8JsonWriter(buffer, options))
        {
            json.WriteStartObject();
            members(json);
            json.WriteEndObject();
        }
        buffer.WriteByte((byte)'\n');
        return buffer.ToArray();
    }

    /// <summary>A list of objects; <paramref name="members"/> writes those of each.</summary>
    public static void Objects<T>(this Utf8JsonWriter json, string name, IEnumerable<T> items, Action<T> members)
    {
        json.WriteStartArray(name);
        foreach (var item in items)
        {
            json.WriteStartObject();
            members(item);
            json.WriteEndObject();
        }
        json.WriteEndArray();
    }

    /// <summary>An object whose members are all strings.</summary>
    public static void Strings(this Utf8JsonWriter json, string name, IEnumerable<(string Name, string Value)> members)
    {
        json.WriteStartObject(name);
        foreach (var (member, value) in members)
        {
            json.WriteString(member, value);
        }
        json.WriteEndObject();
    }

    /// <summary>A list of strings.</summary>
    public static void Strings(this Utf8JsonWriter json, string name, IEnumerable<string> values)
    {
        json.WriteStartArray(name);
        foreach (string value in values)
        {
            json.WriteStringValue(value);
        }
        json.WriteEndArray();
    }

    /// <summary>A list of whole numbers.</summary>
    public static void Numbers(this Utf8JsonWriter json, string name, IEnumerable<int> values) => json.Numbers(name, values.Select(v => (long)v));

    /// <summary>A list of whole numbers.</summary>
    public static void Numbers(this Utf8JsonWriter json, string name, IEnumerable<long> values)
    {
        json.WriteStartArray(name);
        foreach (long value in values)
        {
            json.WriteNumberValue(value);
        }
        json.WriteEndArray();
    }

    /// <summary>A list of numbers.</summary>
    public static void Numbers(this Utf8JsonWriter json, string name, IEnumerable<double> values)
    {
        json.WritePropertyName(name);
        json.Values(values);
    }

    /// <summary>An item of a list that is a list of numbers.</summary>
    public static void Values(this Utf8JsonWriter json, IEnumerable<double> values)
    {
        json.WriteStartArray();
        foreach (double value in values)
        {
            json.Value(value);
        }
        json.WriteEndArray();
    }

    /// <summary>A number, or null where there is none.</summary>
    public static void Number(this Utf8JsonWriter json, string name, double? value)
    {
        json.WritePropertyName(name);
        json.Value(value);
    }

    /// <summary>An item of a list: a number, or null where there is none.</summary>
    public static void Value(this Utf8JsonWriter json, double? value)
    {
        if (value is { } number && double.IsFinite(number))
        {
            json.WriteNumberValue(number);
        }
        else
        {
            json.WriteNullValue();
        }
    }
}
