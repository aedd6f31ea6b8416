using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using NativeEngine.Ablation.Mixtures;
using NativeEngine.Devices;
using NativeEngine.Devices.Cpu;
using NativeEngine.Model;

namespace NativeEngine.Ablation.Ranking;

/// <summary>
/// One parameter buffer that becomes the average of a pool's units for one mixture after the other, without ever writing a model.
/// <para>The sum of multiples times weights is held in 64-bit fixed point, so that adding and taking away a unit is exact: the merged weights
/// are the same bits whatever was merged before, and neighbours that share multiples cost one pass over the units that changed. Rounding:
/// each product to a multiple of 2^-s with s = 44 minus the exponent of the pool's largest weight (2^-42 for weights below 4), and the
/// result once to float32. Memory: 8 bytes a parameter for the sum and 4 for the model. Cost of a step: 4 bytes a parameter for every
/// changed unit, 20 for sum and result.</para>
/// </summary>
public sealed unsafe class MergedModel : IDisposable
{
    private const int Chunk = 1 << 13;
    private const int MultipleBits = 6; // multiples are at most 64
    private const double Magic = 6755399441055744.0; // 1.5 * 2^52: adding it rounds to a whole number held in the low bits

    private readonly UnitPool _pool;
    private readonly ThreadTeam _team;
    private readonly ThreadTeam? _ownTeam;
    private readonly float[]? _staging;
    private readonly long* _sum;
    private readonly double[] _current;
    private readonly (int Entry, int First, int Count, long Place)[] _pieces;
    private readonly double _scale;

    /// <summary>A model on a device; on the CPU merged in place on its threads, elsewhere merged on the host and copied.</summary>
    public MergedModel(UnitPool pool, Device device)
    {
        _pool = pool;
        Parameters = new ParameterSet(device, pool.Layout, MemoryUse.Parameters);
        Model = new LlamaModel(pool.Config, Parameters);
        if (device is CpuDevice cpu)
        {
            _team = cpu.Team;
        }
        else
        {
            _team = _ownTeam = new ThreadTeam(Environment.ProcessorCount);
            _staging = new float[pool.Layout.Length];
        }
        _sum = (long*)NativeMemory.AlignedAlloc((nuint)(pool.Layout.Length * sizeof(long)), 64);
        NativeMemory.Clear(_sum, (nuint)(pool.Layout.Length * sizeof(long)));
        _current = new double[pool.Count];
        _scale = Math.ScaleB(1, 50 - MultipleBits - Exponent(pool.LargestMagnitude));
        _pieces = [.. pool.Layout.Entries.SelectMany((entry, e) => Pieces(entry, e))];
    }

    /// <summary>The merged weights.</summary>
    public ParameterSet Parameters { get; }

    /// <summary>The model over them.</summary>
    public LlamaModel Model { get; }

    /// <summary>Bytes held beside the pool.</summary>
    public static long BytesFor(ParameterLayout layout) => layout.Length * (sizeof(long) + sizeof(float));

