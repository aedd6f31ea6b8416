using NativeEngine.Ablation;
using NativeEngine.Data;

namespace NativeEngine.Tests.Ablation;

public sealed class StudyPlanTests : IDisposable
{
    private readonly AblationKit _kit = new();

    public void Dispose() => _kit.Dispose();

    [Fact]
    public void SequencePacker_AnyDocuments_EveryTokenIsATargetOnceAndTheRestIsCounted()
    {
        var random = new CounterRandom(3, RandomPurpose.Test);
        foreach (int length in new[] { 2, 3, 16, 33 })
        {
            var packer = new SequencePacker(length);
            var all = new List<int>();
            for (int d = 0; d < 40; d++)
            {
                int[] document = [.. Enumerable.Range(0, 1 + (int)random.Below((ulong)d, 30)).Select(i => (d * 100) + i)];
                all.AddRange(document);
                packer.Add(document);
            }
            Assert.All(packer.Sequences, s => Assert.Equal(length, s.Length));
            int[] targets = [.. packer.Sequences.SelectMany(s => s[1..])];
            Assert.Equal(all[1..(targets.Length + 1)], targets);
            Assert.Equal(all.Count - targets.Length - 1, packer.Remainder);
            Assert.True(packer.Remainder < length - 1, $"a rest of {packer.Remainder} tokens would fill a sequence of {length}");
        }
    }

    [Fact]
    public void UnitPlanner_Cut_IsConsecutiveCompleteAndAsEvenAsDocumentsAllow()
    {
        var random = new CounterRandom(4, RandomPurpose.Test);
        for (uint trial = 0; trial < 200; trial++)
        {
            int count = 1 + (int)random.Below(trial * 3, 60);
            int[] lengths = [.. Enumerable.Range(0, count).Select(i => 1 + (int)random.Below((trial * 1000) + (ulong)i, 50))];
            long target = 1 + random.Below((trial * 3) + 1, 400);
            var cuts = UnitPlanner.Cut(lengths, target);
            Assert.Equal(0, cuts[0].Start.Value);
            Assert.Equal(count, cuts[^1].End.Value);
            Assert.All(cuts.Zip(cuts.Skip(1)), pair => Assert.Equal(pair.First.End, pair.Second.Start));
            Assert.All(cuts, cut => Assert.True(cut.End.Value > cut.Start.Value));
            double ideal = (double)lengths.Sum() / cuts.Count;
            // A boundary is off by half a document at most, unless units are as small as documents.
            if (ideal > 50 * 2)
            {
                Assert.All(cuts, cut => Assert.InRange(lengths[cut].Sum(), ideal - 50, ideal + 50));
            }
        }
    }

    [Fact]
    public void StudyPlan_Files_CutsLargeSourcesAndAccountsForEveryDocument()
    {
        var plan = _kit.Plan();
        Assert.Equal(["letters", "numbers.1", "numbers.2", "words"], plan.Units.Select(u => u.Name));
        Assert.Equal(["letters", "numbers", "words"], plan.Domains);
        Assert.All(plan.Sources, s => Assert.Equal(s.Documents, s.HeldOut + s.Seed + s.Repeated + s.Units));
        Assert.Equal([30, 60, 26], plan.Sources.Select(s => s.Units));
        Assert.Equal(60, plan.Units.Where(u => u.Source == "numbers").Sum(u => u.Documents));
        Assert.Equal(plan.Units.Count, plan.Units.Select(u => u.ContentHash).Distinct().Count());
        Assert.Equal(plan.Units.Select(u => u.SequenceHash), _kit.Plan().Units.Select(u => u.SequenceHash));
    }

