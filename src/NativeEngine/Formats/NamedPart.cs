namespace NativeEngine.Formats;

/// <summary>A file, or a part of one by its name: FILE.npz#array, FILE.safetensors#tensor, FILE.jsonl#field.</summary>
/// <param name="Path">The file.</param>
/// <param name="Part">The part, or null for the file alone.</param>
public readonly record struct NamedPart(string Path, string? Part)
{
    /// <summary>Reads PATH or PATH#PART, where the path ends in <paramref name="ending"/> (letters of any case); null for another file.</summary>
    public static NamedPart? Of(string name, string ending)
    {
        if (name.EndsWith(ending, StringComparison.OrdinalIgnoreCase))
        {
            return new NamedPart(name, null);
        }
        int hash = name.LastIndexOf(ending + "#", StringComparison.OrdinalIgnoreCase) + ending.Length;
        return hash < ending.Length ? null : new NamedPart(name[..hash], name[(hash + 1)..]);
    }
}
