namespace NativeEngine.Tests.Reference;

/// <summary>
/// The judge: every row of the kernel table computed naively in double from its formula, and the tolerance its float32 twin is held to.
/// Error of an element = |got - expected| / (1 + |expected|); integer outputs must be equal.
/// </summary>
internal static partial class ReferenceKernels
{
    public static IReadOnlyDictionary<string, Entry> All { get; } =
        MatMul().Concat(Transformer()).Concat(Optimizers()).Concat(Selection()).ToDictionary(e => e.Name);

    /// <summary>One reference. The tolerance's reason stands beside it.</summary>
    internal sealed record Entry(string Name, double Tolerance, Action<ReferenceCall> Run);
}
