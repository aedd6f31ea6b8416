using NativeEngine.Devices.Cpu;
using NativeEngine.Formats;

namespace NativeEngine.Merging;

/// <summary>
/// The linear merge of vectors that are in memory already: y = sum w_k x_k, divided by sum w_k when normalized. Added in the order of the inputs in double, one rounding to the output type:
/// the same bits as merging files that hold these vectors with method linear, for any number of threads.
/// </summary>
public static class BufferMerger
{
    // Inputs and sums of a piece stay in the first cache.
    private const int Piece = 1 << 10;

    /// <summary>
    /// Merges vectors of a length on the device's threads. The output may be one of the inputs when the types agree. Errors: Usage for no input, another number of weights, types other than F32 and
    /// BF16, or weights that cannot be normalized; Numerical naming the first element that is not finite, the output then being unspecified.
    /// </summary>
    /// <param name="device">Its threads do the work.</param>
    /// <param name="inputs">Addresses of the vectors.</param>
    /// <param name="type">Their type, F32 or BF16.</param>
    /// <param name="weights">One for each input, finite.</param>
    /// <param name="normalize">Divide by the sum of the weights.</param>
    /// <param name="length">Elements of each vector.</param>
    /// <param name="output">Address of the result.</param>
    /// <param name="outputType">Its type, F32 or BF16.</param>
    /// <param name="cancellation">Looked at between pieces of 2^22 elements; the output is then unspecified.</param>
    public static void WeightedSum(
        CpuDevice device, ReadOnlySpan<nint> inputs, DType type, ReadOnlySpan<double> weights, bool normalize, long length, nint output, DType outputType,
        CancellationToken cancellation = default)
    {
        if (inputs.IsEmpty || inputs.Length != weights.Length || length < 0)
        {
            throw new EngineException(ErrorKind.Usage, $"{inputs.Length} vectors of {length} elements cannot be merged with {weights.Length} weights", "give a weight for each of at least one vector");
        }
        if (type is not (DType.F32 or DType.BF16) || outputType is not (DType.F32 or DType.BF16))
        {
            throw new EngineException(ErrorKind.Usage, $"vectors of {type} cannot be merged to {outputType}", "both may be F32 or BF16");
        }
        double divisor = 0;
        foreach (double weight in weights)
        {
            divisor += double.IsFinite(weight) ? weight : throw new EngineException(ErrorKind.Usage, FormattableString.Invariant($"a weight is {weight}; weights must be finite"));
        }
        if (normalize && Math.Abs(divisor) < 1e-8)
        {
            throw new EngineException(ErrorKind.Usage, FormattableString.Invariant($"the weights sum to {divisor:R}, so they cannot be normalized"), "use other weights, or do not normalize");
        }
        var job = new Job(inputs.ToArray(), type, weights.ToArray(), normalize ? divisor : 1, output, outputType, 0, new long[] { long.MaxValue });
        const long Part = 1 << 22;
        for (long first = 0; first < length; first += Part)
        {
            cancellation.ThrowIfCancellationRequested();
            device.Team.For(job with { Start = first }, Math.Min(Part, length - first), 16 * Piece);
        }
        if (job.FirstBad[0] is < long.MaxValue and long bad)
        {
            throw new EngineException(ErrorKind.Numerical, $"element {bad} of the merge is not finite as {outputType}", "look at that element of the inputs");
        }
    }

    private readonly record struct Job(
        nint[] Inputs, DType Type, double[] Weights, double Divisor, nint Output, DType OutputType, long Start, long[] FirstBad) : IRangeJob
    {
        public unsafe void Run(long first, long last, int worker)
        {
            Span<double> sums = stackalloc double[Piece];
            Span<StoredElements> from = Inputs.Length <= 64 ? stackalloc StoredElements[Inputs.Length] : new StoredElements[Inputs.Length];
            int size = Type.Bits() / 8, outputSize = OutputType.Bits() / 8;
            for (long i = Start + first; i < Start + last; i += Piece)
            {
                int count = (int)Math.Min(Piece, Start + last - i);
                for (int k = 0; k < from.Length; k++)
                {
                    from[k] = new StoredElements(Inputs[k] + (nint)(i * size), Type == DType.BF16);
                }
                var target = new Span<byte>((void*)(Output + (nint)(i * outputSize)), count * outputSize);
                int bad = StreamedSum.Store(from, 0, Weights, Divisor, OutputType, target, sums);
                if (bad >= 0)
                {
                    ParameterMerger.KeepSmallest(ref FirstBad[0], i + bad);
                }
            }
        }
    }
}
