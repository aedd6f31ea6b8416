using System.Globalization;
using NativeEngine.Formats;

namespace NativeEngine.Data;

/// <summary>
/// Writes a tokenised mixture as one safetensors file: <c>tokens</c> I32 [total], <c>offsets</c> I64 [n + 1] (example i has the tokens
/// from offsets[i] to offsets[i + 1]), <c>label_starts</c> I32 [n] (first label token, counted in the example), <c>sources</c> I32 [n]
/// (source ids). The metadata holds the vocabulary size and the names of the sources as <c>source.0</c>, <c>source.1</c>, ….
/// </summary>
public static class TokenizedFile
{
    /// <summary>Writes a dataset, atomically.</summary>
    public static void Write(string path, MixtureDataset data, Tokenizer tokenizer, CancellationToken cancellation = default)
    {
        var metadata = new Dictionary<string, string>(StringComparer.Ordinal)
        {
            ["vocabulary_size"] = tokenizer.VocabularySize.ToString(CultureInfo.InvariantCulture),
        };
        for (int s = 0; s < data.Sources.Count; s++)
        {
            metadata[string.Create(CultureInfo.InvariantCulture, $"source.{s}")] = data.Sources[s];
        }
        TensorSpec[] tensors =
        [
            new("tokens", DType.I32, data.Report.Tokens), new("offsets", DType.I64, data.Count + 1),
            new("label_starts", DType.I32, data.Count), new("sources", DType.I32, data.Count),
        ];
        SafetensorsWriter.Write(path, tensors, (tensor, sink) =>
        {
            long offset = 0;
            if (tensor.Name == "offsets")
            {
                sink.Write([0L]);
            }
            for (int i = 0; i < data.Count; i++)
            {
                cancellation.ThrowIfCancellationRequested();
                switch (tensor.Name)
                {
                    case "tokens":
                        sink.Write(data.Tokens(i));
                        break;
                    case "offsets":
                        sink.Write([offset += data.Tokens(i).Length]);
                        break;
                    case "label_starts":
                        sink.Write([data.LabelStart(i)]);
                        break;
                    default:
                        sink.Write([data.SourceOf(i)]);
                        break;
                }
            }
        }, metadata, cancellation);
    }
}