    /// <summary>
    /// Makes the parameters seed + lambda (sum of weights times units - seed); with lambda 1 the plain average. The same bits for any number of
    /// threads, any register width, and whatever was merged before.
    /// </summary>
    public void Set(Mixture mixture, double lambda = 1)
    {
        var (multiples, factor) = mixture.Multiples();
        var changes = new List<(int Unit, double From, double To)>();
        int changed = 0;
        for (int u = 0; u < multiples.Length; u++)
        {
            changed += (_current[u] != 0 ? 1 : 0) * (_current[u] != multiples[u] ? 1 : 0);
            changed += (multiples[u] != 0 ? 1 : 0) * (_current[u] != multiples[u] ? 1 : 0);
        }
        // Beginning anew reads the units of the mixture; going on reads the changed ones and the sum.
        bool anew = changed + 2 > mixture.Units.Count;
        for (int u = 0; u < multiples.Length; u++)
        {
            double from = anew ? 0 : _current[u];
            if (from != multiples[u])
            {
                changes.Add((u, from, multiples[u]));
            }
            _current[u] = multiples[u];
        }
        fixed (float* staging = _staging)
        {
            float* output = staging is null ? Parameters.Flat.Pointer : staging;
            _team.For(new Job(this, [.. changes], anew, factor / _scale * lambda, 1 - lambda, output), _pieces.Length, 1);
        }
        if (_staging is not null)
        {
            Parameters.Device.Upload<float>(_staging, Parameters.Flat);
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Model.Dispose();
        Parameters.Dispose();
        _ownTeam?.Dispose();
        NativeMemory.AlignedFree(_sum);
    }

    /// <summary>The smallest e with value &lt; 2^e.</summary>
    private static int Exponent(double value) => value > 0 ? Math.ILogB(value) + 1 : 0;

    private static IEnumerable<(int Entry, int First, int Count, long Place)> Pieces(ParameterEntry entry, int index)
    {
        for (long first = 0; first < entry.Shape.Count; first += Chunk)
        {
            yield return (index, (int)first, (int)Math.Min(Chunk, entry.Shape.Count - first), entry.Offset + first);
        }
    }

    private readonly struct Job(MergedModel owner, (int Unit, double From, double To)[] changes, bool anew, double factor, double ofSeed, float* output) : IRangeJob
    {
        public void Run(long first, long last, int worker)
        {
            for (long p = first; p < last; p++)
            {
                var (entry, start, count, place) = owner._pieces[p];
                long* sum = owner._sum + place;
                if (anew)
                {
                    new Span<long>(sum, count).Clear();
                }
                foreach (var (unit, from, to) in changes)
                {
                    float* x = (float*)owner._pool.Address(unit, entry) + start;
                    if (from == 0)
                    {
                        Add(x, to * owner._scale, sum, count);
                    }
                    else if (to == 0)
                    {
                        Subtract(x, from * owner._scale, sum, count);
                    }
                    else
                    {
                        Subtract(x, from * owner._scale, sum, count);
                        Add(x, to * owner._scale, sum, count);
                    }
                }
                Write(sum, ofSeed == 0 ? null : (float*)owner._pool.Address(owner._pool.Count, entry) + start, output + place, count);
            }
        }

        private static void Add(float* x, double by, long* sum, int count)
        {
            int i = 0;
            Vector256<double> factor = Vector256.Create(by), magic = Vector256.Create(Magic);
            for (; i + 8 <= count; i += 8)
            {
                var values = Vector256.Load(x + i);
                (Vector256.Load(sum + i) + Whole(Vector256.WidenLower(values), factor, magic)).Store(sum + i);
                (Vector256.Load(sum + i + 4) + Whole(Vector256.WidenUpper(values), factor, magic)).Store(sum + i + 4);
            }
            for (; i < count; i++)
            {
                sum[i] += Whole(x[i], by);
            }
        }

        private static void Subtract(float* x, double by, long* sum, int count)
        {
            int i = 0;
            Vector256<double> factor = Vector256.Create(by), magic = Vector256.Create(Magic);
            for (; i + 8 <= count; i += 8)
            {
                var values = Vector256.Load(x + i);
                (Vector256.Load(sum + i) - Whole(Vector256.WidenLower(values), factor, magic)).Store(sum + i);
                (Vector256.Load(sum + i + 4) - Whole(Vector256.WidenUpper(values), factor, magic)).Store(sum + i + 4);
            }
            for (; i < count; i++)
            {
                sum[i] -= Whole(x[i], by);
            }
        }

        private static Vector256<long> Whole(Vector256<double> x, Vector256<double> factor, Vector256<double> magic) =>
            ((x * factor) + magic).AsInt64() - magic.AsInt64();

        private static long Whole(float x, double factor)
        {
            double product = x * factor;
            return BitConverter.DoubleToInt64Bits(product + Magic) - BitConverter.DoubleToInt64Bits(Magic);
        }

        private void Write(long* sum, float* seed, float* target, int count)
        {
            int i = 0;
            if (seed is null)
            {
                var by = Vector256.Create(factor);
                for (; i + 8 <= count; i += 8)
                {
                    Vector256.Narrow(
                        Vector256.ConvertToDouble(Vector256.Load(sum + i)) * by, Vector256.ConvertToDouble(Vector256.Load(sum + i + 4)) * by).Store(target + i);
                }
            }
            for (; i < count; i++)
            {
                double value = sum[i] * factor;
                target[i] = (float)(seed is null ? value : value + (ofSeed * seed[i]));
            }
        }
    }
}
