using BenchmarkDotNet.Columns;
using BenchmarkDotNet.Configs;
using BenchmarkDotNet.Diagnosers;
using BenchmarkDotNet.Exporters;
using BenchmarkDotNet.Exporters.Json;
using BenchmarkDotNet.Jobs;
using BenchmarkDotNet.Loggers;
using BenchmarkDotNet.Toolchains.InProcess.Emit;

namespace NativeEngine.Benchmarks.Micro;

/// <summary>
/// In this process, with the runtime settings of the project itself (no tier 0, no PGO); mean, spread, allocated bytes, and for kernels the rates.
/// </summary>
internal sealed class MicroConfig : ManualConfig
{
    public MicroConfig()
    {
        AddJob(Job.Default.WithToolchain(InProcessEmitToolchain.Instance).WithMinIterationCount(5).WithMaxIterationCount(15).WithWarmupCount(2));
        AddLogger(ConsoleLogger.Default);
        AddColumnProvider(DefaultColumnProviders.Instance);
        AddColumn(new RateColumn("GFLOP/s", (kernel, seconds) => kernel.Row.Flops(kernel.Size) / seconds / 1e9));
        AddColumn(new RateColumn("GB/s", (kernel, seconds) => kernel.Row.Bytes(kernel.Size) / seconds / 1e9));
        AddDiagnoser(MemoryDiagnoser.Default);
        AddExporter(MarkdownExporter.GitHub, JsonExporter.Brief);
        WithOptions(ConfigOptions.JoinSummary | ConfigOptions.DisableLogFile);
    }
}
