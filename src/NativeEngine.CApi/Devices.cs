using System.Runtime.InteropServices;
using NativeEngine.Devices;
using NativeEngine.Devices.Cpu;
using NativeEngine.Devices.Gpu;

namespace NativeEngine.CApi;

/// <summary>A device, and the gate of everything made from it.</summary>
internal sealed class DeviceResource(Device device) : Resource
{
    public override ResourceKind Kind => ResourceKind.Device;

    public Device Device { get; } = device;

    public Gate Gate { get; } = new();

    public int Threads => (Device as CpuDevice)?.Threads ?? 1;

    protected override void Destroy() => Device.Dispose();
}

/// <summary>An object made from a device, which it keeps alive; destroyed while no other call works on the device.</summary>
internal abstract class DeviceChild : Resource
{
    protected DeviceChild(DeviceResource parent)
    {
        parent.Retain();
        Parent = parent;
    }

    public DeviceResource Parent { get; }

    protected abstract void DestroyOwn();

    protected override void Destroy()
    {
        try
        {
            using var turn = Parent.Gate.EnterAgain();
            DestroyOwn();
        }
        finally
        {
            Parent.Release();
        }
    }
}

internal static unsafe class DeviceExports
{
    // Not every OpenCL implementation survives being asked for its devices by two threads that are both the first.
    private static readonly Lock _drivers = new();

    [UnmanagedCallersOnly(EntryPoint = "ne_device_open")]
    public static int Open(byte* name, DeviceOptionsStruct* options, nint* device) => Guard.Call(() =>
    {
        Arguments.Need(device, "device");
        var given = Arguments.Read(options, "the device options");
        int threads = Arguments.Number(given.Threads, "threads", 0, 4096);
        long limit = given.MemoryLimit >= 0 ? given.MemoryLimit : throw new CallException(Status.Argument, $"the memory limit is {given.MemoryLimit}");
        SimdWidth? width = given.Simd switch
        {
            0 => null,
            1 => SimdWidth.Scalar,
            128 => SimdWidth.Bits128,
            256 => SimdWidth.Bits256,
            512 => SimdWidth.Bits512,
            _ => throw new CallException(Status.Argument, $"simd is {given.Simd}; it may be 0, 1, 128, 256 or 512"),
        };
        *device = Handles.Add(new DeviceResource(Create(Arguments.Text(name, "the name of the device") ?? "auto", threads, width, limit == 0 ? null : limit)));
    });

    [UnmanagedCallersOnly(EntryPoint = "ne_device_describe")]
    public static int Describe(nint device, byte* buffer, ulong capacity, ulong* length) => Guard.Call(() =>
    {
        using var lease = Handles.Use<DeviceResource>(device);
        Arguments.WriteText(lease.Value.Device.Description, buffer, capacity, length);
    });

    [UnmanagedCallersOnly(EntryPoint = "ne_device_memory")]
    public static int Memory(nint device, long* live, long* peak) => Guard.Call(() =>
    {
        using var lease = Handles.Use<DeviceResource>(device);
        var (liveOut, peakOut) = ((nint)Arguments.Need(live, "live_bytes"), (nint)Arguments.Need(peak, "peak_bytes"));
        *(long*)liveOut = lease.Value.Device.Memory.LiveBytes;
        *(long*)peakOut = lease.Value.Device.Memory.PeakBytes;
    });

    [UnmanagedCallersOnly(EntryPoint = "ne_device_free")]
    public static int Free(nint device) => Guard.Call(() => Handles.Free<DeviceResource>(device));

    /// <summary>Devices behind drivers that can be used.</summary>
    internal static string[] Found()
    {
        lock (_drivers)
        {
            return [.. new GpuBackend[] { CudaBackend.Find(), OpenClBackend.Find() }.SelectMany(b => b.Devices).Where(d => d.Problem is null).Select(d => d.Name)];
        }
    }

    private static Device Create(string name, int threads, SimdWidth? width, long? limit)
    {
        if (name == "cpu")
        {
            return new CpuDevice(threads, width) { MemoryLimit = limit ?? long.MaxValue };
        }
        lock (_drivers)
        {
            return new DeviceChoice(name).Open(threads, limit, long.MaxValue, new DeviceTalk(Log.Info, Log.Info, Log.Warning), width: width);
        }
    }
}
