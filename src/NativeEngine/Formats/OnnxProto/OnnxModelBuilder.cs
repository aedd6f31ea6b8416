using System.Globalization;
using System.Runtime.InteropServices;

namespace NativeEngine.Formats;

/// <summary>An attribute of a node.</summary>
internal readonly record struct OnnxAttribute(string Name, long? Int = null, float? Float = null, long[]? Ints = null)
{
    private const int FloatType = 1, IntType = 2, IntsType = 7;

    public ProtoMessage Write()
    {
        var message = new ProtoMessage().Text(1, Name);
        if (Int is { } i)
        {
            return message.Int(3, i).Int(20, IntType);
        }
        if (Float is { } f)
        {
            return message.Float(2, f).Int(20, FloatType);
        }
        foreach (long value in Ints!)
        {
            message.Int(8, value);
        }
        return message.Int(20, IntsType);
    }
}

/// <summary>
/// Builds an ONNX model: nodes in the order they are added (every input must exist by then), weights inline or in another file, inputs and
/// outputs. Field numbers are those of onnx.proto, IR version 8.
/// </summary>
internal sealed class OnnxModelBuilder
{
    private const int IrVersion = 8;

    private readonly ProtoMessage _nodes = new(), _initializers = new(), _inputs = new(), _outputs = new();
    private readonly HashSet<string> _names = new(StringComparer.Ordinal);

    /// <summary>The operator set; 17 is read by ONNX Runtime 1.12 and later.</summary>
    public const int Opset = 17;

    public void Input(string name, int type, params OnnxDimension[] shape) => _inputs.Message(11, Value(New(name), type, shape));

    public void Output(string name, int type, params OnnxDimension[] shape) => _outputs.Message(12, Value(name, type, shape));

    /// <summary>A float32 weight in the file, written through a callback when the model is.</summary>
    public string Weight(string name, ReadOnlySpan<long> shape, long bytes, Action<Stream> write)
    {
        _initializers.Message(5, Tensor(name, OnnxElement.Float, shape).Bytes(9, bytes, write));
        return name;
    }

    /// <summary>A float32 weight in another file of the same folder.</summary>
    public string ExternalWeight(string name, ReadOnlySpan<long> shape, OnnxExternalData data)
    {
        var tensor = Tensor(name, OnnxElement.Float, shape);
        tensor.Message(13, new ProtoMessage().Text(1, "location").Text(2, data.Location));
        tensor.Message(13, new ProtoMessage().Text(1, "offset").Text(2, data.Offset.ToString(CultureInfo.InvariantCulture)));
        tensor.Message(13, new ProtoMessage().Text(1, "length").Text(2, data.Length!.Value.ToString(CultureInfo.InvariantCulture)));
        const int External = 1;
        _initializers.Message(5, tensor.Int(14, External));
        return name;
    }

    /// <summary>A small constant vector of integers.</summary>
    public string Constant(string name, params long[] values)
    {
        _initializers.Message(5, Tensor(name, OnnxElement.Int64, [values.Length]).Bytes(9, MemoryMarshal.AsBytes(values.AsSpan())));
        return name;
    }

    /// <summary>A constant integer without dimensions.</summary>
    public string Scalar(string name, long value)
    {
        _initializers.Message(5, Tensor(name, OnnxElement.Int64, []).Bytes(9, MemoryMarshal.AsBytes(new ReadOnlySpan<long>(in value))));
        return name;
    }

    /// <summary>A constant float without dimensions.</summary>
    public string Scalar(string name, float value)
    {
        _initializers.Message(5, Tensor(name, OnnxElement.Float, []).Bytes(9, MemoryMarshal.AsBytes(new ReadOnlySpan<float>(in value))));
        return name;
    }

    /// <summary>A small constant vector of floats.</summary>
    public string Constant(string name, float[] values)
    {
        _initializers.Message(5, Tensor(name, OnnxElement.Float, [values.Length]).Bytes(9, MemoryMarshal.AsBytes(values.AsSpan())));
        return name;
    }

    /// <summary>A node with one output, whose name it gets and returns.</summary>
    public string Node(string operation, string output, string[] inputs, params OnnxAttribute[] attributes)
    {
        Nodes(operation, [output], inputs, attributes);
        return output;
    }

    /// <summary>A node with several outputs.</summary>
    public void Nodes(string operation, string[] outputs, string[] inputs, params OnnxAttribute[] attributes)
    {
        var node = new ProtoMessage();
        foreach (string input in inputs)
        {
            node.Text(1, _names.Contains(input) ? input : throw new ArgumentException($"node {outputs[0]}: there is no {input} yet"));
        }
        foreach (string output in outputs)
        {
            node.Text(2, New(output));
        }
        node.Text(3, outputs[0]).Text(4, operation);
        foreach (var attribute in attributes)
        {
            node.Message(5, attribute.Write());
        }
        _nodes.Message(1, node);
    }

    /// <summary>The whole model.</summary>
    public ProtoMessage Build(string graphName, string producer, string producerVersion, IEnumerable<KeyValuePair<string, string>> metadata)
    {
        var graph = new ProtoMessage();
        var model = new ProtoMessage().Int(1, IrVersion).Text(2, producer).Text(3, producerVersion);
        graph.Splice(_nodes).Text(2, graphName).Splice(_initializers).Splice(_inputs).Splice(_outputs);
        model.Message(7, graph).Message(8, new ProtoMessage().Text(1, "").Int(2, Opset));
        foreach (var (key, value) in metadata)
        {
            model.Message(14, new ProtoMessage().Text(1, key).Text(2, value));
        }
        return model;
    }

    private static ProtoMessage Value(string name, int type, OnnxDimension[] shape)
    {
        var dimensions = new ProtoMessage();
        foreach (var dimension in shape)
        {
            dimensions.Message(1, dimension.Value is { } value ? new ProtoMessage().Int(1, value) : new ProtoMessage().Text(2, dimension.Name!));
        }
        var tensor = new ProtoMessage().Int(1, type).Message(2, dimensions);
        return new ProtoMessage().Text(1, name).Message(2, new ProtoMessage().Message(1, tensor));
    }

    private ProtoMessage Tensor(string name, int type, ReadOnlySpan<long> shape)
    {
        var tensor = new ProtoMessage();
        foreach (long extent in shape)
        {
            tensor.Int(1, extent);
        }
        return tensor.Int(2, type).Text(8, New(name));
    }

    private string New(string name) => _names.Add(name) ? name : throw new ArgumentException($"the name {name} is used twice");
}
