using System.CommandLine;

namespace NativeEngine.Cli.Verbs;

/// <summary>Tells what this build and this machine offer, for bug reports and before long jobs.</summary>
internal sealed class DoctorVerb : Verb
{
    private readonly Option<string?> _ortLib = Opt.MaybeText("--ort-lib", "PATH", "The ONNX Runtime library or its folder, to see whether it loads.");

    public DoctorVerb()
        : base("doctor", "Shows devices after a self-test, SIMD level, threads, memory limits, libraries and the temporary folder.", "nengine doctor")
    {
        Add("options", _ortLib);
    }

    public override bool OutputIsResult => true;

    public override string? Table => "devices";

    public override int Run(VerbContext context)
    {
        // What this run would take is opened, so that auto says what it chose.
        OpenChosen(context);
        var report = new MachineReport(context, context.Get(_ortLib));
        context.Result.Write(report.WriteText, report.WriteJson);
        return 0;
    }

    private static void OpenChosen(VerbContext context)
    {
        try
        {
            context.OpenDevice().Dispose();
        }
        catch (EngineException error) when (error.Kind is ErrorKind.DeviceUnavailable or ErrorKind.Usage && context.DeviceName is "auto" or "cpu")
        {
            // The report has it.
        }
    }
}
