namespace NativeEngine.Cli.Manual;

/// <summary>Completion for fish, with descriptions: <c>nengine completions fish | source</c>.</summary>
internal static class FishCompletion
{
    public static void Write(TextWriter writer, CommandTable table)
    {
        writer.WriteLine("""
            # Completion of nengine for fish, made by: nengine completions fish
            # Once: nengine completions fish | source; always: nengine completions fish > ~/.config/fish/completions/nengine.fish
            function __nengine_at
                set -l at nengine
                for word in (commandline -opc)[2..]
                    switch "$at $word"
            """);
        writer.WriteLine($"            case {string.Join(' ', CompletionCases.Paths(table).Select(Quoted))}");
        writer.WriteLine("""
                            set at "$at $word"
                    end
                end
                test "$at" = "$argv"
            end
            complete -c nengine -e
            complete -c nengine -f
            """);
        foreach (var option in table.Common)
        {
            Option(writer, option, "");
        }
        foreach (var command in table.Root.All)
        {
            string here = $" -n {Quoted("__nengine_at " + command.Path)}";
            foreach (var verb in command.Verbs)
            {
                writer.WriteLine($"complete -c nengine{here} -a {verb.Name} -d {Quoted(verb.Description)}");
            }
            if (CompletionCases.Positional(command) is { } takes)
            {
                writer.WriteLine($"complete -c nengine{here}{(takes.File ? " -F" : "")}{Values(takes)}");
            }
            foreach (var option in command.Options)
            {
                Option(writer, option, here);
            }
        }
    }

    private static void Option(TextWriter writer, OptionEntry option, string here)
    {
        string names = string.Concat(option.Names.Select(name => name.StartsWith("--", StringComparison.Ordinal) ? " -l " + name[2..] : " -s " + name[1..]));
        string value = option.IsSwitch ? "" : option.Kind.File ? " -r -F" : " -x";
        writer.WriteLine($"complete -c nengine{here}{names}{value}{Values(option.Kind)} -d {Quoted(option.Description)}");
    }

    private static string Values(ValueKind kind)
    {
        string words = string.Join(' ', kind.Words.Concat(kind is { Folder: true, File: false } ? ["(__fish_complete_directories)"] : []));
        return words.Length > 0 ? " -a " + Quoted(words) : "";
    }

    private static string Quoted(string text) => $"'{text.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("'", "\\'", StringComparison.Ordinal)}'";
}
