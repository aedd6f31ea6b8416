using BenchmarkDotNet.Attributes;
using NativeEngine.Benchmarks.Works;

namespace NativeEngine.Benchmarks.Micro;

/// <summary>Parts of a training step at three shapes.</summary>
public class TrainingStepBenchmarks
{
    private TrainingWork _work = null!;

    [ParamsSource(nameof(Shapes))]
    public TrainingShape Shape { get; set; } = null!;

    [ParamsAllValues]
    public TrainingPart Part { get; set; }

    public static IEnumerable<TrainingShape> Shapes => [TrainingShape.Bytes, TrainingShape.Words, TrainingShape.Gpt2];

    [GlobalSetup]
    public void Setup() => _work = new TrainingWork(Shape, Part);

    [GlobalCleanup]
    public void Cleanup() => _work.Dispose();

    [Benchmark]
    public void Run() => _work.Run();
}
