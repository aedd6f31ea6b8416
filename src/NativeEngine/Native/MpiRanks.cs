using System.Runtime.InteropServices;
using System.Text;

namespace NativeEngine.Native;

/// <summary>
/// The ranks of an MPI job. The library is found at run time; Open MPI, whose handles are addresses, and the family of MPICH, whose handles are
/// numbers, are told apart by the presence of ompi_mpi_comm_world. Only bytes travel: sums are ours, so that their order is. Calls must come
/// from one thread.
/// </summary>
public sealed unsafe class MpiRanks : RankGroup
{
    /// <summary>The environment variable that names the library.</summary>
    public const string Variable = "NENGINE_MPI_LIB";

    // MPICH's ABI (MPICH, Intel MPI, Cray MPICH, MVAPICH).
    private const int MpichWorld = 0x44000000, MpichByte = 0x4c00010d, MpichErrorsReturn = 0x54000001;
    private const int Serialized = 2;

    private readonly nint _library, _world, _byte;
    private long _waitingSince;
    private bool _open;

    private MpiRanks(nint library, string path)
    {
        _library = library;
        bool open = NativeLibrary.TryGetExport(library, "ompi_mpi_comm_world", out nint world);
        _world = open ? world : MpichWorld;
        _byte = open ? NativeLibrary.GetExport(library, "ompi_mpi_byte") : MpichByte;
        nint errorsReturn = open ? NativeLibrary.GetExport(library, "ompi_mpi_errors_return") : MpichErrorsReturn;
        int granted, rank, count;
        Check(((delegate* unmanaged<int*, byte***, int, int*, int>)Function("MPI_Init_thread"))(null, null, Serialized, &granted), "cannot start");
        _open = true;
        Check(((delegate* unmanaged<nint, nint, int>)Function("MPI_Comm_set_errhandler"))(_world, errorsReturn), "cannot report errors");
        Check(((delegate* unmanaged<nint, int*, int>)Function("MPI_Comm_rank"))(_world, &rank), "does not say the rank");
        Check(((delegate* unmanaged<nint, int*, int>)Function("MPI_Comm_size"))(_world, &count), "does not say how many ranks there are");
        (Rank, Count) = (rank, count);
        Description = $"{Version()} ({path})";
    }

    /// <inheritdoc/>
    public override int Rank { get; }

    /// <inheritdoc/>
    public override int Count { get; }

    /// <summary>What connects them, for people.</summary>
    public string Description { get; }

    /// <summary>How long this rank has been waiting for the others in the call it is in; zero outside of calls. May be asked from another thread.</summary>
    public TimeSpan Waiting => Volatile.Read(ref _waitingSince) is var since and > 0 ? TimeSpan.FromMilliseconds(Environment.TickCount64 - since) : TimeSpan.Zero;

    /// <summary>
    /// Joins the job that started this process. Errors: DeviceUnavailable without a library, with the places tried, or when it cannot start.
    /// </summary>
    public static MpiRanks Join(Func<string, string?>? environment = null)
    {
        string? named = (environment ?? Environment.GetEnvironmentVariable)(Variable);
        string[] places = !string.IsNullOrEmpty(named) ? [named]
            : OperatingSystem.IsWindows() ? ["msmpi.dll", "impi.dll"]
            : OperatingSystem.IsMacOS() ? ["libmpi.dylib", "libmpi.40.dylib"]
            : ["libmpi.so.40", "libmpi.so.12", "libmpich.so.12", "libmpi.so"];
        foreach (string place in places)
        {
            if (NativeLibrary.TryLoad(place, out nint library))
            {
                return NativeLibrary.TryGetExport(library, "MPI_Init_thread", out _) ? new MpiRanks(library, place)
                    : throw new EngineException(ErrorKind.DeviceUnavailable, $"{place} is no MPI library: MPI_Init_thread is missing");
            }
        }
        throw new EngineException(ErrorKind.DeviceUnavailable, $"no MPI library was found; tried {string.Join(", ", places)}",
            $"install Open MPI or MPICH, or name its library with {Variable}");
    }

