using NativeEngine.Data;
using NativeEngine.Devices;

namespace NativeEngine.Model;

/// <summary>
/// Sequences packed one after another without padding, on a device: N tokens of S sequences. A row whose target is not negative is a
/// label row; R of them carry loss. Owns its memory.
/// </summary>
public sealed class TokenBatch : IDisposable
{
    private readonly List<DeviceBuffer<int>> _buffers = [];
    private readonly int[] _labelOffsets;

    /// <summary>
    /// A batch from host arrays: tokens [N], position of each within its sequence [N], sequence bounds [S+1], target of each row [N]
    /// (-1: no loss). Errors: lengths that do not match, a token or target outside the vocabulary, a position past the context, each with
    /// its place.
    /// </summary>
    public TokenBatch(
        Device device, LlamaConfig config, ReadOnlySpan<int> tokens, ReadOnlySpan<int> positions, ReadOnlySpan<int> offsets,
        ReadOnlySpan<int> targets)
    {
        Check(config, tokens, positions, offsets, targets);
        int rows = 0;
        foreach (int target in targets)
        {
            rows += target >= 0 ? 1 : 0;
        }
        var labelRows = new int[rows];
        var labelTargets = new int[rows];
        _labelOffsets = new int[offsets.Length];
        for (int s = 0, next = 0; s + 1 < offsets.Length; s++)
        {
            for (int row = offsets[s]; row < offsets[s + 1]; row++)
            {
                if (targets[row] >= 0)
                {
                    labelRows[next] = row;
                    labelTargets[next++] = targets[row];
                }
            }
            _labelOffsets[s + 1] = next;
        }
        Device = device;
        Tokens = Keep(tokens);
        Positions = Keep(positions);
        Offsets = Keep(offsets);
        LabelRows = Keep(labelRows);
        Targets = Keep(labelTargets);
    }

    /// <summary>A batch from packed examples. Errors as above.</summary>
    public TokenBatch(Device device, LlamaConfig config, PackedBatch packed)
        : this(device, config, packed.Tokens, packed.Positions, packed.Offsets, packed.Targets)
    {
    }

    /// <summary>Where the batch lies.</summary>
    public Device Device { get; }

    /// <summary>Tokens [N].</summary>
    public Tensor<int> Tokens { get; }

    /// <summary>Positions [N].</summary>
    public Tensor<int> Positions { get; }

    /// <summary>Sequence bounds [S+1].</summary>
    public Tensor<int> Offsets { get; }

    /// <summary>Rows that carry loss [R], ascending.</summary>
    public Tensor<int> LabelRows { get; }

    /// <summary>Their targets [R].</summary>
    public Tensor<int> Targets { get; }

    /// <summary>Number of sequences S.</summary>
    public int Sequences => _labelOffsets.Length - 1;

    /// <summary>Number of tokens N.</summary>
    public long TokenCount => Tokens.Length;

    /// <summary>Number of label rows R.</summary>
    public long LabelCount => Targets.Length;

    /// <summary>Label rows of sequence s are entries LabelOffsets[s] .. LabelOffsets[s+1] - 1 of <see cref="LabelRows"/>.</summary>
    public ReadOnlySpan<int> LabelOffsets => _labelOffsets;

    /// <inheritdoc/>
    public void Dispose() => _buffers.ForEach(b => b.Dispose());

    private static void Check(
        LlamaConfig config, ReadOnlySpan<int> tokens, ReadOnlySpan<int> positions, ReadOnlySpan<int> offsets, ReadOnlySpan<int> targets)
    {
        if (positions.Length != tokens.Length || targets.Length != tokens.Length || offsets.Length < 1 || offsets[^1] != tokens.Length)
        {
            throw new ArgumentException($"a batch of {tokens.Length} tokens has {positions.Length} positions, {targets.Length} targets and ends at {(offsets.Length < 1 ? 0 : offsets[^1])}");
        }
        for (int i = 0; i < tokens.Length; i++)
        {
            if ((uint)tokens[i] >= (uint)config.VocabularySize || targets[i] >= config.VocabularySize)
            {
                throw new EngineException(ErrorKind.BadInput,
                    $"row {i} of the batch has token {tokens[i]} and target {targets[i]}, the model's vocabulary has {config.VocabularySize} tokens",
                    "use the tokenizer that belongs to the model");
            }
            if ((uint)positions[i] >= (uint)config.ContextLength)
            {
                throw new EngineException(ErrorKind.BadInput,
                    $"row {i} of the batch is at position {positions[i]}, the model's context is {config.ContextLength} tokens",
                    "shorten the sequences (--seq-len)");
            }
        }
    }

    private Tensor<int> Keep(ReadOnlySpan<int> values)
    {
        var buffer = Device.Allocate(values, MemoryUse.Data);
        _buffers.Add(buffer);
        return buffer.View;
    }
}
