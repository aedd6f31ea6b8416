using NativeEngine.Devices;

namespace NativeEngine.Ablation;

/// <summary>Which part of the work is this process's own.</summary>
/// <param name="Rank">From 0.</param>
/// <param name="Count">Processes.</param>
/// <param name="Origin">Where this comes from: "SLURM_PROCID", or "one process".</param>
public sealed record WorkShare(int Rank, int Count, string Origin)
{
    /// <summary>All of it.</summary>
    public static WorkShare Whole { get; } = new(0, 1, "one process");

    /// <summary>
    /// From the variables that Slurm, Open MPI and torchrun-like launchers set: SLURM_PROCID of SLURM_NTASKS, OMPI_COMM_WORLD_RANK of OMPI_COMM_WORLD_SIZE, RANK of
    /// WORLD_SIZE; the first pair that is complete. Errors: Usage for a rank that is not below the count.
    /// </summary>
    public static WorkShare FromEnvironment(Func<string, string?> variable)
    {
        foreach (var (rank, count) in new[] { ("SLURM_PROCID", "SLURM_NTASKS"), ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"), ("RANK", "WORLD_SIZE") })
        {
            if (int.TryParse(variable(rank), out int r) && int.TryParse(variable(count), out int n))
            {
                return r >= 0 && r < n ? new WorkShare(r, n, rank)
                    : throw new EngineException(ErrorKind.Usage, $"{rank} is {r} and {count} is {n}; a rank is at least 0 and below the count");
            }
        }
        return Whole;
    }
}

/// <summary>What a run of trainings came to.</summary>
/// <param name="Trained">Trainings done by this process.</param>
/// <param name="Found">Models that were in the cache already.</param>
/// <param name="ByOthers">Models that other processes finished meanwhile.</param>
/// <param name="Steps">Optimizer steps of this process's trainings.</param>
/// <param name="Tokens">Their tokens.</param>
/// <param name="Seconds">Their time.</param>
public sealed record TrainingReport(int Trained, int Found, int ByOthers, long Steps, long Tokens, double Seconds);

/// <summary>
/// Sees to it that models are in the cache: found there, trained here, or trained by another process that shares the cache, which is waited for. A
/// process begins with its own share (every n-th), then helps with what nobody has claimed.
/// </summary>
public sealed class StudyRunner(StudyPlan plan, StudyJobs jobs, UnitCache cache, Device device, WorkShare share)
{
    private static readonly TimeSpan _look = TimeSpan.FromMilliseconds(250);

    /// <summary>Hears of every step.</summary>
    public Action<TrainingProgress>? OnStep { get; init; }

    /// <summary>Hears that this process begins a training: what it is, and the step it goes on from.</summary>
    public Action<string, long>? OnStart { get; init; }

    /// <summary>Hears of every model that is done: what it is, how many of how many, and whether this process trained it.</summary>
    public Action<string, int, int, bool>? OnDone { get; init; }

    /// <summary>Hears, once for each, that another process is waited for.</summary>
    public Action<string>? OnWait { get; init; }

    /// <summary>The seed model, then every unit with every RNG seed.</summary>
    public TrainingReport TrainUnits(CancellationToken cancellation = default)
    {
        var seed = Run([jobs.SeedJob], cancellation);
        var units = Run([.. jobs.UnitJobs], cancellation);
        return new TrainingReport(
            seed.Trained + units.Trained, seed.Found + units.Found, seed.ByOthers + units.ByOthers, seed.Steps + units.Steps, seed.Tokens + units.Tokens,
            seed.Seconds + units.Seconds);
    }

    /// <summary>True trainings of mixtures (and of the seed, when it is not there): one for each vector of weights over the units.</summary>
    public TrainingReport TrainMixtures(IReadOnlyList<IReadOnlyList<double>> mixtures, int seedIndex = 0, CancellationToken cancellation = default)
    {
        Run([jobs.SeedJob], cancellation);
        return Run([.. mixtures.Select(weights => jobs.MixtureJob(weights, seedIndex)).DistinctBy(j => j.Key.Hash)], cancellation);
    }

    private TrainingReport Run(IReadOnlyList<TrainingJob> all, CancellationToken cancellation)
    {
        var report = new TrainingReport(0, 0, 0, 0, 0, 0);
        var pending = all.ToList();
        int done = 0;
        void Done(TrainingJob job, bool here) => OnDone?.Invoke(job.Key.Label, ++done, all.Count, here);

        foreach (var job in all)
        {
            if (cache.Find(job.Key, cancellation) is not null)
            {
                cache.Tidy(job.Key);
                pending.Remove(job);
                report = report with { Found = report.Found + 1 };
                Done(job, false);
            }
        }
        // Own share first: ranks that start together do not meet at the same claims.
        pending = [.. pending.Select((job, i) => (job, i)).OrderBy(p => p.i % share.Count == share.Rank % share.Count ? 0 : 1).ThenBy(p => (p.i + share.Count - share.Rank) % share.Count).ThenBy(p => p.i).Select(p => p.job)];
        var waited = new HashSet<string>();
        while (pending.Count > 0)
        {
            bool worked = false;
            foreach (var job in pending.ToList())
            {
                cancellation.ThrowIfCancellationRequested();
                if (cache.Find(job.Key, cancellation) is not null)
                {
                    pending.Remove(job);
                    report = report with { ByOthers = report.ByOthers + 1 };
                    Done(job, false);
                    continue;
                }
                using var work = cache.TryClaim(job.Key, cancellation);
                if (work is null)
                {
                    continue;
                }
                new UnitTrainer(plan, cache, device) { OnStep = OnStep, OnStart = OnStart }.Train(job, work, cancellation);
                var cost = cache.Cost(job.Key);
                report = report with { Trained = report.Trained + 1, Steps = report.Steps + job.Steps, Tokens = report.Tokens + job.Tokens, Seconds = report.Seconds + (cost?.Seconds ?? 0) };
                pending.Remove(job);
                worked = true;
                Done(job, true);
            }
            if (!worked && pending.Count > 0)
            {
                foreach (var job in pending.Where(j => waited.Add(j.Key.Hash)))
                {
                    OnWait?.Invoke(job.Key.Label);
                }
                if (cancellation.WaitHandle.WaitOne(_look))
                {
                    cancellation.ThrowIfCancellationRequested();
                }
            }
        }
        return report;
    }
}