    /// <inheritdoc/>
    public override void Gather(ReadOnlySpan<byte> mine, ReadOnlySpan<int> counts, Span<byte> all)
    {
        Span<int> starts = stackalloc int[Count];
        Starts(counts, starts);
        Require(mine.Length == counts[Rank] && starts[^1] + counts[^1] <= all.Length);
        fixed (byte* from = mine, to = all)
        fixed (int* lengths = counts, places = starts)
        {
            Volatile.Write(ref _waitingSince, Environment.TickCount64);
            int code = ((delegate* unmanaged<void*, int, nint, void*, int*, int*, nint, nint, int>)Function("MPI_Allgatherv"))(
                from, mine.Length, _byte, to, lengths, places, _byte, _world);
            Volatile.Write(ref _waitingSince, 0);
            Check(code, "lost another rank");
        }
    }

    /// <summary>Ends every process of the group at once with an exit code. Does not return where there are others.</summary>
    public void Abort(int code)
    {
        if (_open && Count > 1)
        {
            _ = ((delegate* unmanaged<nint, int, int>)Function("MPI_Abort"))(_world, code);
        }
    }

    /// <inheritdoc/>
    public override void Dispose()
    {
        if (_open)
        {
            _open = false;
            _ = ((delegate* unmanaged<int>)Function("MPI_Finalize"))();
        }
    }

    /// <inheritdoc/>
    protected override void Exchange(ReadOnlySpan<float> values, ReadOnlySpan<int> counts, Span<float> received)
    {
        Span<int> sent = stackalloc int[Count], sentAt = stackalloc int[Count], got = stackalloc int[Count], gotAt = stackalloc int[Count];
        for (int r = 0; r < Count; r++)
        {
            sent[r] = counts[r] * sizeof(float);
            got[r] = counts[Rank] * sizeof(float);
        }
        Starts(sent, sentAt);
        Starts(got, gotAt);
        Require(sentAt[^1] + sent[^1] == values.Length * sizeof(float) && gotAt[^1] + got[^1] <= received.Length * sizeof(float));
        fixed (float* from = values, to = received)
        fixed (int* s = sent, sa = sentAt, g = got, ga = gotAt)
        {
            Volatile.Write(ref _waitingSince, Environment.TickCount64);
            int code = ((delegate* unmanaged<void*, int*, int*, nint, void*, int*, int*, nint, nint, int>)Function("MPI_Alltoallv"))(from, s, sa, _byte, to, g, ga, _byte, _world);
            Volatile.Write(ref _waitingSince, 0);
            Check(code, "lost another rank");
        }
    }

    private static void Starts(ReadOnlySpan<int> counts, Span<int> starts)
    {
        int at = 0;
        for (int r = 0; r < counts.Length; r++)
        {
            starts[r] = at;
            at = checked(at + counts[r]);
        }
    }

    // A wrong length here would write past memory that the runtime owns.
    private static void Require(bool right)
    {
        if (!right)
        {
            throw new ArgumentException("the lengths of a collective call do not fit each other");
        }
    }

    private void* Function(string name) => (void*)NativeLibrary.GetExport(_library, name);

    private string Version()
    {
        // MPI_MAX_LIBRARY_VERSION_STRING is 256 in Open MPI and 8192 in MPICH.
        var text = new byte[16384];
        int length;
        fixed (byte* buffer = text)
        {
            Check(((delegate* unmanaged<byte*, int*, int>)Function("MPI_Get_library_version"))(buffer, &length), "does not say its version");
        }
        return Encoding.UTF8.GetString(text, 0, Math.Clamp(length, 0, text.Length)).Split(',', '\n')[0].Trim('\0', ' ');
    }

    private void Check(int code, string what)
    {
        if (code == 0)
        {
            return;
        }
        var text = new byte[16384];
        int length = 0;
        fixed (byte* buffer = text)
        {
            _ = ((delegate* unmanaged<int, byte*, int*, int>)Function("MPI_Error_string"))(code, buffer, &length);
        }
        throw new EngineException(ErrorKind.DeviceUnavailable, $"MPI {what}: {Encoding.UTF8.GetString(text, 0, Math.Clamp(length, 0, text.Length)).Trim('\0', ' ')}");
    }
}
