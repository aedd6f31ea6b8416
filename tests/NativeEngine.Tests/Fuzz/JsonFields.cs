using System.Text;
using System.Text.Json;

namespace NativeEngine.Tests.Fuzz;

/// <summary>
/// Damages JSON by its structure: values at the edges of their type, of another type, copied from elsewhere, deleted, doubled, under a key that stands already, nested
/// deep, repeated many times; keys renamed; strings with half a surrogate pair.
/// </summary>
internal sealed class JsonFields(params byte[][] seeds) : IFields
{
    private static readonly byte[][] _values =
    [
        .. new[]
        {
            "null", "true", "false", "0", "-0", "1", "-1", "2", "1.5", "4.0", "1e3", "1e400", "-1e-400", "2147483647", "2147483648", "-2147483649", "4294967296", "9223372036854775807",
            "9223372036854775808", "-9223372036854775808", "18446744073709551616", "99999999999999999999999999999999", "1e308", "5e-324", "\"\"", "\" \"", "\"a\"", "\"\\ud800\"", "\"\\udc00x\"", "\"\\u0000\"",
            "\"\\ud83d\\ude00\"", "\"../../etc/passwd\"", "\"/\"", "\"NaN\"", "\"1\"", "[]", "{}", "[[]]", "[null]", "[0]", "[0,0]", "{\"\":0}", "{\"a\":null}", "{\"\\ud800\":1}", "{\"a\":1,\"a\":2}",
        }.Select(Encoding.UTF8.GetBytes),
        Nested(12), Nested(70), Nested(3000), [.. "\""u8, .. Enumerable.Repeat((byte)'x', 5000), .. "\""u8],
    ];

    private static readonly byte[][] _keys = [.. new[] { "\"\"", "\"a\"", "\"\\ud800\"", "\"schema\"", "\"__proto__\"", "\"\\u0061\"", "\"\u00fc\"" }.Select(Encoding.UTF8.GetBytes)];

    private readonly Tree[] _trees = [.. seeds.Select(s => new Tree(s))];

    public byte[] Mutate(int seed, FuzzRandom random)
    {
        var tree = _trees[seed];
        using var writer = new MemoryStream(2 * tree.Size);
        int first = random.Below(tree.Nodes.Count), second = random.Once(3) ? random.Below(tree.Nodes.Count) : -1;
        Write(tree.Nodes[0], null, tree, first, second, random, writer);
        return writer.ToArray();
    }

    private static byte[] Nested(int depth) => [.. Enumerable.Repeat((byte)'[', depth), .. Enumerable.Repeat((byte)']', depth)];

    // Writes a member or an item with what is done to it: nothing, or several times, or not at all. True when something was written.
    private static bool Write(Node node, byte[]? key, Tree tree, int first, int second, FuzzRandom random, MemoryStream to)
    {
        if (node.Number != first && node.Number != second)
        {
            Key(key, to);
            Value(node, tree, first, second, random, to);
            return true;
        }
        switch (random.Below(10))
        {
            case 0:
                return false;
            case 1:
                Key(key, to);
                Plain(node, to);
                to.Write(","u8);
                Key(key, to);
                Plain(random.Once(2) ? node : random.Of(tree.Nodes), to);
                return true;
            case 2:
                Key(key is null ? null : random.Once(2) ? random.Of(_keys) : random.Of(tree.Keys), to);
                Plain(node, to);
                return true;
            case 3:
                Key(key, to);
                Plain(random.Of(tree.Nodes), to);
                return true;
            case 4 or 5 when node.Scalar is { Length: > 0 } scalar:
                Key(key, to);
                to.Write(Tweaked(scalar, random));
                return true;
            case 6 when random.Once(12):
                for (int times = 1 + random.Below(Mutator.MaxBytes / Math.Max(8, node.Size + (key?.Length ?? 0))); times > 0; times--)
                {
                    Key(key is null ? null : Encoding.UTF8.GetBytes($"\"k{times}\""), to);
                    Plain(node, to);
                    to.Write(","u8);
                }
                Key(key, to);
                Plain(node, to);
                return true;
            case 7:
                Key(key, to);
                to.Write(random.Once(2) ? "["u8 : "{\"a\":"u8);
                Plain(node, to);
                to.Write(random.Once(2) ? "]"u8 : "}"u8);
                return true;
            default:
                Key(key, to);
                to.Write(random.Of(_values));
                return true;
        }
    }

