using NativeEngine.Devices;

namespace NativeEngine.Selection;

/// <summary>What decides a streaming selection besides the features and the sources.</summary>
public sealed record StreamingOptions
{
    /// <summary>Examples to select, kept ones included (B).</summary>
    public required int Budget { get; init; }

    /// <summary>Which sources are kept whole; decided when the sizes are known, at the end.</summary>
    public SmallSourceRule Keep { get; init; } = SmallSourceRule.None;

    /// <summary>How rows are compared.</summary>
    public DistanceMetric Metric { get; init; } = DistanceMetric.L1;

    /// <summary>How the budget is shared among the sources.</summary>
    public QuotaRule Quota { get; init; } = QuotaRule.Proportional;

    /// <summary>Rounding of proportional shares.</summary>
    public QuotaRounding Rounding { get; init; } = QuotaRounding.Floor;

    /// <summary>Most bytes for the stored rows and the work on them; see <see cref="RowsWithin"/>.</summary>
    public long MemoryBytes { get; init; } = 1L << 30;

    /// <summary>Rows stored at most (M); 0: as many as <see cref="MemoryBytes"/> holds, up to <see cref="MostRows"/>.</summary>
    public int Rows { get; init; }

    /// <summary>Seed of the balanced quotas.</summary>
    public ulong Seed { get; init; }

    /// <summary>Rows that memory alone does not exceed: time for an example grows with M.</summary>
    public const int MostRows = 16_384;

    /// <summary>
    /// Bytes for M stored rows of d elements: the rows, a gathered and a packed copy (12 M d), the similarities and their copy (8 M^2), positions and gains (96 M), and 8 MiB that
    /// does not grow. It depends on nothing else, so the same dial stores the same rows on every machine.
    /// </summary>
    public static long BytesFor(long rows, long dimension) => (rows * ((12 * dimension) + 96)) + (8 * rows * rows) + (8L << 20);

    /// <summary>
    /// M for features of a length: the most rows, even, whose <see cref="BytesFor"/> are within the dial. Errors: WillNotFit where that is fewer than 2 B, with the bytes needed.
    /// </summary>
    public int RowsWithin(long dimension)
    {
        Validate();
        long rows = Rows > 0 ? Rows : MostRows;
        while (Rows == 0 && rows >= 2 && BytesFor(rows, dimension) > MemoryBytes)
        {
            rows -= Math.Max(2, rows / 64 * 2);
        }
        rows -= rows % 2;
        long least = Math.Max(2L * Budget, 4);
        if (rows < least)
        {
            long need = BytesFor(least, dimension);
            throw new EngineException(
                ErrorKind.WillNotFit,
                Rows > 0 ? $"{Rows} stored rows are too few for a budget of {Budget}: at least {least} are needed"
                    : $"{MemoryBytes:N0} bytes hold {Math.Max(0, rows)} rows of {dimension} elements; a budget of {Budget} needs {least} of them, {need:N0} bytes",
                least > MostRows && Rows == 0 ? "make the budget smaller, or give the number of rows" : Rows > 0 ? "give more rows" : $"allow at least {need} bytes, or make the budget smaller");
        }
        return (int)rows;
    }

    private void Validate()
    {
        if (Budget < 1)
        {
            throw new EngineException(ErrorKind.Usage, $"a budget of {Budget} selects nothing", "give a budget of at least 1");
        }
        // Beyond it the similarities are more elements than an array has.
        const int LargestMatrix = 46_340;
        if (Rows is < 0 or > LargestMatrix || MemoryBytes < 0)
        {
            throw new EngineException(ErrorKind.Usage, $"{Rows} rows in {MemoryBytes} bytes cannot be stored", $"give at most {LargestMatrix} rows, or 0 for the number that fits");
        }
        if (Quota == QuotaRule.None && Keep.Kind is not (SmallSourceKind.None or SmallSourceKind.Listed))
        {
            throw new EngineException(
                ErrorKind.Usage, $"without quotas the sources compete as one, so the rule \"{Keep}\" would come too late: which sources are small is known at the end of the stream",
                "name the kept sources, or use proportional quotas");
        }
    }
}

/// <summary>
/// The selection of what a stream gave so far. Positions count the examples from 0 in the order they came.
/// <para>Every example has a stored row that stands for it, reached by reductions whose distances sum to at most <see cref="Displacement"/> E over all examples. With D(A) the sum over the examples of
/// the distance to the nearest of A, and D_W(A) the same over the stored rows with their weights, the triangle inequality gives |D(A) - D_W(A)| &lt;= E for every A. So the selected examples have a D(A)
/// within E of <see cref="Cost"/>, and with F = n C - D, F(A) >= (1 - 1/e) F(A') - 2 E for every A' of stored rows with the same quotas. The cosine is no metric: there both are NaN.</para>
/// </summary>
public sealed record StreamingResult
{
    /// <summary>Selected positions in training order: kept ascending, then for each source ascending its picks in greedy order.</summary>
    public required IReadOnlyList<long> Indices { get; init; }

    /// <summary>Examples that each stands for; 1 for kept ones. Of a source that was chosen from they sum to its finite examples.</summary>
    public required IReadOnlyList<long> Weights { get; init; }

    /// <summary>Gain of each pick in the weighted objective; null for kept examples and sources taken whole.</summary>
    public required IReadOnlyList<double?> Gains { get; init; }

    /// <summary>Examples seen.</summary>
    public required long Seen { get; init; }

    /// <summary>Of the selected, how many belong to kept sources.</summary>
    public required int Kept { get; init; }

    /// <summary>Examples with a feature that is not finite, sources that are kept excepted.</summary>
    public required long Dropped { get; init; }

    /// <summary>Times that the stored rows were halved; with 0 the picks are those of exact greedy over all examples.</summary>
    public required long Reductions { get; init; }

    /// <summary>Weighted objective over the stored rows.</summary>
    public required double Objective { get; init; }

    /// <summary>No selection of stored rows with the same quotas has a weighted objective above this; at least 1 - 1/e of it is reached.</summary>
    public required double UpperBound { get; init; }

    /// <summary>Sum of weight times distance from each stored row to its pick, D_W.</summary>
    public required double Cost { get; init; }

    /// <summary>E: bound on the sum over all examples of the distance to their stored representative; 0 without reductions, NaN for cosine and where more sources than M / 2 left some without a row.</summary>
    public required double Displacement { get; init; }
}
