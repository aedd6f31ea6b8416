using BenchmarkDotNet.Attributes;
using NativeEngine.Benchmarks.Works;

namespace NativeEngine.Benchmarks.Micro;

/// <summary>A whole selection, L1, budget half of the rows.</summary>
public class SelectionBenchmarks
{
    private SelectionWork _work = null!;

    [Params(128, 512, 2048)]
    public int Rows { get; set; }

    [Params(2560)]
    public int Columns { get; set; }

    [GlobalSetup]
    public void Setup() => _work = new SelectionWork(Rows, Columns);

    [GlobalCleanup]
    public void Cleanup() => _work.Dispose();

    [Benchmark]
    public void Select() => _work.Run();
}
