using System.Diagnostics;
using NativeEngine.Devices;
using NativeEngine.Devices.Cpu;
using NativeEngine.Formats;

namespace NativeEngine.Merging;

/// <summary>How a merge runs.</summary>
public sealed record MergeOptions
{
    /// <summary>CPU threads; the result does not depend on it.</summary>
    public int Threads { get; init; } = Environment.ProcessorCount;

    /// <summary>Where weighted sums are computed; null is the CPU's threads. What no device can do (ranks, signs, norms) stays on the threads.</summary>
    public Device? Device { get; init; }

    /// <summary>Seed of the methods that draw at random.</summary>
    public ulong Seed { get; init; } = 1;

    /// <summary>Bytes of tensor data in one output file.</summary>
    public long ShardBytes { get; init; } = SafetensorsModelWriter.DefaultShardBytes;
}

/// <summary>What a merge is made of, and what it will take or took.</summary>
public sealed record MergeReport
{
    /// <summary>The method.</summary>
    public required string Method { get; init; }

    /// <summary>The models that were opened, the base among them; models of weight 0 are not opened.</summary>
    public required IReadOnlyList<string> Models { get; init; }

    /// <summary>Tensors of the result.</summary>
    public required int Tensors { get; init; }

    /// <summary>Elements of the result.</summary>
    public required long Parameters { get; init; }

    /// <summary>Stored bytes of all inputs, each counted once.</summary>
    public required long BytesRead { get; init; }

    /// <summary>Bytes of tensor data written.</summary>
    public required long BytesWritten { get; init; }

    /// <summary>Bytes of buffers: an upper estimate before, what was held after. Mapped files are not counted.</summary>
    public required long PeakBytes { get; init; }

    /// <summary>How vocabularies were brought together; empty when they were equal.</summary>
    public required IReadOnlyList<VocabularyReport> Vocabulary { get; init; }

    /// <summary>What the user should know.</summary>
    public required IReadOnlyList<string> Warnings { get; init; }

    /// <summary>Elements of the result that the device of the options summed; the others come from the CPU's threads.</summary>
    public long ParametersOnDevice { get; init; }

    /// <summary>Time of reading, merging and handing bytes to the file system.</summary>
    public TimeSpan MergeTime { get; init; }

    /// <summary>Time of the whole, with checking before, and forcing to disk and publishing after.</summary>
    public TimeSpan TotalTime { get; init; }
}

/// <summary>
/// Merges models on disk into a new folder: each thread takes blocks of the tensors, merges them in double piece by piece from where the inputs are
/// mapped, rounds once and writes them to their place in the file. Memory, per thread: a stretch of 2^18 elements of the result and a piece of each input;
/// methods that look at whole rows hold a row of each. At most 128 MiB of the inputs are mapped at a time.
/// Same bits for any number of threads.
/// </summary>
public sealed class ParameterMerger : IDisposable
{
    private readonly MergeRecipe _recipe;
    private readonly MergeOptions _options;
    private readonly MergePlan _plan;
    private readonly long _opened = Stopwatch.GetTimestamp();

    /// <summary>
    /// Opens the models of a recipe and checks names, shapes, types, configurations and vocabularies; nothing heavy is read. Errors: BadInput
    /// that lists what does not fit.
    /// </summary>
    public ParameterMerger(MergeRecipe recipe, MergeOptions? options = null)
    {
        (_recipe, _options) = (recipe, options ?? new MergeOptions());
        _plan = MergePlan.Make(recipe, _options.Seed);
    }

    /// <summary>What would be done: no times, the peak an upper estimate.</summary>
    public MergeReport Plan => Report(PlannedPeak(), default);

    /// <summary>Elements of the largest piece that one thread holds at a time.</summary>
    private long LargestPiece => !_recipe.Method.HoldsRows ? TensorMerge.Piece
        : Math.Max(TensorMerge.Piece, _plan.Tensors.Where(t => t.Inputs is not null).Select(t => t.Inputs!.First.RowLength).DefaultIfEmpty(0).Max());

