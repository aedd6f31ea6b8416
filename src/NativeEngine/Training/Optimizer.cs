using NativeEngine.Devices;
using NativeEngine.Model;

namespace NativeEngine.Training;

/// <summary>The optimisers there are.</summary>
public enum OptimizerKind
{
    /// <summary>Adam with decoupled weight decay.</summary>
    AdamW,
    /// <summary>Stochastic gradient descent with momentum.</summary>
    Sgd,
    /// <summary>Sign of interpolated momentum.</summary>
    Lion,
}

/// <summary>Constants of an optimiser; those it does not use are ignored.</summary>
/// <param name="Kind">Which optimiser.</param>
/// <param name="Beta1">First moment's decay (AdamW, Lion), or the momentum (Sgd).</param>
/// <param name="Beta2">Second moment's decay (AdamW), or the momentum's decay (Lion).</param>
/// <param name="Epsilon">Added to the root of the second moment (AdamW).</param>
/// <param name="WeightDecay">Decoupled decay of matrices; norm weights never decay.</param>
public sealed record OptimizerOptions(
    OptimizerKind Kind = OptimizerKind.AdamW, float Beta1 = 0.9f, float Beta2 = 0.999f, float Epsilon = 1e-8f, float WeightDecay = 0);

/// <summary>
/// Updates a flat parameter vector from a gradient vector of the same layout. State is one or two more vectors, named as in checkpoints.
/// </summary>
public abstract class Optimizer : IDisposable
{
    private readonly List<(string Name, ParameterSet Set)> _state = [];

    /// <summary>An optimiser for a parameter vector.</summary>
    protected Optimizer(ParameterSet parameters, OptimizerOptions options) => (Parameters, Options) = (parameters, options);

    /// <summary>What is trained.</summary>
    public ParameterSet Parameters { get; }

    /// <summary>The constants.</summary>
    public OptimizerOptions Options { get; }

    /// <summary>Updates made so far.</summary>
    public long Steps { get; set; }

    /// <summary>The state vectors by name: m and v, or velocity.</summary>
    public IReadOnlyList<(string Name, ParameterSet Set)> State => _state;

    /// <summary>The optimiser of a kind over a parameter vector, with zero state.</summary>
    public static Optimizer Create(ParameterSet parameters, OptimizerOptions options) => options.Kind switch
    {
        OptimizerKind.AdamW => new AdamW(parameters, options),
        OptimizerKind.Sgd => new Sgd(parameters, options),
        _ => new Lion(parameters, options),
    };

    /// <summary>One update with gradient * scale[0]: decaying tensors first, then the others.</summary>
    public void Step(ParameterSet gradients, Tensor<float> scale, double learningRate)
    {
        Steps++;
        long decaying = Parameters.Layout.DecayLength, rest = Parameters.Layout.Length - decaying;
        Update(gradients.Flat.Slice(0, decaying), scale, (float)learningRate, Options.WeightDecay, 0, decaying);
        if (rest > 0)
        {
            Update(gradients.Flat.Slice(decaying, rest), scale, (float)learningRate, 0, decaying, rest);
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _state.ForEach(s => s.Set.Dispose());
        GC.SuppressFinalize(this);
    }

    /// <summary>Adds a state vector of zeros.</summary>
    protected ParameterSet AddState(string name)
    {
        var set = new ParameterSet(Parameters.Device, Parameters.Layout, MemoryUse.OptimizerState);
        _state.Add((name, set));
        return set;
    }

    /// <summary>Updates elements first .. first + count - 1.</summary>
    protected abstract void Update(Tensor<float> gradient, Tensor<float> scale, float learningRate, float weightDecay, long first, long count);
}

/// <summary>AdamW; see <see cref="IKernels.AdamW"/>.</summary>
public sealed class AdamW : Optimizer
{
    private readonly ParameterSet _m, _v;

    /// <summary>Zero moments.</summary>
    public AdamW(ParameterSet parameters, OptimizerOptions options)
        : base(parameters, options) => (_m, _v) = (AddState("m"), AddState("v"));

    /// <inheritdoc/>
    protected override void Update(Tensor<float> gradient, Tensor<float> scale, float learningRate, float weightDecay, long first, long count) =>
        Parameters.Device.Kernels.AdamW(
            gradient, scale, new AdamWStep(learningRate, Options.Beta1, Options.Beta2, Options.Epsilon, weightDecay, Steps),
            Parameters.Flat.Slice(first, count), _m.Flat.Slice(first, count), _v.Flat.Slice(first, count));
}

/// <summary>SGD with momentum Beta1; see <see cref="IKernels.Momentum"/>.</summary>
public sealed class Sgd : Optimizer
{
    private readonly ParameterSet _velocity;

    /// <summary>Zero velocity.</summary>
    public Sgd(ParameterSet parameters, OptimizerOptions options)
        : base(parameters, options) => _velocity = AddState("velocity");

    /// <inheritdoc/>
    protected override void Update(Tensor<float> gradient, Tensor<float> scale, float learningRate, float weightDecay, long first, long count) =>
        Parameters.Device.Kernels.Momentum(
            gradient, scale, learningRate, Options.Beta1, weightDecay, Parameters.Flat.Slice(first, count), _velocity.Flat.Slice(first, count));
}

/// <summary>Lion; see <see cref="IKernels.Lion"/>.</summary>
public sealed class Lion : Optimizer
{
    private readonly ParameterSet _m;

    /// <summary>Zero momentum.</summary>
    public Lion(ParameterSet parameters, OptimizerOptions options)
        : base(parameters, options) => _m = AddState("m");

    /// <inheritdoc/>
    protected override void Update(Tensor<float> gradient, Tensor<float> scale, float learningRate, float weightDecay, long first, long count) =>
        Parameters.Device.Kernels.Lion(
            gradient, scale, learningRate, Options.Beta1, Options.Beta2, weightDecay, Parameters.Flat.Slice(first, count),
            _m.Flat.Slice(first, count));
}
