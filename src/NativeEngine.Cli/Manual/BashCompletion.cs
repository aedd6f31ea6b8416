namespace NativeEngine.Cli.Manual;

/// <summary>Completion for bash, without the bash-completion package: <c>source &lt;(nengine completions bash)</c>.</summary>
internal static class BashCompletion
{
    public static void Write(TextWriter writer, CommandTable table)
    {
        // The line is split here: bash splits words at : and = too, and replaces only what follows the last of them.
        writer.WriteLine("""
            # Completion of nengine for bash, made by: nengine completions bash
            # Once: source <(nengine completions bash); always: nengine completions bash > ~/.local/share/bash-completion/completions/nengine
            _nengine() {
                local line=${COMP_LINE:0:COMP_POINT} at=nengine word cur prev words= options= files= IFS=$' \t\n'
                local -a said
                COMPREPLY=()
                read -ra said <<< "$line"
                [[ $line == *[[:space:]] ]] && said+=("")
                cur=${said[${#said[@]} - 1]} prev=${said[${#said[@]} - 2]}
                for word in "${said[@]:1:${#said[@]} - 2}"; do
                    case "$at $word" in
            """);
        writer.WriteLine($"            {string.Join(" | ", CompletionCases.Paths(table).Select(Quoted))}) at=\"$at $word\" ;;");
        writer.WriteLine("""
                    esac
                done
                [[ $cur == --*=* ]] && prev=${cur%%=*} cur=${cur#*=}
                case "$at $prev" in
            """);
        foreach (var (kind, places) in CompletionCases.Values(table))
        {
            string patterns = string.Join(" | ", places.Select(p => p.Path.Length == 0 ? $"*{Quoted(" " + p.Name)}" : Quoted($"{p.Path} {p.Name}")));
            writer.WriteLine($"        {patterns}) words={Quoted(string.Join(' ', kind.Words))} files={Files(kind)} ;;");
        }
        writer.WriteLine("""
                    *)
                        case $at in
            """);
        foreach (var command in table.Root.All)
        {
            var takes = CompletionCases.Positional(command) ?? new ValueKind([.. command.Verbs.Select(v => v.Name)], File: false, Folder: false);
            writer.WriteLine($"                {Quoted(command.Path)}) words={Quoted(string.Join(' ', takes.Words))} files={Files(takes)} options={Quoted(string.Join(' ', command.Options.SelectMany(o => o.Names)))} ;;");
        }
        writer.WriteLine($"""
                        esac
                        options+={Quoted(" " + string.Join(' ', table.Common.SelectMany(o => o.Names)))}
                        if [[ $cur == -* ]]; then words=$options files=; elif [[ -z $words$files ]]; then words=$options; fi
                        ;;
                esac
            """);
        writer.WriteLine("""
                [[ -n $words ]] && COMPREPLY=($(compgen -W "$words" -- "$cur"))
                IFS=$'\n'
                case $files in
                    file) COMPREPLY+=($(compgen -f -- "$cur")) ;;
                    folder) COMPREPLY+=($(compgen -d -- "$cur")) ;;
                esac
                [[ -n $files ]] && compopt -o filenames 2> /dev/null
                local kept=${cur%"${cur##*[:=]}"}
                [[ -n $kept && $COMP_WORDBREAKS == *:* ]] && COMPREPLY=("${COMPREPLY[@]#"$kept"}")
            }
            complete -F _nengine nengine
            """);
    }

    private static string Files(ValueKind kind) => kind.File ? "file" : kind.Folder ? "folder" : "";

    private static string Quoted(string text) => $"'{text}'";
}
