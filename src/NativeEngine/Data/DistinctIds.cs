namespace NativeEngine.Data;

/// <summary>
/// Refuses a name that two examples of a file share; examples without one (<see cref="JsonlOptions.IdField"/> not given) pass. Memory: the names and about 60 bytes each.
/// </summary>
/// <param name="file">The file in messages.</param>
public sealed class DistinctIds(string file)
{
    private readonly Dictionary<string, long> _lines = new(StringComparer.Ordinal);

    /// <summary>Takes the next example. Errors: BadInput with both lines.</summary>
    public void Add(Example example)
    {
        if (example.Id is { } id && !_lines.TryAdd(id, example.Line))
        {
            throw new EngineException(ErrorKind.BadInput, $"{file}:{example.Line}: it has the name \"{id}\" of line {_lines[id]}", "name a field with --id-field whose values differ, or leave it out");
        }
    }
}
