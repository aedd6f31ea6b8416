namespace NativeEngine.Devices;

public static partial class KernelTable
{
    private static IEnumerable<KernelRow> OptimizerRows()
    {
        yield break;
    }
}
