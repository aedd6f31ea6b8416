using System.Text;
using NativeEngine.Data;

namespace NativeEngine.Evaluation;

/// <summary>How a source's questions were answered.</summary>
/// <param name="Source">Name of the source.</param>
/// <param name="Plain">Right by the likelihood of the choice.</param>
/// <param name="Normalized">Right by the likelihood divided by the choice's UTF-8 bytes.</param>
/// <param name="Chance">The accuracy of guessing: the mean of 1 / choices.</param>
public sealed record ChoiceAccuracy(string Source, Proportion Plain, Proportion Normalized, double Chance);

/// <summary>Answers per source and over all questions, and the questions that were left out.</summary>
/// <param name="Total">All questions.</param>
/// <param name="Sources">In the order of the sources.</param>
/// <param name="TooLong">Questions left out because prompt and a choice are longer than the context.</param>
/// <param name="NoToken">Questions left out because a choice has no token of its own.</param>
public sealed record ChoiceResult(ChoiceAccuracy Total, IReadOnlyList<ChoiceAccuracy> Sources, int TooLong, int NoToken)
{
    /// <summary>Questions that were scored.</summary>
    public int Questions => Total.Plain.Trials;
}

/// <summary>
/// Multiple choice by likelihood: every choice is put after the prompt as a completion is in training (prompt + "\n" + choice), and the one with the
/// highest log-likelihood of its tokens wins; ties go to the first. Choices that are longer have more tokens to be wrong about, so the
/// accuracy by likelihood per byte stands beside it. A question that does not fit as a whole is left out and counted. Cost: one forward
/// pass over prompt and choice for every choice.
/// </summary>
public sealed class MultipleChoice(ITokenLosses engine, Tokenizer tokenizer)
{
    /// <summary>Most tokens in one batch.</summary>
    public int TokensPerBatch { get; init; } = 8192;

    /// <summary>Answers every question. Errors: BadInput when none fits, Numerical for a loss that is not finite.</summary>
    public ChoiceResult Evaluate(IReadOnlyList<Example> questions, Action<int, int>? progress = null, CancellationToken cancellation = default)
    {
        var (kept, tooLong, noToken) = Fit(questions, cancellation);
        if (kept.Count == 0)
        {
            throw new EngineException(ErrorKind.BadInput,
                $"none of {questions.Count} questions can be scored: {tooLong} are longer than the context of {engine.ContextLength} tokens, {noToken} have a choice without a token of its own",
                tooLong > 0 ? "shorten the questions, or take a model with a longer context" : "leave out empty choices");
        }
        var data = Tokenize(kept, cancellation);
        var losses = new PerplexityEvaluator(engine) { TokensPerBatch = TokensPerBatch }.ExampleLosses(data, progress, cancellation);
        var names = SourceOrder.Sort(questions.Select(q => q.Source));
        var tallies = names.ToDictionary(n => n, _ => new Tally(), StringComparer.Ordinal);
        int at = 0;
        foreach (var question in kept)
        {
            int plain = 0, normalized = 0;
            double bestPlain = double.NegativeInfinity, bestNormalized = double.NegativeInfinity;
            for (int c = 0; c < question.Choices.Count; c++, at++)
            {
                double likelihood = -losses[at].All, perByte = likelihood / Encoding.UTF8.GetByteCount(question.Choices[c]);
                (plain, bestPlain) = likelihood > bestPlain ? (c, likelihood) : (plain, bestPlain);
                (normalized, bestNormalized) = perByte > bestNormalized ? (c, perByte) : (normalized, bestNormalized);
            }
            tallies[question.Source].Add(plain == question.Answer, normalized == question.Answer, question.Choices.Count);
        }
        var all = new Tally();
        foreach (var tally in tallies.Values)
        {
            all.Add(tally);
        }
        return new ChoiceResult(all.Result("all"), [.. names.Select(n => tallies[n].Result(n))], tooLong, noToken);
    }

    private static Example[] Flat(IEnumerable<Example> questions) =>
        [.. questions.SelectMany(q => q.Choices.Select(choice => Example.FromPrompt(q.Source, q.Prompt!, choice, q.Line)))];

    private MixtureDataset Tokenize(IEnumerable<Example> questions, CancellationToken cancellation) =>
        MixtureDataset.Build(Flat(questions), tokenizer, new DatasetOptions { MaxLength = int.MaxValue, LossOn = LossOn.Completion, AppendEos = false }, cancellation);

    // A choice that is cut off, or has no label, would win or lose for reasons that are not the model's.
    private (List<Example> Kept, int TooLong, int NoToken) Fit(IReadOnlyList<Example> questions, CancellationToken cancellation)
    {
        int choices = questions.Sum(q => q.Choices.Count);
        var lengths = new int[choices];
        try
        {
            var data = Tokenize(questions, cancellation);
            for (int i = 0; i < data.Count; i++)
            {
                lengths[data.InputIndex(i)] = data.Tokens(i).Length;
            }
        }
        catch (EngineException e) when (e.Kind == ErrorKind.BadInput)
        {
            // No choice of any question has a token of its own.
        }
        var kept = new List<Example>();
        int at = 0, tooLong = 0, noToken = 0;
        foreach (var question in questions)
        {
            var mine = lengths.AsSpan(at, question.Choices.Count);
            at += question.Choices.Count;
            if (mine.Contains(0))
            {
                noToken++;
            }
            else if (mine.ContainsAnyExceptInRange(0, engine.ContextLength))
            {
                tooLong++;
            }
            else
            {
                kept.Add(question);
            }
        }
        return (kept, tooLong, noToken);
    }

    private sealed class Tally
    {
        private int _questions, _plain, _normalized;
        private double _chance;

        public void Add(bool plain, bool normalized, int choices)
        {
            _questions++;
            _plain += plain ? 1 : 0;
            _normalized += normalized ? 1 : 0;
            _chance += 1.0 / choices;
        }

        public void Add(Tally other)
        {
            _questions += other._questions;
            _plain += other._plain;
            _normalized += other._normalized;
            _chance += other._chance;
        }

        public ChoiceAccuracy Result(string source) =>
            new(source, new Proportion(_plain, _questions), new Proportion(_normalized, _questions), _questions > 0 ? _chance / _questions : double.NaN);
    }
}
