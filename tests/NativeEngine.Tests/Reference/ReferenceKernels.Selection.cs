namespace NativeEngine.Tests.Reference;

internal static partial class ReferenceKernels
{
    private static IEnumerable<Entry> Selection()
    {
        yield break;
    }
}
