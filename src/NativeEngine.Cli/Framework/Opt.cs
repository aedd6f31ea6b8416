using System.CommandLine;
using System.CommandLine.Parsing;
using System.Globalization;
using System.Numerics;

namespace NativeEngine.Cli;

/// <summary>
/// Makes the options of verbs. All parsing is invariant; what does not parse is refused with the option, the value and what was
/// expected.
/// </summary>
internal static class Opt
{
    /// <summary>A number with a default, refused outside [min, max] and when not finite.</summary>
    public static Option<T> Number<T>(string name, string valueName, string description, T defaultValue, T? min = null, T? max = null)
        where T : struct, INumber<T> => new(name)
        {
            Description = description,
            HelpName = valueName,
            DefaultValueFactory = _ => defaultValue,
            CustomParser = result => ParseNumber(name, valueName, result, min, max) ?? default,
        };

    /// <summary>A number that may be left out; null then.</summary>
    public static Option<T?> MaybeNumber<T>(string name, string valueName, string description, T? min = null, T? max = null)
        where T : struct, INumber<T> => new(name)
        {
            Description = description,
            HelpName = valueName,
            CustomParser = result => ParseNumber(name, valueName, result, min, max),
        };

    /// <summary>A whole number among the arguments.</summary>
    public static Argument<int> Index(string name, string description) => new(name)
    {
        Description = description,
        CustomParser = result => ParseNumber<int>(name, name, result, null, null) ?? 0,
    };

    /// <summary>A text with a default.</summary>
    public static Option<string> Text(string name, string valueName, string description, string defaultValue) => new(name)
    {
        Description = description,
        HelpName = valueName,
        DefaultValueFactory = _ => defaultValue,
    };

    /// <summary>A text that may be left out; null then.</summary>
    public static Option<string?> MaybeText(string name, string valueName, string description, params string[] aliases) => new(name, aliases)
    {
        Description = description,
        HelpName = valueName,
    };

    /// <summary>A text the verb cannot work without.</summary>
    public static Option<string> RequiredText(string name, string valueName, string description, params string[] aliases) => new(name, aliases)
    {
        Description = description,
        HelpName = valueName,
        Required = true,
    };

    /// <summary>One of a few words; the first is the default.</summary>
    public static Option<string> Choice(string name, string description, params string[] choices) => new(name)
    {
        Description = description,
        HelpName = string.Join('|', choices),
        DefaultValueFactory = _ => choices[0],
        CustomParser = result => ParseChoice(name, result, choices),
    };

    /// <summary>A switch, off unless given.</summary>
    public static Option<bool> Flag(string name, string description) => new(name)
    {
        Description = description,
        Arity = ArgumentArity.ZeroOrOne,
    };

    /// <summary>A switch that may be followed by a word that says the same: --resume and --resume auto. Empty when it was not given (or is "false", as in YAML).</summary>
    public static Option<string> Switch(string name, string word, string description) => new(name)
    {
        Description = description,
        HelpName = $"[{word}]",
        Arity = ArgumentArity.ZeroOrOne,
        CustomParser = result =>
        {
            string text = result.Tokens is [var token] ? token.Value : word;
            if (text != word && !bool.TryParse(text, out _))
            {
                result.AddError($"{name} takes nothing or {word}, got '{text}'");
            }
            return string.Equals(text, "false", StringComparison.OrdinalIgnoreCase) ? "" : word;
        },
    };

    /// <summary>A size in bytes (<see cref="ByteSize"/>) that may be left out; null then.</summary>
    public static Option<long?> MaybeSize(string name, string description) => new(name)
    {
        Description = description,
        HelpName = "SIZE",
        CustomParser = result =>
        {
            if (ByteSize.TryParse(result.Tokens[0].Value, out long bytes, out string error))
            {
                return bytes;
            }
            result.AddError($"{name} expects a size like 8GiB, 512MiB or 2GB: {error}");
            return null;
        },
    };

    private static T? ParseNumber<T>(string name, string valueName, ArgumentResult result, T? min, T? max)
        where T : struct, INumber<T>
    {
        string text = result.Tokens[0].Value;
        bool integer = T.IsInteger(T.CreateTruncating(0.5)) && T.CreateTruncating(0.5) == T.Zero;
        var styles = integer ? NumberStyles.AllowLeadingSign : NumberStyles.Float;
        string kind = integer ? "an integer" : "a number";
        if (!T.TryParse(text, styles, CultureInfo.InvariantCulture, out var value) || !T.IsFinite(value))
        {
            result.AddError($"{name} expects {kind}{Range(min, max)}, got '{text}'{Meant()}");
            return null;
        }
        if ((min is { } low && value < low) || (max is { } high && value > high))
        {
            result.AddError($"{name} expects {kind}{Range(min, max)}, got {text}{Meant()}");
            return null;
        }
        return value;

        string Meant() => NumberGuess.Question(text, integer, seconds: valueName == "S", min, max);
    }

    private static string Range<T>(T? min, T? max)
        where T : struct => (min, max) switch
        {
            ({ } low, { } high) => string.Create(CultureInfo.InvariantCulture, $" from {low} to {high}"),
            ({ } low, null) => string.Create(CultureInfo.InvariantCulture, $" of at least {low}"),
            (null, { } high) => string.Create(CultureInfo.InvariantCulture, $" of at most {high}"),
            _ => "",
        };

    private static string ParseChoice(string name, ArgumentResult result, string[] choices)
    {
        string text = result.Tokens[0].Value;
        if (!choices.Contains(text, StringComparer.Ordinal))
        {
            result.AddError($"{name} expects one of {string.Join(", ", choices)}, got '{text}'{Suggestion.Question(text, choices)}");
        }
        return text;
    }
}
