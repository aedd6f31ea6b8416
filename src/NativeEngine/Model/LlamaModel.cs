using NativeEngine.Devices;

namespace NativeEngine.Model;

/// <summary>
/// A Llama-style decoder on one device, with forward and backward passes written out over <see cref="IKernels"/>. Batches are packed:
/// a sequence's numbers do not depend on its neighbours, to the bit. Not thread-safe.
/// </summary>
public sealed class LlamaModel : IDisposable
{
    private readonly DeviceBuffer<float> _ropeCos, _ropeSin;
    private readonly LlamaBlock[] _blocks;
    private readonly LlamaHead _head;
    private readonly Tensor<float> _embedding, _embeddingGradient;
    private readonly bool _frozen;

    // What a gradient step keeps of each layer: its tensors change from step to step, the arrays do not.
    private readonly Tensor<float>[] _streams;
    private readonly BlockActivations[] _kept;

    /// <summary>
    /// A model over existing weights. <paramref name="gradients"/> has the layout of the weights when all are trained, and is null when none
    /// is; with an adapter the weights are frozen and the adapter's own gradients are used. The model owns none of them.
    /// </summary>
    public LlamaModel(LlamaConfig config, ParameterSet parameters, ParameterSet? gradients = null, LoraAdapter? adapter = null)
        : this(config, parameters, gradients, adapter, frozen: false)
    {
    }

    private LlamaModel(LlamaConfig config, ParameterSet parameters, ParameterSet? gradients, LoraAdapter? adapter, bool frozen)
    {
        _frozen = frozen;
        Config = config;
        Device = parameters.Device;
        Parameters = parameters;
        Gradients = adapter is null ? gradients : null;
        Adapter = adapter;
        (_ropeCos, _ropeSin) = RopeTables(Device, config);
        _blocks = new LlamaBlock[config.Layers];
        for (int l = 0; l < config.Layers; l++)
        {
            _blocks[l] = new LlamaBlock(this, l);
        }
        _streams = new Tensor<float>[config.Layers + 1];
        _kept = new BlockActivations[config.Layers];
        _head = new LlamaHead(this);
        _embedding = parameters["model.embed_tokens.weight"];
        _embeddingGradient = GradientOf("model.embed_tokens.weight");
    }

    /// <summary>The shape.</summary>
    public LlamaConfig Config { get; }

    /// <summary>Where it runs.</summary>
    public Device Device { get; }

    /// <summary>The weights.</summary>
    public ParameterSet Parameters { get; }

    /// <summary>The gradients of the weights, or null when they are frozen.</summary>
    public ParameterSet? Gradients { get; }

    /// <summary>The low-rank adapter, or null.</summary>
    public LoraAdapter? Adapter { get; }

    internal Tensor<float> RopeCos => _ropeCos.View.Reshape(Config.ContextLength, Config.HeadSize / 2);

    internal Tensor<float> RopeSin => _ropeSin.View.Reshape(Config.ContextLength, Config.HeadSize / 2);

    internal IReadOnlyList<LlamaBlock> Blocks => _blocks;

    internal LlamaHead Head => _head;

    /// <summary>
    /// Natural-log losses [R] of the batch's label rows. Keeps nothing; peak scratch is one block's activations.
    /// </summary>
    public void Loss(TokenBatch batch, Tensor<float> losses, Workspace workspace)
    {
        using var scope = workspace.Open();
        var h = Hidden(batch, Config.Layers, workspace);
        _head.Loss(h, batch, default, losses, default, workspace);
    }

