using NativeEngine.Devices;

namespace NativeEngine.Model;

/// <summary>One named tensor within a flat parameter vector.</summary>
/// <param name="Name">The name Hugging Face gives it.</param>
/// <param name="Shape">Its shape; matrices are [out, in].</param>
/// <param name="Offset">Its first element in the vector, a multiple of 16.</param>
/// <param name="Decays">Whether weight decay applies: matrices yes, norm weights no.</param>
public sealed record ParameterEntry(string Name, Shape Shape, long Offset, bool Decays);

/// <summary>
/// Where each tensor lies in one flat vector. Decaying tensors come first, so an optimiser makes two calls, whatever the number of
/// tensors; gaps between tensors hold zeros.
/// </summary>
public sealed class ParameterLayout
{
    private readonly Dictionary<string, ParameterEntry> _byName = [];

    /// <summary>Lays out tensors in the order given, those that decay first.</summary>
    public ParameterLayout(IEnumerable<(string Name, Shape Shape, bool Decays)> tensors)
    {
        var entries = new List<ParameterEntry>();
        long offset = 0;
        foreach (var group in tensors.GroupBy(t => t.Decays).OrderByDescending(g => g.Key))
        {
            foreach (var (name, shape, decays) in group)
            {
                var entry = new ParameterEntry(name, shape, offset, decays);
                entries.Add(entry);
                _byName.Add(name, entry);
                offset += (shape.Count + 15) / 16 * 16;
            }
            if (group.Key)
            {
                DecayLength = offset;
            }
        }
        Entries = entries;
        Length = offset;
    }

    /// <summary>Every tensor, in the order of the vector.</summary>
    public IReadOnlyList<ParameterEntry> Entries { get; }

    /// <summary>Elements of the vector, gaps included.</summary>
    public long Length { get; }

    /// <summary>Elements that weight decay applies to: the first ones.</summary>
    public long DecayLength { get; }

    /// <summary>Number of parameters, gaps excluded.</summary>
    public long Count => Entries.Sum(e => e.Shape.Count);

    /// <summary>The entry of a name, or null.</summary>
    public ParameterEntry? Find(string name) => _byName.GetValueOrDefault(name);
}

/// <summary>
/// A flat vector with the named views of a layout: a model's weights, their gradients, or a moment of an optimiser. Owns its memory.
/// </summary>
public sealed class ParameterSet(Device device, ParameterLayout layout, MemoryUse use) : IDisposable
{
    private readonly DeviceBuffer<float> _buffer = device.Allocate<float>(layout.Length, use);

    /// <summary>Where the vector lies.</summary>
    public Device Device { get; } = device;

    /// <summary>The names and places.</summary>
    public ParameterLayout Layout { get; } = layout;

    /// <summary>The whole vector.</summary>
    public Tensor<float> Flat => _buffer.View;

    /// <summary>The tensor of a name. Errors: a name that is not there.</summary>
    public Tensor<float> this[string name] =>
        Layout.Find(name) is { } entry ? View(entry) : throw new KeyNotFoundException($"no parameter is named {name}");

    /// <summary>The tensor of an entry.</summary>
    public Tensor<float> View(ParameterEntry entry) => new(_buffer, entry.Offset, entry.Shape);

    /// <inheritdoc/>
    public void Dispose() => _buffer.Dispose();
}
