using NativeEngine.Devices;
using NativeEngine.Devices.Cpu;

namespace NativeEngine.Selection;

/// <summary>What a selection needs, before it starts.</summary>
/// <param name="DeviceBytes">Peak of the device's meter, reading the file included.</param>
/// <param name="SelectorBytes">Peak of the device's meter while the selector runs on features that are there.</param>
/// <param name="ProcessBytes">The same with what lies beside the device's buffers at that time: packed rows, lists, results. Without the runtime itself.</param>
/// <param name="Terms">Terms of all distances: one column of one pair of rows each.</param>
/// <param name="MatrixElements">Elements of all n x n matrices the greedy reads.</param>
public sealed record SelectionMemory(long DeviceBytes, long SelectorBytes, long ProcessBytes, double Terms, double MatrixElements)
{
    /// <summary>
    /// The needs of loading all rows of a file, selecting from them, and describing the result. The features, their normalised copy, and for the largest source that
    /// competes its gathered columns and either its n x n similarities or its lists of neighbours.
    /// </summary>
    /// <param name="plan">The plan.</param>
    /// <param name="dimension">Elements of a feature.</param>
    /// <param name="normalized">Whether a normaliser with a history is used.</param>
    /// <param name="threads">Threads of the device.</param>
    public static SelectionMemory Of(SelectionPlan plan, long dimension, bool normalized, int threads)
    {
        long row = dimension * sizeof(float), candidates = plan.Candidates.Count;
        long columns = plan.Options.Top == 0 ? dimension : Math.Min(plan.Options.Top, dimension);
        long loading = (plan.PoolSize * row) + (plan.PoolSize * sizeof(int));
        if (candidates < plan.PoolSize)
        {
            loading += candidates * (row + sizeof(int));
        }
        long device = 0, process = 0;
        double terms = 0, elements = 0;
        foreach (var parts in plan.Groups.Where(g => !g.Kept && g.Budget > 0).GroupBy(g => g.Source))
        {
            long n = parts.Sum(g => (long)g.Members.Count), k = parts.Sum(g => g.Budget);
            if (k == n)
            {
                continue;
            }
            long gathered = columns == dimension && n == candidates ? 0 : n * columns * sizeof(float);
            long fixedBytes = gathered + (n * sizeof(int)) + (columns < dimension ? columns * sizeof(int) : 0);
            var choice = SelectionChoice.For(plan.Options, (int)n, (int)k);
            var (own, beside) = choice.Algorithm switch
            {
                SelectionAlgorithm.Exact => Matrix(n, k),
                SelectionAlgorithm.Partitioned => Parts(parts, n, columns, choice, plan.Options),
                _ => Lists(n, columns, choice.Neighbours, plan.Options),
            };
            long packed = CpuDevice.SimilarityScratch(n, columns, threads);
            device = Math.Max(device, fixedBytes + own);
            process = Math.Max(process, fixedBytes + own + beside + packed);
            bool matrix = choice.Algorithm is SelectionAlgorithm.Exact or SelectionAlgorithm.Partitioned;
            terms += (choice.Algorithm == SelectionAlgorithm.Exact ? 0 : n * (n + 1.0) / 2 * columns)
                + (matrix ? parts.Sum(p => p.Members.Count * (p.Members.Count + 1.0) / 2 * columns) : 0);
            elements += matrix ? parts.Sum(p => (double)p.Members.Count * p.Members.Count) : 0;
        }
        long resident = (candidates * row * (normalized && device > 0 ? 2 : 1)) + (normalized ? 2 * row : 0);
        // Indices, owners, weights and the rest of the document, and the text it is written as.
        const long Described = 96;
        return new SelectionMemory(
            Math.Max(loading, resident + device), resident + device, Math.Max(loading, resident + process) + (plan.PoolSize * Described), terms, elements);
    }

    /// <summary>
    /// Candidates up to which a source may have an n x n matrix (<see cref="SelectionOptions.ExactLimit"/>) when there are so many bytes: it must fit beside the features, their normalised copy and
    /// a gathered one; past 32768 lists of neighbours are quicker and as good.
    /// </summary>
    public static int ExactLimit(long bytes, long rows, long dimension, bool normalized, bool gathered, int threads)
    {
        const long Most = 32_768;
        long copies = 1 + (normalized ? 1 : 0) + (gathered ? 1 : 0);
        long left = bytes - (copies * rows * dimension * sizeof(float)) - CpuDevice.SimilarityScratch(rows, dimension, threads);
        return (int)Math.Min(Most, Math.Sqrt(Math.Max(left, 4) / sizeof(float)));
    }

    private static (long Device, long Beside) Matrix(long n, long k) => ((n * n * sizeof(float)) + sizeof(float) + ((n + k) * 12), (n * 36) + CpuDevice.FacilityLocationScratch(n));

    private static (long Device, long Beside) Lists(long n, long columns, int neighbours, SelectionOptions options)
    {
        long t = Math.Min(neighbours, n - 1), lists = n * t * 8, block = NeighbourGraph.BlockRows(n);
        long pass = (block * block * sizeof(float)) + lists;
        if (options.Precision != SelectionPrecision.Fp32 && options.WhyNotScreened(n) is null)
        {
            // Rounded rows and wider lists on the device, the exact lists on the host from the start.
            var type = options.Precision == SelectionPrecision.Int8 ? ScreenType.Int8 : ScreenType.Int16;
            long screened = (block * block * sizeof(float)) + (n * ScreenedNeighbours.Width(n, (int)t, type) * 8) + ScreenedRows.Bytes(n, columns, type);
            return (screened, Math.Max(lists, (2 * lists) + (n * 60) - screened));
        }
        // The lists are copied to the host while the device has them; then they are turned around, without the device, which keeps a little of what it was given back.
        long peak = Math.Max(pass + lists, lists + ReverseLists.Bytes(n, t) + (n * 60) + Math.Min(pass, CpuDevice.KeptBytes));
        return (pass, peak - pass);
    }

    private static (long Device, long Beside) Parts(
        IEnumerable<SelectionGroup> parts, long n, long columns, SelectionChoice choice, SelectionOptions options)
    {
        var (pass, beside) = Lists(n, columns, choice.Neighbours, options);
        var largest = parts.MaxBy(p => p.Members.Count)!;
        long size = largest.Members.Count, one = Matrix(size, largest.Budget).Device + (size * ((columns * sizeof(float)) + sizeof(int)));
        // The C library keeps freed blocks of up to 32 MiB: each part's rows come out of what it keeps, and stay.
        long kept = Math.Min(size * columns * sizeof(float), 32 << 20);
        return one > pass ? (one, kept + Math.Max(0, pass + beside - one)) : (pass, kept + beside);
    }
}
