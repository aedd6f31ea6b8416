using NativeEngine.Ablation.Statistics;

namespace NativeEngine.Ablation;

/// <summary>A family of candidate mixtures and what it would cost to train each of them, in budgets of one unit.</summary>
/// <param name="Name">"all pairs".</param>
/// <param name="Candidates">Mixtures.</param>
/// <param name="NaiveBudgets">Sum of their sizes.</param>
/// <param name="ModularBudgets">Units to train instead.</param>
public sealed record CandidateFamily(string Name, double Candidates, double NaiveBudgets, double ModularBudgets)
{
    /// <summary>How many times fewer training steps.</summary>
    public double Saving => NaiveBudgets / ModularBudgets;
}

/// <summary>
/// What a study's trainings cost. The seed model is needed either way and counted apart; one unit's budget is the unit of comparison: training a mixture of k
/// units naively costs k budgets, merging costs none.
/// </summary>
/// <param name="Trainings">Unit trainings: units times RNG seeds.</param>
/// <param name="Steps">Their optimizer steps.</param>
/// <param name="Tokens">Their tokens.</param>
/// <param name="Flops">6 P tokens.</param>
/// <param name="SeedSteps">Steps of the seed model's own training.</param>
/// <param name="SeedTokens">Its tokens.</param>
/// <param name="Bytes">Storage of all models, fractions included.</param>
/// <param name="InCache">Trainings (the seed's included) that are in the cache.</param>
/// <param name="RemainingTokens">Tokens of those that are not.</param>
/// <param name="BreakEven">Candidates of two units each from which on the modular way is cheaper: the smallest m with 2 m > n.</param>
/// <param name="Families">Common families of candidates.</param>
public sealed record StudyCost(
    int Trainings, long Steps, long Tokens, double Flops, long SeedSteps, long SeedTokens, long Bytes, int InCache, long RemainingTokens, long BreakEven,
    IReadOnlyList<CandidateFamily> Families)
{
    /// <summary>The cost of a plan; looks into the cache for what is there.</summary>
    public static StudyCost Of(StudyPlan plan, StudyJobs jobs, UnitCache? cache)
    {
        var units = jobs.UnitJobs.ToList();
        var all = units.Prepend(jobs.SeedJob).ToList();
        var there = cache is null ? [] : all.Where(j => cache.Find(j.Key) is not null).Select(j => j.Key.Hash).ToHashSet();
        long model = plan.Config.ParameterCount * sizeof(float), kept = units.Sum(j => 1L + j.Fractions.Count) + 1;
        long tokens = units.Sum(j => j.Tokens);
        int n = plan.Units.Count;
        return new StudyCost(
            units.Count, units.Sum(j => j.Steps), tokens, TrainingCost.TrainingOperations(plan.Config.ParameterCount, tokens), jobs.SeedJob.Steps, jobs.SeedJob.Tokens, model * kept,
            there.Count, all.Where(j => !there.Contains(j.Key.Hash)).Sum(j => j.Tokens), TrainingCost.BreakEven(n, 2),
            [
                new CandidateFamily("leave one out", n, (double)TrainingCost.NaiveSubsets(n, n - 1), units.Count),
                new CandidateFamily("all pairs", (double)TrainingCost.Subsets(n, 2), (double)TrainingCost.NaiveSubsets(n, 2), units.Count),
                new CandidateFamily("all triples", (double)TrainingCost.Subsets(n, 3), (double)TrainingCost.NaiveSubsets(n, 3), units.Count),
                new CandidateFamily("all subsets", (double)TrainingCost.AllSubsets(n), (double)TrainingCost.NaiveAllSubsets(n), units.Count),
            ]);
    }
}