    private static void Key(byte[]? key, MemoryStream to)
    {
        if (key is not null)
        {
            to.Write(key);
            to.Write(":"u8);
        }
    }

    private static void Value(Node node, Tree tree, int first, int second, FuzzRandom random, MemoryStream to)
    {
        if (node.Scalar is not null)
        {
            to.Write(node.Scalar);
            return;
        }
        to.Write(node.Keys is null ? "["u8 : "{"u8);
        for (int i = 0; i < node.Children.Count; i++)
        {
            long before = to.Length;
            if (i > 0 && to.GetBuffer()[to.Length - 1] is not ((byte)'[' or (byte)'{'))
            {
                to.Write(","u8);
            }
            if (!Write(node.Children[i], node.Keys?[i], tree, first, second, random, to))
            {
                to.SetLength(before);
            }
        }
        to.Write(node.Keys is null ? "]"u8 : "}"u8);
    }

    private static void Plain(Node node, MemoryStream to) => to.Write(node.Raw);

    private static byte[] Tweaked(byte[] scalar, FuzzRandom random)
    {
        string text = Encoding.UTF8.GetString(scalar);
        if (text[0] == '"')
        {
            int at = 1 + random.Below(text.Length - 1);
            if (random.Once(40) && at < text.Length - 1)
            {
                string part = text[at..Math.Min(text.Length - 1, at + 1 + random.Below(6))];
                return Encoding.UTF8.GetBytes(text.Insert(at, string.Concat(Enumerable.Repeat(part, 1 + random.Below(Mutator.MaxBytes / 2 / part.Length)))));
            }
            return Encoding.UTF8.GetBytes(random.Below(5) switch
            {
                0 => text.Insert(at, "\\ud800"),
                1 => text.Insert(at, "\\n"),
                2 when at < text.Length - 1 => text.Remove(at, 1),
                3 => text.Insert(at, ((char)(33 + random.Below(90))).ToString()),
                _ => text.Insert(at, text[1..^1]),
            });
        }
        return long.TryParse(text, out long number)
            ? Encoding.UTF8.GetBytes(random.Below(8) switch
            {
                0 => (number + 1).ToString(),
                1 => (number - 1).ToString(),
                2 => $"-{text}",
                3 => $"{text}0",
                4 => (number * 2).ToString(),
                5 => $"{text}.0",
                6 => $"{text}e{random.Below(20)}",
                _ => (number + (1L << (8 * (1 + random.Below(7))))).ToString(),
            })
            : Encoding.UTF8.GetBytes(text + random.Below(10));
    }

    private sealed record Node(int Number, byte[]? Scalar, List<byte[]>? Keys, List<Node> Children)
    {
        public byte[] Raw { get; set; } = [];

        public int Size => Raw.Length;
    }

    private sealed class Tree
    {
        public Tree(byte[] seed)
        {
            using var document = JsonDocument.Parse(seed);
            Add(document.RootElement);
            Size = seed.Length;
            Keys = [.. Nodes.SelectMany(n => n.Keys ?? []).DefaultIfEmpty("\"a\""u8.ToArray())];
        }

        public List<Node> Nodes { get; } = [];

        public List<byte[]> Keys { get; }

        public int Size { get; }

        private Node Add(JsonElement element)
        {
            bool isObject = element.ValueKind == JsonValueKind.Object, isArray = element.ValueKind == JsonValueKind.Array;
            byte[] raw = Encoding.UTF8.GetBytes(element.GetRawText());
            var node = new Node(Nodes.Count, isObject || isArray ? null : raw, isObject ? [] : null, []) { Raw = raw };
            Nodes.Add(node);
            if (isObject)
            {
                foreach (var member in element.EnumerateObject())
                {
                    node.Keys!.Add(JsonSerializer.SerializeToUtf8Bytes(member.Name));
                    node.Children.Add(Add(member.Value));
                }
            }
            else if (isArray)
            {
                foreach (var item in element.EnumerateArray())
                {
                    node.Children.Add(Add(item));
                }
            }
            return node;
        }
    }
}
