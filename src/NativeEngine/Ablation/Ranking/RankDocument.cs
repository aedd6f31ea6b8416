using System.Text;
using System.Text.Json;
using NativeEngine.Ablation.Mixtures;
using NativeEngine.Ablation.Statistics;

namespace NativeEngine.Ablation.Ranking;

/// <summary>
/// rank.json: everything ranking found, with the cache keys every figure comes from. Numbers are written so that they read back to the same bits; an
/// undefined number is null. The same study gives the same bytes.
/// </summary>
public static class RankDocument
{
    /// <summary>The file in the study's folder.</summary>
    public const string Name = "rank.json";

    /// <summary>The document as text.</summary>
    public static string Text(RankResult result)
    {
        using var stream = new MemoryStream();
        using (var json = new Utf8JsonWriter(stream, new JsonWriterOptions { Indented = true, NewLine = "\n" }))
        {
            json.WriteStartObject();
            json.WriteNumber("schema", 1);
            json.WriteString("identity", result.Identity);
            json.WriteString("seed_key", result.SeedKey);
            Units(json, result);
            Domains(json, result);
            json.WriteStartObject("score");
            json.WriteString("kind", result.Score.Kind == ScoreKind.Mean ? "mean" : "worst");
            Numbers(json, "domain_weights", result.Score.DomainWeights);
            json.WriteEndObject();
            json.WriteNumber("confidence", result.Confidence);
            json.WriteNumber("candidates", result.Candidates);
            json.WriteNumber("candidate_budgets", result.CandidateBudgets);
            Rounds(json, result);
            json.WriteStartArray("mixtures");
            foreach (var row in result.Rows)
            {
                Row(json, row, result);
            }
            json.WriteEndArray();
            json.WriteStartArray("left_the_race");
            foreach (var (mixture, score, rounds) in result.Others)
            {
                json.WriteStartObject();
                Weights(json, mixture, result.Units);
                Number(json, "score", score);
                json.WriteNumber("rounds", rounds);
                json.WriteEndObject();
            }
            json.WriteEndArray();
            Searches(json, result);
            Worth(json, result);
            Safety(json, result);
            if (result.Noise is { } noise)
            {
                json.WriteStartObject("noise_floor");
                Number(json, "deviation", noise.Deviation);
                json.WriteNumber("degrees", noise.Degrees);
                Number(json, "smallest_difference", noise.SmallestDifference(result.Confidence));
                json.WriteEndObject();
            }
            json.WriteEndObject();
        }
        return Encoding.UTF8.GetString(stream.ToArray()) + "\n";
    }

    /// <summary>A number, or null when it is undefined.</summary>
    internal static void Number(Utf8JsonWriter json, string name, double value)
    {
        if (double.IsFinite(value))
        {
            json.WriteNumber(name, value);
        }
        else
        {
            json.WriteNull(name);
        }
    }

    /// <summary>A list of numbers.</summary>
    internal static void Numbers(Utf8JsonWriter json, string name, IEnumerable<double> values)
    {
        json.WriteStartArray(name);
        foreach (double value in values)
        {
            if (double.IsFinite(value))
            {
                json.WriteNumberValue(value);
            }
            else
            {
                json.WriteNullValue();
            }
        }
        json.WriteEndArray();
    }

    /// <summary>An interval as [low, high], or null.</summary>
    internal static void Interval(Utf8JsonWriter json, string name, Interval interval)
    {
        if (interval.IsDefined)
        {
            Numbers(json, name, [interval.Low, interval.High]);
        }
        else
        {
            json.WriteNull(name);
        }
    }

    /// <summary>The units of a mixture with their weights.</summary>
    internal static void Weights(Utf8JsonWriter json, Mixture mixture, IReadOnlyList<string> names)
    {
        json.WriteString("mixture", mixture.Describe(names));
        json.WriteStartObject("weights");
        foreach (int unit in mixture.Units)
        {
            json.WriteNumber(names[unit], mixture.Weights[unit]);
        }
        json.WriteEndObject();
    }

