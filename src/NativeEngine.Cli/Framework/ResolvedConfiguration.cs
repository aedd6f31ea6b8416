using System.Collections;
using System.CommandLine;
using System.Globalization;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.RegularExpressions;

namespace NativeEngine.Cli;

/// <summary>The options of a verb as they came out, and their YAML, which --config reads back to the same options.</summary>
internal static partial class ResolvedConfiguration
{
    /// <summary>Name (without dashes) and value of every option that has one; verb's own first.</summary>
    public static IReadOnlyList<KeyValuePair<string, string>> Of(ParseResult parse, CommonOptions common)
    {
        var resolved = new List<KeyValuePair<string, string>>();
        foreach (var option in parse.CommandResult.Command.Options.Concat(common.All).Distinct().Where(common.Configurable))
        {
            if (Text(parse, option) is { } text)
            {
                resolved.Add(new(option.Name.TrimStart('-'), text));
            }
        }
        return resolved;
    }

    /// <summary>One section for the verb, one line an option.</summary>
    public static void WriteYaml(TextWriter writer, ParseResult parse, CommonOptions common)
    {
        string indent = "";
        foreach (var command in ConfigFile.Chain(parse))
        {
            writer.WriteLine($"{indent}{command.Name}:");
            indent += "  ";
        }
        foreach (var (name, text) in Of(parse, common))
        {
            writer.WriteLine($"{indent}{name}: {Scalar(text)}");
        }
    }

    /// <summary>The same as JSON, which is YAML too: every value a string.</summary>
    public static void WriteJson(Utf8JsonWriter json, ParseResult parse, CommonOptions common)
    {
        var chain = ConfigFile.Chain(parse);
        foreach (var command in chain)
        {
            json.WriteStartObject(command.Name);
        }
        foreach (var (name, text) in Of(parse, common))
        {
            json.WriteString(name, text);
        }
        foreach (var _ in chain)
        {
            json.WriteEndObject();
        }
    }

    private static string? Text(ParseResult parse, Option option)
    {
        if (parse.GetResult(option) is { Implicit: false } given && given.Tokens.Count > 0)
        {
            return string.Join(',', given.Tokens.Select(token => token.Value));
        }
        object? value = option.ValueType == typeof(bool)
            ? parse.GetResult(option) is { Implicit: false }
            : option.HasDefaultValue ? option.GetDefaultValue() : null;
        return value switch
        {
            null => null,
            bool flag => flag ? "true" : "false",
            string text => text,
            IEnumerable => null,
            IFormattable number => number.ToString(null, CultureInfo.InvariantCulture),
            _ => value.ToString(),
        };
    }

    // A JSON string is a double-quoted YAML scalar.
    private static string Scalar(string text) =>
        PlainScalar().IsMatch(text) && text != "null" ? text : $"\"{JsonEncodedText.Encode(text, JavaScriptEncoder.UnsafeRelaxedJsonEscaping)}\"";

    [GeneratedRegex(@"^(-?[0-9]|[A-Za-z./_])[A-Za-z0-9_./+,%|-]*$", RegexOptions.CultureInvariant)]
    private static partial Regex PlainScalar();
}
