using System.CommandLine;
using NativeEngine.Ablation;
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

    /// <summary>Works the study out; unless <paramref name="write"/> is off, writes or checks plan.json in --output.</summary>
    public static OpenStudy Open(VerbContext context, string file, string? cache, UnitCacheOptions? options = null, bool write = true)
    {
        if (context.Precision != MatMulPrecision.Float32)
        {
            throw new EngineException(ErrorKind.Usage, "a study's cache holds models that every device makes to the bit; --matmul bf16 makes others", "leave --matmul out");
        }
        string output = OutputFolder.Check(context.NeedOutput(), resume: true);
        var study = StudyFile.Load(file);
        var plan = StudyPlan.Create(study, context.Cancellation);
        foreach (string remark in plan.Remarks)
        {
            context.Talk.Info(remark);
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
}
