using NativeEngine.Data;
using NativeEngine.Model;
using NativeEngine.Selection;

namespace NativeEngine.Training;

/// <summary>
/// Device memory a training run will take, in bytes, told before it starts. Weights and states are exact; activations follow from the tokens
/// that the run's own first pools give to each pass: those of kept sources exactly, those of the other sources by their mean length.
/// </summary>
/// <param name="Parameters">Weights, adapters included.</param>
/// <param name="Gradients">Gradients of what is trained.</param>
/// <param name="OptimizerState">Moments of the optimiser.</param>
/// <param name="Activations">The largest of the forward and backward pass, the feature pass, and the selection.</param>
public sealed record MemoryPlan(long Parameters, long Gradients, long OptimizerState, long Activations)
{
    private const int PoolsSampled = 32;

    /// <summary>All together.</summary>
    public long Total => Parameters + Gradients + OptimizerState + Activations;

    /// <summary>The plan of a run, from its model, data and options.</summary>
    public static MemoryPlan Of(LlamaModel model, MixtureDataset data, TrainOptions options)
    {
        long trained = (model.Adapter?.Parameters ?? model.Parameters).Layout.Length * sizeof(float);
        long weights = (model.Parameters.Layout.Length + (model.Adapter?.Parameters.Layout.Length ?? 0)) * sizeof(float);
        int moments = options.Optimizer.Kind == OptimizerKind.AdamW ? 2 : 1, rank = model.Adapter?.Rank ?? 0;
        var coreset = options.Coreset with
        {
            Budget = options.Batch,
            KeptSources = options.SmallSources.Apply(data.SourceSizes, options.Pool),
            Seed = options.Seed,
        };
        using var features = options.Selection == BatchSelection.Colm ? new GradientFeatures(model, options.Features) : null;
        var sampler = new PoolSampler(data.Count, options.Pool, options.Seed);
        long activations = 0;
        for (int p = 0; p < Math.Min(PoolsSampled, options.Steps); p++)
        {
            var pool = sampler.Next();
            var plan = options.Selection is BatchSelection.Composition or BatchSelection.Colm
                ? SelectionPlan.Create(coreset, Array.ConvertAll(pool, data.SourceOf), p)
                : null;
            var (tokens, labels) = Trained(data, pool, plan, options);
            if (options.MicroBatchTokens > 0 && options.MicroBatchTokens < tokens)
            {
                (tokens, labels) = (options.MicroBatchTokens, labels * options.MicroBatchTokens / tokens);
            }
            long history = features is null || !options.NormalizeFeatures ? 0 : moments * features.Dimension * sizeof(float);
            activations = Math.Max(activations, history + ActivationBytes(model.Config, (long)tokens, (long)labels, options.CheckpointActivations, rank));
            if (features is not null)
            {
                int[] candidates = [.. plan!.Candidates.Select(i => pool[i])];
                activations = Math.Max(activations, SelectionMemory.Of(plan, features.Dimension, options.NormalizeFeatures, 1).SelectorBytes);
                activations = Math.Max(activations,
                    history + (candidates.Length * features.Dimension * sizeof(float)) + FeatureBytes(model, data, candidates, options.Features.Kind, options.FeaturePassTokens(data, pool)));
            }
        }
        return new MemoryPlan(weights, trained, moments * trained, activations);
    }

    /// <summary>
    /// Bytes that <see cref="LlamaModel.LossAndGradient"/> holds at its peak for N tokens of which R have a loss: the L + 1 residual streams, what
    /// each block keeps (one block's worth when checkpointed), and the larger of the head's and a block's scratch.
    /// </summary>
    public static long ActivationBytes(LlamaConfig config, long tokens, long labels, bool checkpoint, int loraRank = 0)
    {
        long c = config.HiddenSize, q = config.QuerySize, kv = config.KeyValueSize, i = config.IntermediateSize;
        long kept = 2 + (2 * q) + (2 * kv) + config.Heads + c + (2 * i);
        long blocks = checkpoint ? 1 : config.Layers;
        long chunk = Math.Min(labels, Math.Max(64, (1 << 20) / config.VocabularySize));
        long head = (labels * ((3 * c) + 1)) + (chunk * config.VocabularySize);
        // Feed-forward half: dProduct beside either the product or two normed tensors; attention half: dq, dk, dv beside two normed tensors or dAttended.
        long block = tokens * (Math.Max(i + Math.Max(i, 2 * c), q + (2 * kv) + Math.Max(q, 2 * c)) + (2 * loraRank));
        long beforeHead = checkpoint ? 0 : blocks * kept * tokens;
        long streams = (config.Layers + 1) * c * tokens;
        return sizeof(float) * (streams + Math.Max(beforeHead + head, (blocks * kept * tokens) + block) + (2 * labels));
    }

