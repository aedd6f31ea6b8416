namespace NativeEngine.Cli.Verbs;

/// <summary>Tells what this build and this machine offer, for bug reports and before long jobs.</summary>
internal sealed class DoctorVerb : Verb
{
    public DoctorVerb()
        : base("doctor", "Shows devices, SIMD level, threads, memory limits and the temporary folder.", "nengine doctor")
    {
    }

    public override int Run(VerbContext context)
    {
        var report = new MachineReport(context);
        context.Result.Write(report.WriteText, report.WriteJson);
        return 0;
    }
}
