using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using NativeEngine.Formats;

namespace NativeEngine.Cli;

/// <summary>What the result is written as.</summary>
internal enum ResultForm
{
    /// <summary>For people.</summary>
    Text,
    /// <summary>One document.</summary>
    Json,
    /// <summary>The table of the document, comma-separated (RFC 4180).</summary>
    Csv,
    /// <summary>The same as a table of Markdown.</summary>
    Markdown,
}

/// <summary>
/// stdout: UTF-8 without a byte order mark, text for people, exactly one JSON document, or the table in it. The document is held back until the verb
/// has ended, so a failure replaces it and never follows it. A reader that went away is not an error.
/// </summary>
internal sealed class ResultWriter
{
    private static readonly JsonWriterOptions _jsonOptions = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };
    private readonly Stream _stdout;
    private readonly StreamWriter _text;
    private readonly string? _table;
    private byte[]? _document;

    /// <param name="stdout">Where it goes.</param>
    /// <param name="form">What it is written as.</param>
    /// <param name="table">The array of the document that is the table, for the forms that are one.</param>
    public ResultWriter(Stream stdout, ResultForm form, string? table = null)
    {
        _stdout = stdout;
        (Form, _table) = (form, table);
        _text = new StreamWriter(stdout, new UTF8Encoding(encoderShouldEmitUTF8Identifier: false), bufferSize: 1 << 14, leaveOpen: true)
        {
            NewLine = "\n",
        };
    }

    /// <summary>What is written.</summary>
    public ResultForm Form { get; }

    /// <summary>The table's place in the document.</summary>
    public string? Table => _table;

    private bool IsText => Form == ResultForm.Text;

    /// <summary>Whether nothing goes to stdout at all: another process of the same job writes the result.</summary>
    public bool IsSilent { get; set; }

    /// <summary>Another place that gets the same result, in its own form.</summary>
    public ResultWriter? Copy { get; set; }

    /// <summary>Writes the result once: as text, or as the members of the one JSON object.</summary>
    public void Write(Action<TextWriter> text, Action<Utf8JsonWriter> json)
    {
        if (IsSilent)
        {
            return;
        }
        Copy?.Write(text, json);
        if (IsText)
        {
            text(_text);
        }
        else
        {
            Keep(json);
        }
    }

    /// <summary>The JSON object alone, for verbs whose text went out piece by piece through <see cref="WriteText"/>.</summary>
    public void WriteJson(Action<Utf8JsonWriter> members)
    {
        Copy?.WriteJson(members);
        if (!IsText)
        {
            Keep(members);
        }
    }

    private void Keep(Action<Utf8JsonWriter> members)
    {
        if (_document is not null)
        {
            throw new InvalidOperationException("a verb wrote two JSON documents");
        }
        _document = JsonWriting.Document(members, _jsonOptions);
    }

    /// <summary>A piece of text that is shown at once (generated text); nothing with --json.</summary>
    public void WriteText(string piece)
    {
        Copy?.WriteText(piece);
        if (IsText)
        {
            _text.Write(piece);
            Guard(_text.Flush);
        }
    }

    /// <summary>Sends out what a verb that ended left here.</summary>
    public void Complete()
    {
        if (IsSilent)
        {
            return;
        }
        if (!IsText)
        {
            byte[] document = _document ?? throw new InvalidOperationException("a verb wrote no JSON document");
            SendDocument(Form == ResultForm.Json ? document : ResultTable.Of(document, _table!).Write(Form));
        }
        else
        {
            Guard(_text.Flush);
        }
    }

    /// <summary>Sends the error document with --json; text that was written before a failure stays.</summary>
    public void Fail(Failure failure)
    {
        if (IsSilent)
        {
            return;
        }
        if (Form != ResultForm.Json)
        {
            Guard(_text.Flush);
            return;
        }
        SendDocument(JsonWriting.Document(json =>
        {
            json.WriteStartObject("error");
            json.WriteNumber("code", failure.Code);
            json.WriteString("message", failure.Message);
            json.WriteString("hint", failure.Hint);
            json.WriteEndObject();
        }, _jsonOptions));
    }

    private void SendDocument(byte[] document) => Guard(() =>
    {
        _stdout.Write(document);
        _stdout.Flush();
    });

    private static void Guard(Action write)
    {
        try
        {
            write();
        }
        catch (IOException error) when (Failure.IsDiskFull(error))
        {
            throw new EngineException(ErrorKind.WillNotFit, "the result could not be written to stdout: no space left on the device", "free some space, or send it elsewhere with > FILE", error);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException or ObjectDisposedException)
        {
            // stdout is closed or its reader has gone: nobody is left to tell.
        }
    }
}
