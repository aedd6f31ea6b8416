namespace NativeEngine.Devices.Cpu;

internal sealed unsafe partial class CpuKernels<L>
{
    public void GatherRows(Tensor<float> x, Tensor<int> rows, Tensor<float> y)
    {
        Require.That(x.RowLength == y.RowLength && y.Rows == rows.Length,
            $"gather rows: x {x.Shape}, {rows.Length} rows, y {y.Shape}; y must be [{rows.Length} x {x.RowLength}]");
        RequireIndices("gather rows", rows, x.Rows);
        _team.For(new GatherRowsJob(x.Pointer, rows.Pointer, y.Pointer, x.RowLength), rows.Length, RowGrain(x.RowLength));
    }

    public void ScatterAddRows(Tensor<float> x, Tensor<int> rows, Tensor<float> y)
    {
        Require.That(x.RowLength == y.RowLength && x.Rows == rows.Length,
            $"scatter add rows: x {x.Shape}, {rows.Length} rows, y {y.Shape}; x must be [{rows.Length} x {y.RowLength}]");
        RequireIndices("scatter add rows", rows, y.Rows);
        long columns = x.RowLength;
        _team.For(new ScatterAddRowsJob(x.Pointer, rows.Pointer, y.Pointer, rows.Length, columns), columns, ColumnGrain(rows.Length, columns));
    }

    /// <summary>Rows a thread takes at a time in kernels over independent rows.</summary>
    private static long RowGrain(long rowLength) => Math.Max(1, ElementGrain / Math.Max(1, rowLength));

    /// <summary>Columns a thread takes in kernels that add up rows: a share of whole lanes each, or all of them when there is little to do.</summary>
    private long ColumnGrain(long rows, long columns)
    {
        long share = (columns + _team.Size - 1) / _team.Size;
        return rows * columns <= ElementGrain ? Math.Max(columns, 1) : (share + 15) / 16 * 16;
    }

    private static void RequireIndices(string operation, Tensor<int> indices, long bound)
    {
        int* index = indices.Pointer;
        for (long i = 0; i < indices.Length; i++)
        {
            Require.That((uint)index[i] < bound, $"{operation}: index {index[i]} at {i} is not in 0..{bound - 1}");
        }
    }

    private readonly struct GatherRowsJob(float* x, int* rows, float* y, long columns) : IRangeJob
    {
        public void Run(long first, long last, int worker)
        {
            long bytes = columns * sizeof(float);
            for (long i = first; i < last; i++)
            {
                Buffer.MemoryCopy(x + (rows[i] * columns), y + (i * columns), bytes, bytes);
            }
        }
    }

    /// <summary>A band of columns of all rows, so that every destination takes its rows in order.</summary>
    private readonly struct ScatterAddRowsJob(float* x, int* rows, float* y, long count, long columns) : IRangeJob
    {
        public void Run(long first, long last, int worker)
        {
            for (long i = 0; i < count; i++)
            {
                Add(x + (i * columns) + first, y + (rows[i] * columns) + first, last - first);
            }
        }

        private static void Add(float* x, float* y, long count)
        {
            long j = 0;
            for (; j + 16 <= count; j += 16)
            {
                L.Store(L.Load(y + j) + L.Load(x + j), y + j);
            }
            for (; j < count; j++)
            {
                y[j] += x[j];
            }
        }
    }
}
