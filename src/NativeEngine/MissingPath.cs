namespace NativeEngine;

/// <summary>What to say about a path that leads nowhere: where what was meant may be.</summary>
public static class MissingPath
{
    private const int MostEntries = 10_000;
    private const int MostShown = 4;

    /// <summary>
    /// "did you mean 'runs/first'?" when correcting the first part that is missing leads to something; else what its folder holds of the same ending (of a folder: folders, those with a file of the name <paramref name="holding"/> where it is given);
    /// null when there is nothing of the kind, or nothing can be read. A path that is there gives null too.
    /// </summary>
    public static string? Hint(string path, bool folder = false, string? holding = null)
    {
        try
        {
            return Path.Exists(path) ? null : Foreign(path, folder || holding is not null, holding) ?? Look(path, folder || holding is not null, holding);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException or NotSupportedException)
        {
            return null;
        }
    }

    /// <summary>What a folder holds of an ending, or, with <paramref name="holding"/>, its folders with such a file, as <see cref="Hint"/> tells it; null when there is nothing.</summary>
    public static string? Inside(string folder, string? ending, string? holding = null)
    {
        try
        {
            string at = folder is "." ? "" : folder;
            return Told(at, Entries(at, folders: holding is not null).Where(n => holding is null ? Ending(n) == ending : File.Exists(Path.Combine(at, n, holding))));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    /// <summary>The command that brings what is named like a model of Hugging Face (org/Name-1B), since nothing is downloaded; null for any other name.</summary>
    public static string? Download(string name) =>
        name.Split('/') is [{ Length: > 0 } owner, { Length: > 0 } model] && !Directory.Exists(owner) && owner.All(Plain) && model.All(Plain) && model.Any(char.IsAsciiLetterUpper)
            ? $"nothing is downloaded by itself: hf download {name} --local-dir {name}"
            : null;

    private static bool Plain(char c) => char.IsAsciiLetterOrDigit(c) || c is '-' or '_' or '.';

    // A path of another system, or one that the shell was to complete.
    private static string? Foreign(string path, bool folder, string? holding)
    {
        if (path.StartsWith("~/", StringComparison.Ordinal))
        {
            return $"only a word that begins with ~ is completed by the shell; write $HOME{path[1..]}";
        }
        if (Path.DirectorySeparatorChar == '\\' || !path.Contains('\\', StringComparison.Ordinal))
        {
            return null;
        }
        string here = path.Replace('\\', '/');
        here = here is [var drive, ':', '/', ..] ? $"/mnt/{char.ToLowerInvariant(drive)}{here[2..]}" : here;
        string name = Path.GetFileName(here);
        return (Path.Exists(here) ? here : Path.Exists(name) ? name : null) is { } there ? $"did you mean '{there}'?" : Look(name, folder, holding) ?? $"parts of a path are parted by / here: {here}";
    }

    private static string? Look(string path, bool folder, string? holding)
    {
        string[] parts = path.Split(Path.DirectorySeparatorChar, Path.AltDirectorySeparatorChar);
        string at = "";
        for (int i = 0; i < parts.Length; i++)
        {
            bool last = i == parts.Length - 1 || parts[(i + 1)..].All(p => p.Length == 0);
            string next = i == 0 ? (parts[0].Length == 0 ? Path.DirectorySeparatorChar.ToString() : parts[0]) : Path.Combine(at, parts[i]);
            if (parts[i].Length == 0 || Directory.Exists(next))
            {
                at = next;
                continue;
            }
            if (last && !folder && File.Exists(next))
            {
                return null;
            }
            bool wantsFolder = !last || folder;
            var names = Entries(at, wantsFolder);
            if (Suggestion.Nearest(parts[i], names) is { } near)
            {
                string corrected = Path.Combine([at, near, .. parts[(i + 1)..]]);
                return Path.Exists(corrected) || last ? $"did you mean '{corrected}'?" : $"there is no folder '{next}'; did you mean '{Path.Combine(at, near)}'?";
            }
            if (!last)
            {
                // The same name may lie where the way ends.
                string lying = Path.Combine(at, parts[^1]);
                return parts[^1].Length > 0 && (folder ? Directory.Exists(lying) : File.Exists(lying)) ? $"did you mean '{lying}'?"
                    : folder ? null : $"there is no folder '{next}'; find {(at.Length == 0 ? "." : at)} -name '{parts[^1]}' looks for the file";
            }
            return Told(at, folder ? names.Where(n => holding is null || File.Exists(Path.Combine(at, n, holding))) : names.Where(n => Ending(n) == Ending(parts[i])));
        }
        return null;
    }

    private static string? Told(string at, IEnumerable<string> names)
    {
        string[] shown = [.. names.Where(n => !n.StartsWith('.')).Take(MostShown + 1)];
        return shown.Length == 0 ? null
            : $"there {(shown.Length == 1 ? "is" : "are")} {string.Join(", ", shown.Take(MostShown).Select(n => Path.Combine(at, n)))}{(shown.Length > MostShown ? " and more" : "")}";
    }

    private static string[] Entries(string folder, bool folders)
    {
        string place = folder.Length == 0 ? "." : folder;
        return [.. (folders ? Directory.EnumerateDirectories(place) : Directory.EnumerateFiles(place)).Take(MostEntries).Select(e => Path.GetFileName(e)!).Order(StringComparer.Ordinal)];
    }

    // data.jsonl and data.jsonl.gz are of one kind.
    private static string Ending(string name) =>
        Path.GetExtension(name.EndsWith(".gz", StringComparison.OrdinalIgnoreCase) ? name[..^3] : name).ToLowerInvariant();
}
