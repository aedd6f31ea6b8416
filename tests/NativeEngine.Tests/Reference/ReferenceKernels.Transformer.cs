namespace NativeEngine.Tests.Reference;

internal static partial class ReferenceKernels
{
    private static IEnumerable<Entry> Transformer()
    {
        yield break;
    }
}
