namespace NativeEngine.Devices;

public static partial class KernelTable
{
    private static IEnumerable<KernelRow> TransformerRows()
    {
        yield break;
    }
}
