using System.Text.Encodings.Web;
using System.Text.Json;

namespace NativeEngine.Data;

/// <summary>
/// Writes a byte-level tokenizer.json that this engine and the Hugging Face library load alike: bytes 0–255 have the ids 0–255,
/// &lt;|bos|&gt; is 256, &lt;|eos|&gt; is 257, merged tokens follow from 258; BOS is put before every text.
/// </summary>
internal static class TokenizerWriter
{
    public const int BosId = 256;
    public const int EosId = 257;
    public const int FirstMergedId = 258;
    public const string Bos = "<|bos|>";
    public const string Eos = "<|eos|>";

    /// <param name="tokens">The bytes of the merged tokens, ids from 258.</param>
    /// <param name="merges">Pairs of ids in order of rank.</param>
    /// <param name="splitWords">Whether merges stay within GPT-2's words; false for raw bytes.</param>
    public static BpeTokenizer Create(IReadOnlyList<byte[]> tokens, IReadOnlyList<(int Left, int Right)> merges, bool splitWords)
    {
        byte[] json = Json(tokens, merges, splitWords);
        return TokenizerJson.Read(json, Config(), TokenizerFile.FileName, TokenizerFile.ConfigFileName);
    }

    private static byte[] Json(IReadOnlyList<byte[]> tokens, IReadOnlyList<(int Left, int Right)> merges, bool splitWords)
    {
        string Spelling(int id) => id < 256 ? ByteAlphabet.ToChar((byte)id).ToString() : ByteAlphabet.Spell(tokens[id - FirstMergedId]);
        return Write(writer =>
        {
            writer.WriteStartObject();
            writer.WriteString("version", "1.0");
            writer.WriteNull("truncation");
            writer.WriteNull("padding");
            writer.WriteStartArray("added_tokens");
            WriteAdded(writer, BosId, Bos);
            WriteAdded(writer, EosId, Eos);
            writer.WriteEndArray();
            writer.WriteNull("normalizer");
            WriteByteLevel(writer, "pre_tokenizer", splitWords);
            WriteTemplate(writer);
            WriteByteLevel(writer, "decoder", splitWords);
            writer.WriteStartObject("model");
            writer.WriteString("type", "BPE");
            writer.WriteNull("dropout");
            writer.WriteNull("unk_token");
            writer.WriteNull("continuing_subword_prefix");
            writer.WriteNull("end_of_word_suffix");
            writer.WriteBoolean("fuse_unk", false);
            writer.WriteBoolean("byte_fallback", false);
            writer.WriteBoolean("ignore_merges", false);
            writer.WriteStartObject("vocab");
            for (int id = 0; id < FirstMergedId + tokens.Count; id++)
            {
                writer.WriteNumber(id switch { BosId => Bos, EosId => Eos, _ => Spelling(id) }, id);
            }
            writer.WriteEndObject();
            writer.WriteStartArray("merges");
            foreach (var (left, right) in merges)
            {
                writer.WriteStartArray();
                writer.WriteStringValue(Spelling(left));
                writer.WriteStringValue(Spelling(right));
                writer.WriteEndArray();
            }
            writer.WriteEndArray();
            writer.WriteEndObject();
            writer.WriteEndObject();
        });
    }

    private static byte[] Config() => Write(static writer =>
    {
        writer.WriteStartObject();
        writer.WriteBoolean("add_bos_token", true);
        writer.WriteString("bos_token", Bos);
        writer.WriteString("eos_token", Eos);
        writer.WriteBoolean("clean_up_tokenization_spaces", false);
        writer.WriteString("tokenizer_class", "PreTrainedTokenizerFast");
        writer.WriteEndObject();
    });

    private static void WriteAdded(Utf8JsonWriter writer, int id, string content)
    {
        writer.WriteStartObject();
        writer.WriteNumber("id", id);
        writer.WriteString("content", content);
        writer.WriteBoolean("single_word", false);
        writer.WriteBoolean("lstrip", false);
        writer.WriteBoolean("rstrip", false);
        writer.WriteBoolean("normalized", false);
        writer.WriteBoolean("special", true);
        writer.WriteEndObject();
    }

    private static void WriteByteLevel(Utf8JsonWriter writer, string name, bool splitWords)
    {
        writer.WriteStartObject(name);
        writer.WriteString("type", "ByteLevel");
        writer.WriteBoolean("add_prefix_space", false);
        writer.WriteBoolean("trim_offsets", true);
        writer.WriteBoolean("use_regex", splitWords);
        writer.WriteEndObject();
    }

    private static void WriteTemplate(Utf8JsonWriter writer)
    {
        writer.WriteStartObject("post_processor");
        writer.WriteString("type", "TemplateProcessing");
        writer.WriteStartArray("single");
        WriteTemplateItem(writer, "SpecialToken", Bos, 0);
        WriteTemplateItem(writer, "Sequence", "A", 0);
        writer.WriteEndArray();
        writer.WriteStartArray("pair");
        WriteTemplateItem(writer, "SpecialToken", Bos, 0);
        WriteTemplateItem(writer, "Sequence", "A", 0);
        WriteTemplateItem(writer, "Sequence", "B", 1);
        writer.WriteEndArray();
        writer.WriteStartObject("special_tokens");
        writer.WriteStartObject(Bos);
        writer.WriteString("id", Bos);
        writer.WriteStartArray("ids");
        writer.WriteNumberValue(BosId);
        writer.WriteEndArray();
        writer.WriteStartArray("tokens");
        writer.WriteStringValue(Bos);
        writer.WriteEndArray();
        writer.WriteEndObject();
        writer.WriteEndObject();
        writer.WriteEndObject();
    }

    private static void WriteTemplateItem(Utf8JsonWriter writer, string kind, string id, int typeId)
    {
        writer.WriteStartObject();
        writer.WriteStartObject(kind);
        writer.WriteString("id", id);
        writer.WriteNumber("type_id", typeId);
        writer.WriteEndObject();
        writer.WriteEndObject();
    }

    private static byte[] Write(Action<Utf8JsonWriter> body)
    {
        using var stream = new MemoryStream();
        using (var writer = new Utf8JsonWriter(stream, new JsonWriterOptions
        {
            Indented = true,
            NewLine = "\n",
            Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
        }))
        {
            body(writer);
        }
        stream.WriteByte((byte)'\n');
        return stream.ToArray();
    }
}
