using System.Globalization;
using System.Runtime.InteropServices;
using NativeEngine.Native;

namespace NativeEngine.Devices.Gpu;

/// <summary>What the driver tells of a device before it is opened.</summary>
internal sealed unsafe record CudaFacts(string Model, long TotalMemory, int Capability, int Processors, int DriverVersion, int ComputeMode)
{
    /// <summary>Why the kernels cannot run on it, or null.</summary>
    public string? Problem =>
        Capability < CudaDriver.LeastCapability ? $"its compute capability is {Dotted(Capability)}, the kernels of this build need {Dotted(CudaDriver.LeastCapability)}"
        : ComputeMode == 2 ? "its compute mode is prohibited" : null;

    /// <summary>What to do about <see cref="Problem"/>.</summary>
    public string Hint => Capability < CudaDriver.LeastCapability ? "try --device opencl, which compiles the kernels for the card" : "ask the administrator, or take another device";

    /// <summary>Reads them. Answers that fail are left at their least value; the device then shows what is wrong when it is opened.</summary>
    public static CudaFacts Read(CudaApi api, int device)
    {
        byte* text = stackalloc byte[256];
        nuint memory = 0;
        int version = 0;
        string model = api.DeviceGetName(text, 256, device) == CudaApi.Success ? Marshal.PtrToStringUTF8((nint)text)!.Trim() : "a device without a name";
        _ = api.DeviceTotalMem(&memory, device);
        _ = api.DriverGetVersion(&version);
        int capability = (10 * Attribute(CudaAttribute.ComputeCapabilityMajor)) + Attribute(CudaAttribute.ComputeCapabilityMinor);
        return new CudaFacts(model, (long)memory, capability, Attribute(CudaAttribute.MultiprocessorCount), version, Attribute(CudaAttribute.ComputeMode));

        int Attribute(CudaAttribute which)
        {
            int value = 0;
            return api.DeviceGetAttribute(&value, which, device) == CudaApi.Success ? value : 0;
        }
    }

    /// <summary>NVIDIA H200, 139.8 GiB, 132 processors, compute capability 9.0, driver for CUDA 12.8.</summary>
    public string Describe() => string.Create(CultureInfo.InvariantCulture,
        $"{Model}, {TotalMemory / (double)(1L << 30):0.0} GiB, {Processors} processors, compute capability {Dotted(Capability)}, driver for CUDA {DriverVersion / 1000}.{DriverVersion % 1000 / 10}");

    private static string Dotted(int capability) => string.Create(CultureInfo.InvariantCulture, $"{capability / 10}.{capability % 10}");
}
