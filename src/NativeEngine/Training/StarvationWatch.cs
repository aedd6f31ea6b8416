namespace NativeEngine.Training;

/// <summary>A source of which nothing was trained for longer than chance explains.</summary>
/// <param name="Source">Its id.</param>
/// <param name="Steps">Steps in a row whose pools had examples of it and whose batches had none.</param>
/// <param name="Drawn">Its examples in those pools.</param>
/// <param name="Probability">Probability that batches picked at random from those pools have none of them.</param>
public readonly record struct StarvedSource(int Source, int Steps, long Drawn, double Probability);

/// <summary>
/// Tells when the selection starves a source. Were the b examples that are not kept picked at random from the m of the pool that are not, none of a source's p would be among
/// them with probability C(m - p, b) / C(m, b) = prod over i &lt; p of (m - b - i) / (m - i). A run of a source begins with the first pool that has it, and again after each step that trained it; the
/// product over its steps is the probability of the whole run. The k-th run of all (of all sources together) is told when its product falls below level / (k (k + 1)): a run gets there by
/// chance with no more than that probability, and these sum to the level. So a run of any length, with any number of sources, has a false alarm with probability below the level.
/// Each source is told once. Cost: a pass over the pool's counts a step.
/// </summary>
/// <param name="level">Probability of a false alarm in all steps together.</param>
public sealed class StarvationWatch(double level = 1e-6)
{
    private readonly List<StarvedSource> _starved = [];
    private Run[] _runs = [];
    private long _begun;

    /// <summary>
    /// One step: examples of every source in the pool and in the batch, and how many of the batch are of sources kept whole. Returns the sources that are starved since this step.
    /// The list is this object's until the next call.
    /// </summary>
    public IReadOnlyList<StarvedSource> Observe(ReadOnlySpan<int> pool, ReadOnlySpan<int> trained, int kept)
    {
        _starved.Clear();
        if (_runs.Length < pool.Length)
        {
            Array.Resize(ref _runs, pool.Length);
        }
        // Kept sources that exceed the budget leave nothing to pick: b is 0 then, and nothing can be told.
        int m = -kept, b = -kept;
        for (int s = 0; s < pool.Length; s++)
        {
            m += pool[s];
            b += trained[s];
        }
        for (int s = 0; s < pool.Length; s++)
        {
            ref var run = ref _runs[s];
            if (pool[s] == 0 || run.Told)
            {
                continue;
            }
            if (run.Number == 0)
            {
                run = new Run { Number = ++_begun };
            }
            if (trained[s] > 0)
            {
                run = default;
                continue;
            }
            run.Steps++;
            run.Drawn += pool[s];
            run.Log += LogNone(m, b, pool[s]);
            if (run.Log + Math.Log(run.Number) + Math.Log(run.Number + 1) < Math.Log(level))
            {
                run.Told = true;
                _starved.Add(new StarvedSource(s, run.Steps, run.Drawn, Math.Exp(run.Log)));
            }
        }
        return _starved;
    }

    /// <summary>Forgets all runs and what was told: the sources are others from now on. The number of runs goes on, and with it the bound on false alarms.</summary>
    public void Restart() => Array.Clear(_runs);

    /// <summary>The logarithm of the probability that b of m have none of p.</summary>
    internal static double LogNone(int m, int b, int p)
    {
        double log = 0;
        for (int i = 0; i < p && b > 0; i++)
        {
            log += m - b - i > 0 ? Math.Log((double)(m - b - i) / (m - i)) : double.NegativeInfinity;
        }
        return log;
    }

    private struct Run
    {
        public long Number, Drawn;
        public int Steps;
        public double Log;
        public bool Told;
    }
}
