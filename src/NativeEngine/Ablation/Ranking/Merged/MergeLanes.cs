using NativeEngine.Devices;
using NativeEngine.Devices.Cpu;
using NativeEngine.Model;

namespace NativeEngine.Ablation.Ranking;

/// <summary>
/// Merged models beside each other, each on processor threads of its own: small models score faster many at a time than one on all threads, whose kernels are too short to
/// share. A mixture's losses are the same bits in any lane. Memory: <see cref="BytesPerLane"/> each, so large models get fewer lanes of more threads.
/// </summary>
public sealed class MergeLanes : IDisposable
{
    private readonly List<(CpuDevice Device, MergedModel Merged, Workspace Workspace)> _lanes = [];

    /// <summary>So many lanes of equal numbers of threads.</summary>
    public MergeLanes(UnitPool pool, CpuDevice device, int count)
    {
        try
        {
            for (int l = 0; l < count; l++)
            {
                var own = new CpuDevice(device.Threads / count, device.Width);
                try
                {
                    _lanes.Add((own, new MergedModel(pool, own), new Workspace(own)));
                }
                catch
                {
                    own.Dispose();
                    throw;
                }
            }
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>Lanes.</summary>
    public int Count => _lanes.Count;

    /// <summary>What a lane works with.</summary>
    public (MergedModel Merged, Workspace Workspace) this[int lane] => (_lanes[lane].Merged, _lanes[lane].Workspace);

    /// <summary>Bytes of a lane: sum and weights of a model, and the activations of two layers of a batch of so many tokens.</summary>
    public static long BytesPerLane(LlamaConfig config, long tokens) => MergedModel.BytesFor(config.Layout()) + (2 * ActivationBytes(config, tokens));

    /// <summary>Bytes that a layer of a batch of so many tokens keeps.</summary>
    internal static long ActivationBytes(LlamaConfig config, long tokens) =>
        tokens * ((8L * config.HiddenSize) + (3L * config.IntermediateSize) + (3L * config.QuerySize)) * sizeof(float);

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var (device, merged, workspace) in _lanes)
        {
            workspace.Dispose();
            merged.Dispose();
            device.Dispose();
        }
        _lanes.Clear();
    }
}
