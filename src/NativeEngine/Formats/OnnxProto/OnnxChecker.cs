using System.Globalization;

namespace NativeEngine.Formats;

/// <summary>Walks a model from its bytes and refuses what <see cref="OnnxModelFile"/> says. One use.</summary>
internal sealed class OnnxChecker(string file, OnnxLimits limits)
{
    // A trip count may come from anywhere, so nothing bounds the time of these; SequenceMap is a loop too.
    private static readonly HashSet<string> _loops = new(StringComparer.Ordinal) { "Loop", "Scan", "SequenceMap" };

    private readonly OnnxSummary _summary = new();
    private readonly OnnxTensorReader _tensors = new(limits);
    private readonly Dictionary<string, Body> _functions = new(StringComparer.Ordinal);
    private Body _body = new();

    /// <summary>The nodes of the main graph or of a function, subgraphs included, and the functions they may call.</summary>
    private sealed class Body
    {
        public long Nodes { get; set; }

        public Dictionary<string, long> Calls { get; } = new(StringComparer.Ordinal);

        /// <summary>Nodes with calls multiplied out; -1 while that is being found out, 0 before.</summary>
        public long Expanded { get; set; }
    }

    /// <summary>What names mean within a graph: what has been made, here or around it, and constant shapes.</summary>
    private sealed class Scope(Scope? outer)
    {
        private readonly HashSet<string> _names = new(StringComparer.Ordinal);

        public Dictionary<string, long[]> Shapes { get; } = new(StringComparer.Ordinal);

        public bool Add(string name) => _names.Add(name);

        public bool Knows(string name) => _names.Contains(name) || (outer?.Knows(name) ?? false);

        public long[]? ShapeOf(string name) => Shapes.TryGetValue(name, out var shape) ? shape : _names.Contains(name) ? null : outer?.ShapeOf(name);
    }

    public OnnxSummary Check(ReadOnlySpan<byte> bytes)
    {
        var reader = new ProtoReader(file, bytes);
        bool graph = false;
        while (reader.Next())
        {
            switch (reader.Field)
            {
                case 1:
                    _summary.IrVersion = reader.IntOnce();
                    break;
                case 2:
                    _summary.Producer = reader.TextOnce();
                    break;
                case 3:
                    _summary.ProducerVersion = reader.TextOnce();
                    break;
                case 7:
                    graph = true;
                    Graph(reader.MessageOnce(), null, 1);
                    break;
                case 8:
                    var (domain, version) = Opset(reader.Message());
                    if (!_summary.Opsets.TryAdd(domain, version))
                    {
                        throw reader.Bad($"operator set {FormatErrors.Quote(domain)} is imported twice");
                    }
                    break;
                case 14:
                    var (key, value) = OnnxTensorReader.Pair(reader.Message());
                    if (!_summary.Metadata.TryAdd(key, value))
                    {
                        throw reader.Bad($"metadata has the key {FormatErrors.Quote(key)} twice");
                    }
                    break;
                case 20:
                    throw reader.Bad("the model holds training information; only models for inference are run");
                case 25:
                    Function(reader.Message());
                    break;
                default:
                    reader.Skip();
                    break;
            }
        }
        if (!graph || _summary.IrVersion < 1 || _summary.Opsets.Count == 0)
        {
            throw FormatErrors.Bad(file, !graph ? "there is no graph in it, so it is no ONNX model" : _summary.IrVersion < 1 ? "the version of the format is missing" : "no operator set is imported");
        }
        _summary.NodeCount = Expand("the graph", _body);
        _summary.External.AddRange(_tensors.External);
        return _summary;
    }