    /// <summary>Bytes of scratch that <see cref="GradientFeatures.Compute"/> takes at its peak for N tokens of which R have a loss.</summary>
    public static long FeatureBytes(LlamaConfig config, FeatureKind kind, long tokens, long labels, int loraRank = 0)
    {
        long c = config.HiddenSize, q = config.QuerySize, kv = config.KeyValueSize, i = config.IntermediateSize, h = config.Heads;
        long chunk = Math.Min(labels, Math.Max(64, (1 << 20) / config.VocabularySize)) * config.VocabularySize;
        long prefix = tokens * (2 + c + (2 * q) + (2 * kv) + h + c + (2 * i));
        if (kind == FeatureKind.Hidden)
        {
            return sizeof(float) * prefix;
        }
        if (kind == FeatureKind.ZerothOrder)
        {
            long held = (tokens * (1 + c + q + (2 * kv) + c + loraRank + kv)) + (kv * Math.Max(c, loraRank));
            long pass = (tokens * (kv + q + h + c)) + labels + Math.Max(tokens * (1 + c + (2 * i)), (labels * ((2 * c) + 1)) + chunk);
            return sizeof(float) * Math.Max(prefix, held + pass);
        }
        long kept = tokens * ((2 * c) + 2 + (2 * q) + (2 * kv) + h + c + (2 * i));
        long head = (labels * ((3 * c) + 1)) + chunk;
        long backward = tokens * (kv + Math.Max(i + Math.Max(i, 2 * c), Math.Max(q, c + loraRank)));
        return sizeof(float) * (kept + labels + Math.Max(head, backward));
    }

    /// <summary>Refuses a run that cannot fit. Errors: WillNotFit with need, have and ways out.</summary>
    public void RequireFits(long limit)
    {
        if (Total > limit)
        {
            throw new EngineException(ErrorKind.WillNotFit,
                $"this run needs about {ByteSize.Format(Total)} (weights {ByteSize.Format(Parameters)}, gradients {ByteSize.Format(Gradients)}, optimiser {ByteSize.Format(OptimizerState)}, activations {ByteSize.Format(Activations)}), {ByteSize.Format(limit)} are allowed",
                "train fewer tokens at once (--batch, --seq-len or --micro-batch-tokens), recompute activations (--checkpoint-activations), or raise --max-memory");
        }
    }

    /// <summary>Tokens and labels of the mini-batch, or what is to be expected of it.</summary>
    private static (double Tokens, double Labels) Trained(MixtureDataset data, int[] pool, SelectionPlan? plan, TrainOptions options)
    {
        if (plan is null)
        {
            double share = options.Selection == BatchSelection.Full ? 1 : (double)options.Batch / options.Pool;
            return Sum(pool, share);
        }
        var (tokens, labels) = Sum(plan.Kept.Select(i => pool[i]), 1);
        foreach (var group in plan.Groups.Where(g => !g.Kept && g.Budget > 0))
        {
            var (t, l) = Sum(group.Members.Select(i => pool[i]), (double)group.Budget / group.Members.Count);
            (tokens, labels) = (tokens + t, labels + l);
        }
        return (tokens, labels);

        (double, double) Sum(IEnumerable<int> examples, double share)
        {
            double t = 0, l = 0;
            foreach (int i in examples)
            {
                t += data.Tokens(i).Length - 1;
                l += data.LabelCount(i);
            }
            return (t * share, l * share);
        }
    }

    private static long FeatureBytes(LlamaModel model, MixtureDataset data, int[] candidates, FeatureKind kind, int passTokens)
    {
        long most = 0;
        foreach (var part in BatchPacker.Split(data, candidates, passTokens))
        {
            long tokens = 0, labels = 0;
            foreach (int i in candidates[part])
            {
                tokens += data.Tokens(i).Length - 1;
                labels += data.LabelCount(i);
            }
            most = Math.Max(most, FeatureBytes(model.Config, kind, tokens, labels, model.Adapter?.Rank ?? 0));
        }
        return most;
    }
}
