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
            return Path.Exists(path) ? null : Look(path, folder || holding is not null, holding);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException or NotSupportedException)
        {
            return null;
        }
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
                return $"there is no folder '{next}'";
            }
            string[] alike = [.. (folder ? names.Where(n => holding is null || File.Exists(Path.Combine(at, n, holding))) : names.Where(n => Ending(n) == Ending(parts[i]))).Where(n => !n.StartsWith('.')).Take(MostShown + 1)];
            return alike.Length == 0 ? null
                : $"there {(alike.Length == 1 ? "is" : "are")} {string.Join(", ", alike.Take(MostShown).Select(n => Path.Combine(at, n)))}{(alike.Length > MostShown ? " and more" : "")}";
        }
        return null;
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
