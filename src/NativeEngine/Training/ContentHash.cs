using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;
using NativeEngine.Data;
using NativeEngine.Model;

namespace NativeEngine.Training;

/// <summary>
/// SHA-256 of what a run reads as it reads it, so that a run is not continued on other data or on another base model, whatever the files are
/// called. Cost: one pass over the tokens, or over the weights.
/// </summary>
public static class ContentHash
{
    /// <summary>The hash of a dataset: every example's tokens, first label and source, and the sources' names, in hexadecimal.</summary>
    public static string Of(MixtureDataset data)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (string source in data.Sources)
        {
            hash.AppendData(Encoding.UTF8.GetBytes(source + "\0"));
        }
        Span<byte> head = stackalloc byte[12];
        for (int i = 0; i < data.Count; i++)
        {
            var tokens = data.Tokens(i);
            BinaryPrimitives.WriteInt32LittleEndian(head, tokens.Length);
            BinaryPrimitives.WriteInt32LittleEndian(head[4..], data.LabelStart(i));
            BinaryPrimitives.WriteInt32LittleEndian(head[8..], data.SourceOf(i));
            hash.AppendData(head);
            hash.AppendData(MemoryMarshal.AsBytes(tokens));
        }
        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }

    /// <summary>The hash of a parameter vector's float32 values, in hexadecimal.</summary>
    public static string Of(ParameterSet parameters)
    {
        const int Chunk = 1 << 20;
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        var values = new float[Math.Min(Chunk, parameters.Flat.Length)];
        for (long first = 0; first < parameters.Flat.Length; first += Chunk)
        {
            var part = values.AsSpan(0, (int)Math.Min(Chunk, parameters.Flat.Length - first));
            parameters.Device.Download(parameters.Flat.Slice(first, part.Length), part);
            hash.AppendData(MemoryMarshal.AsBytes(part));
        }
        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }
}
