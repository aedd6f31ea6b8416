using NativeEngine.Devices;

namespace NativeEngine.Model;

/// <summary>How the next token is chosen.</summary>
/// <param name="MaxTokens">Most tokens to add.</param>
/// <param name="Temperature">0: the most likely token, ties to the lowest id; otherwise softmax(logits / temperature).</param>
/// <param name="TopP">Keep the most likely tokens whose probabilities first reach this sum (Holtzman et al. 2020); 1 keeps all.</param>
/// <param name="Seed">Seed of the draws, one number a position.</param>
public sealed record GenerationOptions(int MaxTokens, float Temperature = 0, float TopP = 1, ulong Seed = 0);

/// <summary>Continues a token sequence with a model, keeping keys and values of what was read.</summary>
public sealed class TextGenerator(LlamaModel model)
{
    /// <summary>
    /// Yields tokens after the prompt until the end-of-sequence token (which is not yielded), MaxTokens, or the end of the context. Errors:
    /// BadInput for an empty or too long prompt, Usage for options out of range, Numerical for logits that are not finite.
    /// </summary>
    public IEnumerable<int> Generate(IReadOnlyList<int> prompt, GenerationOptions options, CancellationToken cancellation = default)
    {
        if (prompt.Count == 0)
        {
            throw new EngineException(ErrorKind.BadInput, "the prompt has no token and the tokenizer adds none", "give a --prompt");
        }
        if (prompt.Count > model.Config.ContextLength)
        {
            throw new EngineException(ErrorKind.BadInput, $"the prompt has {prompt.Count} tokens, the model's context is {model.Config.ContextLength}", "give a shorter --prompt");
        }
        if (options.MaxTokens < 0 || !(options.Temperature >= 0) || !(options.TopP > 0 && options.TopP <= 1))
        {
            throw new EngineException(ErrorKind.Usage,
                $"generation needs max tokens >= 0, temperature >= 0 and top-p in (0, 1], got {options.MaxTokens}, {options.Temperature} and {options.TopP}");
        }
        return Continue([.. prompt], options, cancellation);
    }

    private IEnumerable<int> Continue(int[] prompt, GenerationOptions options, CancellationToken cancellation)
    {
        var device = model.Device;
        int total = (int)Math.Min(model.Config.ContextLength, (long)prompt.Length + options.MaxTokens);
        using var cache = new KeyValueCache(device, model.Config, total);
        using var workspace = new Workspace(device);
        var random = new CounterRandom(options.Seed, RandomPurpose.Generation);
        var fresh = prompt;
        for (int length = prompt.Length; length < total; length++)
        {
            cancellation.ThrowIfCancellationRequested();
            int token = Sample(NextLogits(fresh, cache, workspace), options, random, (ulong)length);
            if (token == model.Config.EosTokenId)
            {
                yield break;
            }
            yield return token;
            fresh = [token];
        }
    }

    private float[] NextLogits(int[] tokens, KeyValueCache cache, Workspace workspace)
    {
        var positions = Enumerable.Range(cache.Length, tokens.Length).ToArray();
        var noTargets = new int[tokens.Length];
        Array.Fill(noTargets, -1);
        using var batch = new TokenBatch(model.Device, model.Config, tokens, positions, [0, tokens.Length], noTargets);
        using var scope = workspace.Open();
        using var last = model.Device.Allocate<int>([tokens.Length - 1], MemoryUse.Data);
        var logits = workspace.Floats(1, model.Config.VocabularySize);
        model.Head.Logits(model.Hidden(batch, model.Config.Layers, workspace, cache), last.View, logits, workspace);
        return model.Device.Download(logits);
    }

    private static int Sample(float[] logits, GenerationOptions options, CounterRandom random, ulong index)
    {
        int best = 0;
        for (int i = 0; i < logits.Length; i++)
        {
            if (!float.IsFinite(logits[i]))
            {
                throw new EngineException(ErrorKind.Numerical, $"the logit of token {i} at position {index} is {logits[i]}");
            }
            best = logits[i] > logits[best] ? i : best;
        }
        if (options.Temperature == 0)
        {
            return best;
        }
        var probabilities = new double[logits.Length];
        var order = new int[logits.Length];
        double sum = 0;
        for (int i = 0; i < logits.Length; i++)
        {
            probabilities[i] = Math.Exp((logits[i] - (double)logits[best]) / options.Temperature);
            sum += probabilities[i];
            order[i] = i;
        }
        Array.Sort(order, (a, b) => probabilities[b] != probabilities[a] ? probabilities[b].CompareTo(probabilities[a]) : a.CompareTo(b));
        int kept = 0;
        double mass = 0;
        while (kept < order.Length && mass < options.TopP * sum)
        {
            mass += probabilities[order[kept++]];
        }
        double draw = random.Uniform(index) * mass;
        for (int i = 0; i < kept; i++)
        {
            draw -= probabilities[order[i]];
            if (draw < 0)
            {
                return order[i];
            }
        }
        return order[kept - 1];
    }
}
