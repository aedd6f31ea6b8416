using System.Diagnostics;
using NativeEngine.Formats;

namespace NativeEngine.Merging;

/// <summary>
/// One run of a merge: the tensors of a file together, cut into blocks that threads take one after the other. A thread looks at a block of every input
/// where it is mapped, merges a stretch of it, writes that to its place in the file, and lets the block's pages go before the next. Same bits for any number of
/// threads and any cut.
/// </summary>
internal sealed class MergeRun(MergeMethod method, TensorScan scan, DeviceSum? device, Action<long>? progress, CancellationToken cancellation)
{
    /// <summary>Elements of the result that a thread merges before it writes them: still in its cache, and a file system takes long pieces faster than short ones.</summary>
    public const int Stretch = 1 << 18;

    // Bytes of all inputs that are mapped by all threads at a time. Taking pages from a process stops its other threads for a moment, so it is done seldom.
    private const long Window = 128 << 20;
    private const long SmallestBlock = 1 << 15, LargestBlock = 1 << 21;
    private const int BlocksPerThread = 32;

    private readonly Lock _reporting = new();
    private long _done, _bad = long.MaxValue;

    /// <summary>Elements that the device summed.</summary>
    public long SummedOnDevice { get; private set; }

    /// <summary>Time of reading, merging and writing.</summary>
    public TimeSpan Time { get; private set; }

    /// <summary>Merges and writes the tensors of one file. Errors: Numerical for the first element in file order that is not finite.</summary>
    public void Write(IReadOnlyList<(OutputTensor Tensor, TensorSink Sink)> file)
    {
        long start = Stopwatch.GetTimestamp(), all = file.Sum(part => part.Tensor.Spec.ElementCount);
        long share = Math.Max(SmallestBlock, all / (BlocksPerThread * scan.Threads));
        var waiting = new List<Part>();
        foreach (var (tensor, sink) in file)
        {
            if (tensor.Inputs is null)
            {
                waiting.Add(new Part(tensor, sink, null, LargestBlock));
                continue;
            }
            var merge = method.Prepare(tensor.Inputs, scan);
            if (device is not null && DeviceSum.Takes(merge, tensor.Spec.ElementCount))
            {
                SumOnDevice(tensor, (WeightedTensorMerge)merge, device, sink);
                continue;
            }
            long window = Window / scan.Threads / Math.Max(1, tensor.Sources.Sum(source => source.Tensor.DType.Bits() / 8));
            waiting.Add(new Part(tensor, sink, merge, Math.Clamp(Math.Min(window, share), SmallestBlock, LargestBlock)));
            // What a method has looked at before it merges is best merged while it is at hand.
            if (method.Scans)
            {
                Run(waiting);
            }
        }
        Run(waiting);
        Time += Stopwatch.GetElapsedTime(start);
    }

    private void Run(List<Part> parts)
    {
        long[] ends = new long[parts.Count];
        for (int p = 0; p < ends.Length; p++)
        {
            ends[p] = (p == 0 ? 0 : ends[p - 1]) + parts[p].Blocks;
        }
        if (ends.Length > 0 && ends[^1] > 0)
        {
            scan.ForEachRange(ends[^1], 1, (index, _, scratch) =>
            {
                int at = Array.BinarySearch(ends, index + 1);
                int p = at >= 0 ? FirstOf(ends, at) : ~at;
                // What comes after a tensor that cannot be merged is not needed.
                if (p <= Volatile.Read(ref _bad))
                {
                    Block(parts[p], p, index - (p == 0 ? 0 : ends[p - 1]), scratch);
                }
            });
        }
        if (_bad < long.MaxValue)
        {
            throw parts[(int)_bad].NotFinite();
        }
        parts.Clear();
    }

    // Tensors of no elements end where the one before them ends.
    private static int FirstOf(long[] ends, int at)
    {
        while (at > 0 && ends[at - 1] == ends[at])
        {
            at--;
        }
        return at;
    }

