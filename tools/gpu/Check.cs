using NativeEngine.Devices.Gpu;

namespace NativeEngine.GpuCheck;

/// <summary>
/// One card from end to end: every kernel against the CPU and against itself, whole paths through the executable, compute-sanitizer where it is
/// installed, then rates against the card's own roofs, PyTorch beside them where it is installed. Writes a page and a JSON document. The exit code
/// is 0 when everything agrees, else 7; rates that miss their goals do not fail.
/// </summary>
internal sealed class Check(CheckOptions options)
{
    public int Run()
    {
        GpuBackend backend = options.Device.StartsWith("cuda", StringComparison.Ordinal) ? CudaBackend.Find() : OpenClBackend.Find();
        var info = backend.Choose(options.Device);
        var report = new CheckReport(info);
        report.Say(info.Description);
        using (var device = backend.Open(info.Name))
        {
            KernelSection.Run(report, device, options);
        }
        if (!options.KernelsOnly)
        {
            PathSection.Run(report, info.Name, options);
            SanitizerSection.Run(report, info.Name);
            GoalSection.Run(report, backend, info.Name, options);
            report.Write(Path.Combine(options.Output, CheckReport.FolderOf(info)), options);
        }
        report.Say(report.Failures == 0 ? "everything agrees" : $"{report.Failures} checks FAILED");
        return report.Failures == 0 ? 0 : (int)ErrorKind.VerificationFailed;
    }
}
