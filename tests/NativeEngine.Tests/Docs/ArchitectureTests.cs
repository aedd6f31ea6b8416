using System.Text.RegularExpressions;
using NativeEngine.Tests.Support;

namespace NativeEngine.Tests.Docs;

/// <summary>docs/architecture.md against the code: every folder has its room, and no room uses one above it.</summary>
public partial class ArchitectureTests
{
    private const int LongestFile = 500, MostFiles = 30;

    private static readonly Lazy<List<Source>> _sources = new(() =>
    [
        .. Directory.EnumerateFiles(RepositoryPaths.InRepository("src"), "*.cs", SearchOption.AllDirectories)
            .Select(f => Path.GetRelativePath(RepositoryPaths.InRepository("src"), f).Replace('\\', '/')).Where(f => !BuildOutput().IsMatch(f)).Order(StringComparer.Ordinal)
            .Select(f => Source.Of(f, File.ReadAllText(RepositoryPaths.InRepository("src/" + f)))),
    ]);

    [Fact]
    public void Map_EveryRoom_HasAFolderAndEveryFolderARoom()
    {
        string[] rooms = Rooms();
        Assert.All(rooms, room => Assert.Contains(_sources.Value, s => s.Folder == room || s.Folder.StartsWith(room + "/", StringComparison.Ordinal)));
        Assert.Equal([], _sources.Value.Where(s => RoomOf(rooms, s.Folder) < 0).Select(s => s.Path));
    }

    [Fact]
    public void Rooms_EveryUse_IsOfARoomBelow()
    {
        var upward = UsesOfRoomsAbove(Rooms(), _sources.Value);
        Assert.True(upward.Count == 0, string.Join('\n', upward));
        Assert.True(UsesOfRoomsAbove([.. Rooms().Reverse()], _sources.Value).Count > 1000, "hardly any use between rooms was seen");
    }

    [Fact]
    public void UsesOfRoomsAbove_UpwardUse_IsNamed()
    {
        Source[] sources =
        [
            Source.Of("N/Low/A.cs", "namespace N.Low;\n// Upper is above\npublic class Lower { string s = \"Upper\"; }"),
            Source.Of("N/Low/B.cs", "using N.High;\nnamespace N.Low;\ninternal record Wrong(Upper U);"),
            Source.Of("N/High/C.cs", "using N.Low;\nnamespace N.High;\npublic sealed class Upper { Lower l; }"),
        ];
        Assert.Equal(["N/Low/B.cs uses Upper of N/High"], UsesOfRoomsAbove(["N/High", "N/Low"], sources));
        Assert.Equal(["N/High/C.cs uses Lower of N/Low"], UsesOfRoomsAbove(["N/Low", "N/High"], sources));
    }

    [Fact]
    public void Files_LengthAndNumber_StayReadable()
    {
        Assert.Equal([], _sources.Value.Where(s => s.Lines > LongestFile).Select(s => $"{s.Path} has {s.Lines} lines: what is the second thing in it?"));
        Assert.Equal([], _sources.Value.GroupBy(s => s.Folder).Where(g => g.Count() > MostFiles).Select(g => $"{g.Key} has {g.Count()} files: what shelves would it have?"));
    }

    // From the top down.
    private static string[] Rooms()
    {
        string[] rooms = [.. File.ReadLines(RepositoryPaths.InRepository("docs/architecture.md")).Select(line => Row().Match(line)).Where(m => m.Success).Select(m => m.Groups[1].Value)];
        Assert.True(rooms.Length > 20 && rooms.Distinct().Count() == rooms.Length, $"docs/architecture.md lists {rooms.Length} rooms");
        return rooms;
    }

    // The deepest room around a folder; a project's own row is for the files directly in it.
    private static int RoomOf(string[] rooms, string folder)
    {
        int found = Array.IndexOf(rooms, folder);
        while (found < 0 && folder.LastIndexOf('/') is > 0 and var cut)
        {
            folder = folder[..cut];
            found = folder.Contains('/') ? Array.IndexOf(rooms, folder) : -1;
        }
        return found;
    }

    private static List<string> UsesOfRoomsAbove(string[] rooms, IReadOnlyList<Source> sources)
    {
        // Names that more than one file declares (parts of a class, nested types of the same name) count where all of them are in one room.
        var places = sources.SelectMany(s => s.Types.Select(t => (Key: (s.Namespace, t), s.Folder))).GroupBy(p => p.Key, p => RoomOf(rooms, p.Folder))
            .Where(g => g.Distinct().Count() == 1).ToDictionary(g => g.Key, g => g.First());
        var found = new List<string>();
        foreach (var source in sources)
        {
            int room = RoomOf(rooms, source.Folder);
            foreach (string word in source.Words)
            {
                foreach (string scope in source.Scopes)
                {
                    if (places.TryGetValue((scope, word), out int at) && at < room)
                    {
                        found.Add($"{source.Path} uses {word} of {rooms[at]}");
                    }
                }
            }
        }
        return found;
    }

    [GeneratedRegex(@"(^|/)(bin|obj)/")]
    private static partial Regex BuildOutput();

    [GeneratedRegex(@"^\| `([\w./]+)` \|")]
    private static partial Regex Row();

    /// <summary>What one file declares and names. Types are those at the file's own level; words are what is left without comments and strings.</summary>
    private sealed partial record Source(string Path, string Namespace, HashSet<string> Types, HashSet<string> Words, string[] Scopes, int Lines)
    {
        public string Folder => Path[..Path.LastIndexOf('/')];

        public static Source Of(string path, string text)
        {
            string code = Quiet().Replace(text, " "), space = NamespaceLine().Match(code).Groups[1].Value;
            var scopes = Using().Matches(code).Select(m => m.Groups[1].Value).ToList();
            for (string s = space; s.Length > 0; s = s[..Math.Max(0, s.LastIndexOf('.'))])
            {
                scopes.Add(s);
            }
            return new Source(
                path, space, [.. Declared().Matches(code).Select(m => m.Groups[1].Value)], [.. Word().Matches(Using().Replace(code, "")).Select(m => m.Value)],
                [.. scopes.Distinct()], text.AsSpan().Count('\n'));
        }

        // Comments, and strings unless something is put into them.
        [GeneratedRegex(@"//[^\n]*|/\*.*?\*/|(?<!\$)""(\\.|[^""\\\n])*""", RegexOptions.Singleline)]
        private static partial Regex Quiet();

        [GeneratedRegex(@"^namespace ([\w.]+)", RegexOptions.Multiline)]
        private static partial Regex NamespaceLine();

        [GeneratedRegex(@"^using (?:static )?([\w.]+);", RegexOptions.Multiline)]
        private static partial Regex Using();

        [GeneratedRegex(@"^(?:(?:public|internal|sealed|static|abstract|partial|readonly|unsafe|ref) )*(?:class|struct|interface|enum|record(?: struct| class)?|delegate [\w<>\[\]?]+) (\w+)", RegexOptions.Multiline)]
        private static partial Regex Declared();

        [GeneratedRegex(@"[A-Za-z_]\w*")]
        private static partial Regex Word();
    }
}
