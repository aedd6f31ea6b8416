namespace NativeEngine.Devices.Cpu;

/// <summary>
/// The kernels of the CPU for one register width, one file per family. Each parallel kernel is a struct with its arguments and a
/// Run over a range of independent outputs, so that any cut of the range gives the same bits.
/// </summary>
internal sealed unsafe partial class CpuKernels<L>(ThreadTeam team) : IKernels
    where L : unmanaged, ILanes<L>
{
    private readonly ThreadTeam _team = team;
    private readonly Scratch _scratch = new(team.Size);

    /// <summary>Elements a thread takes at a time in elementwise kernels: 64 KiB of float32.</summary>
    private const long ElementGrain = 1 << 14;

    /// <summary>
    /// Scratch memory of each worker, grown on demand and kept. Pointers are valid until the next request of the same worker.
    /// </summary>
    internal sealed class Scratch(int workers)
    {
        private readonly HostMemory _host = new();
        private readonly nint[] _memory = new nint[workers];
        private readonly long[] _floats = new long[workers];

        public float* Get(int worker, long floats)
        {
            if (_floats[worker] < floats)
            {
                Free(worker);
                _memory[worker] = _host.Allocate(floats * sizeof(float), zeroed: false);
                if (_memory[worker] == 0)
                {
                    throw new OutOfMemoryException($"{floats * sizeof(float)} bytes of scratch for a kernel");
                }
                _floats[worker] = floats;
            }
            return (float*)_memory[worker];
        }

        ~Scratch()
        {
            for (int worker = 0; worker < _memory.Length; worker++)
            {
                Free(worker);
            }
        }

        private void Free(int worker)
        {
            _host.Free(_memory[worker], _floats[worker] * sizeof(float));
            (_memory[worker], _floats[worker]) = (0, 0);
        }
    }
}
