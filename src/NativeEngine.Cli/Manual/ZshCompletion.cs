namespace NativeEngine.Cli.Manual;

/// <summary>Completion for zsh, with descriptions: <c>source &lt;(nengine completions zsh)</c>, or a file <c>_nengine</c> in fpath.</summary>
internal static class ZshCompletion
{
    public static void Write(TextWriter writer, CommandTable table)
    {
        writer.WriteLine("""
            #compdef nengine
            # Completion of nengine for zsh, made by: nengine completions zsh
            # Once, after compinit: source <(nengine completions zsh); always: nengine completions zsh > a folder of $fpath, as _nengine
            _nengine() {
                local at=nengine word prev=${words[CURRENT-1]}
                local -a verbs options
                for word in ${words[2,CURRENT-1]}; do
                    case "$at $word" in
            """);
        writer.WriteLine($"            ({string.Join('|', CompletionCases.Paths(table).Select(Quoted))}) at=\"$at $word\" ;;");
        writer.WriteLine("""
                    esac
                done
                if [[ $PREFIX == --*=* ]]; then
                    prev=${PREFIX%%=*}
                    compset -P '*='
                fi
                case "$at $prev" in
            """);
        foreach (var (kind, places) in CompletionCases.Values(table))
        {
            string patterns = string.Join('|', places.Select(p => p.Path.Length == 0 ? $"*{Quoted(" " + p.Name)}" : Quoted($"{p.Path} {p.Name}")));
            writer.WriteLine($"        ({patterns}) {Values(kind)}return ;;");
        }
        writer.WriteLine("""
                esac
                case $at in
            """);
        foreach (var command in table.Root.All.Where(c => c.Verbs.Count > 0 || c.Options.Any()))
        {
            writer.WriteLine($"        ({Quoted(command.Path)})");
            if (command.Verbs.Count > 0)
            {
                writer.WriteLine($"            verbs=({string.Join(' ', command.Verbs.Select(v => Described(v.Name, v.Description)))})");
            }
            writer.WriteLine($"            options=({string.Join(' ', command.Options.SelectMany(Described))}) ;;");
        }
        writer.WriteLine($"""
                esac
                options+=({string.Join(' ', table.Common.SelectMany(Described))})
            """);
        writer.WriteLine("""
                if [[ $PREFIX == -* ]]; then
                    _describe -o option options
                    return
                fi
                case $at in
            """);
        foreach (var command in table.Root.All)
        {
            string what = command.Verbs.Count > 0 ? "_describe verb verbs" : CompletionCases.Positional(command) is { } takes ? Values(takes).TrimEnd(';', ' ') : "_describe -o option options";
            writer.WriteLine($"        ({Quoted(command.Path)}) {what} ;;");
        }
        writer.WriteLine("""
                esac
            }
            if [[ ${funcstack[1]} == _nengine ]]; then _nengine "$@"; else compdef _nengine nengine; fi
            """);
    }

    private static IEnumerable<string> Described(OptionEntry option) => option.Names.Select(name => Described(name, option.Description));

    private static string Described(string name, string description) => Quoted($"{name}:{description.Replace("'", "'\\''", StringComparison.Ordinal)}");

    private static string Values(ValueKind kind) =>
        (kind.Words.Count > 0 ? $"compadd -- {string.Join(' ', kind.Words)}; " : "") + (kind.File ? "_files; " : kind.Folder ? "_files -/; " : "");

    private static string Quoted(string text) => $"'{text}'";
}
