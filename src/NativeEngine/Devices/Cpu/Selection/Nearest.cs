using System.Runtime.Intrinsics;

namespace NativeEngine.Devices.Cpu;

// Lists of the nearest examples, kept up while blocks of distances pass.
internal sealed unsafe partial class CpuKernels<L>
{
    /// <summary>Columns whose lists one thread keeps at a time.</summary>
    private const int NearestColumns = 64;

    public void MergeNearest(Tensor<float> distances, long firstRow, long firstColumn, bool columns, Tensor<float> nearest, Tensor<int> neighbours)
    {
        long m = distances.Rows, p = distances.RowLength, lists = columns ? p : m, t = nearest.RowLength;
        Require.That(
            nearest.Rows == lists && neighbours.Rows == lists && neighbours.RowLength == t && t > 0,
            $"merge nearest: distances {distances.Shape} need {lists} lists, nearest is {nearest.Shape}, neighbours {neighbours.Shape}");
        var job = new NearestJob(distances.Pointer, p, m, firstRow, firstColumn, columns, nearest.Pointer, neighbours.Pointer, (int)t);
        _team.For(job, lists, columns ? NearestColumns : Math.Max(1, ElementGrain / Math.Max(1, p)));
    }

    private readonly struct NearestJob(
        float* d, long ld, long rows, long firstRow, long firstColumn, bool columns, float* nearest, int* neighbours, int t) : IRangeJob
    {
        public void Run(long first, long last, int worker)
        {
            if (!columns)
            {
                for (long i = first; i < last; i++)
                {
                    Row(i);
                }
                return;
            }
            for (long j = first; j < last; j += NearestColumns)
            {
                Columns(j, (int)Math.Min(NearestColumns, last - j));
            }
        }

        private void Row(long i)
        {
            float* row = d + (i * ld), list = nearest + (i * t);
            int* ids = neighbours + (i * t);
            long j = 0;
            for (; j + 16 <= ld; j += 16)
            {
                var worst = Vector256.Create(list[t - 1]);
                if (Vector256.LessThanOrEqualAny(Vector256.Load(row + j), worst) || Vector256.LessThanOrEqualAny(Vector256.Load(row + j + 8), worst))
                {
                    for (long c = j; c < j + 16; c++)
                    {
                        Offer(list, ids, row[c], firstRow + i, firstColumn + c);
                    }
                }
            }
            for (; j < ld; j++)
            {
                Offer(list, ids, row[j], firstRow + i, firstColumn + j);
            }
        }

        /// <summary>A band of columns, row after row.</summary>
        private void Columns(long first, int count)
        {
            float* worst = stackalloc float[NearestColumns];
            for (int j = 0; j < count; j++)
            {
                worst[j] = nearest[((first + j) * t) + t - 1];
            }
            for (long i = 0; i < rows; i++)
            {
                float* row = d + (i * ld) + first;
                int j = 0;
                for (; j + 16 <= count; j += 16)
                {
                    if (Vector256.LessThanOrEqualAny(Vector256.Load(row + j), Vector256.Load(worst + j))
                        || Vector256.LessThanOrEqualAny(Vector256.Load(row + j + 8), Vector256.Load(worst + j + 8)))
                    {
                        Some(first, j, j + 16, row, i, worst);
                    }
                }
                Some(first, j, count, row, i, worst);
            }
        }

        private void Some(long first, int from, int to, float* row, long i, float* worst)
        {
            for (int c = from; c < to; c++)
            {
                float* list = nearest + ((first + c) * t);
                Offer(list, neighbours + ((first + c) * t), row[c], firstColumn + first + c, firstRow + i);
                worst[c] = list[t - 1];
            }
        }

        private void Offer(float* list, int* ids, float distance, long self, long example)
        {
            if (!(distance < list[t - 1] || (distance == list[t - 1] && example < ids[t - 1])) || self == example)
            {
                return;
            }
            int low = 0, high = t - 1;
            while (low < high)
            {
                int middle = (low + high) / 2;
                bool before = list[middle] < distance || (list[middle] == distance && ids[middle] < example);
                (low, high) = before ? (middle + 1, high) : (low, middle);
            }
            int tail = t - 1 - low;
            new ReadOnlySpan<float>(list + low, tail).CopyTo(new Span<float>(list + low + 1, tail));
            new ReadOnlySpan<int>(ids + low, tail).CopyTo(new Span<int>(ids + low + 1, tail));
            list[low] = distance;
            ids[low] = (int)example;
        }
    }
}
