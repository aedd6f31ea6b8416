namespace NativeEngine.Devices.Gpu;

internal sealed partial class GpuKernels
{
    /// <summary>Logits that share a maximum, as on the CPU.</summary>
    private const long LogitBlock = 1024;

    public void RmsNorm(Tensor<float> x, Tensor<float> weight, float epsilon, Tensor<float> y, Tensor<float> inverseRms)
    {
        Require.That(SameShape(x, y) && weight.Length == x.RowLength && inverseRms.Length == x.Rows,
            $"rms norm: x {x.Shape}, weight {weight.Shape}, y {y.Shape}, inverse rms {inverseRms.Shape}");
        Run("rms_norm", Groups(x.Rows, 4), Of(x), Of(weight), Of(epsilon), Of(y), Of(inverseRms), Of(x.Rows), Of(x.RowLength));
    }

    public void RmsNormBackward(
        Tensor<float> dy, Tensor<float> x, Tensor<float> weight, Tensor<float> inverseRms, Tensor<float> dx, Tensor<float> dweight)
    {
        long rows = x.Rows, columns = x.RowLength;
        Require.That(SameShape(x, dy) && weight.Length == columns && inverseRms.Length == rows,
            $"rms norm backward: dy {dy.Shape}, x {x.Shape}, weight {weight.Shape}, inverse rms {inverseRms.Shape}");
        if (!dx.IsNone)
        {
            Require.That(SameShape(x, dx), $"rms norm backward: dx {dx.Shape} must be like x {x.Shape}");
            Run("rms_norm_backward_input", Groups(rows, 8), Of(dy), Of(x), Of(weight), Of(inverseRms), Of(dx), Of(rows), Of(columns));
        }
        if (!dweight.IsNone)
        {
            Require.That(dweight.Length == columns, $"rms norm backward: dweight {dweight.Shape} must be like weight {weight.Shape}");
            Run("rms_norm_backward_weight", Groups(columns, 32), Of(dy), Of(x), Of(inverseRms), Of(dweight), Of(rows), Of(columns));
        }
    }

    public void Rope(Tensor<int> positions, Tensor<float> cos, Tensor<float> sin, int heads, bool inverse, Tensor<float> x)
    {
        long half = cos.RowLength;
        Require.That(positions.Length == x.Rows && x.RowLength == 2 * half * heads && sin.Rows == cos.Rows && sin.RowLength == half,
            $"rope: {positions.Length} positions, cos {cos.Shape}, sin {sin.Shape}, {heads} heads, x {x.Shape}; x must be [{positions.Length} x {2 * half * heads}]");
        long pairs = x.Rows * heads * half;
        Run("rope", Groups(pairs, Threads),
            Of(positions), Of(cos), Of(sin), Of(x), Of(pairs), Of(heads), Of((int)half), Of(inverse ? -1f : 1f), Of(cos.Rows),
            Status(Slot.Rope, $"rope: the position at @ is not in 0..{cos.Rows - 1}"), Of(Slot.Rope));
    }

    public void SwiGlu(Tensor<float> gate, Tensor<float> up, Tensor<float> y)
    {
        Require.That(gate.Length == up.Length && y.Length == gate.Length, $"swiglu: gate {gate.Shape}, up {up.Shape}, y {y.Shape} differ in length");
        Run("swiglu", Groups(gate.Length, ElementsPerGroup), Of(gate), Of(up), Of(y), Of(gate.Length), Flag(Aligned(0, gate, up, y)));
    }

    public void SwiGluBackward(Tensor<float> dy, Tensor<float> gate, Tensor<float> up, Tensor<float> dGate, Tensor<float> dUp)
    {
        long n = dy.Length;
        Require.That(gate.Length == n && up.Length == n && dGate.Length == n && dUp.Length == n,
            $"swiglu backward: dy {dy.Shape}, gate {gate.Shape}, up {up.Shape}, dGate {dGate.Shape}, dUp {dUp.Shape} differ in length");
        Run("swiglu_backward", Groups(n, ElementsPerGroup),
            Of(dy), Of(gate), Of(up), Of(dGate), Of(dUp), Of(n), Flag(Aligned(0, dy, gate, up, dGate, dUp)));
    }

    public void CrossEntropy(Tensor<float> logits, Tensor<int> targets, Tensor<float> rowWeights, Tensor<float> losses)
    {
        long rows = logits.Rows, classes = logits.RowLength, blocks = Groups(classes, LogitBlock);
        Require.That(targets.Length == rows && losses.Length == rows && (rowWeights.IsNone || rowWeights.Length == rows),
            $"cross entropy: logits {logits.Shape}, targets {targets.Shape}, row weights {rowWeights}, losses {losses.Shape}");
        bool gradient = !rowWeights.IsNone;
        var scratch = Scratch(rows * blocks * sizeof(float), rows * blocks * sizeof(float));
        Run("cross_entropy_blocks", Groups(rows * blocks, 16), Of(logits), scratch[0], scratch[1], Of(rows), Of(classes));
        Run("cross_entropy_rows", Groups(rows, Threads),
            Of(logits), Of(targets), Of(rowWeights), Flag(gradient), scratch[0], scratch[1], Of(losses), Of(rows), Of(classes),
            Status(Slot.CrossEntropy, $"cross entropy: the target at @ is not in 0..{classes - 1}"), Of(Slot.CrossEntropy));
        if (gradient)
        {
            Run("cross_entropy_gradient", rows * blocks, Of(logits), Of(targets), Of(rowWeights), scratch[0], scratch[1], Of(rows), Of(classes));
        }
    }
}
