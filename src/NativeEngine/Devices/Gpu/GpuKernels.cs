namespace NativeEngine.Devices.Gpu;

/// <summary>
/// The kernels of a GPU: which of kernels/*.cu run, on how many groups, with which arguments and scratch. One file per family. Every result has the
/// bits of the CPU (the order of operations is the same), unless a driver's arithmetic is not IEEE's.
/// <para>Indices that come from device memory are checked there; a bad one is told by <see cref="ThrowIfFaulted"/> at the next wait, with its
/// position. Scratch is one block of device memory, grown on demand and kept; it counts as <see cref="MemoryUse.Scratch"/> of the device.</para>
/// </summary>
internal sealed partial class GpuKernels(GpuDevice device) : IKernels, IDisposable
{
    /// <summary>Threads of a group (portable.h).</summary>
    internal const int Threads = 256;

    /// <summary>Elements of a group in elementwise kernels.</summary>
    private const long ElementsPerGroup = 4 * Threads;

    private const int StatusWords = 32;

    private readonly IGpuDriver _driver = device.Driver;
    private readonly Dictionary<string, GpuFunction> _functions = [];
    private readonly string[] _faults = new string[StatusWords];
    private DeviceBuffer<byte>? _scratch;
    private DeviceBuffer<uint>? _status;
    private bool _indicesUsed;

    /// <summary>Gives scratch back.</summary>
    public void Dispose()
    {
        _scratch?.Dispose();
        _status?.Dispose();
        (_scratch, _status) = (null, null);
    }

    /// <summary>Waits, and tells of bad indices that kernels have met since the last call. Cheap when no kernel with indices ran. Errors: ArgumentException.</summary>
    public void ThrowIfFaulted()
    {
        if (!_indicesUsed)
        {
            return;
        }
        _indicesUsed = false;
        Span<byte> words = stackalloc byte[StatusWords * sizeof(uint)];
        _driver.CopyOut(_status!.Handle, 0, words);
        for (int slot = 0; slot < StatusWords; slot++)
        {
            uint word = BitConverter.ToUInt32(words[(slot * sizeof(uint))..]);
            if (word != 0)
            {
                _driver.Clear(_status!.Handle, 0, words.Length);
                throw new ArgumentException($"{_driver.Name}: {_faults[slot].Replace("@", (uint.MaxValue - word).ToString(System.Globalization.CultureInfo.InvariantCulture), StringComparison.Ordinal)}");
            }
        }
    }

    // ---- What the families are written with -----------------------------------------------------------------------------------

    private static GpuArgument Of(int value) => GpuArgument.Of(value);

    private static GpuArgument Of(long value) => GpuArgument.Of(value);

    private static GpuArgument Of(float value) => GpuArgument.Of(value);

    private static GpuArgument Flag(bool value) => GpuArgument.Of(value ? 1 : 0);

    private static GpuArgument Of<T>(Tensor<T> tensor)
        where T : unmanaged
    {
        return tensor.IsNone || tensor.Buffer.Length == 0
            ? GpuArgument.Buffer(0, 0)
            : GpuArgument.Buffer(tensor.Buffer.Handle, tensor.Offset * System.Runtime.CompilerServices.Unsafe.SizeOf<T>());
    }

    private static long Groups(long items, long perGroup) => (items + perGroup - 1) / perGroup;

    /// <summary>True when 16-byte steps are allowed: bases are, and lines have whole steps.</summary>
    private static bool Aligned(long lineLength, params ReadOnlySpan<Tensor<float>> tensors)
    {
        bool aligned = lineLength % 4 == 0;
        foreach (var tensor in tensors)
        {
            aligned &= tensor.IsNone || tensor.Offset % 4 == 0;
        }
        return aligned;
    }

    private static bool SameShape(Tensor<float> a, Tensor<float> b) => a.Rows == b.Rows && a.RowLength == b.RowLength;

    private void Run(string kernel, long groups, params ReadOnlySpan<GpuArgument> arguments) => Run(kernel, groups, 1, 1, arguments);

    private void Run(string kernel, long x, long y, long z, params ReadOnlySpan<GpuArgument> arguments)
    {
        if (x == 0 || y == 0 || z == 0)
        {
            return;
        }
        Require.That(x <= int.MaxValue && y <= 65_535 && z <= 65_535,
            $"{_driver.Name}: {kernel} would need {x} x {y} x {z} groups; a launch has at most {int.MaxValue} x 65535 x 65535");
        if (!_functions.TryGetValue(kernel, out var function))
        {
            _functions[kernel] = function = _driver.Function(kernel);
        }
        _driver.Launch(function, (int)x, (int)y, (int)z, Threads, arguments);
    }

    /// <summary>Scratch buffers of these many bytes, valid until the next request. Their contents are undefined.</summary>
    private GpuArgument[] Scratch(params ReadOnlySpan<long> sizes)
    {
        const long Alignment = 256;
        long total = 0;
        foreach (long size in sizes)
        {
            total += (size + Alignment - 1) / Alignment * Alignment;
        }
        long held = _scratch?.Length ?? 0;
        if (total > held)
        {
            _scratch?.Dispose();
            _scratch = null;
            _scratch = device.Allocate<byte>(Math.Max(total, Math.Min(2 * held, total + (64L << 20))), MemoryUse.Scratch);
        }
        var buffers = new GpuArgument[sizes.Length];
        long offset = 0;
        for (int i = 0; i < sizes.Length; i++)
        {
            buffers[i] = GpuArgument.Buffer(_scratch!.Handle, offset);
            offset += (sizes[i] + Alignment - 1) / Alignment * Alignment;
        }
        return buffers;
    }

    /// <summary>The words in which kernels record bad indices. Fault is the sentence of this call's slot, with @ for the position.</summary>
    private GpuArgument Status(int slot, string fault)
    {
        _status ??= device.Allocate<uint>(StatusWords, MemoryUse.Scratch);
        _faults[slot] = fault;
        _indicesUsed = true;
        return GpuArgument.Buffer(_status.Handle, 0);
    }

    /// <summary>Slots of <see cref="Status"/>.</summary>
    private static class Slot
    {
        public const int GatherRows = 0, ScatterAddRows = 1, Rope = 2, CrossEntropy = 3, Attention = 4, Segments = 5, UpdateMoment = 6,
            ColumnImportance = 7, Gather = 8, GatherColumns = 9, AttentionBackward = 10;
    }
}
