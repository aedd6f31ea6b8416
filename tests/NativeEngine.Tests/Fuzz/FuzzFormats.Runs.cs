using System.Text;
using NativeEngine.Ablation;
using NativeEngine.Ablation.Ranking;
using NativeEngine.Devices;
using NativeEngine.Devices.Cpu;
using NativeEngine.Evaluation;
using NativeEngine.Formats;
using NativeEngine.Reporting;
using NativeEngine.Selection;
using NativeEngine.Training;

namespace NativeEngine.Tests.Fuzz;

/// <summary>What the engine itself writes and reads again: checkpoints, runs, selections, studies.</summary>
internal static partial class FuzzFormats
{
    private static FuzzFormat State() => Json(
        "checkpoint state.json", json => CheckpointState.Parse(json),
        """{"schema":1,"step":100,"optimizer_steps":100,"epoch":2,"offset":64,"options":{"model":"preset:0.2m","lr":"0.001","batch":"32","hash of the data":"e3b0c442"}}""");

    private static FuzzFormat Checksums() => Json(
        "checksums.json", json => AtomicFolder.ReadChecksums(json),
        """{"schema":1,"files":{"state.json":{"bytes":120,"sha256":"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},"a/b.safetensors":{"bytes":0,"sha256":"00"}}}""");

    private static FuzzFormat Run() => Json(
        "run.json", json => RunRecord.Parse(json),
        """{"schema":1,"program":"nengine","version":"0.1.0","commit":null,"runtime":".NET 10","system":"Linux (X64)","device":"cpu","complete":true,"command":["nengine","train"],"options":{"lr":"0.001"},"environment":{},"inputs":{"a.jsonl":"00ff"},"outputs":{}}""");

    private static FuzzFormat Metrics()
    {
        byte[][] seeds =
        [
            Encoding.UTF8.GetBytes("""
                {"step":1,"loss":5.5,"lr":0.001,"grad_norm":1.25,"examples":32,"kept":4,"tokens":512,"objective":3.5,"bound":4,"selection_seconds":0.01,"seconds":0.1,"activation_bytes":1024,"unix_seconds":1.7e9,"pool":"ab","batch":"cd","trained":{"a":[3,9],"b":[1,7]}}
                {"step":1,"eval_loss":5.25,"eval_macro_loss":5.5,"unix_seconds":1.7e9,"eval_sources":{"a":5,"b":6},"eval_errors":{"a":0.1,"b":0.2}}
                {"step":2,"loss":5.25,"lr":0.0005,"grad_norm":null,"seconds":0.1,"trained":{"a":[4,8],"b":[0,8]}}
                """),
        ];
        return new FuzzFormat("metrics.jsonl", seeds, new LineFields(seeds, json: true), () =>
        {
            int read = 0;
            return bytes =>
            {
                var history = MetricsHistory.Parse("mutant", Encoding.UTF8.GetString(bytes).Split('\n'));
                if (bytes.Length < 4096 && read++ % 64 == 0)
                {
                    // A page takes longer than reading; one that is read alone gets it.
                    TrainingPage.Of(history, "mutant", []);
                }
            };
        })
        { TotalFactor = 32 };
    }

    /// <summary>A selection, checked and explained against the features it says it is of.</summary>
    private static FuzzFormat Certificate()
    {
        const int N = 8, Width = 2;
        using var made = new CpuDevice(threads: 1);
        float[] rows = [.. Enumerable.Range(0, N * Width).Select(i => (float)(i * 7 % 11))];
        byte[][] seeds = [.. new[] { DistanceMetric.L1, DistanceMetric.Cosine }.Select(metric => Selection(made, rows, metric))];
        return new FuzzFormat("selection", seeds, new JsonFields(seeds), () =>
        {
            var device = new CpuDevice(threads: 1);
            var features = device.Allocate<float>(rows, MemoryUse.Selection);
            int read = 0;
            return bytes => Metered(device, bytes, () =>
            {
                var document = SelectionDocument.Parse(StrictJson.Parse("mutant", bytes));
                var view = features.View.Reshape(N, Width);
                // What is told about it must not rest on its being true.
                SelectionExplanation.Of(document, bytes.Length % N, view, GradientNormalizer.None());
                SelectionCoverage.Of(document, document, SelectionDifference.Of(document, document), view, GradientNormalizer.None());
                if (read++ % 256 == 0)
                {
                    SelectionPage.Of(document, view, GradientNormalizer.None(), []);
                }
                SelectionVerifier.Verify(document, view, GradientNormalizer.None());
            });
        })
        { Kinds = [ErrorKind.BadInput, ErrorKind.VerificationFailed, ErrorKind.Usage], TotalFactor = 32 };
    }