    private static void Units(Utf8JsonWriter json, RankResult result)
    {
        json.WriteStartArray("units");
        for (int u = 0; u < result.Units.Count; u++)
        {
            json.WriteStartObject();
            json.WriteString("unit", result.Units[u]);
            json.WriteString("key", result.UnitKeys[u]);
            if (result.Moved.Count > 0)
            {
                json.WriteNumber("aligned_parts", result.Moved[u]);
            }
            json.WriteEndObject();
        }
        json.WriteEndArray();
    }

    private static void Domains(Utf8JsonWriter json, RankResult result)
    {
        json.WriteStartArray("domains");
        for (int d = 0; d < result.Table.Domains.Count; d++)
        {
            json.WriteStartObject();
            json.WriteString("domain", result.Table.Domains[d]);
            json.WriteNumber("documents", result.Table.OfDomain(d).Count);
            json.WriteNumber("tokens", result.Table.TokensOf(d));
            json.WriteNumber("seed_loss", result.SeedLosses[d]);
            json.WriteEndObject();
        }
        json.WriteEndArray();
        json.WriteStartArray("document_blocks_sha256");
        foreach (string key in result.BlockKeys)
        {
            json.WriteStringValue(key);
        }
        json.WriteEndArray();
    }

    private static void Rounds(Utf8JsonWriter json, RankResult result)
    {
        json.WriteStartArray("rounds");
        foreach (var round in result.Rounds)
        {
            json.WriteStartObject();
            json.WriteNumber("entered", round.Entered);
            json.WriteNumber("documents", round.Documents);
            json.WriteNumber("tokens", round.Tokens);
            json.WriteNumber("kept", round.Kept);
            json.WriteEndObject();
        }
        json.WriteEndArray();
    }

    private static void Row(Utf8JsonWriter json, RankedMixture row, RankResult result)
    {
        json.WriteStartObject();
        Weights(json, row.Mixture, result.Units);
        json.WriteString("origin", row.Origin);
        json.WriteString("key", row.Key);
        Number(json, "score", row.Score);
        Interval(json, "score_interval", row.ScoreInterval);
        Interval(json, "behind_best", row.Difference);
        json.WriteBoolean("separated_from_best", row.Separated);
        json.WriteNumber("probability_of_best", row.ProbabilityOfBest);
        json.WriteNumber("probability_worse_than_best", row.ProbabilityWorse);
        Numbers(json, "losses", row.DomainLosses);
        if (row.EnsembleLosses is { } ensemble)
        {
            Number(json, "ensemble_score", row.EnsembleScore);
            Numbers(json, "ensemble_losses", ensemble);
        }
        if (row.Levels.Count > 0)
        {
            json.WriteStartObject("levels");
            foreach (var (level, losses) in row.Levels)
            {
                Numbers(json, level.ToString(), losses);
            }
            json.WriteEndObject();
        }
        json.WriteEndObject();
    }

