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
/// Merges models on disk into a new folder, tensor by tensor: each thread takes a stretch of 2^15 elements, merges it in double piece by
/// piece, rounds once and writes it to its place in the file. Weighted sums read their inputs into a buffer; other methods look at them mapped.
/// Memory, per thread: a stretch of the result and 1 MiB of inputs, or a piece of each; methods that look at whole rows hold a row of each.
/// Same bits for any number of threads.
/// </summary>
public sealed class ParameterMerger : IDisposable
{
    // Long enough that reading and writing run at the speed of memory, short enough that the result waits for its writing in the cache.
    private const long Stretch = 1 << 15;

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
        var tensors = _plan.Tensors.ToDictionary(t => t.Spec.Name, StringComparer.Ordinal);
        TimeSpan merging = default;
        long done = 0, peak = 0, summedThere = 0;
        AtomicFolder.Publish(output, folder =>
        {
            SafetensorsModelWriter.Write(folder, [.. _plan.Tensors.Select(t => t.Spec)], (spec, sink) =>
            {
                var tensor = tensors[spec.Name];
                long start = Stopwatch.GetTimestamp();
                if (tensor.Copy is { } copy)
                {
                    CopyBytes(copy, sink, cancellation);
                }
                else
                {
                    summedThere += MergeTensor(tensor, scan, onDevice, sink, cancellation) ? spec.ElementCount : 0;
                }
                merging += Stopwatch.GetElapsedTime(start);
                done += spec.ElementCount;
                progress?.Invoke(done);
            }, maxShardBytes: _options.ShardBytes, cancellation: cancellation);
            peak = scan.ScratchBytes + _plan.Inputs.Sum(input => input.AdapterBytes);
            MergedFiles.Write(folder, _plan, _recipe.OutputType);
        }, checksums: false, cancellation: cancellation);
        return Report(peak, merging) with { ParametersOnDevice = summedThere, TotalTime = Stopwatch.GetElapsedTime(_opened) };
    }

    /// <summary>How far the models lie from the result in a folder that <see cref="Run"/> wrote, and from each other. Reads everything once more.</summary>
    public MergeDistances Distances(string output, CancellationToken cancellation = default) => MergeDistances.Of(_plan, output, _options.Threads, cancellation);

    /// <summary>Closes the models.</summary>
    public void Dispose() => _plan.Dispose();

    /// <summary>Merges and writes one tensor; true when the device summed it.</summary>
    private bool MergeTensor(OutputTensor tensor, TensorScan scan, DeviceSum? device, TensorSink sink, CancellationToken cancellation)
    {
        var merge = _recipe.Method.Prepare(tensor.Inputs!, scan);
        if (device is not null && DeviceSum.Takes(merge, tensor.Spec.ElementCount))
        {
            SumOnDevice(tensor, (WeightedTensorMerge)merge, device, sink, cancellation);
            return true;
        }
        var type = tensor.Spec.DType;
        int size = type.Bits() / 8;
        long stretch = Math.Max(merge.Grain, Stretch / merge.Grain * merge.Grain), bad = long.MaxValue;
        scan.ForEachRange(tensor.Spec.ElementCount, stretch, (start, count, scratch) =>
        {
            cancellation.ThrowIfCancellationRequested();
            var output = scratch.Output(count * size);
            int at = merge.Store(start, count, type, output, scratch);
            if (at >= 0)
            {
                KeepSmallest(ref bad, start + at);
            }
            sink.WriteAt(start * size, output);
        });
        return bad == long.MaxValue ? false : throw NotFinite(tensor, bad);
    }

    private void SumOnDevice(OutputTensor tensor, WeightedTensorMerge merge, DeviceSum device, TensorSink sink, CancellationToken cancellation)
    {
        var type = tensor.Spec.DType;
        int size = type.Bits() / 8;
        long count = tensor.Spec.ElementCount;
        int window = (int)Math.Min(DeviceSum.Elements, count);
        double[] values = new double[window];
        byte[] stored = new byte[window * size];
        for (long start = 0; start < count; start += window)
        {
            cancellation.ThrowIfCancellationRequested();
            int length = (int)Math.Min(window, count - start);
            device.Combine(merge, start, values.AsSpan(0, length));
            int bad = OutputRounding.Store(values.AsSpan(0, length), type, stored.AsSpan(0, length * size));
            if (bad >= 0)
            {
                throw NotFinite(tensor, start + bad);
            }
            sink.WriteAt(start * size, stored.AsSpan(0, length * size));
        }
    }

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

    private static void CopyBytes(SafetensorsTensor tensor, TensorSink sink, CancellationToken cancellation)
    {
        const int Part = 1 << 24;
        for (long at = 0; at < tensor.ByteLength; at += Part)
        {
            cancellation.ThrowIfCancellationRequested();
            sink.WriteBytes(tensor.Bytes(at, (int)Math.Min(Part, tensor.ByteLength - at)));
        }
    }

    private EngineException NotFinite(OutputTensor tensor, long element)
    {
        string name = FormatErrors.Quote(tensor.Spec.Name);
        Span<double> value = stackalloc double[1];
        var inputs = tensor.Inputs!;
        foreach (var (reader, i) in inputs.Models.Concat(inputs.Base is null ? [] : [inputs.Base]).Select((reader, i) => (reader, i)))
        {
            reader.Read(element, value);
            if (!double.IsFinite(value[0]))
            {
                return new EngineException(ErrorKind.Numerical,
                    FormattableString.Invariant($"element {element} of tensor {name} is {value[0]} in {tensor.Sources[i].Model}, so the merge has no finite value there"),
                    "repair or leave out that model; nothing was written");
            }
        }
        return new EngineException(ErrorKind.Numerical,
            FormattableString.Invariant($"element {element} of the merged tensor {name} is not finite as {tensor.Spec.DType.FileName()}, although its inputs are finite there"),
            tensor.Spec.DType == DType.F16 ? "float16 ends at 65504; store as bfloat16 or float32" : "check the weights and parameters of the recipe; nothing was written");
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

    /// <summary>Per thread a stretch of the result, what is read of the inputs for a weighted sum, and a block of every input for passes before the merge.</summary>
    private long PlannedPeak()
    {
        int models = _plan.Inputs.Count;
        long block = Math.Max(TensorScan.Block, LargestPiece), stretch = Math.Max(Stretch, LargestPiece);
        bool onePass = !_recipe.Method.Scans;
        long passes = 8 * (onePass ? (models + 3L) * TensorMerge.Piece : ((models + 3L) * block) + (1 << 16) + (1 << 13));
        long perThread = (8 * stretch) + WeightedTensorMerge.FetchBytes + passes;
        long onDevice = _options.Device is null ? 0 : 24L * DeviceSum.Elements;
        return (_options.Threads * perThread) + (onePass ? 0 : 8L << 20) + onDevice + _plan.Inputs.Sum(input => input.AdapterBytes);
    }
}