    private static byte[] Selection(CpuDevice device, float[] rows, DistanceMetric metric)
    {
        var options = new SelectionOptions { Budget = 4, Metric = metric, KeptSources = [2] };
        var selector = new CoresetSelector(device, options, GradientNormalizer.None());
        var plan = selector.Plan([0, 0, 0, 0, 1, 1, 1, 2], 0);
        int width = rows.Length / 8;
        using var features = device.Allocate<float>([.. plan.Candidates.SelectMany(i => rows[(i * width)..((i + 1) * width)])], MemoryUse.Selection);
        var document = SelectionDocument.Of(selector.Select(plan, features.View.Reshape(plan.Candidates.Count, width)), plan, ["a", "b", "c"], width, adam: false, state: null);
        using var stream = new MemoryStream();
        using (var json = new System.Text.Json.Utf8JsonWriter(stream))
        {
            json.WriteStartObject();
            document.Write(json);
            json.WriteEndObject();
        }
        return stream.ToArray();
    }

    private static FuzzFormat UnitKeys() => Json("unit.json", json => UnitCache.ReadKey(json), """{"schema":1,"label":"unit a","key":"00","fields":{"data":"ff","seed":"1","steps":"100"}}""");

    private static FuzzFormat UnitCosts() => Json("cost.json", json => UnitCache.ReadCost(json), Cost);

    private static FuzzFormat Claims()
    {
        byte[][] seeds = [Encoding.UTF8.GetBytes("host/boot/ns|123|456\ntoken\n7\n")];
        return new FuzzFormat("unit claim", seeds, new LineFields(seeds, json: false), () => bytes =>
            _ = (ProcessIdentity.Parse(Encoding.UTF8.GetString(bytes).Split('\n')[0]) ?? throw new EngineException(ErrorKind.BadInput, "it names no process")).IsAlive())
        { TotalFactor = 32 };
    }

    private const string Cost = """{"schema":1,"steps":100,"tokens":25600,"flops":1.5e12,"seconds":3.25,"written":"2026-01-01T00:00:00Z"}""";

    private const string Mixture = """{"mixture":"a+b","weights":{"a":0.5,"b":0.5},"origin":"subsets","key":"00","score":2.5,"score_interval":[2.25,2.75],"behind_best":[0,0],"separated_from_best":false,"probability_of_best":0.5,"losses":[2.5,2.5],"true_score":2.5,"true_losses":[2.5,2.5]}""";

    private const string Rank = """{"schema":1,"identity":"id","units":[{"unit":"a","key":"00"},{"unit":"b","key":"01"}],"domains":[{"domain":"x","documents":3,"seed_loss":3},{"domain":"y","documents":3,"seed_loss":4}],"confidence":0.9,"candidates":3,"candidate_budgets":4,"mixtures":["""
        + Mixture + "," + Mixture + """],"left_the_race":[{"mixture":"a","weights":{"a":1},"score":3,"rounds":1}],"worth":{"units":[{"unit":"a","shapley":0.5,"shapley_interval":[0.25,0.75]},{"unit":"b","shapley":null}]},"merge_safety":{"gain_over_seed":0.1,"barrier":null,"mean_cosine":0.5,"cosines":[[1,0.5],[0.5,null]],"warnings":["Far apart."]}}""";

    private static FuzzFormat Ranking() => Json("rank.json", json =>
    {
        RankedMixtures.Read(json.Require("mixtures"), ["a", "b"]);
        RankedMixtures.Read(json.Require("left_the_race"), ["a", "b"]);
        AblationPage.Of(json, null, "mutant", []);
    }, Rank) with
    { TotalFactor = 200 };

