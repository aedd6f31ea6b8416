using System.Globalization;
using System.Text;

namespace NativeEngine.Formats;

/// <summary>The sentences that all file formats share.</summary>
internal static class FormatErrors
{
    /// <summary>A malformed or missing file: "FILE: what is wrong".</summary>
    public static EngineException Bad(string file, string sentence, string? hint = null, Exception? inner = null)
        => new(ErrorKind.BadInput, $"{file}: {sentence}", hint, inner);

    /// <summary>A file that could not be opened: "FILE: why", with what may have been meant; <paramref name="otherwise"/> is the hint when nothing is near.</summary>
    public static EngineException Unreadable(string file, Exception error, string? otherwise = null)
    {
        string why = error switch
        {
            FileNotFoundException or DirectoryNotFoundException => "there is no such file",
            _ when Directory.Exists(file) => "this is a folder, a file is needed",
            UnauthorizedAccessException => "no permission to read it",
            _ => $"cannot be read: {error.Message.TrimEnd('.')}",
        };
        return Bad(file, why, MissingPath.Hint(file) ?? otherwise, error);
    }

    /// <summary>A name from a file, quoted, cut to 80 characters, control characters and stray surrogates as \uXXXX.</summary>
    public static string Quote(string text)
    {
        var quoted = new StringBuilder("\"");
        foreach (char c in text.AsSpan(0, Math.Min(text.Length, 80)))
        {
            if (char.IsControl(c) || char.IsSurrogate(c))
            {
                quoted.Append(CultureInfo.InvariantCulture, $"\\u{(int)c:x4}");
            }
            else
            {
                quoted.Append(c);
            }
        }
        return quoted.Append(text.Length > 80 ? "…\"" : "\"").ToString();
    }

    /// <summary>A whole number with thousands separators, the same in every culture.</summary>
    public static string Count(long value) => value.ToString("N0", CultureInfo.InvariantCulture);

    /// <summary>A shape as [2, 3].</summary>
    public static string Shape(ReadOnlySpan<long> shape)
        => $"[{string.Join(", ", shape.ToArray().Select(d => d.ToString(CultureInfo.InvariantCulture)))}]";

    /// <summary>A product of dimensions that does not fit 63 bits gives null. Zeros do not hide an overflow of the others.</summary>
    public static long? ElementCount(ReadOnlySpan<long> shape)
    {
        UInt128 product = 1;
        bool empty = false;
        foreach (long dimension in shape)
        {
            empty |= dimension == 0;
            product *= (UInt128)Math.Max(dimension, 1);
            if (product > long.MaxValue)
            {
                return null;
            }
        }
        return empty ? 0 : (long)product;
    }
}
