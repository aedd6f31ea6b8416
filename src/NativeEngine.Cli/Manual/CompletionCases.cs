namespace NativeEngine.Cli.Manual;

/// <summary>An option whose value can be completed, or cannot, in one command or, with an empty path, wherever it is.</summary>
internal readonly record struct ValuePlace(string Path, string Name);

/// <summary>What the completion scripts of all shells ask of the command table.</summary>
internal static class CompletionCases
{
    /// <summary>The commands a line goes through: "nengine data", "nengine data synth".</summary>
    public static IReadOnlyList<string> Paths(CommandTable table) => [.. table.Root.All.Skip(1).Select(c => c.Path)];

    /// <summary>Options that take a value, those of the same kind together. One that means the same in every command that has it is named once.</summary>
    public static IReadOnlyList<(ValueKind Kind, IReadOnlyList<ValuePlace> Places)> Values(CommandTable table)
    {
        var byName = table.Root.All.SelectMany(c => c.Options.SelectMany(o => o.Names.Select(name => (Place: new ValuePlace(c.Path, name), Option: o))))
            .Concat(table.Common.SelectMany(o => o.Names.Select(name => (Place: new ValuePlace("", name), Option: o))))
            .GroupBy(found => found.Place.Name, StringComparer.Ordinal);
        var places = byName.SelectMany(same => same.Select(found => Key(found.Option)).Distinct(StringComparer.Ordinal).Count() == 1
            ? same.Take(1).Select(found => (new ValuePlace("", same.Key), found.Option))
            : same.Select(found => (found.Place, found.Option)));
        return [.. places.Where(p => !p.Option.IsSwitch).GroupBy(p => Key(p.Option), StringComparer.Ordinal)
            .Select(group => (group.First().Option.Kind, (IReadOnlyList<ValuePlace>)[.. group.Select(p => p.Item1)]))];
    }

    /// <summary>What may stand where a command's positional arguments are; null for a command that takes none.</summary>
    public static ValueKind? Positional(CommandEntry command) => command.Arguments.Count == 0 ? null : new(
        [.. command.Arguments.SelectMany(a => a.Kind.Words)], command.Arguments.Any(a => a.Kind.File), command.Arguments.Any(a => a.Kind.Folder));

    private static string Key(OptionEntry option) =>
        option.IsSwitch ? "switch" : $"{string.Join(' ', option.Kind.Words)}|{option.Kind.File}|{option.Kind.Folder}";
}
