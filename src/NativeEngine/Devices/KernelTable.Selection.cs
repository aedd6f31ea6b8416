namespace NativeEngine.Devices;

public static partial class KernelTable
{
    private static IEnumerable<KernelRow> SelectionRows()
    {
        yield break;
    }
}
