namespace NativeEngine.Tests.Fuzz;

/// <summary>Damages what a format is made of (a number, a key, a length), so that mutants get past the framing.</summary>
internal interface IFields
{
    /// <summary>A damaged copy of the seed of this number.</summary>
    byte[] Mutate(int seed, FuzzRandom random);
}

/// <summary>
/// One format that is read: small valid files, how to damage its fields, and its reader. <see cref="Open"/> gives a reader for one thread; it may accept the bytes
/// or throw an EngineException of one of <see cref="Kinds"/>, and nothing else.
/// </summary>
internal sealed record FuzzFormat(string Name, byte[][] Seeds, IFields Fields, Func<Action<byte[]>> Open)
{
    /// <summary>Words of the format, for the token engine.</summary>
    public IReadOnlyList<string> Words { get; init; } = [];

    /// <summary>What a reader may refuse with.</summary>
    public IReadOnlyList<ErrorKind> Kinds { get; init; } = [ErrorKind.BadInput];

    /// <summary>Repairs a length in the framing after bytes or tokens were damaged.</summary>
    public Func<byte[], byte[]>? Repair { get; init; }

    /// <summary>The bytes that the reader really has to deal with, where that is not the length of the file.</summary>
    public Func<byte[], long> Size { get; init; } = static bytes => bytes.Length;

    /// <summary>Bytes that may be allocated in all for a byte of input, garbage included, above 1 MiB. One object may never take more than 4 times the input and 1 MiB.</summary>
    public int TotalFactor { get; init; } = 4;

    public override string ToString() => Name;
}