    private static void Searches(Utf8JsonWriter json, RankResult result)
    {
        json.WriteNumber("search_tokens", result.SearchTokens);
        json.WriteStartArray("searches");
        foreach (var (method, search) in result.Searches)
        {
            json.WriteStartObject();
            json.WriteString("method", method);
            Weights(json, Mixture.Uniform(result.Units.Count, search.Set), result.Units);
            Number(json, "score", search.Value);
            json.WriteNumber("evaluations", search.Evaluations);
            json.WriteStartArray("trace");
            foreach (var step in search.Trace)
            {
                json.WriteStartObject();
                json.WriteString("set", string.Join('+', step.Set.Select(u => result.Units[u])));
                Number(json, "score", step.Value);
                json.WriteBoolean("accepted", step.Accepted);
                json.WriteEndObject();
            }
            json.WriteEndArray();
            json.WriteEndObject();
        }
        json.WriteEndArray();
        if (result.Descent is { } descent)
        {
            json.WriteStartObject("descent");
            Weights(json, descent.Mixture, result.Units);
            Number(json, "score", descent.Score);
            json.WriteBoolean("converged", descent.Converged);
            Numbers(json, "scores", descent.Trace.Select(s => s.Score));
            Numbers(json, "gaps", descent.Trace.Select(s => s.Gap));
            json.WriteEndObject();
        }
        if (result.Surrogate is { } surrogate)
        {
            json.WriteStartObject("surrogate");
            json.WriteNumber("held_out_mixtures", surrogate.Error.Points);
            Number(json, "error_root_mean_square", surrogate.Error.RootMeanSquare);
            Number(json, "error_largest", surrogate.Error.Largest);
            Number(json, "error_pearson", surrogate.Error.Correlation.Pearson);
            Weights(json, surrogate.Minimum, result.Units);
            Numbers(json, "linear", surrogate.Fit.Linear);
            json.WriteStartArray("pairs");
            for (int i = 0; i < surrogate.Fit.Units; i++)
            {
                for (int j = i + 1; j < surrogate.Fit.Units; j++)
                {
                    json.WriteNumberValue(surrogate.Fit.Pair(i, j));
                }
            }
            json.WriteEndArray();
            json.WriteEndObject();
        }
    }

    private static void Worth(Utf8JsonWriter json, RankResult result)
    {
        if (result.Worth is not { } worth)
        {
            return;
        }
        json.WriteStartObject("worth");
        json.WriteBoolean("exact", worth.Exact);
        json.WriteNumber("sets", worth.Sets);
        json.WriteStartArray("units");
        for (int u = 0; u < result.Units.Count; u++)
        {
            json.WriteStartObject();
            json.WriteString("unit", result.Units[u]);
            foreach (var (name, value) in new[] { ("leave_one_out", worth.LeaveOneOut[u]), ("shapley", worth.Shapley[u]), ("banzhaf", worth.Banzhaf[u]) })
            {
                Number(json, name, value.Value);
                Interval(json, name + "_interval", value.Interval);
            }
            json.WriteEndObject();
        }
        json.WriteEndArray();
        json.WriteEndObject();
    }

    private static void Safety(Utf8JsonWriter json, RankResult result)
    {
        var safety = result.Safety;
        json.WriteStartObject("merge_safety");
        Number(json, "barrier", safety.Barrier);
        Number(json, "gain_over_seed", safety.Gain);
        Number(json, "sign_conflict", safety.Whole.SignConflict);
        Number(json, "mean_cosine", safety.Whole.MeanCosine);
        Number(json, "movement", safety.Whole.Movement);
        json.WriteStartArray("cosines");
        for (int i = 0; i < result.Units.Count; i++)
        {
            json.WriteStartArray();
            for (int j = 0; j < result.Units.Count; j++)
            {
                if (double.IsNaN(safety.Cosines[i, j]))
                {
                    json.WriteNullValue();
                }
                else
                {
                    json.WriteNumberValue(safety.Cosines[i, j]);
                }
            }
            json.WriteEndArray();
        }
        json.WriteEndArray();
        json.WriteStartArray("tensors");
        foreach (var tensor in safety.Tensors)
        {
            json.WriteStartObject();
            json.WriteString("tensor", tensor.Name);
            Number(json, "sign_conflict", tensor.SignConflict);
            Number(json, "mean_cosine", tensor.MeanCosine);
            Number(json, "movement", tensor.Movement);
            json.WriteEndObject();
        }
        json.WriteEndArray();
        json.WriteStartArray("warnings");
        foreach (string warning in safety.Warnings(result.Units))
        {
            json.WriteStringValue(warning);
        }
        json.WriteEndArray();
        json.WriteEndObject();
    }
}
