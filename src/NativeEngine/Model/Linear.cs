using NativeEngine.Devices;

namespace NativeEngine.Model;

/// <summary>The low-rank part of a projection: y += scale (x A^T) B^T with A [r, in] and B [out, r].</summary>
internal sealed record LowRank(Tensor<float> A, Tensor<float> B, Tensor<float> GradientA, Tensor<float> GradientB, float Scale)
{
    public long Rank => A.Rows;
}

/// <summary>
/// One projection y = x W^T, W [out, in], with an optional low-rank part. The gradient tensor is none when the weight is frozen.
/// </summary>
internal sealed class Linear(Tensor<float> weight, Tensor<float> gradient, LowRank? lowRank)
{
    public Tensor<float> Weight { get; } = weight;

    public LowRank? LowRank { get; } = lowRank;

    public long Outputs => Weight.Rows;

    public long Inputs => Weight.RowLength;

    /// <summary>y = x W^T (or y += when accumulating). X is [N, in], y is [N, out].</summary>
    public void Forward(Tensor<float> x, Tensor<float> y, bool accumulate, Workspace workspace)
    {
        var kernels = workspace.Device.Kernels;
        kernels.MatMul(x, false, Weight, true, accumulate, y);
        if (LowRank is { } low)
        {
            using var scope = workspace.Open();
            kernels.MatMul(Down(x, low, workspace), false, low.B, true, true, y);
        }
    }

    /// <summary>Adds the weight gradients for dy [N, out] at input x, and writes or adds the input gradient to dx (which may be none).</summary>
    public void Backward(Tensor<float> dy, Tensor<float> x, Tensor<float> dx, bool accumulate, Workspace workspace)
    {
        var kernels = workspace.Device.Kernels;
        if (!gradient.IsNone)
        {
            kernels.MatMul(dy, true, x, false, true, gradient);
        }
        if (!dx.IsNone)
        {
            kernels.MatMul(dy, false, Weight, false, accumulate, dx);
        }
        if (LowRank is { } low)
        {
            using var scope = workspace.Open();
            if (!low.GradientB.IsNone)
            {
                kernels.MatMul(dy, true, Down(x, low, workspace), false, true, low.GradientB);
            }
            var dDown = workspace.Floats(x.Rows, low.Rank);
            kernels.MatMul(dy, false, low.B, false, false, dDown);
            kernels.Scale(low.Scale, dDown);
            if (!low.GradientA.IsNone)
            {
                kernels.MatMul(dDown, true, x, false, true, low.GradientA);
            }
            if (!dx.IsNone)
            {
                kernels.MatMul(dDown, false, low.A, false, true, dx);
            }
        }
    }

    /// <summary>scale x A^T, [N, r]: what B multiplies. Lives in the caller's scope.</summary>
    public static Tensor<float> Down(Tensor<float> x, LowRank low, Workspace workspace)
    {
        var kernels = workspace.Device.Kernels;
        var down = workspace.Floats(x.Rows, low.Rank);
        kernels.MatMul(x, false, low.A, true, false, down);
        kernels.Scale(low.Scale, down);
        return down;
    }
}
