using System.Text;

namespace NativeEngine.Tests.Fuzz;

/// <summary>Lines of text, each damaged as a document of its own (JSON lines), or doubled, deleted, joined, blanked, moved, prolonged.</summary>
internal sealed class LineFields(byte[][] seeds, bool json) : IFields
{
    private static readonly byte[][] _lines = [.. new[] { "", " ", "\r", "\t\t", "{}", "[]", "null", "{", "\uFEFF", "#", ",", ",,,", "\"", "0", "{\"a\":1}{\"a\":1}" }.Select(Encoding.UTF8.GetBytes)];

    private readonly List<byte[]>[] _split = [.. seeds.Select(Split)];
    private readonly JsonFields[]? _json = json ? [.. seeds.Select(s => new JsonFields([.. Split(s)]))] : null;

    public byte[] Mutate(int seed, FuzzRandom random)
    {
        var lines = new List<byte[]>(_split[seed]);
        for (int edits = 1 + random.Below(2); edits > 0 && lines.Count > 0; edits--)
        {
            int at = random.Below(lines.Count), other = random.Below(lines.Count);
            switch (random.Below(_json is null ? 8 : 20))
            {
                case 0:
                    lines.RemoveAt(at);
                    break;
                case 1:
                    lines.Insert(at, lines[other]);
                    break;
                case 2:
                    (lines[at], lines[other]) = (lines[other], lines[at]);
                    break;
                case 3:
                    lines.Insert(at, random.Of(_lines));
                    break;
                case 4:
                    lines[at] = [.. lines[at], .. random.Once(2) ? "\r"u8 : " "u8];
                    break;
                case 5:
                    lines[at] = [.. lines[at], .. lines[other]];
                    break;
                case 6 when random.Once(20):
                    lines.InsertRange(at, Enumerable.Repeat(lines[other], random.Below(Math.Max(1, Mutator.MaxBytes / (lines[other].Length + 1)))));
                    break;
                case 7:
                    int cut = random.Below(lines[at].Length + 1);
                    lines[at] = random.Once(2) ? lines[at][..cut] : [.. lines[at][..cut], (byte)(32 + random.Below(95)), .. lines[at][cut..]];
                    break;
                default:
                    if (_json is not null && at < _split[seed].Count)
                    {
                        lines[at] = _json[seed].Mutate(at, random);
                    }
                    break;
            }
        }
        using var bytes = new MemoryStream();
        foreach (byte[] line in lines)
        {
            bytes.Write(line);
            bytes.WriteByte((byte)'\n');
        }
        return bytes.ToArray();
    }

    private static List<byte[]> Split(byte[] seed) => [.. Encoding.UTF8.GetString(seed).Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(Encoding.UTF8.GetBytes)];
}

/// <summary>YAML by its lines: values at the edges, of another form, aliases and anchors, tags, block texts; indentation changed; keys mistyped; lines doubled, deleted, moved.</summary>
internal sealed class YamlFields(params byte[][] seeds) : IFields
{
    private static readonly string[] _values =
    [
        "", "~", "null", "0", "-1", "1", "1.5", "1e400", ".nan", "2147483648", "9223372036854775808", "99999999999999999999", "true", "no", "\"\"", "\"a\"", "'a'", "\"\\uD800\"", "\"\\U00110000\"", "\"\\x\"",
        "[]", "[1, 2]", "[a, b, c]", "{}", "{a: b}", "{value: 1}", "[{filter: a, value: 1}, 0.5]", "[[[[[[[[1]]]]]]]]", "&a 1", "*a", "&a [*a]", "!!int 3", "!!binary x", "!x", "|", ">-", "|9", "@", "`", "%", "a: b", "- a", "? a", "#",
        "../..", "NaN", "Infinity", "\u00fc", "\t",
    ];

    private readonly string[][] _lines = [.. seeds.Select(s => Encoding.UTF8.GetString(s).Split('\n', StringSplitOptions.RemoveEmptyEntries))];

    public byte[] Mutate(int seed, FuzzRandom random)
    {
        var lines = new List<string>(_lines[seed]);
        for (int edits = 1 + random.Below(2); edits > 0 && lines.Count > 0; edits--)
        {
            int at = random.Below(lines.Count), other = random.Below(lines.Count), colon = lines[at].IndexOf(": ", StringComparison.Ordinal), from = lines[other].IndexOf(": ", StringComparison.Ordinal);
            switch (random.Below(14))
            {
                case 0:
                    lines.RemoveAt(at);
                    break;
                case 1:
                    lines.Insert(at, lines[other]);
                    break;
                case 2:
                    (lines[at], lines[other]) = (lines[other], lines[at]);
                    break;
                case 3:
                    lines[at] = random.Once(2) ? "  " + lines[at] : lines[at].StartsWith("  ", StringComparison.Ordinal) ? lines[at][2..] : lines[at] + " #";
                    break;
                case 4:
                    lines.Insert(at, random.Of(new[] { "---", "...", "%YAML 1.1", "{", "zz: 1", "- x", "\t", "&a", "? [a, b]", "<<: *a", ": :" }));
                    break;
                case 5:
                    int place = random.Below(lines[at].Length + 1);
                    lines[at] = lines[at].Insert(place, ((char)(33 + random.Below(94))).ToString());
                    break;
                case 6 when random.Once(30):
                    bool deep = random.Once(2);
                    string nested = deep ? new string('[', 1 + random.Below(20_000)) : string.Join(", ", Enumerable.Repeat("1", 1 + random.Below(20_000)));
                    lines[at] = lines[at][..(colon < 0 ? 0 : colon + 2)] + (deep ? nested : $"[{nested}]");
                    break;
                case 7 when random.Once(30):
                    lines.InsertRange(at, Enumerable.Range(0, random.Below(Math.Max(1, Mutator.MaxBytes / (lines[other].Length + 8)))).Select(k => random.Once(2) ? lines[other] : lines[other].Replace(": ", $"{k}: ", StringComparison.Ordinal)));
                    break;
                case 8 when colon > 0 && from > 0:
                    lines[at] = lines[at][..colon] + lines[other][from..];
                    break;
                default:
                    lines[at] = colon < 0 ? lines[at] + random.Of(_values) : $"{lines[at][..colon]}: {random.Of(_values)}";
                    break;
            }
        }
        return Encoding.UTF8.GetBytes(string.Join('\n', lines) + "\n");
    }
}
