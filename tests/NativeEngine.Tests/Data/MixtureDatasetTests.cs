using NativeEngine.Data;

namespace NativeEngine.Tests.Data;

public class MixtureDatasetTests
{
    private static readonly Tokenizer _bytes = ByteTokenizer.Create();

    private static MixtureDataset Build(DatasetOptions options, params Example[] examples) => MixtureDataset.Build(examples, _bytes, options);

    [Fact]
    public void Build_PromptAndCompletion_LabelsTheCompletionAndEos()
    {
        var data = Build(DatasetOptions.Training(100), Example.FromPrompt("s", "ab", "cd"), Example.FromText("s", "xyz"));
        Assert.Equal([256, 'a', 'b', '\n', 'c', 'd', 257], data.Tokens(0).ToArray());
        Assert.Equal((4, 3, 2), (data.LabelStart(0), data.LabelCount(0), data.LabelBytes(0)));
        Assert.Equal([256, 'x', 'y', 'z', 257], data.Tokens(1).ToArray());
        Assert.Equal((1, 4, 3), (data.LabelStart(1), data.LabelCount(1), data.LabelBytes(1)));
        Assert.Equal(1, Build(DatasetOptions.Training(100, LossOn.All), Example.FromPrompt("s", "ab", "cd")).LabelStart(0));
    }

    [Fact]
    public void Build_Evaluation_ScoresEveryTokenAfterTheFirstWithoutEos()
    {
        var data = Build(DatasetOptions.Evaluation(100), Example.FromPrompt("s", "ab", "cd"));
        Assert.Equal([256, 'a', 'b', '\n', 'c', 'd'], data.Tokens(0).ToArray());
        Assert.Equal((1, 5, 5), (data.LabelStart(0), data.LabelCount(0), data.LabelBytes(0)));
    }

    [Fact]
    public void Build_TokenAcrossTheBoundary_BelongsToThePrompt()
    {
        string json = TokenizerSamples.ByteLevel("""{"type":"ByteLevel","add_prefix_space":false,"use_regex":false}""")
            .Replace("\"a b\"", "\"Ċ b\"").Replace("\"ab\"", "\"Ċb\"");
        var data = MixtureDataset.Build([Example.FromPrompt("s", "a", "bo")], TokenizerSamples.Parse(json), DatasetOptions.Training(10));
        Assert.Equal(['a', 265, 'o'], data.Tokens(0).ToArray());
        Assert.Equal((2, 1, 1), (data.LabelStart(0), data.LabelCount(0), data.LabelBytes(0)));
    }

    [Fact]
    public void Build_Truncation_IsCountedAndExamplesWithoutLabelsAreLeftOut()
    {
        var data = Build(DatasetOptions.Training(6),
            Example.FromPrompt("a", "12", "34567"),        // cut to BOS 1 2 \n 3 4
            Example.FromPrompt("b", "123456789", "x"),     // all labels beyond the cut
            Example.FromPrompt("a", "", "x"));             // BOS \n x EOS
        Assert.Equal(2, data.Count);
        Assert.Equal([0, 2], Enumerable.Range(0, 2).Select(data.InputIndex));
        Assert.Equal(6, data.Tokens(0).Length);
        Assert.Equal(2, data.LabelCount(0));
        Assert.Equal(2, data.LabelBytes(0));
        var report = data.Report;
        Assert.Equal((3, 2, 1, 1, 2), (report.Read, report.Kept, report.NoLabel, report.NoLabelAfterTruncation, report.Truncated));
        Assert.Equal(4 + 7, report.TokensLost);
        Assert.Equal(10, report.Tokens);
        Assert.Equal(4, report.LabelTokens);
        Assert.Equal(["a", "b"], data.Sources);
        Assert.Equal([2, 0], data.SourceSizes.ToArray());
    }

    [Fact]
    public void Build_NothingLeft_IsASentence()
    {
        var error = Assert.Throws<EngineException>(() => Build(DatasetOptions.Training(4), Example.FromPrompt("a", "long prompt", "x")));
        Assert.Equal(ErrorKind.BadInput, error.Kind);
        Assert.Equal(ErrorKind.Usage, Assert.Throws<EngineException>(() => Build(DatasetOptions.Training(1), Example.FromText("a", "x"))).Kind);
    }

    [Fact]
    public void Build_ManyExamples_AreStoredAcrossChunks()
    {
        var examples = Enumerable.Range(0, 3000).Select(static i => Example.FromText((i % 7).ToString(), new string((char)('a' + i % 26), 1 + i % 997))).ToArray();
        var data = Build(DatasetOptions.Training(2000), examples);
        for (int i = 0; i < examples.Length; i++)
        {
            Assert.Equal(i % 7, data.SourceOf(i));
            Assert.Equal(1 + i % 997 + 2, data.Tokens(i).Length);
            Assert.Equal(-1, data.Tokens(i)[1..^1].IndexOfAnyExcept('a' + i % 26));
        }
    }