    /// <summary>
    /// Losses [R], and the gradient of sum over r of rowWeights[r] loss[r] added to the trained parameters' gradients.
    /// </summary>
    /// <param name="batch">The packed sequences.</param>
    /// <param name="rowWeights">Weight of each label row's loss [R].</param>
    /// <param name="losses">Receives the losses [R].</param>
    /// <param name="checkpoint">Keep only each block's input and compute its activations again in the backward pass: about a tenth of the memory for a third more work.</param>
    /// <param name="workspace">Scratch for activations.</param>
    public void LossAndGradient(TokenBatch batch, Tensor<float> rowWeights, Tensor<float> losses, bool checkpoint, Workspace workspace)
    {
        using var scope = workspace.Open();
        long n = batch.TokenCount;
        var (streams, kept) = (_streams, _kept);
        streams[0] = workspace.Floats(n, Config.HiddenSize);
        Device.Kernels.GatherRows(_embedding, batch.Tokens, streams[0]);
        for (int l = 0; l < Config.Layers; l++)
        {
            streams[l + 1] = workspace.Floats(n, Config.HiddenSize);
            if (checkpoint)
            {
                Device.Kernels.Copy(streams[l], streams[l + 1]);
                _blocks[l].Forward(streams[l + 1], batch, null, batch.Offsets, workspace);
            }
            else
            {
                kept[l] = _blocks[l].Forward(streams[l], streams[l + 1], batch, workspace);
            }
        }
        // The head copies the rows it needs before it writes, so the gradient takes the last stream's place.
        var dh = streams[Config.Layers];
        _head.Loss(dh, batch, rowWeights, losses, dh, workspace);
        for (int l = Config.Layers - 1; l >= 0; l--)
        {
            using var block = workspace.Open();
            if (checkpoint)
            {
                kept[l] = _blocks[l].Forward(streams[l], default, batch, workspace);
            }
            _blocks[l].Backward(dh, kept[l], batch, workspace);
        }
        if (!_embeddingGradient.IsNone)
        {
            Device.Kernels.ScatterAddRows(dh, batch.Tokens, _embeddingGradient);
        }
    }

    /// <summary>
    /// The residual stream [N, C] after the first <paramref name="blocks"/> blocks, without keeping activations. With a cache, its tokens
    /// precede the batch (one sequence) and the batch's keys and values are added to it.
    /// </summary>
    internal Tensor<float> Hidden(TokenBatch batch, int blocks, Workspace workspace, KeyValueCache? cache = null)
    {
        var h = workspace.Floats(batch.TokenCount, Config.HiddenSize);
        Device.Kernels.GatherRows(_embedding, batch.Tokens, h);
        if (cache is null)
        {
            for (int l = 0; l < blocks; l++)
            {
                _blocks[l].Forward(h, batch, null, batch.Offsets, workspace);
            }
            return h;
        }
        int total = cache.Length + (int)batch.TokenCount;
        using var keyOffsets = Device.Allocate<int>([0, total], MemoryUse.Data);
        for (int l = 0; l < blocks; l++)
        {
            _blocks[l].Forward(h, batch, cache, keyOffsets.View, workspace);
        }
        Device.Synchronize();
        cache.Length = total;
        return h;
    }

    /// <summary>A model over the same weights that adds to no gradient: for evaluation and for features. Owned by the caller.</summary>
    public LlamaModel Frozen() => new(Config, Parameters, null, Adapter, frozen: true);

    /// <inheritdoc/>
    public void Dispose()
    {
        _ropeCos.Dispose();
        _ropeSin.Dispose();
    }

    internal Tensor<float> GradientOf(string name) => Gradients is null ? default : Gradients[name];

    internal Linear CreateLinear(string name) => new(Parameters[name], GradientOf(name), Adapter?.For(name, _frozen));

    private static (DeviceBuffer<float> Cos, DeviceBuffer<float> Sin) RopeTables(Device device, LlamaConfig config)
    {
        int half = config.HeadSize / 2;
        var cos = new float[config.ContextLength * half];
        var sin = new float[config.ContextLength * half];
        for (int j = 0; j < half; j++)
        {
            float frequency = config.RotaryFrequency(j);
            for (int p = 0; p < config.ContextLength; p++)
            {
                float angle = p * frequency;
                cos[(p * half) + j] = MathF.Cos(angle);
                sin[(p * half) + j] = MathF.Sin(angle);
            }
        }
        return (device.Allocate<float>(cos, MemoryUse.Data), device.Allocate<float>(sin, MemoryUse.Data));
    }
}
