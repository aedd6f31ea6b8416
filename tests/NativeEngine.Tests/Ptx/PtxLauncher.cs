using System.Collections.Concurrent;

namespace NativeEngine.Tests.Ptx;

/// <summary>Runs the groups of a launch on the host's threads, keeping their registers for the next one.</summary>
internal sealed class PtxLauncher(PtxMemory memory) : IDisposable
{
    private static readonly ConcurrentDictionary<string, Dictionary<string, PtxKernel>> _parsed = new();

    private readonly Dictionary<PtxKernel, ConcurrentBag<PtxGroup>> _idle = [];

    /// <summary>The kernels of a shipped module, read once.</summary>
    public static Dictionary<string, PtxKernel> Kernels(string text) => _parsed.GetOrAdd(text, PtxKernel.Parse);

    public void Launch(PtxKernel kernel, long[] parameters, int groupsX, int groupsY, int groupsZ, int threads)
    {
        if (!_idle.TryGetValue(kernel, out var idle))
        {
            _idle[kernel] = idle = [];
        }
        long count = (long)groupsX * groupsY * groupsZ;
        if (count == 1)
        {
            var group = Take();
            group.Run(0, 0, 0);
            idle.Add(group);
            return;
        }
        try
        {
            Parallel.For(0, count, new ParallelOptions { MaxDegreeOfParallelism = Environment.ProcessorCount }, Take, (g, _, group) =>
            {
                group.Run((int)(g % groupsX), (int)(g / groupsX % groupsY), (int)(g / groupsX / groupsY));
                return group;
            }, idle.Add);
        }
        catch (AggregateException errors)
        {
            throw errors.InnerExceptions[0];
        }

        PtxGroup Take()
        {
            if (!idle.TryTake(out var group))
            {
                group = new PtxGroup(kernel, memory, threads);
            }
            group.Prepare(parameters, groupsX, groupsY, groupsZ);
            return group;
        }
    }

    public void Dispose()
    {
        foreach (var group in _idle.Values.SelectMany(bag => bag))
        {
            group.Dispose();
        }
        _idle.Clear();
    }
}
