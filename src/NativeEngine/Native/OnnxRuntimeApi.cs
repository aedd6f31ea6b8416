using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;

namespace NativeEngine.Native;

/// <summary>
/// The functions of ONNX Runtime's C ABI that are needed, by their index in its table. The table only grows: an index means the same in every
/// release since <see cref="OnnxRuntimeLibrary.ApiVersion"/>. A status that is not null is turned into an exception and released.
/// </summary>
internal sealed unsafe class OnnxRuntimeApi
{
    private const int Fatal = 4;
    private const int ArenaAllocator = 1, DefaultMemory = 0;

    private readonly void** _table;
    private readonly nint _library;

    private OnnxRuntimeApi(void** table, nint library)
    {
        _table = table;
        _library = library;
    }

    private enum Index
    {
        GetErrorMessage = 2,
        CreateEnv = 3,
        DisableTelemetryEvents = 6,
        CreateSession = 7,
        CreateSessionFromArray = 8,
        Run = 9,
        CreateSessionOptions = 10,
        EnableProfiling = 14,
        SetIntraOpNumThreads = 24,
        SetInterOpNumThreads = 25,
        CreateRunOptions = 39,
        RunOptionsSetTerminate = 46,
        CreateTensorWithDataAsOrtValue = 49,
        GetTensorMutableData = 51,
        GetTensorElementType = 60,
        GetDimensionsCount = 61,
        GetDimensions = 62,
        GetTensorTypeAndShape = 65,
        CreateCpuMemoryInfo = 69,
        AllocatorFree = 76,
        GetAllocatorWithDefaultOptions = 78,
        ReleaseEnv = 92,
        ReleaseStatus = 93,
        ReleaseMemoryInfo = 94,
        ReleaseSession = 95,
        ReleaseValue = 96,
        ReleaseRunOptions = 97,
        ReleaseTensorTypeAndShapeInfo = 99,
        ReleaseSessionOptions = 100,
        SessionEndProfiling = 110,
        GetAvailableProviders = 125,
        ReleaseAvailableProviders = 126,
        AddSessionConfigEntry = 130,
    }

    /// <summary>The table of a loaded library, or null and why not.</summary>
    public static string TryOpen(nint library, out OnnxRuntimeApi? api, out string? version)
    {
        (api, version) = (null, null);
        if (!NativeLibrary.TryGetExport(library, "OrtGetApiBase", out nint export))
        {
            return "it is no ONNX Runtime: OrtGetApiBase is missing";
        }
        void** start = ((delegate* unmanaged<void**>)export)();
        if (start is null)
        {
            return "OrtGetApiBase gave nothing";
        }
        version = Marshal.PtrToStringUTF8(((delegate* unmanaged<nint>)start[1])()) ?? "";
        string[] parts = version.Split('.');
        bool known = parts.Length >= 2 && int.TryParse(parts[0], NumberStyles.None, CultureInfo.InvariantCulture, out int major) && major >= 1
            && int.TryParse(parts[1], NumberStyles.None, CultureInfo.InvariantCulture, out int minor) && (major > 1 || minor >= OnnxRuntimeLibrary.ApiVersion);
        // An older library would print a complaint of its own when asked.
        var table = known ? (void**)((delegate* unmanaged<uint, nint>)start[0])(OnnxRuntimeLibrary.ApiVersion) : null;
        if (table is null)
        {
            return $"version {version} does not have the functions of version 1.{OnnxRuntimeLibrary.ApiVersion}";
        }
        api = new OnnxRuntimeApi(table, library);
        return "";
    }

    public nint CreateEnv()
    {
        nint env;
        fixed (byte* name = "nengine\0"u8)
        {
            Check(((delegate* unmanaged<int, byte*, nint*, nint>)At(Index.CreateEnv))(Fatal, name, &env), "cannot start");
        }
        Check(((delegate* unmanaged<nint, nint>)At(Index.DisableTelemetryEvents))(env), "cannot be kept from reporting");
        return env;
    }

    public nint CreateSessionOptions()
    {
        nint options;
        Check(((delegate* unmanaged<nint*, nint>)At(Index.CreateSessionOptions))(&options), "has no session options");
        return options;
    }

