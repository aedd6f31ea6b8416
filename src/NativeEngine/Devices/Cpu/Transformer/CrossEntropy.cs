namespace NativeEngine.Devices.Cpu;

internal sealed unsafe partial class CpuKernels<L>
{
    /// <summary>Logits that share a maximum while their exponentials are taken: 4 KiB, so that each is read from memory once.</summary>
    private const long LogitBlock = 1024;

    public void CrossEntropy(Tensor<float> logits, Tensor<int> targets, Tensor<float> rowWeights, Tensor<float> losses)
    {
        long rows = logits.Rows, classes = logits.RowLength;
        Require.That(targets.Length == rows && losses.Length == rows && (rowWeights.IsNone || rowWeights.Length == rows),
            $"cross entropy: logits {logits.Shape}, targets {targets.Shape}, row weights {rowWeights}, losses {losses.Shape}");
        RequireIndices("cross entropy", targets, classes);
        var job = new CrossEntropyJob(_scratch, logits.Pointer, targets.Pointer, rowWeights.Pointer, losses.Pointer, classes);
        _team.For(job, rows, RowGrain(classes));
    }

    /// <summary>
    /// Two passes over a row. The first replaces each block by e^(x - the block's maximum) and sums it; then the blocks are brought to the
    /// row's maximum, each by one factor, which the second pass multiplies in.
    /// </summary>
    private readonly struct CrossEntropyJob(Scratch scratch, float* logits, int* targets, float* rowWeights, float* losses, long classes) : IRangeJob
    {
        public void Run(long first, long last, int worker)
        {
            long blocks = (classes + LogitBlock - 1) / LogitBlock;
            float* maxima = scratch.Get(worker, 2 * blocks);
            float* sums = maxima + blocks;
            bool gradient = rowWeights != null;
            for (long r = first; r < last; r++)
            {
                float* row = logits + (r * classes);
                float target = row[targets[r]], maximum = float.MinValue, sum = 0;
                for (long b = 0; b < blocks; b++)
                {
                    float* block = row + (b * LogitBlock);
                    long count = Math.Min(LogitBlock, classes - (b * LogitBlock));
                    maxima[b] = Maximum(block, count);
                    sums[b] = Exponentials(block, count, maxima[b], gradient);
                    maximum = maxima[b] > maximum ? maxima[b] : maximum;
                }
                for (long b = 0; b < blocks; b++)
                {
                    maxima[b] = LaneMath<L>.Exp(maxima[b] - maximum);
                    sum = MathF.FusedMultiplyAdd(sums[b], maxima[b], sum);
                }
                losses[r] = maximum - target + LaneMath<L>.Log(sum);
                if (gradient)
                {
                    for (long b = 0; b < blocks; b++)
                    {
                        Multiply(row + (b * LogitBlock), Math.Min(LogitBlock, classes - (b * LogitBlock)), maxima[b] / sum * rowWeights[r]);
                    }
                    row[targets[r]] -= rowWeights[r];
                }
            }
        }

        // At least the smallest finite number, so that a block of -infinity gives weights of 0 and not infinity - infinity. NaN may be
        // passed over here: the exponentials meet it.
        private static float Maximum(float* x, long count)
        {
            L most = L.Create(float.MinValue);
            long i = 0;
            for (; i + 16 <= count; i += 16)
            {
                most = L.Max(L.Load(x + i), most);
            }
            if (i < count)
            {
                most = L.Max(LaneMath<L>.LoadPartial(x + i, count - i, float.MinValue), most);
            }
            float* lanes = stackalloc float[ILanes<L>.Count];
            L.Store(most, lanes);
            float maximum = lanes[0];
            for (int l = 1; l < ILanes<L>.Count; l++)
            {
                maximum = lanes[l] > maximum ? lanes[l] : maximum;
            }
            return maximum;
        }

        private static float Exponentials(float* x, long count, float maximum, bool store)
        {
            L most = L.Create(maximum), sum = L.Zero;
            long i = 0;
            for (; i + 16 <= count; i += 16)
            {
                L e = LaneMath<L>.Exp(L.Load(x + i) - most);
                sum += e;
                if (store)
                {
                    L.Store(e, x + i);
                }
            }
            if (i < count)
            {
                // The filling adds less than 1e-36 to a sum of at least 1.
                L e = LaneMath<L>.Exp(LaneMath<L>.LoadPartial(x + i, count - i, float.NegativeInfinity) - most);
                sum += e;
                if (store)
                {
                    LaneMath<L>.StorePartial(e, x + i, count - i);
                }
            }
            return L.Sum(sum);
        }

        private static void Multiply(float* x, long count, float factor)
        {
            L f = L.Create(factor);
            long i = 0;
            for (; i + 16 <= count; i += 16)
            {
                L.Store(L.Load(x + i) * f, x + i);
            }
            for (; i < count; i++)
            {
                x[i] *= factor;
            }
        }
    }
}