    [Theory]
    [InlineData("10,9,2,-1", "-1,2,9,10")]
    [InlineData("10,9,2,x", "10,2,9,x")]
    [InlineData("b,B,a,ä,Z", "B,Z,a,b,ä")]
    [InlineData("07,7,6", "6,07,7")]
    [InlineData("1.5,10,2", "1.5,10,2")]
    public void Sort_SourceNames_NumericallyOrOrdinally(string names, string expected) =>
        Assert.Equal(expected, string.Join(',', SourceOrder.Sort(names.Split(','))));

    [Fact]
    public void Pack_Examples_KeepsTokensPositionsAndTargets()
    {
        var data = Build(DatasetOptions.Training(100), Example.FromPrompt("b", "ab", "cd"), Example.FromText("a", "xy"), Example.FromPrompt("b", "", "q"));
        var batch = BatchPacker.Pack(data, [2, 0, 1]);
        Assert.Equal([0, 3, 9, 12], batch.Offsets);
        Assert.Equal([256, '\n', 'q', 256, 'a', 'b', '\n', 'c', 'd', 256, 'x', 'y'], batch.Tokens);
        Assert.Equal([0, 1, 2, 0, 1, 2, 3, 4, 5, 0, 1, 2], batch.Positions);
        Assert.Equal([-1, 'q', 257, -1, -1, -1, 'c', 'd', 257, 'x', 'y', 257], batch.Targets);
        Assert.Equal([2, 3, 3], batch.LabelCounts);
        Assert.Equal([1, 1, 0], batch.Sources);
        Assert.Equal((3, 12, 8, 6), (batch.SequenceCount, batch.TokenCount, batch.LabelCount, batch.MaxSequenceLength));
    }

    [Fact]
    public void Pack_RandomBatches_CountLabelsAsTargetsSay()
    {
        var random = new CounterRandom(5, RandomPurpose.Test);
        var examples = Enumerable.Range(0, 200).Select(i => Example.FromPrompt("s", new string('p', (int)random.Below((ulong)i, 9)),
            new string('c', (int)random.Below((ulong)i + 1000, 30)))).ToArray();
        var data = Build(DatasetOptions.Training(25), examples);
        int[] indices = [.. random.Permutation(data.Count).Take(64)];
        var batch = BatchPacker.Pack(data, indices);
        for (int s = 0; s < batch.SequenceCount; s++)
        {
            var targets = batch.Targets.AsSpan()[batch.Offsets[s]..batch.Offsets[s + 1]];
            int labels = 0;
            foreach (int target in targets)
            {
                labels += target >= 0 ? 1 : 0;
            }
            Assert.Equal(batch.LabelCounts[s], labels);
            Assert.True(labels >= 1);
        }
        var stretches = BatchPacker.Split(data, indices, 50);
        Assert.Equal(indices.Length, stretches.Sum(r => r.End.Value - r.Start.Value));
        foreach (var stretch in stretches)
        {
            Assert.True(BatchPacker.Pack(data, indices[stretch]).TokenCount <= 50);
        }
        Assert.True(stretches.Count > 1);
    }

    [Theory]
    [InlineData(10, 4)]
    [InlineData(7, 7)]
    [InlineData(100, 33)]
    [InlineData(5, 1)]
    public void Next_Epochs_VisitEveryExampleOnce(int count, int pool)
    {
        var sampler = new PoolSampler(count, pool, seed: 3);
        var drawn = new List<int>();
        while (drawn.Count < count * 3)
        {
            drawn.AddRange(sampler.Next());
        }
        for (int epoch = 0; epoch < 3; epoch++)
        {
            Assert.Equal(Enumerable.Range(0, count), drawn.Skip(epoch * count).Take(count).Order());
        }
        Assert.NotEqual(drawn.Take(count), drawn.Skip(count).Take(count));
    }

    [Fact]
    public void Next_ResumedFromAnyPosition_ContinuesExactly()
    {
        var whole = new PoolSampler(50, 8, seed: 11);
        for (int step = 0; step < 40; step++)
        {
            var resumed = new PoolSampler(50, 8, seed: 11) { Position = whole.Position };
            int[] expected = whole.Next();
            Assert.Equal(expected, resumed.Next());
            Assert.Equal(whole.Position, resumed.Position);
        }
        Assert.NotEqual(new PoolSampler(50, 8, seed: 12).Next(), new PoolSampler(50, 8, seed: 11).Next());
        Assert.Equal(ErrorKind.Usage, Assert.Throws<EngineException>(() => new PoolSampler(5, 6, 0)).Kind);
        Assert.Equal(ErrorKind.BadInput, Assert.Throws<EngineException>(() => whole.Position = new SamplerPosition(0, 51)).Kind);
    }
}