    public void SetThreads(nint options, int threads)
    {
        Check(((delegate* unmanaged<nint, int, nint>)At(Index.SetIntraOpNumThreads))(options, threads), "refuses the number of threads");
        Check(((delegate* unmanaged<nint, int, nint>)At(Index.SetInterOpNumThreads))(options, 1), "refuses the number of threads");
    }

    public void SetConfiguration(nint options, string key, string value)
    {
        fixed (byte* k = Text(key), v = Text(value))
        {
            Check(((delegate* unmanaged<nint, byte*, byte*, nint>)At(Index.AddSessionConfigEntry))(options, k, v), $"refuses {key}={value}");
        }
    }

    /// <summary>Writes times and providers of every node to PREFIX….json until <see cref="EndProfiling"/>.</summary>
    public void EnableProfiling(nint options, string prefix)
    {
        fixed (byte* path = PathText(prefix))
        {
            Check(((delegate* unmanaged<nint, byte*, nint>)At(Index.EnableProfiling))(options, path), "cannot write a profile");
        }
    }

    /// <summary>The path of the finished profile.</summary>
    public string EndProfiling(nint session)
    {
        nint allocator, path;
        Check(((delegate* unmanaged<nint*, nint>)At(Index.GetAllocatorWithDefaultOptions))(&allocator), "has no allocator");
        Check(((delegate* unmanaged<nint, nint, nint*, nint>)At(Index.SessionEndProfiling))(session, allocator, &path), "cannot finish a profile");
        string text = Marshal.PtrToStringUTF8(path) ?? "";
        Check(((delegate* unmanaged<nint, nint, nint>)At(Index.AllocatorFree))(allocator, path), "cannot free memory");
        return text;
    }

    /// <summary>The execution providers that this library was built with.</summary>
    public string[] AvailableProviders()
    {
        byte** names;
        int count;
        Check(((delegate* unmanaged<byte***, int*, nint>)At(Index.GetAvailableProviders))(&names, &count), "does not list its providers");
        var result = new string[count];
        for (int i = 0; i < count; i++)
        {
            result[i] = Marshal.PtrToStringUTF8((nint)names[i]) ?? "";
        }
        Check(((delegate* unmanaged<byte**, int, nint>)At(Index.ReleaseAvailableProviders))(names, count), "cannot free memory");
        return result;
    }

    /// <summary>Adds the CUDA provider. Errors: DeviceUnavailable with what the library says.</summary>
    public void AppendCuda(nint options, int device)
    {
        if (!NativeLibrary.TryGetExport(_library, "OrtSessionOptionsAppendExecutionProvider_CUDA", out nint append))
        {
            throw new EngineException(ErrorKind.DeviceUnavailable, "this ONNX Runtime has no CUDA provider", "use --provider cpu, or a GPU build of ONNX Runtime");
        }
        Check(((delegate* unmanaged<nint, int, nint>)append)(options, device), "cannot use CUDA", ErrorKind.DeviceUnavailable,
            "use --provider cpu, or name a GPU build whose CUDA libraries are installed with --ort-lib");
    }

    public nint CreateSession(nint env, ReadOnlySpan<byte> model, nint options)
    {
        nint session;
        fixed (byte* bytes = model)
        {
            Check(((delegate* unmanaged<nint, byte*, nuint, nint, nint*, nint>)At(Index.CreateSessionFromArray))(env, bytes, (nuint)model.Length, options, &session),
                "refuses the model", ErrorKind.BadInput);
        }
        return session;
    }

    public nint CreateSession(nint env, string path, nint options)
    {
        nint session;
        fixed (byte* name = PathText(path))
        {
            Check(((delegate* unmanaged<nint, byte*, nint, nint*, nint>)At(Index.CreateSession))(env, name, options, &session), "refuses the model", ErrorKind.BadInput);
        }
        return session;
    }

    public nint CreateRunOptions()
    {
        nint options;
        Check(((delegate* unmanaged<nint*, nint>)At(Index.CreateRunOptions))(&options), "has no run options");
        return options;
    }

    /// <summary>Makes a run with these options end soon, with an error. May be called from another thread.</summary>
    public void Terminate(nint runOptions) => Check(((delegate* unmanaged<nint, nint>)At(Index.RunOptionsSetTerminate))(runOptions), "cannot be stopped");

