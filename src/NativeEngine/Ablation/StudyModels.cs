namespace NativeEngine.Ablation;

/// <summary>
/// The models of a study, found in the cache and checked: Hugging Face folders with model.safetensors in float32, all of the same layout. What ranking and
/// confirming read.
/// </summary>
public sealed class StudyModels
{
    private readonly StudyPlan _plan;
    private readonly UnitCache _cache;
    private readonly string[][] _units;

    private StudyModels(StudyPlan plan, StudyJobs jobs, UnitCache cache, string seed, string[][] units) =>
        (_plan, Jobs, _cache, Seed, _units) = (plan, jobs, cache, seed, units);

    /// <summary>The trainings and their keys.</summary>
    public StudyJobs Jobs { get; }

    /// <summary>The seed model's folder.</summary>
    public string Seed { get; }

    /// <summary>RNG seeds every unit was trained with.</summary>
    public int SeedCount => _plan.Study.Training.Seeds.Count;

    /// <summary>Finds every model. Errors: Usage naming the first that is not there and how many are missing.</summary>
    public static StudyModels Require(StudyPlan plan, UnitCache cache, StudyJobs? jobs = null, CancellationToken cancellation = default)
    {
        jobs ??= new StudyJobs(plan);
        var missing = new List<string>();
        string Folder(UnitKey key)
        {
            string? folder = cache.Find(key, cancellation);
            if (folder is null)
            {
                missing.Add(key.Label);
            }
            return folder ?? "";
        }
        string seed = Folder(jobs.Seed);
        string[][] units = [.. plan.Units.Select(unit =>
            (string[])[.. Enumerable.Range(0, plan.Study.Training.Seeds.Count).Select(s => Folder(jobs.Unit(unit.Index, s)))])];
        return missing.Count == 0 ? new StudyModels(plan, jobs, cache, seed, units)
            : throw new EngineException(ErrorKind.Usage,
                $"{missing.Count} model{(missing.Count == 1 ? " is" : "s are")} not trained yet, the first is {missing[0]}", $"nengine ablate train {plan.Study.Path}");
    }

    /// <summary>A unit's folder with the i-th RNG seed, at a fraction of the budget the study keeps. Errors: Usage for another fraction.</summary>
    public string Unit(int unit, int seedIndex = 0, double fraction = 1)
    {
        string folder = _units[unit][seedIndex];
        if (fraction == 1 || _plan.Units[unit].Import is not null)
        {
            return folder;
        }
        return _plan.Study.Training.Fractions.Contains(fraction) ? Path.Combine(folder, UnitTrainer.FractionName(fraction))
            : throw new EngineException(ErrorKind.Usage, $"models are kept at {string.Join(", ", _plan.Study.Training.Fractions)} of the budget, not at {fraction}", "add it to training.fractions");
    }

    /// <summary>The folder of a mixture's true training, or null when it has not been trained.</summary>
    public string? Mixture(IReadOnlyList<double> weights, int seedIndex = 0, CancellationToken cancellation = default) =>
        _cache.Find(Jobs.Mixture(weights, seedIndex), cancellation);

    /// <summary>What a model cost, or null when it is not in the cache.</summary>
    public UnitCost? Cost(UnitKey key) => _cache.Cost(key);
}
