using NativeEngine.Devices;

namespace NativeEngine.Tests.Reference;

/// <summary>The arguments of one kernel run as double (or int) host arrays: what a naive reference reads and writes.</summary>
internal sealed class ReferenceCall(KernelSize size)
{
    public Dictionary<string, double[]> Floats { get; } = [];

    public Dictionary<string, int[]> Ints { get; } = [];

    public KernelSize Size { get; } = size;

    public double[] F(string name) => Floats[name];

    public int[] I(string name) => Ints[name];

    public int N(string name) => (int)Size[name];
}
