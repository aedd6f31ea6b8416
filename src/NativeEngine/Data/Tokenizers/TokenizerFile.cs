using NativeEngine.Formats;

namespace NativeEngine.Data;

/// <summary>Finds and writes the tokenizer files of a model folder.</summary>
public static class TokenizerFile
{
    /// <summary>The name of the file.</summary>
    public const string FileName = "tokenizer.json";

    /// <summary>The optional file beside it that names BOS and EOS.</summary>
    public const string ConfigFileName = "tokenizer_config.json";

    // The largest tokenizers in use take some 30 MB.
    private const long MaxBytes = 256L << 20;

    /// <summary>
    /// Loads the tokenizer of a model folder (or the folder of a path to tokenizer.json itself). BOS and EOS are those that
    /// tokenizer_config.json names; without it the conventional ones (&lt;s&gt; and &lt;/s&gt;, &lt;|begin_of_text|&gt; and
    /// &lt;|end_of_text|&gt;, &lt;bos&gt; and &lt;eos&gt;, &lt;|endoftext|&gt;) where the vocabulary has them.
    /// </summary>
    public static Tokenizer Load(string folder)
    {
        string path = Path.GetFileName(folder) == FileName ? folder : Path.Combine(folder, FileName);
        string config = Path.Combine(Path.GetDirectoryName(path) ?? "", ConfigFileName);
        if (!File.Exists(path))
        {
            string directory = Path.GetDirectoryName(path) is { Length: > 0 } parent ? parent : ".";
            bool isModel = File.Exists(Path.Combine(directory, "tokenizer.model"));
            throw new EngineException(ErrorKind.BadInput,
                Directory.Exists(directory) ? $"loading a tokenizer: the folder {directory} has no {FileName}"
                    : $"loading a tokenizer: there is no folder {directory}",
                isModel ? "tokenizer.model alone is not read; convert it to tokenizer.json with the transformers library"
                    : !Directory.Exists(directory) ? MissingPath.Download(directory) ?? MissingPath.Hint(directory, holding: FileName) ?? $"nengine train --model preset:0.2m --data builtin --output {directory} makes a model"
                    : File.Exists(Path.Combine(directory, "adapter_config.json")) ? $"it is a LoRA adapter: name the model with --model and this with --adapter {directory}"
                    : File.Exists(Path.Combine(directory, "..", FileName)) && Path.GetDirectoryName(Path.TrimEndingDirectorySeparator(directory)) is { Length: > 0 } above ? $"did you mean '{above}'?"
                    : $"a model folder holds config.json, model.safetensors and {FileName}; the --output of nengine train is one");
        }
        return TokenizerJson.Read(ReadAll(path), File.Exists(config) ? ReadAll(config) : null, path, config);
    }

    /// <summary>Reads a tokenizer from the bytes of a tokenizer.json; <paramref name="name"/> is for messages.</summary>
    public static Tokenizer Parse(byte[] json, string name = FileName) => TokenizerJson.Read(json, null, name, ConfigFileName);

    internal static void Write(string folder, byte[] json, byte[]? config)
    {
        AtomicFile.WriteAllBytes(Path.Combine(folder, FileName), json);
        if (config is not null)
        {
            AtomicFile.WriteAllBytes(Path.Combine(folder, ConfigFileName), config);
        }
    }

    private static byte[] ReadAll(string path)
    {
        try
        {
            return InputFile.ReadAllBytes(path, MaxBytes);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw Formats.FormatErrors.Unreadable(path, e);
        }
    }
}
