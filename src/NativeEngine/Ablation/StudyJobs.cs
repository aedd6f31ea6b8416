using System.Globalization;

namespace NativeEngine.Ablation;

/// <summary>The trainings of a study and their keys, all known before anything is trained.</summary>
public sealed class StudyJobs
{
    private readonly StudyPlan _plan;
    private readonly TrainingJob _seed;
    private readonly TrainingJob[][] _units;

    /// <summary>Works the keys out. Cost: weights of a seed folder and of imported models are read once for their hashes.</summary>
    public StudyJobs(StudyPlan plan)
    {
        _plan = plan;
        var budget = plan.Study.Seed.Budget;
        _seed = new TrainingJob(
            UnitKey.OfSeed(plan, plan.SeedData is { } data ? Training.ContentHash.Of(data) : null),
            plan.SeedData is { } d ? () => d : null, budget?.Options(plan.Study.RngSeed), TokensPerStep(budget?.Batch ?? 0));
        _units = [.. plan.Units.Select(unit => (TrainingJob[])[.. plan.Study.Training.Seeds.Select(seed => Unit(unit, seed))])];
    }

    /// <summary>The seed model's key.</summary>
    public UnitKey Seed => _seed.Key;

    /// <summary>The key of a unit's model with the i-th of the study's RNG seeds.</summary>
    public UnitKey Unit(int unit, int seedIndex = 0) => _units[unit][_units[unit].Length == 1 ? 0 : seedIndex].Key;

    /// <summary>The key of a mixture's true training.</summary>
    public UnitKey Mixture(IReadOnlyList<double> weights, int seedIndex = 0) => MixtureJob(weights, seedIndex).Key;

    internal TrainingJob SeedJob => _seed;

    /// <summary>Every unit's trainings: first RNG seed of all units, then the second, ….</summary>
    internal IEnumerable<TrainingJob> UnitJobs => Enumerable.Range(0, _plan.Study.Training.Seeds.Count)
        .SelectMany(s => _units.Where(u => s < u.Length).Select(u => u[s]));

    /// <summary>
    /// The true training of a mixture: |S| times a unit's steps for the |S| units of positive weight, each giving its share of the sequences
    /// (<see cref="StudyPlan.MixtureData"/>).
    /// </summary>
    internal TrainingJob MixtureJob(IReadOnlyList<double> weights, int seedIndex = 0)
    {
        if (weights.Count != _plan.Units.Count)
        {
            throw new ArgumentException($"{weights.Count} weights for {_plan.Units.Count} units", nameof(weights));
        }
        var training = _plan.Study.Training;
        var members = Enumerable.Range(0, weights.Count).Where(u => weights[u] > 0).ToList();
        ulong seed = training.Seeds[seedIndex];
        var options = training.Budget.Options(seed, members.Count);
        long sequences = options.Steps * training.Budget.Batch;
        int[] shares = StudyPlan.Shares(weights, sequences);
        // What it trains on follows from the units' sequences and their shares.
        string data = UnitKey.HashOf(string.Concat(members.Select(u => string.Create(CultureInfo.InvariantCulture, $"{u} {_plan.Units[u].SequenceHash} {shares[u]}\n"))));
        string label = string.Join(" + ", members.Select(u => weights[u] == weights[members[0]] ? _plan.Units[u].Name
            : string.Create(CultureInfo.InvariantCulture, $"{weights[u]:0.###} {_plan.Units[u].Name}")));
        return new TrainingJob(
            UnitKey.OfMixture(_plan, Seed, label, data, members.Count, seed),
            () => _plan.MixtureData(weights, sequences, seed), options, TokensPerStep(training.Budget.Batch))
        {
            Start = Seed,
        };
    }

    private TrainingJob Unit(DataUnit unit, ulong seed)
    {
        var training = _plan.Study.Training;
        if (unit.Import is { } import)
        {
            return new TrainingJob(UnitKey.OfImport(_plan, Seed, unit, ImportedModel.Hash(_plan.Study, import)), null, null, 0) { Start = Seed, Import = import };
        }
        return new TrainingJob(UnitKey.OfUnit(_plan, Seed, unit, seed), () => _plan.UnitData(unit.Index), training.Budget.Options(seed), TokensPerStep(training.Budget.Batch))
        {
            Start = Seed,
            Pull = training.Pull,
            Lora = training.Lora,
            Fractions = [.. training.Fractions.Where(f => f < 1)],
        };
    }

    private long TokensPerStep(int batch) => (long)batch * (_plan.Study.Units.Length - 1);
}
