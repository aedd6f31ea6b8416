using System.CommandLine;
using NativeEngine.Ablation;
using NativeEngine.Ablation.Ranking;
using NativeEngine.Devices;
using NativeEngine.Devices.Gpu;

namespace NativeEngine.Cli;

/// <summary>
/// What every verb of ablate begins with: the study worked out, its output folder checked, its cache open. <c>var study = OpenStudy.Open(context, file, cacheOption)</c>.
/// </summary>
internal sealed class OpenStudy
{
    private OpenStudy(StudyPlan plan, StudyJobs jobs, UnitCache cache, string output) => (Plan, Jobs, Cache, Output) = (plan, jobs, cache, output);

    /// <summary>The argument STUDY.yaml.</summary>
    public static Argument<string> FileArgument() => new("STUDY.yaml") { Description = "What is ablated and how." };

    /// <summary>The option --cache.</summary>
    public static Option<string?> CacheOption() =>
        Opt.MaybeText("--cache", "DIR", "The unit cache, which studies and processes may share; else cache: of the study, else OUTPUT/cache.");

    public StudyPlan Plan { get; }

    public StudyJobs Jobs { get; }

    public UnitCache Cache { get; }

    /// <summary>The output folder, absolute.</summary>
    public string Output { get; }

    /// <summary>Works the study out; unless <paramref name="write"/> is off, writes or checks plan.json in --output. What there is to remark about the data is said at length by plan, with --verbose by the others.</summary>
    public static OpenStudy Open(VerbContext context, string file, string? cache, UnitCacheOptions? options = null, bool write = true, bool remarks = false)
    {
        if (context.Precision != MatMulPrecision.Float32)
        {
            throw new EngineException(ErrorKind.Usage, "a study's cache holds models that every device makes to the bit; --matmul bf16 makes others", "leave --matmul out");
        }
        string output = OutputFolder.Check(context.NeedOutput(), resume: true);
        var study = StudyFile.Load(file, context.GivenSeed);
        var plan = StudyPlan.Create(study, context.Cancellation);
        foreach (string remark in plan.Remarks)
        {
            (remarks ? context.Talk.Info : (Action<string>)context.Talk.Detail)(remark);
        }
        var jobs = new StudyJobs(plan);
        if (write)
        {
            StudyFolder.Open(output, plan, jobs);
            context.ResumeHint = "run the same command again";
        }
        var opened = new UnitCache(cache ?? study.Cache ?? Path.Combine(output, "cache"), options, create: write) { OnDamage = context.Talk.Warn };
        return new OpenStudy(plan, jobs, opened, output);
    }

    /// <summary>Mixtures that are scored at a time: on the CPU as many as there are threads and memory for.</summary>
    public int Lanes(VerbContext context, RankSettings settings) =>
        context.IsOnGpu ? 1 : StudyStandIns.LaneCount(Plan, settings, context.Threads.Count, context.MaxMemory);

    /// <summary>The study's models, documents and stand-ins, for the caller to dispose of.</summary>
    public StudyStandIns StandIns(VerbContext context, StudyModels models, RankSettings settings, Device device) =>
        new(Plan, models, settings, device, Path.Combine(Output, "losses"), context.Threads.Count, Lanes(context, settings), context.Cancellation);
}