    private void Graph(ProtoReader reader, Scope? outer, int depth)
    {
        if (depth > limits.MaxDepth)
        {
            throw reader.Bad($"graphs are nested deeper than {limits.MaxDepth}");
        }
        var scope = new Scope(outer);
        var copy = reader;
        // Inputs and stored tensors may come after the nodes that use them.
        while (copy.Next())
        {
            switch (copy.Field)
            {
                case 5:
                    var tensor = _tensors.Read(copy.Message(), out long[]? shape);
                    if (tensor.Name.Length == 0 || !scope.Add(tensor.Name))
                    {
                        throw copy.Bad(tensor.Name.Length == 0 ? "a stored tensor has no name" : $"tensor {FormatErrors.Quote(tensor.Name)} is stored twice");
                    }
                    if (shape is not null)
                    {
                        scope.Shapes.Add(tensor.Name, shape);
                    }
                    if (depth == 1)
                    {
                        _summary.Tensors.Add(tensor);
                    }
                    break;
                case 11:
                    var input = OnnxTypeReader.Value(copy.Message(), limits);
                    scope.Add(input.Name);
                    if (depth == 1)
                    {
                        _summary.Inputs.Add(input);
                    }
                    break;
                case 12 when depth == 1:
                    _summary.Outputs.Add(OnnxTypeReader.Value(copy.Message(), limits));
                    break;
                case 12 or 13:
                    OnnxTypeReader.Value(copy.Message(), limits);
                    break;
                case 15:
                    throw copy.Bad("the model stores a sparse tensor; only dense ones are run");
                default:
                    copy.Skip();
                    break;
            }
        }
        if (depth == 1 && _summary.Inputs.Select(i => i.Name).Distinct(StringComparer.Ordinal).Count() < _summary.Inputs.Count)
        {
            throw copy.Bad("two inputs have the same name");
        }
        Nodes(reader, scope, depth, field: 1);
        foreach (var output in depth == 1 ? _summary.Outputs : [])
        {
            if (!scope.Knows(output.Name))
            {
                throw copy.Bad($"no node makes the output {FormatErrors.Quote(output.Name)}");
            }
        }
    }

    private void Nodes(ProtoReader reader, Scope scope, int depth, int field)
    {
        while (reader.Next())
        {
            if (reader.Field == field)
            {
                Node(reader.Message(), scope, depth);
            }
            else
            {
                reader.Skip();
            }
        }
    }

    private void Node(ProtoReader reader, Scope scope, int depth)
    {
        if (++_body.Nodes > limits.MaxNodes)
        {
            throw reader.Bad($"more than {FormatErrors.Count(limits.MaxNodes)} nodes");
        }
        var inputs = new List<string>();
        var outputs = new List<string>();
        string operation = "", domain = "", overload = "";
        long[]? constant = null;
        var whole = reader;
        while (reader.Next())
        {
            switch (reader.Field)
            {
                case 1:
                    inputs.Add(reader.Text());
                    break;
                case 2:
                    outputs.Add(reader.Text());
                    break;
                case 4:
                    operation = reader.TextOnce();
                    break;
                case 7:
                    domain = reader.TextOnce();
                    break;
                case 8:
                    overload = reader.TextOnce();
                    break;
                default:
                    reader.Skip();
                    break;
            }
        }
        if (operation.Length == 0)
        {
            throw reader.Bad("a node has no operation");
        }
        if (domain is "" or "ai.onnx" && _loops.Contains(operation))
        {
            throw reader.Bad($"the model has a {operation}; loops have no bound and no decoder needs them");
        }
        if (inputs.FirstOrDefault(name => name.Length > 0 && !scope.Knows(name)) is { } unknown)
        {
            throw reader.Bad($"a {FormatErrors.Quote(operation)} uses {FormatErrors.Quote(unknown)}, which nothing before it makes");
        }
        while (whole.Next())
        {
            if (whole.Field == 5)
            {
                Attribute(whole.Message(), scope, depth, ref constant);
            }
            else
            {
                whole.Skip();
            }
        }
        string call = Key(domain, operation, overload);
        _body.Calls[call] = _body.Calls.GetValueOrDefault(call) + 1;
        RequireSmall(reader, operation, inputs, scope);
        foreach (string output in outputs.Where(name => name.Length > 0))
        {
            if (!scope.Add(output))
            {
                throw reader.Bad($"the value {FormatErrors.Quote(output)} is made twice");
            }
        }
        if (operation == "Constant" && constant is not null && outputs is [var only])
        {
            scope.Shapes.TryAdd(only, constant);
        }
    }

    // A few bytes of shape must not make the runtime take gigabytes before anything can stop it.
    private void RequireSmall(ProtoReader reader, string operation, List<string> inputs, Scope scope)
    {
        int at = operation switch { "ConstantOfShape" => 0, "Expand" or "Tile" => 1, _ => -1 };
        if (at < 0 || at >= inputs.Count || scope.ShapeOf(inputs[at]) is not { } shape)
        {
            return;
        }
        if (IsTooLarge(shape))
        {
            throw reader.Bad($"a {operation} asks for a tensor of {FormatErrors.Shape(shape)}; {FormatErrors.Count(limits.MaxTensorBytes)} bytes are allowed");
        }
    }

