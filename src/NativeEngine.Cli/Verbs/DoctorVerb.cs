using System.CommandLine;

namespace NativeEngine.Cli.Verbs;

/// <summary>Tells what this build and this machine offer, for bug reports and before long jobs.</summary>
internal sealed class DoctorVerb : Verb
{
    private readonly Option<string?> _ortLib = Opt.MaybeText("--ort-lib", "PATH", "The ONNX Runtime library or its folder, to see whether it loads.");

    public DoctorVerb()
        : base("doctor", "Shows devices, SIMD level, libraries, threads, memory limits and the temporary folder.", "nengine doctor")
    {
        Add("options", _ortLib);
    }

    public override int Run(VerbContext context)
    {
        var report = new MachineReport(context, context.Get(_ortLib));
        context.Result.Write(report.WriteText, report.WriteJson);
        return 0;
    }
}
