using System.Buffers;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Text;
using System.Text.Json;
using NativeEngine.Devices.Cpu;

namespace NativeEngine.CApi;

/// <summary>Version, errors, log: what needs no object.</summary>
internal static unsafe class Library
{
    /// <summary>NE_ABI_VERSION of the header this was written with.</summary>
    public const uint Abi = (1 << 16) | 1;

    private static readonly string[] _statusNames =
    [
        "NE_OK", "NE_ERROR_UNKNOWN", "NE_ERROR_ARGUMENT", "NE_ERROR_INPUT", "NE_ERROR_WILL_NOT_FIT", "NE_ERROR_DEVICE", "NE_ERROR_NUMERICAL", "NE_ERROR_VERIFICATION",
        "NE_ERROR_HANDLE", "NE_ERROR_BUSY", "NE_ERROR_CANCELLED", "NE_ERROR_ABI", "NE_ERROR_BUFFER", "NE_ERROR_STATE", "NE_ERROR_INTERNAL",
    ];

    // Constants for the caller, never freed.
    private static readonly nint _version = Marshal.StringToCoTaskMemUTF8(Version());
    private static readonly nint[] _names = Array.ConvertAll(_statusNames, Marshal.StringToCoTaskMemUTF8);

    [UnmanagedCallersOnly(EntryPoint = "ne_abi_version")]
    public static uint AbiVersion() => Abi;

    [UnmanagedCallersOnly(EntryPoint = "ne_check_abi")]
    public static int CheckAbi(uint version) => Guard.Call(() =>
    {
        if (version >> 16 != Abi >> 16 || (version & 0xFFFF) > (Abi & 0xFFFF))
        {
            throw new CallException(
                Status.Abi, $"the program was compiled for ABI {version >> 16}.{version & 0xFFFF}, this library has {Abi >> 16}.{Abi & 0xFFFF}", "compile with the header that came with the library");
        }
    });

    [UnmanagedCallersOnly(EntryPoint = "ne_version")]
    public static byte* VersionText() => (byte*)_version;

    [UnmanagedCallersOnly(EntryPoint = "ne_status_name")]
    public static byte* StatusName(int status) => (byte*)_names[status >= 0 && status < _names.Length ? status : 1];

    [UnmanagedCallersOnly(EntryPoint = "ne_last_error")]
    public static byte* LastError() => ErrorText.Message;

    [UnmanagedCallersOnly(EntryPoint = "ne_last_hint")]
    public static byte* LastHint() => ErrorText.Hint;

    [UnmanagedCallersOnly(EntryPoint = "ne_live_handles")]
    public static long LiveHandles() => Handles.Live;

    [UnmanagedCallersOnly(EntryPoint = "ne_set_log")]
    public static int SetLog(delegate* unmanaged[Cdecl]<int, byte*, void*, void> callback, void* user, int level) => Guard.Call(() =>
    {
        Arguments.Number(level, "the level", 0, 2);
        Log.Set(callback, user, level);
    });

    [UnmanagedCallersOnly(EntryPoint = "ne_describe")]
    public static int Describe(byte* buffer, ulong capacity, ulong* length) => Guard.Call(() =>
    {
        var bytes = new ArrayBufferWriter<byte>();
        using (var json = new Utf8JsonWriter(bytes))
        {
            json.WriteStartObject();
            json.WriteString("version", Version());
            json.WriteString("abi", $"{Abi >> 16}.{Abi & 0xFFFF}");
            json.WriteString("instructions", Vector512.IsHardwareAccelerated ? "x86-64-v4" : Vector256.IsHardwareAccelerated ? "x86-64-v3" : "baseline");
            json.WriteString("simd", CpuDevice.NameOf(CpuDevice.Widest));
            json.WriteNumber("processors", Environment.ProcessorCount);
            json.WriteStartArray("devices");
            json.WriteStringValue("cpu");
            foreach (string device in DeviceExports.Found())
            {
                json.WriteStringValue(device);
            }
            json.WriteEndArray();
            json.WriteEndObject();
        }
        Arguments.WriteText(Encoding.UTF8.GetString(bytes.WrittenSpan), buffer, capacity, length);
    });

    [UnmanagedCallersOnly(EntryPoint = "ne_cancel_create")]
    public static int CancelCreate(nint* cancel) => Guard.Call(() =>
    {
        Arguments.Need(cancel, "cancel");
        *cancel = Handles.Add(new CancelResource());
    });

    [UnmanagedCallersOnly(EntryPoint = "ne_cancel_request")]
    public static int CancelRequest(nint cancel) => Guard.Call(() =>
    {
        using var lease = Handles.Use<CancelResource>(cancel);
        lease.Value.Request();
    });

    [UnmanagedCallersOnly(EntryPoint = "ne_cancel_free")]
    public static int CancelFree(nint cancel) => Guard.Call(() => Handles.Free<CancelResource>(cancel));

    private static string Version() => typeof(EngineException).Assembly.GetName().Version?.ToString(3) ?? "unknown";
}
