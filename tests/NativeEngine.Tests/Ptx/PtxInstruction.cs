namespace NativeEngine.Tests.Ptx;

/// <summary>How an instruction moves the program counter.</summary>
internal enum PtxKind : byte
{
    Simple,
    Branch,
    Barrier,
    Exit,
}

/// <summary>Where an address points.</summary>
internal enum PtxSpace : byte
{
    Global,
    Shared,
    Generic,
}

/// <summary>
/// One decoded instruction. D, A, B, C (and E, F, G, H where there are more) are byte offsets in a warp's register file, or -1; immediates and kernel parameters have
/// registers of their own that nothing writes.
/// </summary>
internal unsafe struct PtxInstruction
{
    /// <summary>Executes it for the lanes of the mask.</summary>
    public delegate*<PtxWarp, in PtxInstruction, uint, void> Run;

    public PtxKind Kind;
    public PtxSpace Space;

    /// <summary>Bytes of an element in memory, and elements of a vector access.</summary>
    public byte Size, Count;

    /// <summary>A load extends the sign; a destination register has eight bytes a lane.</summary>
    public bool Signed, Wide;

    /// <summary>Guard predicate, -1 without; whether it is negated.</summary>
    public int Predicate;
    public bool Negated;

    public int D, A, B, C, E, F, G, H;

    /// <summary>Further registers of the matrix instructions.</summary>
    public int[]? More;

    /// <summary>Offset of an address, or an instruction's own constant.</summary>
    public long Immediate;

    /// <summary>Index of the instruction a branch goes to.</summary>
    public int Target;
}

/// <summary>What a kernel did that no kernel may do, with kernel, instruction, group and thread.</summary>
internal sealed class PtxFaultException(string message) : Exception(message);
