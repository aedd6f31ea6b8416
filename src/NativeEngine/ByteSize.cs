using System.Globalization;

namespace NativeEngine;

/// <summary>
/// Sizes as people write them: <c>8GiB</c> (2^30), <c>2GB</c> (10^9), <c>512M</c> (2^20, the way job schedulers read it), <c>1.5TiB</c>,
/// or plain bytes. Case does not matter.
/// </summary>
public static class ByteSize
{
    private static readonly (string Suffix, double Factor)[] _units =
    [
        ("kib", 1024.0), ("mib", 1048576.0), ("gib", 1073741824.0), ("tib", 1099511627776.0),
        ("kb", 1e3), ("mb", 1e6), ("gb", 1e9), ("tb", 1e12),
        ("k", 1024.0), ("m", 1048576.0), ("g", 1073741824.0), ("t", 1099511627776.0),
        ("b", 1.0),
    ];

    /// <summary>Reads a positive size; on failure <paramref name="error"/> says what is wrong with the text.</summary>
    public static bool TryParse(string text, out long bytes, out string error)
    {
        bytes = 0;
        string trimmed = text.Trim().ToLowerInvariant();
        var (suffix, factor) = _units.FirstOrDefault(unit => trimmed.EndsWith(unit.Suffix, StringComparison.Ordinal), (Suffix: "", Factor: 1.0));
        var number = trimmed.AsSpan(0, trimmed.Length - suffix.Length).TrimEnd();
        if (!double.TryParse(number, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out double value))
        {
            error = $"'{text}' is not a number with one of KiB, MiB, GiB, TiB, KB, MB, GB, TB";
            return false;
        }
        double exact = Math.Floor(value * factor);
        if (exact is not (>= 1 and < 9.2e18))
        {
            error = $"'{text}' is outside 1 byte to 8 EiB";
            return false;
        }
        bytes = (long)exact;
        error = "";
        return true;
    }

    /// <summary>For people: "1.5 GiB", "300 B".</summary>
    public static string Format(long bytes)
    {
        string[] names = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
        double value = bytes;
        int unit = 0;
        while (Math.Abs(value) >= 1024 && unit < names.Length - 1)
        {
            value /= 1024;
            unit++;
        }
        return string.Create(CultureInfo.InvariantCulture, $"{value:0.#} {names[unit]}");
    }
}
