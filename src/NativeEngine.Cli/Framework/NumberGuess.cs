using System.Globalization;
using System.Numerics;
using System.Text.RegularExpressions;

namespace NativeEngine.Cli;

/// <summary>The number that a text which is none was meant to be.</summary>
internal static partial class NumberGuess
{
    /// <summary>
    /// "; did you mean 1000?" for 1,000, 1_000, 1e3, 1k and 1000.0 where an integer is wanted; 0.001 for 0,001 and 0.1 for 10% where a number is; 600 for 10m where seconds are; a hundredth where a share of at most 1
    /// is wanted and 10 was given. Empty when there is none within [min, max].
    /// </summary>
    public static string Question<T>(string text, bool integer, bool seconds, T? min, T? max)
        where T : struct, INumber<T>
    {
        string number = text.Trim().Replace("_", "", StringComparison.Ordinal).TrimEnd('%');
        number = integer && Thousands().IsMatch(number) ? number.Replace(",", "", StringComparison.Ordinal) : number.Replace(',', '.');
        decimal scale = text.EndsWith('%') ? (integer ? 0 : 0.01m) : 1;
        if (Unit().Match(number) is { Success: true } match)
        {
            number = match.Groups[1].Value;
            scale = (match.Groups[2].Value.ToLowerInvariant(), seconds, integer) switch
            {
                ("k", false, true) => 1000,
                ("m" or "min", true, _) => 60,
                ("h", true, _) => 3600,
                ("d", true, _) => 86400,
                ("s", true, _) => 1,
                _ => 0,
            };
        }
        if (scale == 0 || !decimal.TryParse(number, NumberStyles.Float, CultureInfo.InvariantCulture, out decimal value) || Math.Abs(value) > 1e15m)
        {
            return "";
        }
        bool share = !integer && max is { } one && one == T.One && value >= 2;
        foreach (decimal meant in (decimal[])[value * scale, .. share ? [value * scale / 100] : Array.Empty<decimal>()])
        {
            string written = meant.ToString("0.#########", CultureInfo.InvariantCulture);
            if (written != text && T.TryParse(written, CultureInfo.InvariantCulture, out var candidate) && !(candidate < min) && !(candidate > max))
            {
                return $"; did you mean {written}?";
            }
        }
        return "";
    }

    [GeneratedRegex(@"^[+-]?\d{1,3}(,\d{3})+$")]
    private static partial Regex Thousands();

    [GeneratedRegex(@"^([0-9.]+)\s*([A-Za-z]+)$")]
    private static partial Regex Unit();
}
