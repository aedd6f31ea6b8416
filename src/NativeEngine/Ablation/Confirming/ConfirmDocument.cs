using System.Text;
using System.Text.Json;
using NativeEngine.Ablation.Ranking;

namespace NativeEngine.Ablation.Confirming;

/// <summary>confirm.json: the truly trained mixtures with their cache keys, and how well every stand-in follows them. Undefined numbers are null.</summary>
public static class ConfirmDocument
{
    /// <summary>The file in the study's folder.</summary>
    public const string Name = "confirm.json";

    /// <summary>The document as text.</summary>
    public static string Text(ConfirmResult result)
    {
        using var stream = new MemoryStream();
        using (var json = new Utf8JsonWriter(stream, new JsonWriterOptions { Indented = true, NewLine = "\n" }))
        {
            json.WriteStartObject();
            json.WriteNumber("schema", 1);
            json.WriteString("identity", result.Identity);
            json.WriteNumber("confidence", result.Confidence);
            json.WriteStartArray("domains");
            foreach (string domain in result.Domains)
            {
                json.WriteStringValue(domain);
            }
            json.WriteEndArray();
            json.WriteStartArray("mixtures");
            foreach (var mixture in result.Mixtures)
            {
                json.WriteStartObject();
                RankDocument.Weights(json, mixture.Mixture, result.Units);
                json.WriteString("key", mixture.Key);
                RankDocument.Number(json, "true_score", mixture.TrueScore);
                RankDocument.Numbers(json, "true_losses", mixture.TrueLosses);
                json.WriteEndObject();
            }
            json.WriteEndArray();
            json.WriteStartArray("stand_ins");
            foreach (var standIn in result.StandIns)
            {
                json.WriteStartObject();
                json.WriteString("stand_in", standIn.Name);
                json.WriteBoolean("baseline", standIn.IsBaseline);
                RankDocument.Number(json, "mean_pearson", standIn.MeanPearson);
                RankDocument.Number(json, "mean_spearman", standIn.MeanSpearman);
                json.WriteStartArray("agreement");
                foreach (var agreement in standIn.Domains.Append(standIn.Score))
                {
                    Agreement(json, agreement, result.Confidence);
                }
                json.WriteEndArray();
                json.WriteStartArray("losses");
                foreach (double[] losses in standIn.Losses)
                {
                    json.WriteStartArray();
                    foreach (double loss in losses)
                    {
                        json.WriteNumberValue(loss);
                    }
                    json.WriteEndArray();
                }
                json.WriteEndArray();
                RankDocument.Numbers(json, "scores", standIn.Scores);
                json.WriteEndObject();
            }
            json.WriteEndArray();
            Alarm(json, result);
            json.WriteStartArray("predictions");
            foreach (var (mixture, score, predicted, interval, conformal) in result.Predictions)
            {
                json.WriteStartObject();
                RankDocument.Weights(json, mixture, result.Units);
                RankDocument.Number(json, "score", score);
                RankDocument.Number(json, "predicted_true_score", predicted);
                RankDocument.Interval(json, "prediction_interval", interval);
                RankDocument.Interval(json, "conformal_interval", conformal);
                json.WriteEndObject();
            }
            json.WriteEndArray();
            json.WriteEndObject();
        }
        return Encoding.UTF8.GetString(stream.ToArray()) + "\n";
    }

    private static void Agreement(Utf8JsonWriter json, Agreement a, double confidence)
    {
        json.WriteStartObject();
        json.WriteString("domain", a.Domain);
        RankDocument.Number(json, "pearson", a.Correlation.Pearson);
        RankDocument.Interval(json, "pearson_interval", a.Correlation.PearsonInterval(confidence));
        RankDocument.Number(json, "spearman", a.Correlation.Spearman);
        RankDocument.Interval(json, "spearman_interval", a.Correlation.SpearmanInterval(confidence));
        RankDocument.Number(json, "kendall_tau_b", a.Correlation.KendallTauB);
        RankDocument.Interval(json, "kendall_interval", a.Correlation.KendallInterval(confidence));
        RankDocument.Number(json, "regret_at_1", a.Regret1);
        RankDocument.Number(json, "regret_at_3", a.Regret3);
        RankDocument.Number(json, "decision_accuracy", a.Decision);
        RankDocument.Number(json, "level_error", a.LevelError);
        RankDocument.Number(json, "intercept", a.Line.Intercept);
        RankDocument.Number(json, "slope", a.Line.Slope);
        RankDocument.Number(json, "residual_error", a.Line.ResidualError);
        RankDocument.Number(json, "left_out_error", a.Line.LeftOutError);
        RankDocument.Number(json, "prediction_coverage", a.Coverage);
        RankDocument.Number(json, "conformal_coverage", a.ConformalCoverage);
        json.WriteEndObject();
    }

    private static void Alarm(Utf8JsonWriter json, ConfirmResult result)
    {
        json.WriteStartObject("additivity");
        json.WriteBoolean("alarm", result.Alarm.Pairs.Count > 0);
        json.WriteNumber("patterns_tested", result.Alarm.Tested);
        RankDocument.Number(json, "worst_miss", result.Alarm.WorstMiss);
        json.WriteString("worst_mixture", result.Alarm.WorstMixture < 0 ? null : result.Mixtures[result.Alarm.WorstMixture].Mixture.Describe(result.Units));
        json.WriteStartArray("pairs");
        foreach (var pair in result.Alarm.Pairs)
        {
            json.WriteStartObject();
            json.WriteString("first", result.Units[pair.First]);
            json.WriteString("second", result.Units[pair.Second]);
            RankDocument.Number(json, "effect", pair.Effect);
            RankDocument.Number(json, "p_value", pair.PValue);
            json.WriteEndObject();
        }
        json.WriteEndArray();
        json.WriteEndObject();
    }
}
