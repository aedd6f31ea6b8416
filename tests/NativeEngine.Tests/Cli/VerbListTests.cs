using System.CommandLine;
using System.CommandLine.Parsing;
using NativeEngine.Cli;
using NativeEngine.Cli.Verbs;
using NativeEngine.Tests.Support;

namespace NativeEngine.Tests.Cli;

/// <summary>What holds for every verb there is, without naming one.</summary>
public sealed class VerbListTests
{
    public static TheoryData<string> Verbs()
    {
        var data = new TheoryData<string>();
        foreach (var (path, _) in All(VerbList.Create(new CommonOptions()), ""))
        {
            data.Add(path);
        }
        return data;
    }

    [Theory]
    [MemberData(nameof(Verbs))]
    public void Verb_Example_Parses(string path)
    {
        var common = new CommonOptions();
        var root = VerbList.Create(common);
        var verb = All(root, "").Single(entry => entry.Path == path).Verb;
        string[] words = [.. CommandLineParser.SplitCommandLine(verb.Example)];
        Assert.Equal("nengine", words[0]);
        var parse = new CommandLineReader(root, common).Read(words[1..]);
        Assert.Same(verb, parse.CommandResult.Command);
    }

    [Theory]
    [MemberData(nameof(Verbs))]
    public void Verb_Help_TellsEveryOptionAndTheExample(string path)
    {
        string help = NEngine.Run([.. path.Split(' '), "--help"]).Expect(0).StdOut;
        var common = new CommonOptions();
        var verb = All(VerbList.Create(common), "").Single(entry => entry.Path == path).Verb;
        Assert.Contains(verb.Example, help, StringComparison.Ordinal);
        Assert.All(verb.Options.Concat(common.All).Where(option => !option.Hidden), option =>
        {
            Assert.Contains("  " + option.Name, help, StringComparison.Ordinal);
            Assert.False(string.IsNullOrWhiteSpace(option.Description), $"{option.Name} has no description");
        });
        Assert.All(help.Split('\n'), line => Assert.True(line.Length <= 120, line));
    }

    [Theory]
    [MemberData(nameof(Verbs))]
    public void Verb_Options_DoNotHideTheCommonOnes(string path)
    {
        var common = new CommonOptions();
        var verb = All(VerbList.Create(common), "").Single(entry => entry.Path == path).Verb;
        var names = common.All.Concat(verb.Options).SelectMany(option => option.Aliases.Append(option.Name)).ToList();
        Assert.Equal(names.Count, names.Distinct(StringComparer.Ordinal).Count());
        Assert.Equal(verb.Options.Count, verb.Groups.Sum(group => group.Options.Length));
    }

    private static IEnumerable<(string Path, Verb Verb)> All(Command command, string path)
    {
        foreach (var sub in command.Subcommands)
        {
            string name = path.Length == 0 ? sub.Name : $"{path} {sub.Name}";
            if (sub is Verb verb)
            {
                yield return (name, verb);
            }
            foreach (var entry in All(sub, name))
            {
                yield return entry;
            }
        }
    }
}
