using System.Reflection;
using NativeEngine.Devices;
using NativeEngine.Devices.Cpu;

namespace NativeEngine.Tests.Reliability;

/// <summary>The processor's kernels with a bad number planted into an argument of a chosen call, before or after it.</summary>
public class PlantedKernels : DispatchProxy
{
    private readonly Dictionary<string, int> _calls = [];
    private IKernels _inner = null!;

    /// <summary>The kernel.</summary>
    public string Kernel { get; set; } = "";

    /// <summary>Which of its calls, from 1, counted since <see cref="Restart"/>.</summary>
    public int Call { get; set; } = 1;

    /// <summary>The argument's place.</summary>
    public int Argument { get; set; }

    /// <summary>The element.</summary>
    public int Element { get; set; }

    /// <summary>What is planted.</summary>
    public float Value { get; set; } = float.NaN;

    /// <summary>After the kernel has run rather than before.</summary>
    public bool After { get; set; }

    /// <summary>Whether it happened.</summary>
    public bool Planted { get; private set; }

    /// <summary>The device, for writing into its memory.</summary>
    public Device Device { get; set; } = null!;

    /// <summary>A device whose kernels go through a planter that does nothing yet.</summary>
    public static (Device Device, PlantedKernels Planter) Open(int threads = 2)
    {
        PlantedKernels planter = null!;
        var device = new CpuDevice(threads, decorate: kernels =>
        {
            planter = (PlantedKernels)Create<IKernels, PlantedKernels>();
            planter._inner = kernels;
            return (IKernels)(object)planter;
        });
        planter.Device = device;
        return (device, planter);
    }

    /// <summary>Counts calls from here on.</summary>
    public void Restart()
    {
        _calls.Clear();
        Planted = false;
    }

    protected override object? Invoke(MethodInfo? method, object?[]? args)
    {
        string name = method!.Name;
        int call = _calls[name] = _calls.GetValueOrDefault(name) + 1;
        bool here = name == Kernel && call == Call;
        if (here && !After)
        {
            Plant((Tensor<float>)args![Argument]!);
        }
        try
        {
            object? result = method.Invoke(_inner, args);
            if (here && After)
            {
                Plant((Tensor<float>)args![Argument]!);
            }
            return result;
        }
        catch (TargetInvocationException e)
        {
            System.Runtime.ExceptionServices.ExceptionDispatchInfo.Throw(e.InnerException!);
            throw;
        }
    }

    private void Plant(Tensor<float> x)
    {
        Planted = true;
        Device.Upload<float>([Value], x.Reshape(x.Length).Slice(Element, 1));
    }
}
