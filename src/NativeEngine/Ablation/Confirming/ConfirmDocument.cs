using System.Text.Json;
using NativeEngine.Formats;

namespace NativeEngine.Ablation.Confirming;

/// <summary>confirm.json: the truly trained mixtures with their cache keys, and how well every stand-in follows them. Undefined numbers are null.</summary>
public static class ConfirmDocument
{
    /// <summary>The file in the study's folder.</summary>
    public const string Name = "confirm.json";

    /// <summary>The document as text.</summary>
    public static string Text(ConfirmResult result)
    {
        return StudyJson.Document(json =>
        {
            json.WriteString("identity", result.Identity);
            json.WriteNumber("confidence", result.Confidence);
            json.Strings("domains", result.Domains);
            json.Objects("mixtures", result.Mixtures, mixture =>
            {
                json.Weights(mixture.Mixture, result.Units);
                json.WriteString("key", mixture.Key);
                json.Number("true_score", mixture.TrueScore);
                json.Numbers("true_losses", mixture.TrueLosses);
            });
            json.Objects("stand_ins", result.StandIns, standIn =>
            {
                json.WriteString("stand_in", standIn.Name);
                json.WriteBoolean("baseline", standIn.IsBaseline);
                json.Number("mean_pearson", standIn.MeanPearson);
                json.Number("mean_spearman", standIn.MeanSpearman);
                json.Objects("agreement", standIn.Domains.Append(standIn.Score), a => Agreement(json, a, result.Confidence));
                json.WriteStartArray("losses");
                foreach (double[] losses in standIn.Losses)
                {
                    json.Values(losses);
                }
                json.WriteEndArray();
                json.Numbers("scores", standIn.Scores);
            });
            Alarm(json, result);
            json.Objects("predictions", result.Predictions, row =>
            {
                var (mixture, score, predicted, interval, conformal) = row;
                json.Weights(mixture, result.Units);
                json.Number("score", score);
                json.Number("predicted_true_score", predicted);
                json.Interval("prediction_interval", interval);
                json.Interval("conformal_interval", conformal);
            });
        });
    }

    private static void Agreement(Utf8JsonWriter json, Agreement a, double confidence)
    {
        json.WriteString("domain", a.Domain);
        json.Number("pearson", a.Correlation.Pearson);
        json.Interval("pearson_interval", a.Correlation.PearsonInterval(confidence));
        json.Number("spearman", a.Correlation.Spearman);
        json.Interval("spearman_interval", a.Correlation.SpearmanInterval(confidence));
        json.Number("kendall_tau_b", a.Correlation.KendallTauB);
        json.Interval("kendall_interval", a.Correlation.KendallInterval(confidence));
        json.Number("regret_at_1", a.Regret1);
        json.Number("regret_at_3", a.Regret3);
        json.Number("decision_accuracy", a.Decision);
        json.Number("level_error", a.LevelError);
        json.Number("intercept", a.Line.Intercept);
        json.Number("slope", a.Line.Slope);
        json.Number("residual_error", a.Line.ResidualError);
        json.Number("left_out_error", a.Line.LeftOutError);
        json.Number("prediction_coverage", a.Coverage);
        json.Number("conformal_coverage", a.ConformalCoverage);
    }

    private static void Alarm(Utf8JsonWriter json, ConfirmResult result)
    {
        json.WriteStartObject("additivity");
        json.WriteBoolean("alarm", result.Alarm.Pairs.Count > 0);
        json.WriteNumber("patterns_tested", result.Alarm.Tested);
        json.Number("worst_miss", result.Alarm.WorstMiss);
        json.WriteString("worst_mixture", result.Alarm.WorstMixture < 0 ? null : result.Mixtures[result.Alarm.WorstMixture].Mixture.Describe(result.Units));
        json.Objects("pairs", result.Alarm.Pairs, pair =>
        {
            json.WriteString("first", result.Units[pair.First]);
            json.WriteString("second", result.Units[pair.Second]);
            json.Number("effect", pair.Effect);
            json.Number("p_value", pair.PValue);
        });
        json.WriteEndObject();
    }
}
