using NativeEngine.Devices;
using NativeEngine.Formats;
using NativeEngine.Model;

namespace NativeEngine.Training;

/// <summary>
/// Looks at what a step computes: the gradient's norm with the factor that clips it, and what is not finite, with what <see cref="NonFinitePolicy"/> does about it.
/// </summary>
internal sealed class FiniteGuard(Device device, ParameterSet trained, ParameterSet gradients, Optimizer optimizer, TrainOptions options) : IDisposable
{
    private readonly DeviceBuffer<float> _sumOfSquares = device.Allocate<float>(1 + optimizer.State.Count, MemoryUse.Data), _scale = device.Allocate<float>(1, MemoryUse.Data);

    /// <summary>What was not finite in this step.</summary>
    public List<StepFault> Faults { get; } = [];

    /// <summary>The factor of the gradient, after <see cref="ClipFactor"/>.</summary>
    public Tensor<float> Scale => _scale.View;

    /// <summary>Ends the run in this step, or remembers what is done instead.</summary>
    public void Fault(long step, string what, string done, string hint, long example = -1)
    {
        if (options.OnNonFinite == NonFinitePolicy.Stop)
        {
            throw new EngineException(ErrorKind.Numerical, $"step {step}: {what}", hint);
        }
        Faults.Add(new StepFault(what, done, example));
    }

    /// <summary>Puts the clip factor where the optimiser reads it and returns the gradient's norm; NaN when the step is to be skipped.</summary>
    public double ClipFactor(long step)
    {
        double norm = Norm();
        if (double.IsFinite(norm))
        {
            return norm;
        }
        string? place = NotFinite(gradients, "the gradient of ");
        bool clip = options.OnNonFinite == NonFinitePolicy.Clip;
        Fault(step, place ?? $"the gradient's norm is {norm}", !clip ? "the step is skipped" : place is null ? "the gradient is scaled down" : "it counts as 0, as all others of its kind", "lower the learning rate");
        if (!clip)
        {
            return double.NaN;
        }
        ClearNotFinite();
        for (norm = Norm(); !double.IsFinite(norm); norm = Norm())
        {
            device.Kernels.Scale(MathF.ScaleB(1, -48), gradients.Flat);
        }
        return norm;
    }

    private double Norm()
    {
        var sum = _sumOfSquares.View.Slice(0, 1);
        device.Kernels.SumOfSquares(gradients.Flat, sum);
        if (options.ClipNorm > 0)
        {
            device.Kernels.ClipScale(sum, (float)options.ClipNorm, _scale.View);
        }
        else
        {
            device.Kernels.Fill(1, _scale.View);
        }
        float squares = 0;
        device.Download(sum, new Span<float>(ref squares));
        return Math.Sqrt(squares);
    }

    private void ClearNotFinite()
    {
        foreach (var entry in gradients.Layout.Entries)
        {
            float[] values = device.Download(gradients.View(entry));
            if (FiniteCheck.FirstNotFinite(values) >= 0)
            {
                device.Upload<float>(Array.ConvertAll(values, v => float.IsFinite(v) ? v : 0), gradients.View(entry));
            }
        }
    }

    /// <summary>Names the first element that is not finite, or null.</summary>
    private string? NotFinite(ParameterSet set, string what)
    {
        foreach (var entry in set.Layout.Entries)
        {
            var values = device.Download(set.View(entry));
            int at = FiniteCheck.FirstNotFinite(values);
            if (at >= 0)
            {
                return $"element {at} of {what}{entry.Name} is {values[at]}";
            }
        }
        return null;
    }

    /// <summary>Refuses trained parameters and a state of the optimiser that are not finite. Errors: Numerical naming the first such element.</summary>
    public void RequireFinite(long step)
    {
        var kernels = device.Kernels;
        kernels.SumOfSquares(trained.Flat, _sumOfSquares.View.Slice(0, 1));
        for (int s = 0; s < optimizer.State.Count; s++)
        {
            kernels.SumOfSquares(optimizer.State[s].Set.Flat, _sumOfSquares.View.Slice(s + 1, 1));
        }
        Span<float> sums = stackalloc float[4];
        sums = sums[..(1 + optimizer.State.Count)];
        device.Download(_sumOfSquares.View, sums);
        // A sum may also leave the range of float32 though everything in it is finite.
        for (int s = 0; s < sums.Length; s++)
        {
            if (!float.IsFinite(sums[s]) && (s == 0 ? NotFinite(trained, "") : NotFinite(optimizer.State[s - 1].Set, $"the optimiser's {optimizer.State[s - 1].Name} of ")) is { } place)
            {
                throw new EngineException(ErrorKind.Numerical, $"after step {step}: {place}", "lower the learning rate, and continue from the last checkpoint with --resume");
            }
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _sumOfSquares.Dispose();
        _scale.Dispose();
    }
}