    private void Attribute(ProtoReader reader, Scope scope, int depth, ref long[]? constant)
    {
        string name = "";
        var integers = new List<long>();
        while (reader.Next())
        {
            switch (reader.Field)
            {
                case 1:
                    name = reader.TextOnce();
                    break;
                case 5:
                    _tensors.Read(reader.MessageOnce(), out constant);
                    break;
                case 6:
                    Graph(reader.MessageOnce(), scope, depth + 1);
                    break;
                case 8:
                    reader.Ints(integers, 1 << 20);
                    break;
                case 10:
                    _tensors.Read(reader.Message(), out _);
                    break;
                case 11:
                    Graph(reader.Message(), scope, depth + 1);
                    break;
                case 14 or 15:
                    OnnxTypeReader.Type(reader.Message(), limits, 1);
                    break;
                case 22 or 23:
                    throw reader.Bad($"attribute {FormatErrors.Quote(name)} holds a sparse tensor; only dense ones are run");
                default:
                    reader.Skip();
                    break;
            }
        }
        // Of operators that make a tensor out of nothing.
        if (name == "shape" && integers.TrueForAll(extent => extent >= 0) && IsTooLarge(integers))
        {
            throw reader.Bad($"a node asks for a tensor of {FormatErrors.Shape([.. integers.Take(8)])}; {FormatErrors.Count(limits.MaxTensorBytes)} bytes are allowed");
        }
    }

    private bool IsTooLarge(IReadOnlyCollection<long> shape) =>
        shape.Any(extent => extent < 0) || FormatErrors.ElementCount([.. shape]) is not { } count || count > limits.MaxTensorBytes / 4;

    private void Function(ProtoReader reader)
    {
        if (_functions.Count >= limits.MaxFunctions)
        {
            throw reader.Bad($"more than {limits.MaxFunctions} local functions");
        }
        string name = "", domain = "", overload = "";
        var scope = new Scope(null);
        var whole = reader;
        while (reader.Next())
        {
            switch (reader.Field)
            {
                case 1:
                    name = reader.TextOnce();
                    break;
                case 4:
                    scope.Add(reader.Text());
                    break;
                case 10:
                    domain = reader.TextOnce();
                    break;
                case 11:
                    long[]? none = null;
                    Attribute(reader.Message(), scope, 1, ref none);
                    break;
                case 13:
                    overload = reader.TextOnce();
                    break;
                default:
                    reader.Skip();
                    break;
            }
        }
        var outer = _body;
        _body = new Body();
        if (!_functions.TryAdd(Key(domain, name, overload), _body))
        {
            throw reader.Bad($"function {FormatErrors.Quote(name)} is defined twice");
        }
        Nodes(whole, scope, 1, field: 7);
        _body = outer;
    }

    private long Expand(string name, Body body)
    {
        if (body.Expanded != 0)
        {
            return body.Expanded > 0 ? body.Expanded : throw FormatErrors.Bad(file, $"function {FormatErrors.Quote(name)} calls itself");
        }
        body.Expanded = -1;
        long total = Math.Max(body.Nodes, 1);
        foreach (var (call, times) in body.Calls)
        {
            if (_functions.TryGetValue(call, out var callee))
            {
                total += times * Expand(call, callee);
                if (total > limits.MaxNodes)
                {
                    throw FormatErrors.Bad(file, $"its functions, written out, have more than {FormatErrors.Count(limits.MaxNodes)} nodes");
                }
            }
        }
        return body.Expanded = total;
    }

    private static string Key(string domain, string name, string overload) => string.Create(CultureInfo.InvariantCulture, $"{(domain == "ai.onnx" ? "" : domain)}\0{name}\0{overload}");

    private static (string Domain, long Version) Opset(ProtoReader reader)
    {
        string domain = "";
        long version = 0;
        while (reader.Next())
        {
            switch (reader.Field)
            {
                case 1:
                    domain = reader.TextOnce();
                    break;
                case 2:
                    version = reader.IntOnce();
                    break;
                default:
                    reader.Skip();
                    break;
            }
        }
        return version > 0 ? (domain == "ai.onnx" ? "" : domain, version) : throw reader.Bad($"operator set {FormatErrors.Quote(domain)} has the version {version}");
    }
}
