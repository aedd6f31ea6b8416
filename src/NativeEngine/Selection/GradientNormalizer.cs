using NativeEngine.Devices;

namespace NativeEngine.Selection;

/// <summary>
/// Step E: turns a feature into the update an optimiser would make from it, against a history shared by all sources that lives on the device.
/// Not thread-safe.
/// </summary>
public interface IGradientNormalizer : IDisposable
{
    /// <summary>Names of the history vectors as a state file holds them: m, v.</summary>
    IReadOnlyList<string> Moments { get; }

    /// <summary>Length of the history; 0 while there is none (all zeros).</summary>
    long Dimension { get; }

    /// <summary>True when <see cref="Normalize"/> changes nothing, so that its call and a copy can be saved.</summary>
    bool IsIdentity { get; }

    /// <summary>normalized [n,d] from features [n,d]; step = optimizer steps already done. Errors: Usage when d is not the history's length.</summary>
    void Normalize(Tensor<float> features, long step, Tensor<float> normalized);

    /// <summary>Takes the mean over the picked rows into the history. Not to be called without picks.</summary>
    void Update(Tensor<float> features, Tensor<int> picked);

    /// <summary>A copy of one history vector of the given length; zeros while there is none.</summary>
    float[] Save(string moment, long dimension);

    /// <summary>Sets one history vector.</summary>
    void Load(string moment, ReadOnlySpan<float> values);
}

/// <summary>Makes the normaliser that belongs to an optimiser.</summary>
public static class GradientNormalizer
{
    /// <summary>Features as they are: plain gradient descent.</summary>
    public static IGradientNormalizer None() => new IdentityNormalizer();

    /// <summary>
    /// Adam: u = m^ / (sqrt(v^) + eps); m and v take the means of m_i and v_i over the picks (so v is the mean of squares), uncorrected.
    /// </summary>
    public static IGradientNormalizer Adam(Device device, double beta1 = 0.9, double beta2 = 0.999, double epsilon = 1e-8) =>
        new AdamNormalizer(device, beta1, beta2, epsilon);

    /// <summary>SGD with momentum: u = mu m + f; m becomes its mean over the picks.</summary>
    public static IGradientNormalizer Momentum(Device device, double mu = 0.9) => new MomentumNormalizer(device, mu);

    /// <summary>Lion: u = sign(b1 m + (1-b1) f); m = b2 m + (1-b2) mean over the picks of f.</summary>
    public static IGradientNormalizer Lion(Device device, double beta1 = 0.9, double beta2 = 0.99) => new LionNormalizer(device, beta1, beta2);
}

/// <summary>No transform, no history.</summary>
internal sealed class IdentityNormalizer : IGradientNormalizer
{
    public IReadOnlyList<string> Moments => [];

    public long Dimension => 0;

    public bool IsIdentity => true;

    public void Normalize(Tensor<float> features, long step, Tensor<float> normalized) => features.Buffer.Device.Kernels.Copy(features, normalized);

    public void Update(Tensor<float> features, Tensor<int> picked)
    {
    }

    public float[] Save(string moment, long dimension) => throw new ArgumentException($"no history {moment}", nameof(moment));

    public void Load(string moment, ReadOnlySpan<float> values) => throw new ArgumentException($"no history {moment}", nameof(moment));

    public void Dispose()
    {
    }
}

/// <summary>Keeps history vectors of one length, made when first needed.</summary>
internal abstract class MomentNormalizer(Device device, params string[] moments) : IGradientNormalizer
{
    private readonly DeviceBuffer<float>?[] _history = new DeviceBuffer<float>?[moments.Length];

    public IReadOnlyList<string> Moments => moments;

    public long Dimension => _history[0]?.Length ?? 0;

    public bool IsIdentity => false;

    protected IKernels Kernels => device.Kernels;

    public void Normalize(Tensor<float> features, long step, Tensor<float> normalized)
    {
        Require(features.RowLength, "features");
        Apply(features, step, normalized);
    }

    public void Update(Tensor<float> features, Tensor<int> picked)
    {
        Require(features.RowLength, "features");
        for (int i = 0; i < _history.Length; i++)
        {
            _history[i] ??= device.Allocate<float>(features.RowLength, MemoryUse.Selection);
            Take(i, features, picked, _history[i]!.View);
        }
    }

    public float[] Save(string moment, long dimension) => _history[Index(moment)] is { } buffer ? device.Download(buffer.View) : new float[dimension];

    public void Load(string moment, ReadOnlySpan<float> values)
    {
        int i = Index(moment);
        if (i > 0)
        {
            Require(values.Length, $"history vector {moment}");
        }
        _history[i]?.Dispose();
        _history[i] = device.Allocate(values, MemoryUse.Selection);
    }

    public void Dispose()
    {
        foreach (var buffer in _history)
        {
            buffer?.Dispose();
        }
    }

    protected Tensor<float> History(int i) => _history[i]?.View ?? default;

    protected abstract void Apply(Tensor<float> features, long step, Tensor<float> normalized);

    protected abstract void Take(int moment, Tensor<float> features, Tensor<int> picked, Tensor<float> history);

    private int Index(string moment) => Array.IndexOf(moments, moment) is >= 0 and int i ? i : throw new ArgumentException($"no history {moment}", nameof(moment));

    private void Require(long length, string what)
    {
        if (Dimension != 0 && Dimension != length)
        {
            throw new EngineException(
                ErrorKind.Usage, $"the history has {Dimension} elements, the {what} have {length}", "use the state of a run with the same features");
        }
    }
}

internal sealed class AdamNormalizer(Device device, double beta1, double beta2, double epsilon) : MomentNormalizer(device, "m", "v")
{
    protected override void Apply(Tensor<float> features, long step, Tensor<float> normalized) =>
        Kernels.AdamNormalize(features, History(0), History(1), beta1, beta2, epsilon, step, normalized);

    protected override void Take(int moment, Tensor<float> features, Tensor<int> picked, Tensor<float> history)
    {
        double beta = moment == 0 ? beta1 : beta2;
        Kernels.UpdateMoment(features, picked, squared: moment == 1, beta, 1 - beta, history);
    }
}

internal sealed class MomentumNormalizer(Device device, double mu) : MomentNormalizer(device, "m")
{
    protected override void Apply(Tensor<float> features, long step, Tensor<float> normalized) =>
        Kernels.MomentumNormalize(features, History(0), mu, normalized);

    protected override void Take(int moment, Tensor<float> features, Tensor<int> picked, Tensor<float> history) =>
        Kernels.UpdateMoment(features, picked, squared: false, mu, 1, history);
}

internal sealed class LionNormalizer(Device device, double beta1, double beta2) : MomentNormalizer(device, "m")
{
    protected override void Apply(Tensor<float> features, long step, Tensor<float> normalized) =>
        Kernels.LionNormalize(features, History(0), beta1, normalized);

    protected override void Take(int moment, Tensor<float> features, Tensor<int> picked, Tensor<float> history) =>
        Kernels.UpdateMoment(features, picked, squared: false, beta2, 1 - beta2, history);
}
