namespace NativeEngine.Tests.Ptx;

/// <summary>The instructions of tensor cores: mma.sync, ldmatrix and cp.async.</summary>
internal static class PtxMatrix
{
    public static bool TryDecode(ref PtxInstruction i, string[] op, string[] o, PtxKernel kernel) => false;
}
