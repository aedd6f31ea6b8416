using NativeEngine.Data;
using NativeEngine.Devices;

namespace NativeEngine.Model;

/// <summary>
/// Sequences packed one after another without padding, on a device: N tokens of S sequences. A row whose target is not negative is a
/// label row; R of them carry loss. Owns its memory, which a batch that is loaded again keeps as far as it suffices.
/// </summary>
public sealed class TokenBatch : IDisposable
{
    private readonly LlamaConfig _config;
    private readonly DeviceBuffer<int>?[] _buffers = new DeviceBuffer<int>?[5];
    private int[] _tokens = [], _positions = [], _offsets = [], _targets = [], _labelRows = [], _labelTargets = [], _labelOffsets = [];

    /// <summary>An empty batch, to be loaded.</summary>
    public TokenBatch(Device device, LlamaConfig config) => (Device, _config) = (device, config);

    /// <summary>
    /// A batch from host arrays: tokens [N], position of each within its sequence [N], sequence bounds [S+1], target of each row [N]
    /// (-1: no loss). Errors: lengths that do not match, a token or target outside the vocabulary, a position past the context, each with
    /// its place.
    /// </summary>
    public TokenBatch(
        Device device, LlamaConfig config, ReadOnlySpan<int> tokens, ReadOnlySpan<int> positions, ReadOnlySpan<int> offsets,
        ReadOnlySpan<int> targets)
        : this(device, config) => Load(tokens, positions, offsets, targets);

    /// <summary>A batch from packed examples. Errors as above.</summary>
    public TokenBatch(Device device, LlamaConfig config, PackedBatch packed)
        : this(device, config, packed.Tokens, packed.Positions, packed.Offsets, packed.Targets)
    {
    }

    /// <summary>Packs examples of a dataset in place of what the batch held. Errors as above.</summary>
    public void Load(MixtureDataset data, ReadOnlySpan<int> examples)
    {
        int count = BatchPacker.TokenCount(data, examples);
        Span<int> tokens = GrownArray.Of(ref _tokens, count), positions = GrownArray.Of(ref _positions, count), targets = GrownArray.Of(ref _targets, count);
        var offsets = GrownArray.Of(ref _offsets, examples.Length + 1);
        BatchPacker.Fill(data, examples, tokens, positions, targets, offsets);
        Load(tokens, positions, offsets, targets);
    }

    private void Load(ReadOnlySpan<int> tokens, ReadOnlySpan<int> positions, ReadOnlySpan<int> offsets, ReadOnlySpan<int> targets)
    {
        Check(_config, tokens, positions, offsets, targets);
        int rows = 0;
        foreach (int target in targets)
        {
            rows += target >= 0 ? 1 : 0;
        }
        Span<int> labelRows = GrownArray.Of(ref _labelRows, rows), labelTargets = GrownArray.Of(ref _labelTargets, rows);
        var labelOffsets = GrownArray.Of(ref _labelOffsets, offsets.Length);
        labelOffsets[0] = 0;
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
            labelOffsets[s + 1] = next;
        }
        Sequences = offsets.Length - 1;
        Tokens = Keep(0, tokens);
        Positions = Keep(1, positions);
        Offsets = Keep(2, offsets);
        LabelRows = Keep(3, labelRows);
        Targets = Keep(4, labelTargets);
    }

    /// <summary>Where the batch lies.</summary>
    public Device Device { get; }

    /// <summary>Tokens [N].</summary>
    public Tensor<int> Tokens { get; private set; }

    /// <summary>Positions [N].</summary>
    public Tensor<int> Positions { get; private set; }

    /// <summary>Sequence bounds [S+1].</summary>
    public Tensor<int> Offsets { get; private set; }

    /// <summary>Rows that carry loss [R], ascending.</summary>
    public Tensor<int> LabelRows { get; private set; }

    /// <summary>Their targets [R].</summary>
    public Tensor<int> Targets { get; private set; }

    /// <summary>Number of sequences S.</summary>
    public int Sequences { get; private set; }

    /// <summary>Number of tokens N.</summary>
    public long TokenCount => Tokens.Length;

    /// <summary>Number of label rows R.</summary>
    public long LabelCount => Targets.Length;

    /// <summary>Label rows of sequence s are entries LabelOffsets[s] .. LabelOffsets[s+1] - 1 of <see cref="LabelRows"/>.</summary>
    public ReadOnlySpan<int> LabelOffsets => _labelOffsets.AsSpan(0, Sequences + 1);

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var buffer in _buffers)
        {
            buffer?.Dispose();
        }
    }

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

    private Tensor<int> Keep(int slot, ReadOnlySpan<int> values)
    {
        if (_buffers[slot] is not { } buffer || buffer.Length < values.Length)
        {
            long length = Math.Max(values.Length, (_buffers[slot]?.Length ?? 0) * 3 / 2);
            _buffers[slot]?.Dispose();
            _buffers[slot] = buffer = Device.Allocate<int>(length, MemoryUse.Data);
        }
        var view = buffer.View.Slice(0, values.Length);
        Device.Upload(values, view);
        return view;
    }
}
