using NativeEngine.Data;
using NativeEngine.Model;

namespace NativeEngine.Training;

/// <summary>
/// Device memory a training run will take, in bytes, told before it starts. Weights and states are exact; activations follow from the number of
/// tokens trained at once, which is taken from the run's own first pools.
/// </summary>
/// <param name="Parameters">Weights, adapters included.</param>
/// <param name="Gradients">Gradients of what is trained.</param>
/// <param name="OptimizerState">Moments of the optimiser.</param>
/// <param name="Activations">Largest forward and backward pass.</param>
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
        int moments = options.Optimizer.Kind == OptimizerKind.AdamW ? 2 : 1;
        var sampler = new PoolSampler(data.Count, options.Pool, options.Seed);
        long activations = 0;
        for (int p = 0; p < Math.Min(PoolsSampled, options.Steps); p++)
        {
            var pool = sampler.Next();
            long tokens = pool.Sum(i => data.Tokens(i).Length - 1L), labels = pool.Sum(i => (long)data.LabelCount(i));
            double share = options.Selection == BatchSelection.Full ? 1 : (double)options.Batch / options.Pool;
            if (options.MicroBatchTokens > 0)
            {
                share = Math.Min(share, (double)options.MicroBatchTokens / tokens);
            }
            activations = Math.Max(
                activations, ActivationBytes(model.Config, (long)(tokens * share), (long)(labels * share), options.CheckpointActivations, model.Adapter?.Rank ?? 0));
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

    /// <summary>Refuses a run that cannot fit. Errors: WillNotFit with need, have and ways out.</summary>
    public void RequireFits(long limit)
    {
        if (Total > limit)
        {
            throw new EngineException(ErrorKind.WillNotFit,
                $"this run needs about {Total:N0} bytes (weights {Parameters:N0}, gradients {Gradients:N0}, optimiser {OptimizerState:N0}, activations {Activations:N0}), {limit:N0} are allowed",
                "train fewer tokens at once (--batch, --seq-len or --micro-batch-tokens), recompute activations (--checkpoint-activations), or raise --max-memory");
        }
    }
}
