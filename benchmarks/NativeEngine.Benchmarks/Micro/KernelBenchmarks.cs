using BenchmarkDotNet.Attributes;
using NativeEngine.Benchmarks.Works;

namespace NativeEngine.Benchmarks.Micro;

/// <summary>Every row of the kernel table at each of its benchmark sizes.</summary>
public class KernelBenchmarks
{
    private KernelWork _work = null!;

    [ParamsSource(nameof(Cases))]
    public KernelCase Kernel { get; set; } = null!;

    public static IEnumerable<KernelCase> Cases => KernelCase.All;

    [GlobalSetup]
    public void Setup() => _work = new KernelWork(Kernel);

    [GlobalCleanup]
    public void Cleanup() => _work.Dispose();

    [Benchmark]
    public void Run() => _work.Run();
}