    private static FuzzFormat Confirmation()
    {
        string confirm = """{"schema":1,"identity":"id","confidence":0.9,"domains":["x","y"],"mixtures":[""" + Mixture + """],"stand_ins":[{"stand_in":"average","baseline":false,"mean_pearson":0.9,"agreement":[{"domain":"x","pearson":0.9,"pearson_interval":[0.8,0.95],"spearman":0.5,"regret_at_1":0,"decision_accuracy":1}],"losses":[[2.5,2.5]],"scores":[2.5]}],"additivity":{"alarm":false,"patterns_tested":1,"pairs":[{"first":"a","second":"b","effect":1,"p_value":0.5}]},"predictions":[]}""";
        var rank = StrictJson.Parse("rank.json", Encoding.UTF8.GetBytes(Rank));
        return Json("confirm.json", json => AblationPage.Of(rank, json, "mutant", []), confirm) with { TotalFactor = 200 };
    }

    /// <summary>The tables of a study's report, from both of its documents.</summary>
    private static FuzzFormat StudyReport()
    {
        const string Row = """{"mixture":"a|b","weights":{"a":0.5,"b":0.5},"origin":"subsets","key":"00","score":2.5,"score_interval":[2.25,2.75],"behind_best":[0,0],"separated_from_best":false,"documents_to_separate":12.5,"dominated":false,"ensemble_score":null,"probability_of_best":0.5,"losses":[2.5,2.5],"true_losses":[2.5,2.5]}""";
        const string Search = """ "search_tokens":1000,"searches":[{"method":"greedy","mixture":"a","score":2.5,"evaluations":7}],"descent":{"converged":false,"mixture":"a","scores":[3,2.5]},"surrogate":{"error_root_mean_square":0.1,"error_largest":0.2,"held_out_mixtures":5,"mixture":"b"}""";
        const string Screen = """ "screen":{"kept":2,"fitted":3,"tokens":100,"error_root_mean_square":0.1,"error_largest":0.2,"error_pearson":0.9,"margin":0.1},"noise_floor":{"deviation":0.01,"degrees":2,"smallest_difference":0.02}""";
        const string Worth = """ "worth":{"exact":false,"sets":9,"units":[{"unit":"a","shapley":0.5,"shapley_interval":[0.25,0.75],"banzhaf":null},{"unit":"b","leave_one_out":0.1}]},"merge_safety":{"barrier":-0.1,"gain_over_seed":0.1,"sign_conflict":0.2,"mean_cosine":0.5,"movement":0.01,"warnings":["Far apart."]}""";
        const string Confirmed = """{"mixtures":[ROW],"stand_ins":[{"stand_in":"average","baseline":true,"mean_pearson":0.9,"mean_spearman":null,"agreement":[{"domain":"x","pearson":0.9,"pearson_interval":[0.8,0.95],"intercept":0.1,"slope":1,"kendall_tau_b":0.5},{"domain":"score","spearman":0.5,"regret_at_1":0}],"losses":[[2.5,2.5]]}],"additivity":{"alarm":true,"patterns_tested":1,"worst_miss":0.1,"worst_mixture":"a","pairs":[{"first":"a","second":"b","effect":1,"p_value":0.5}]},"predictions":[{"mixture":"a","predicted_true_score":2.5,"prediction_interval":[2,3],"conformal_interval":[1,4]}]}""";
        string both = $$"""{"rank":{"domains":[{"domain":"x"},{"domain":"y,z|"}],"confidence":0.9,"candidates":3,"candidate_budgets":4.5,"mixtures":[{{Row}},{{Row}}],{{Search}},{{Screen}},{{Worth}}},"confirm":{{Confirmed.Replace("ROW", Row, StringComparison.Ordinal)}}}""";
        var title = new NativeEngine.Ablation.Reports.StudyTitle("study.yaml", 2, 2, 1000);
        NativeEngine.Ablation.Reports.TrainingRecord[] trainings = [new("seed", new string('0', 64), null), new("unit a", new string('1', 64), UnitCache.ReadCost(StrictJson.Parse("cost.json", Encoding.UTF8.GetBytes(Cost))))];
        return Json("study report", json =>
        {
            var tables = new NativeEngine.Ablation.Reports.StudyTables(title, json.Require("rank"), json.Optional("confirm"), trainings);
            tables.Markdown("nengine ablate report");
            tables.RankingCsv();
            tables.ConfirmedCsv();
            tables.Json("nengine ablate report");
        }, both);
    }

    private static FuzzFormat RuntimeProfile() => Json(
        "runtime profile", json => OnnxProfile.NodesByProvider(json), """[{"cat":"Session","name":"load"},{"cat":"Node","name":"MatMul_1","args":{"provider":"CPUExecutionProvider"}},{"cat":"Node","name":"Add","args":{}}]""");
}
