using System.CommandLine;
using NativeEngine.Ablation;

namespace NativeEngine.Cli.Verbs;

/// <summary>Works a study out and says what it will cost.</summary>
internal sealed class AblatePlanVerb : Verb
{
    private readonly Argument<string> _study = OpenStudy.FileArgument();
    private readonly Option<string?> _cache = OpenStudy.CacheOption();
    private readonly Option<bool> _units = Opt.Flag("--units", "List every unit.");

    public AblatePlanVerb()
        : base("plan", "Cuts the data of a study into units and predicts what it costs.", "nengine ablate plan study.yaml --output runs/study")
    {
        Add(_study);
        Add("options", _cache, _units);
    }

    public override int Run(VerbContext context)
    {
        var study = OpenStudy.Open(context, context.Need(_study), context.Get(_cache), write: !context.DryRun, remarks: true);
        using var device = context.OpenDevice();
        var probe = StudyProbe.Run(study.Plan, device, context.Cancellation);
        probe.Memory.RequireFits(context.MaxMemory);
        var cost = StudyCost.Of(study.Plan, study.Jobs, study.Cache);
        context.Result.Write(text => StudyReport.WriteText(text, study, cost, probe, context.Get(_units)), json => StudyReport.WriteJson(json, study, cost, probe));
        return 0;
    }
}
