using System.Globalization;
using System.Text;
using NativeEngine.Native;

namespace NativeEngine.Devices.Gpu;

/// <summary>What OpenCL tells of a device before it is opened.</summary>
/// <param name="Name">opencl:P.D, the places of its platform and of itself.</param>
/// <param name="Device">OpenCL's own handle.</param>
/// <param name="Platform">The implementation: Portable Computing Language, NVIDIA CUDA.</param>
/// <param name="Model">The device's own name.</param>
/// <param name="Version">OpenCL 3.0 ...</param>
/// <param name="IsGpu">Whether it calls itself a GPU or an accelerator, rather than a CPU.</param>
/// <param name="TotalMemory">Bytes of global memory.</param>
/// <param name="LargestBuffer">Most bytes of one buffer.</param>
/// <param name="LocalMemory">Bytes of local memory of one group.</param>
/// <param name="LargestGroup">Most work-items of a group.</param>
/// <param name="Units">Compute units.</param>
/// <param name="HasDouble">Whether it computes in double.</param>
/// <param name="HasCompiler">Whether it compiles source.</param>
/// <param name="ExactDivision">Whether a float32 quotient or square root can be had correctly rounded.</param>
/// <param name="HasSubnormals">Whether float32 numbers below the least normal one are kept.</param>
internal sealed unsafe record OpenClFacts(
    string Name, nint Device, string Platform, string Model, string Version, bool IsGpu, long TotalMemory, long LargestBuffer, long LocalMemory,
    long LargestGroup, int Units, bool HasDouble, bool HasCompiler, bool ExactDivision, bool HasSubnormals)
{
    private const long NeededGroup = 256, NeededLocal = 32 << 10;

    /// <summary>Why the kernels cannot run on it, or null.</summary>
    public string? Problem =>
        !HasCompiler ? "it has no compiler"
        : !HasDouble ? "it has no double precision (cl_khr_fp64), in which selections and merges are summed"
        : LargestGroup < NeededGroup ? $"its groups have at most {LargestGroup} work-items, the kernels need {NeededGroup}"
        : LocalMemory < NeededLocal ? $"its groups have {LocalMemory:N0} bytes of local memory, the kernels need {NeededLocal:N0}" : null;

    /// <summary>Why results may differ from the CPU's in their last bits, or null.</summary>
    public string? Inexact => (ExactDivision, HasSubnormals) switch
    {
        (true, true) => null,
        (false, true) => "divides with more than one rounding",
        (true, false) => "has no subnormal numbers",
        _ => "divides with more than one rounding and has no subnormal numbers",
    };

    /// <summary>Whether it is PoCL, which runs kernels on the CPU.</summary>
    public bool IsPocl => Platform.Contains("Portable Computing Language", StringComparison.Ordinal);

    /// <summary>pthread-..., 15.2 GiB, 2 units, OpenCL 3.0 PoCL ..., a CPU; and why its results may not have the CPU's bits.</summary>
    public string Describe() => string.Create(CultureInfo.InvariantCulture,
        $"{Model}, {TotalMemory / (double)(1L << 30):0.0} GiB, {Units} unit{(Units == 1 ? "" : "s")}, {Version} ({Platform}){(IsGpu ? "" : ", a CPU")}{(Inexact is { } why ? $", {why}: results may differ from the CPU's in the last bits" : "")}");

    /// <summary>Every device of every platform. An implementation without devices is passed over. Errors: a status that is none of "there is nothing".</summary>
    public static (int Status, List<OpenClFacts> Devices) ReadAll(OpenClApi api)
    {
        var all = new List<OpenClFacts>();
        uint count = 0;
        int status = api.GetPlatformIDs(0, null, &count);
        if (status != OpenClApi.Success || count == 0)
        {
            return (status == OpenClApi.PlatformNotFound ? OpenClApi.Success : status, all);
        }
        var platforms = new nint[count];
        fixed (nint* to = platforms)
        {
            status = api.GetPlatformIDs(count, to, null);
        }
        for (int p = 0; p < platforms.Length && status == OpenClApi.Success; p++)
        {
            const ulong Any = 0xFFFFFFFF;
            uint devices = 0;
            if (api.GetDeviceIDs(platforms[p], Any, 0, null, &devices) != OpenClApi.Success || devices == 0)
            {
                continue;
            }
            var ids = new nint[devices];
            fixed (nint* to = ids)
            {
                _ = api.GetDeviceIDs(platforms[p], Any, devices, to, null);
            }
            for (int d = 0; d < ids.Length; d++)
            {
                all.Add(Read(api, string.Create(CultureInfo.InvariantCulture, $"opencl:{p}.{d}"), platforms[p], ids[d]));
            }
        }
        return (status, all);
    }

    private static OpenClFacts Read(OpenClApi api, string name, nint platform, nint device)
    {
        const uint Type = 0x1000, UnitCount = 0x1002, GroupSize = 0x1004, LargestAllocation = 0x1010, GlobalSize = 0x101F, LocalSize = 0x1023;
        const uint Compiler = 0x1028, DeviceName = 0x102B, DeviceVersion = 0x102F, DoubleConfiguration = 0x1032, PlatformName = 0x0902;
        const uint SingleConfiguration = 0x101B;
        const long Subnormals = 1, CorrectlyRoundedDivision = 1 << 7;
        const long CpuType = 2;
        long single = Number(SingleConfiguration, 8);
        string version = Text((what, size, value, needed) => api.GetDeviceInfo(device, what, size, (void*)value, (nuint*)needed), DeviceVersion);
        return new OpenClFacts(
            name, device,
            Text((what, size, value, needed) => api.GetPlatformInfo(platform, what, size, (void*)value, (nuint*)needed), PlatformName),
            Text((what, size, value, needed) => api.GetDeviceInfo(device, what, size, (void*)value, (nuint*)needed), DeviceName),
            string.Join(' ', version.Split(' ', StringSplitOptions.RemoveEmptyEntries).Take(4)),
            (Number(Type, 8) & CpuType) == 0, Number(GlobalSize, 8), Number(LargestAllocation, 8), Number(LocalSize, 8), Number(GroupSize, (nuint)sizeof(nuint)),
            (int)Number(UnitCount, 4), Number(DoubleConfiguration, 8) != 0, Number(Compiler, 4) != 0,
            (single & CorrectlyRoundedDivision) != 0, (single & Subnormals) != 0);

        long Number(uint what, nuint size)
        {
            long value = 0;
            return api.GetDeviceInfo(device, what, size, &value, null) == OpenClApi.Success ? value : 0;
        }
    }

    private static string Text(Func<uint, nuint, nint, nint, int> ask, uint what)
    {
        nuint needed = 0;
        if (ask(what, 0, 0, (nint)(&needed)) != OpenClApi.Success || needed is 0 or > (1 << 16))
        {
            return "";
        }
        byte[] text = new byte[(int)needed];
        fixed (byte* to = text)
        {
            return ask(what, needed, (nint)to, 0) == OpenClApi.Success ? Encoding.UTF8.GetString(text).TrimEnd('\0').Trim() : "";
        }
    }
}