    private void Block(Part part, int place, long block, MergeScratch scratch)
    {
        cancellation.ThrowIfCancellationRequested();
        long start = block * part.Block;
        int count = (int)Math.Min(part.Block, part.Tensor.Spec.ElementCount - start);
        if (part.Tensor.Copy is { } copy)
        {
            int size = (int)(copy.ByteLength / part.Tensor.Spec.ElementCount);
            copy.Bring(start * size, (long)count * size);
            part.Sink.WriteAt(start * size, copy.Bytes(start * size, count * size));
            copy.Forget(start * size, (long)count * size);
        }
        else
        {
            part.Tensor.Inputs!.Bring(start, count);
            Merge(part, place, start, count, scratch);
            part.Tensor.Inputs.Forget(start, count);
        }
        lock (_reporting)
        {
            progress?.Invoke(_done += count);
        }
    }

    private void Merge(Part part, int place, long start, int count, MergeScratch scratch)
    {
        var merge = part.Merge!;
        var type = part.Tensor.Spec.DType;
        int size = type.Bits() / 8, stretch = (int)Math.Max(merge.Grain, Stretch / merge.Grain * merge.Grain);
        for (int at = 0; at < count; at += stretch)
        {
            int length = Math.Min(stretch, count - at);
            var output = scratch.Output(length * size);
            int bad = merge.Store(start + at, length, type, output, scratch);
            if (bad >= 0)
            {
                ParameterMerger.KeepSmallest(ref part.Bad, start + at + bad);
                ParameterMerger.KeepSmallest(ref _bad, place);
            }
            part.Sink.WriteAt((start + at) * size, output);
        }
    }

    private void SumOnDevice(OutputTensor tensor, WeightedTensorMerge merge, DeviceSum sums, TensorSink sink)
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
            tensor.Inputs!.Bring(start, length);
            sums.Combine(merge, start, values.AsSpan(0, length));
            tensor.Inputs.Forget(start, length);
            int bad = OutputRounding.Store(values.AsSpan(0, length), type, stored.AsSpan(0, length * size));
            if (bad >= 0)
            {
                throw new Part(tensor, sink, merge, 1) { Bad = start + bad }.NotFinite();
            }
            sink.WriteAt(start * size, stored.AsSpan(0, length * size));
            progress?.Invoke(_done += length);
        }
        SummedOnDevice += count;
    }

    /// <summary>A tensor of the file and how it is cut; merge is null for one that is copied.</summary>
    private sealed class Part(OutputTensor tensor, TensorSink sink, TensorMerge? merge, long block)
    {
        /// <summary>The first element that is not finite.</summary>
        public long Bad = long.MaxValue;

        public OutputTensor Tensor => tensor;

        public TensorSink Sink => sink;

        public TensorMerge? Merge => merge;

        /// <summary>Elements of a block.</summary>
        public long Block { get; } = merge is null ? block : Math.Max(merge.Grain, block / merge.Grain * merge.Grain);

        public long Blocks => (tensor.Spec.ElementCount + Block - 1) / Block;

        public EngineException NotFinite()
        {
            string name = FormatErrors.Quote(tensor.Spec.Name);
            Span<double> value = stackalloc double[1];
            var inputs = tensor.Inputs!;
            foreach (var (reader, i) in inputs.Models.Concat(inputs.Base is null ? [] : [inputs.Base]).Select((reader, i) => (reader, i)))
            {
                reader.Read(Bad, value);
                if (!double.IsFinite(value[0]))
                {
                    return new EngineException(ErrorKind.Numerical,
                        FormattableString.Invariant($"element {Bad} of tensor {name} is {value[0]} in {tensor.Sources[i].Model}, so the merge has no finite value there"),
                        "repair or leave out that model; nothing was written");
                }
            }
            return new EngineException(ErrorKind.Numerical,
                FormattableString.Invariant($"element {Bad} of the merged tensor {name} is not finite as {tensor.Spec.DType.FileName()}, although its inputs are finite there"),
                tensor.Spec.DType == DType.F16 ? "float16 ends at 65504; store as bfloat16 or float32" : "check the weights and parameters of the recipe; nothing was written");
        }
    }
}