    /// <summary>
    /// Merges into a new folder, which appears only when it is complete: safetensors (one file, or shards with an index), config.json and
    /// tokenizer files. Progress receives the elements done. Errors: Usage when the folder is there already, Numerical for a result that is
    /// not finite, with the tensor and the first model at fault, WillNotFit for a full disk. Nothing is left behind by a failure.
    /// </summary>
    public MergeReport Run(string output, Action<long>? progress = null, CancellationToken cancellation = default)
    {
        using var team = new ThreadTeam(_options.Threads);
        var scan = new TensorScan(team, cancellation);
        using var onDevice = _options.Device is { } device ? new DeviceSum(device) : null;
        var run = new MergeRun(_recipe.Method, scan, onDevice, progress, cancellation);
        var tensors = _plan.Tensors.ToDictionary(t => t.Spec.Name, StringComparer.Ordinal);
        long peak = 0;
        AtomicFolder.Publish(output, folder =>
        {
            SafetensorsModelWriter.WriteTogether(
                folder, [.. _plan.Tensors.Select(t => t.Spec)], file => run.Write([.. file.Select(part => (tensors[part.Spec.Name], part.Sink))]), maxShardBytes: _options.ShardBytes);
            peak = scan.ScratchBytes + _plan.Inputs.Sum(input => input.AdapterBytes);
            MergedFiles.Write(folder, _plan, _recipe.OutputType);
        }, checksums: false, cancellation: cancellation);
        return Report(peak, run.Time) with { ParametersOnDevice = run.SummedOnDevice, TotalTime = Stopwatch.GetElapsedTime(_opened) };
    }

    /// <summary>How far the models lie from the result in a folder that <see cref="Run"/> wrote, and from each other. Reads everything once more.</summary>
    public MergeDistances Distances(string output, CancellationToken cancellation = default) => MergeDistances.Of(_plan, output, _options.Threads, cancellation);

    /// <summary>Closes the models.</summary>
    public void Dispose() => _plan.Dispose();

    /// <summary>place = min(place, value), whoever else does the same.</summary>
    internal static void KeepSmallest(ref long place, long value)
    {
        for (long seen = Volatile.Read(ref place); value < seen;)
        {
            long before = Interlocked.CompareExchange(ref place, value, seen);
            if (before == seen)
            {
                return;
            }
            seen = before;
        }
    }

    private MergeReport Report(long peak, TimeSpan merging) => new()
    {
        Method = _recipe.MethodName,
        Models = [.. _plan.Inputs.Select(input => input.Reference)],
        Tensors = _plan.Tensors.Count,
        Parameters = _plan.Tensors.Sum(t => t.Spec.ElementCount),
        BytesRead = _plan.Tensors.Sum(t => t.Sources.Sum(source => source.Tensor.ByteLength)),
        BytesWritten = _plan.Tensors.Sum(t => t.Spec.ByteLength),
        PeakBytes = peak,
        Vocabulary = _plan.Vocabulary?.Reports ?? [],
        Warnings = _plan.Warnings,
        MergeTime = merging,
    };

    /// <summary>Per thread a stretch of the result, a piece of every input, and a block of each for passes before the merge.</summary>
    private long PlannedPeak()
    {
        int models = _plan.Inputs.Count;
        long block = Math.Max(TensorScan.Block, LargestPiece), stretch = Math.Max(MergeRun.Stretch, LargestPiece);
        bool onePass = !_recipe.Method.Scans;
        long passes = 8 * (onePass ? (models + 3L) * TensorMerge.Piece : ((models + 3L) * block) + (1 << 16) + (1 << 13));
        long perThread = (8 * stretch) + passes;
        long onDevice = _options.Device is null ? 0 : 24L * DeviceSum.Elements;
        return (_options.Threads * perThread) + (onePass ? 0 : 8L << 20) + onDevice + _plan.Inputs.Sum(input => input.AdapterBytes);
    }
}
