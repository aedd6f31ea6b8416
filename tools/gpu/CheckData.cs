using NativeEngine.Data;

namespace NativeEngine.GpuCheck;

/// <summary>Data of the check's runs.</summary>
internal static class CheckData
{
    /// <summary>Writes a dozen examples into a folder: the built-in mixture is evaluated on hundreds, too many for a device that is slow on purpose.</summary>
    public static string Few(string folder)
    {
        string path = Path.Combine(folder, "few.jsonl");
        JsonlWriter.Write(path, MixtureSynthesizer.Generate(12, 5, SynthesisSplit.Train));
        return path;
    }
}