    public nint CreateCpuMemoryInfo()
    {
        nint info;
        Check(((delegate* unmanaged<int, int, nint*, nint>)At(Index.CreateCpuMemoryInfo))(ArenaAllocator, DefaultMemory, &info), "has no host memory");
        return info;
    }

    /// <summary>A tensor over the caller's memory, which must outlive it.</summary>
    public nint CreateTensor(nint memoryInfo, void* data, long bytes, ReadOnlySpan<long> shape, int elementType)
    {
        nint value;
        fixed (long* extents = shape)
        {
            Check(((delegate* unmanaged<nint, void*, nuint, long*, nuint, int, nint*, nint>)At(Index.CreateTensorWithDataAsOrtValue))(
                memoryInfo, data, (nuint)bytes, extents, (nuint)shape.Length, elementType, &value), "refuses an input");
        }
        return value;
    }

    /// <summary>Runs the session for one output, which the caller releases.</summary>
    public nint Run(nint session, nint runOptions, ReadOnlySpan<nint> inputNames, ReadOnlySpan<nint> inputs, nint outputName)
    {
        nint output = 0;
        fixed (nint* names = inputNames, values = inputs)
        {
            Check(((delegate* unmanaged<nint, nint, nint*, nint*, nuint, nint*, nuint, nint*, nint>)At(Index.Run))(
                session, runOptions, names, values, (nuint)inputs.Length, &outputName, 1, &output), "cannot run the model", ErrorKind.BadInput);
        }
        return output;
    }

    /// <summary>Type, extents and data of a tensor; the data live as long as the value.</summary>
    public (int Type, long[] Shape, nint Data) Tensor(nint value)
    {
        nint info;
        Check(((delegate* unmanaged<nint, nint*, nint>)At(Index.GetTensorTypeAndShape))(value, &info), "gave no tensor");
        try
        {
            int type;
            nuint rank;
            Check(((delegate* unmanaged<nint, int*, nint>)At(Index.GetTensorElementType))(info, &type), "gave no tensor");
            Check(((delegate* unmanaged<nint, nuint*, nint>)At(Index.GetDimensionsCount))(info, &rank), "gave no tensor");
            var shape = new long[checked((int)rank)];
            fixed (long* extents = shape)
            {
                Check(((delegate* unmanaged<nint, long*, nuint, nint>)At(Index.GetDimensions))(info, extents, rank), "gave no tensor");
            }
            nint data;
            Check(((delegate* unmanaged<nint, nint*, nint>)At(Index.GetTensorMutableData))(value, &data), "gave no data");
            return (type, shape, data);
        }
        finally
        {
            Release(Index.ReleaseTensorTypeAndShapeInfo, info);
        }
    }

    public void ReleaseEnv(nint env) => Release(Index.ReleaseEnv, env);

    public void ReleaseSession(nint session) => Release(Index.ReleaseSession, session);

    public void ReleaseSessionOptions(nint options) => Release(Index.ReleaseSessionOptions, options);

    public void ReleaseRunOptions(nint options) => Release(Index.ReleaseRunOptions, options);

    public void ReleaseMemoryInfo(nint info) => Release(Index.ReleaseMemoryInfo, info);

    public void ReleaseValue(nint value) => Release(Index.ReleaseValue, value);

    private static byte[] Text(string text) => [.. Encoding.UTF8.GetBytes(text), 0];

    // Paths are wide on Windows.
    private static byte[] PathText(string path) => OperatingSystem.IsWindows() ? [.. Encoding.Unicode.GetBytes(path), 0, 0] : Text(path);

    private void* At(Index index) => _table[(int)index];

    private void Release(Index index, nint handle)
    {
        if (handle != 0)
        {
            ((delegate* unmanaged<nint, void>)At(index))(handle);
        }
    }

    private void Check(nint status, string what, ErrorKind kind = ErrorKind.DeviceUnavailable, string? hint = null)
    {
        if (status == 0)
        {
            return;
        }
        string message = Marshal.PtrToStringUTF8(((delegate* unmanaged<nint, nint>)At(Index.GetErrorMessage))(status)) ?? "no reason given";
        Release(Index.ReleaseStatus, status);
        string line = string.Join(' ', message.Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries));
        throw new EngineException(kind, $"ONNX Runtime {what}: {(line.Length > 400 ? line[..400] + "…" : line)}", hint);
    }
}
