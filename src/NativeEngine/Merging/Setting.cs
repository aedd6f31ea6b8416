namespace NativeEngine.Merging;

/// <summary>
/// The value of a parameter as a recipe gives it: a number, a gradient (a list of numbers, interpolated over the layers), or a list of
/// values for tensors whose name contains a filter, the first match counting.
/// </summary>
internal abstract record Setting
{
    /// <summary>The value for a tensor, or null when no filter matches. Depth is 0 at the first layer and 1 at the last; 0 outside layers.</summary>
    public abstract double? For(string tensor, double depth);

    /// <summary>The number when it is the same for every tensor, else null.</summary>
    public virtual double? Constant => null;

    internal sealed record Scalar(double Value) : Setting
    {
        public override double? Constant => Value;

        public override double? For(string tensor, double depth) => Value;
    }

    /// <summary>Piecewise linear through the values, evenly spaced over the depth.</summary>
    internal sealed record Gradient(IReadOnlyList<double> Values) : Setting
    {
        public override double? For(string tensor, double depth)
        {
            double position = depth * (Values.Count - 1);
            int left = Math.Min((int)position, Values.Count - 1);
            double share = position - left;
            return share == 0 ? Values[left] : ((1 - share) * Values[left]) + (share * Values[left + 1]);
        }
    }

    /// <summary>A null filter matches every tensor.</summary>
    internal sealed record Filtered(IReadOnlyList<(string? Filter, Setting Value)> Cases) : Setting
    {
        public override double? For(string tensor, double depth)
        {
            foreach (var (filter, value) in Cases)
            {
                if ((filter is null || tensor.Contains(filter, StringComparison.Ordinal)) && value.For(tensor, depth) is { } found)
                {
                    return found;
                }
            }
            return null;
        }
    }

    /// <summary>The depth of layer i of n: i / (n-1), and 1 for a single layer.</summary>
    public static double Depth(int layer, int layers) => layers == 1 ? 1 : (double)layer / (layers - 1);
}
