using System.Text.Json;
using NativeEngine.Ablation.Mixtures;
using NativeEngine.Formats;

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
        return StudyJson.Document(json =>
        {
            json.WriteString("identity", result.Identity);
            json.WriteString("seed_key", result.SeedKey);
            Units(json, result);
            Domains(json, result);
            json.WriteStartObject("score");
            json.WriteString("kind", result.Score.Kind == ScoreKind.Mean ? "mean" : "worst");
            json.Numbers("domain_weights", result.Score.DomainWeights);
            json.WriteEndObject();
            json.WriteNumber("confidence", result.Confidence);
            json.WriteNumber("candidates", result.Candidates);
            json.WriteNumber("candidate_budgets", result.CandidateBudgets);
            Screen(json, result);
            Rounds(json, result);
            json.Objects("mixtures", result.Rows, row => Row(json, row, result));
            json.Objects("left_the_race", result.Others, row =>
            {
                var (mixture, score, rounds) = row;
                json.Weights(mixture, result.Units);
                json.Number("score", score);
                json.WriteNumber("rounds", rounds);
            });
            Searches(json, result);
            Worth(json, result);
            Safety(json, result);
            if (result.Noise is { } noise)
            {
                json.WriteStartObject("noise_floor");
                json.Number("deviation", noise.Deviation);
                json.WriteNumber("degrees", noise.Degrees);
                json.Number("smallest_difference", noise.SmallestDifference(result.Confidence));
                json.WriteEndObject();
            }
        });
    }

    private static void Units(Utf8JsonWriter json, RankResult result)
    {
        json.Objects("units", Enumerable.Range(0, result.Units.Count), u =>
        {
            json.WriteString("unit", result.Units[u]);
            json.WriteString("key", result.UnitKeys[u]);
            if (result.Moved.Count > 0)
            {
                json.WriteNumber("aligned_parts", result.Moved[u]);
            }
        });
    }

    private static void Domains(Utf8JsonWriter json, RankResult result)
    {
        json.Objects("domains", Enumerable.Range(0, result.Table.Domains.Count), d =>
        {
            json.WriteString("domain", result.Table.Domains[d]);
            json.WriteNumber("documents", result.Table.OfDomain(d).Count);
            json.WriteNumber("tokens", result.Table.TokensOf(d));
            json.WriteNumber("seed_loss", result.SeedLosses[d]);
        });
        json.Strings("document_blocks_sha256", result.BlockKeys);
    }

    private static void Screen(Utf8JsonWriter json, RankResult result)
    {
        if (result.Screen is { } screen)
        {
            json.WriteStartObject("screen");
            json.WriteNumber("fitted", screen.Fitted);
            json.WriteNumber("documents", screen.Documents);
            json.WriteNumber("tokens", screen.Tokens);
            Error(json, screen.Error);
            json.Number("noise_of_documents", screen.Noise);
            json.Number("margin", screen.Margin);
            json.WriteNumber("kept", screen.Kept.Count);
            json.WriteEndObject();
        }
    }

    private static void Error(Utf8JsonWriter json, SurrogateError error)
    {
        json.WriteNumber("held_out_mixtures", error.Points);
        json.Number("error_root_mean_square", error.RootMeanSquare);
        json.Number("error_largest", error.Largest);
        json.Number("error_pearson", error.Correlation.Pearson);
    }

    private static void Rounds(Utf8JsonWriter json, RankResult result)
    {
        json.Objects("rounds", result.Rounds, round =>
        {
            json.WriteNumber("entered", round.Entered);
            json.WriteNumber("documents", round.Documents);
            json.WriteNumber("tokens", round.Tokens);
            json.WriteNumber("kept", round.Kept);
        });
    }

    private static void Row(Utf8JsonWriter json, RankedMixture row, RankResult result)
    {
        json.Weights(row.Mixture, result.Units);
        json.WriteString("origin", row.Origin);
        json.WriteString("key", row.Key);
        json.Number("score", row.Score);
        json.Interval("score_interval", row.ScoreInterval);
        json.Interval("behind_best", row.Difference);
        json.WriteBoolean("separated_from_best", row.Separated);
        if (!row.Separated && !ReferenceEquals(row, result.Rows[0]))
        {
            json.Number("documents_to_separate", row.DocumentsToSeparate(result.Rows[0].Score));
        }
        json.WriteBoolean("dominated", row.Dominated);
        json.WriteNumber("probability_of_best", row.ProbabilityOfBest);
        json.WriteNumber("probability_worse_than_best", row.ProbabilityWorse);
        json.Numbers("losses", row.DomainLosses);
        if (row.EnsembleLosses is { } ensemble)
        {
            json.Number("ensemble_score", row.EnsembleScore);
            json.Numbers("ensemble_losses", ensemble);
        }
        if (row.Levels.Count > 0)
        {
            json.WriteStartObject("levels");
            foreach (var (level, losses) in row.Levels)
            {
                json.Numbers(level.ToString(), losses);
            }
            json.WriteEndObject();
        }
    }

    private static void Searches(Utf8JsonWriter json, RankResult result)
    {
        json.WriteNumber("search_tokens", result.SearchTokens);
        json.Objects("searches", result.Searches, row =>
        {
            var (method, search) = row;
            json.WriteString("method", method);
            json.Weights(Mixture.Uniform(result.Units.Count, search.Set), result.Units);
            json.Number("score", search.Value);
            json.WriteNumber("evaluations", search.Evaluations);
            json.Objects("trace", search.Trace, step =>
            {
                json.WriteString("set", string.Join('+', step.Set.Select(u => result.Units[u])));
                json.Number("score", step.Value);
                json.WriteBoolean("accepted", step.Accepted);
            });
        });
        if (result.Descent is { } descent)
        {
            json.WriteStartObject("descent");
            json.Weights(descent.Mixture, result.Units);
            json.Number("score", descent.Score);
            json.WriteBoolean("converged", descent.Converged);
            json.Numbers("scores", descent.Trace.Select(s => s.Score));
            json.Numbers("gaps", descent.Trace.Select(s => s.Gap));
            json.WriteEndObject();
        }
        if (result.Surrogate is { } surrogate)
        {
            json.WriteStartObject("surrogate");
            Error(json, surrogate.Error);
            json.Weights(surrogate.Minimum, result.Units);
            json.Numbers("linear", surrogate.Fit.Linear);
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
        json.Objects("units", Enumerable.Range(0, result.Units.Count), u =>
        {
            json.WriteString("unit", result.Units[u]);
            foreach (var (name, value) in new[] { ("leave_one_out", worth.LeaveOneOut[u]), ("shapley", worth.Shapley[u]), ("banzhaf", worth.Banzhaf[u]) })
            {
                json.Number(name, value.Value);
                json.Interval(name + "_interval", value.Interval);
            }
        });
        json.WriteEndObject();
    }

    private static void Safety(Utf8JsonWriter json, RankResult result)
    {
        var safety = result.Safety;
        json.WriteStartObject("merge_safety");
        json.Number("barrier", safety.Barrier);
        json.Number("gain_over_seed", safety.Gain);
        json.Number("sign_conflict", safety.Whole.SignConflict);
        json.Number("mean_cosine", safety.Whole.MeanCosine);
        json.Number("movement", safety.Whole.Movement);
        json.WriteStartArray("cosines");
        for (int i = 0; i < result.Units.Count; i++)
        {
            json.Values(Enumerable.Range(0, result.Units.Count).Select(j => safety.Cosines[i, j]));
        }
        json.WriteEndArray();
        json.Objects("tensors", safety.Tensors, tensor =>
        {
            json.WriteString("tensor", tensor.Name);
            json.Number("sign_conflict", tensor.SignConflict);
            json.Number("mean_cosine", tensor.MeanCosine);
            json.Number("movement", tensor.Movement);
        });
        json.Strings("warnings", safety.Warnings(result.Units));
        json.WriteEndObject();
    }
}
