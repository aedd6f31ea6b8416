using System.Text.Json;

namespace NativeEngine.Data;

/// <summary>A JSON value with its path, read by kind; what does not fit is a sentence that names file, path, expected and got.</summary>
internal readonly struct JsonView(JsonElement element, string file, string path)
{
    public JsonElement Element => element;

    public string Path => path;

    public bool IsNull => element.ValueKind is JsonValueKind.Null or JsonValueKind.Undefined;

    public bool IsString => element.ValueKind == JsonValueKind.String;

    public bool IsObject => element.ValueKind == JsonValueKind.Object;

    /// <summary>A member of an object; a null view when it is absent.</summary>
    public JsonView this[string name] =>
        new(Expect(JsonValueKind.Object, "an object").TryGetProperty(name, out var value) ? value : default, file, Child(name));

    public EngineException Error(string what) => new(ErrorKind.BadInput, $"reading {file}: {path}: {what}");

    public string String()
    {
        Expect(JsonValueKind.String, "a string");
        try
        {
            return element.GetString()!;
        }
        catch (InvalidOperationException e)
        {
            throw new EngineException(ErrorKind.BadInput, $"reading {file}: {path}: the string holds a lone surrogate", null, e);
        }
    }

    public string? StringOrNull() => IsNull ? null : String();

    public bool Bool(bool otherwise) => IsNull ? otherwise : element.ValueKind switch
    {
        JsonValueKind.True => true,
        JsonValueKind.False => false,
        _ => throw Unexpected("true or false"),
    };

    public int Int()
    {
        Expect(JsonValueKind.Number, "an integer");
        return element.TryGetInt32(out int value) ? value : throw Error($"expected a 32-bit integer, got {element.GetRawText()}");
    }

    public double Number()
    {
        Expect(JsonValueKind.Number, "a number");
        return element.GetDouble();
    }

    public IEnumerable<JsonView> Items()
    {
        var array = Expect(JsonValueKind.Array, "an array");
        int index = 0;
        foreach (var item in array.EnumerateArray())
        {
            yield return new JsonView(item, file, $"{path}[{index++}]");
        }
    }

    public IEnumerable<(string Name, JsonView Value)> Members()
    {
        var members = Expect(JsonValueKind.Object, "an object");
        foreach (var member in members.EnumerateObject())
        {
            string name;
            try
            {
                name = member.Name;
            }
            catch (InvalidOperationException)
            {
                throw Error("a name holds a lone surrogate");
            }
            yield return (name, new JsonView(member.Value, file, Child(name)));
        }
    }

    private string Child(string name) => path.Length == 0 ? name : $"{path}.{name}";

    private JsonElement Expect(JsonValueKind kind, string what) => element.ValueKind == kind ? element : throw Unexpected(what);

    private EngineException Unexpected(string what) => Error($"expected {what}, got {element.ValueKind switch
    {
        JsonValueKind.Undefined => "nothing",
        JsonValueKind.Null => "null",
        JsonValueKind.True => "true",
        JsonValueKind.False => "false",
        JsonValueKind.Number => "a number",
        JsonValueKind.String => "a string",
        JsonValueKind.Array => "an array",
        _ => "an object",
    }}");
}