    [Fact]
    public void StudyPlan_HeldOut_TakesAShareOfEverySourceThatNoUnitHas()
    {
        _kit.Write(data: "  held_out: 0.2");
        var plan = _kit.Plan();
        Assert.Equal(116, plan.Sources.Sum(s => s.Documents));
        Assert.All(plan.Sources, s => Assert.InRange(s.HeldOut, 1, s.Documents / 2));
        Assert.Equal(plan.Sources.Sum(s => s.HeldOut), plan.Evaluation.Count);
        Assert.All(plan.Sources, s => Assert.Equal(s.Documents, s.HeldOut + s.Units));
    }

    [Fact]
    public void StudyPlan_TrainingDocumentThatEvaluationHas_IsLeftOut()
    {
        var lines = File.ReadAllLines(_kit.File("train.jsonl"));
        File.AppendAllLines(_kit.File("valid.jsonl"), lines[..3]);
        var plan = _kit.Plan();
        Assert.Equal(3, plan.Sources.Single(s => s.Name == "numbers").Repeated);
        Assert.Equal(57, plan.Sources.Single(s => s.Name == "numbers").Units);
        _kit.Write(data: "  eval: valid.jsonl\n  decontaminate: false");
        Assert.Equal(60, _kit.Plan().Sources.Single(s => s.Name == "numbers").Units);
    }

    [Fact]
    public void StudyPlan_OrderBy_CutsInTheOrderOfTheField()
    {
        string[] lines = [.. Enumerable.Range(0, 40).Select(i => $$"""{"text":"document number {{i}} of the list","source":"s","year":{{(i * 7) % 40}}}""")];
        File.WriteAllLines(_kit.File("train.jsonl"), lines);
        _kit.Write(data: "  eval: valid.jsonl\n  order_by: year");
        var ordered = _kit.Plan().Units;
        File.WriteAllLines(_kit.File("train.jsonl"), lines.OrderBy(l => int.Parse(l[(l.LastIndexOf(':') + 1)..^1])));
        _kit.Write();
        Assert.Equal(_kit.Plan().Units.Select(u => u.ContentHash), ordered.Select(u => u.ContentHash));
        Assert.Equal(2, ordered.Count);
        _kit.Write(data: "  eval: valid.jsonl\n  order_by: yaer");
        Assert.Contains("has no \"yaer\" to order by", Assert.Throws<EngineException>(_kit.Plan).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void StudyPlan_UnitTooSmallForABatch_IsRefusedByName()
    {
        _kit.Write(training: "  seeds: [1, 2]", units: "  tolerance: 0.5");
        Assert.Equal(2, _kit.Plan().Study.Training.Seeds.Count);
        File.WriteAllText(_kit.StudyPath, File.ReadAllText(_kit.StudyPath).Replace("batch: 4", "batch: 400", StringComparison.Ordinal));
        var error = Assert.Throws<EngineException>(_kit.Plan);
        Assert.Contains("unit letters has", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void MixtureData_Weights_GivesEveryUnitItsShare()
    {
        var plan = _kit.Plan();
        var data = plan.MixtureData([0.5, 0.25, 0, 0.25], 101, seed: 3);
        Assert.Equal(101, data.Count);
        Assert.Equal([51, 25, 25], data.SourceSizes.ToArray());
        // Every sequence of a unit comes before any comes twice as often as another.
        var counts = Enumerable.Range(0, data.Count).Where(i => data.Sources[data.SourceOf(i)] == "letters")
            .GroupBy(i => string.Join(',', data.Tokens(i).ToArray())).Select(g => g.Count()).ToList();
        Assert.InRange(counts.Max() - counts.Min(), 0, 1);
    }

    [Fact]
    public void Shares_LargestRemainders_SumToTheCount()
    {
        Assert.Equal([3, 2, 2], StudyPlan.Shares([1, 1, 1], 7));
        Assert.Equal([0, 10], StudyPlan.Shares([0, 2], 10));
        Assert.Throws<EngineException>(() => StudyPlan.Shares([0, 0], 4));
        Assert.Throws<EngineException>(() => StudyPlan.Shares([1, -1], 4));
    }
}
