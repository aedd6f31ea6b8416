using NativeEngine.Formats;

namespace NativeEngine.Cli;

/// <summary>The file that gets what a verb tells, besides stdout: JSON, CSV or Markdown when its name ends in .json, .csv or .md, else what stdout gets.</summary>
internal sealed class ResultFile : IDisposable
{
    private readonly string _path;
    private readonly MemoryStream _bytes = new();
    private readonly ResultWriter _writer;

    /// <summary>Checks the path and listens to what is written. Errors: as <see cref="OutputFile.Check"/>.</summary>
    public ResultFile(string path, ResultWriter result, Verb verb)
    {
        _path = OutputFile.Check(path);
        var form = Path.GetExtension(path).ToLowerInvariant() switch { ".json" => ResultForm.Json, ".csv" => ResultForm.Csv, ".md" => ResultForm.Markdown, _ => result.Form };
        ResultTable.Require(form, verb);
        _writer = new ResultWriter(_bytes, form, verb.Table);
        result.Copy = _writer;
    }

    /// <summary>Publishes what was written, and says where.</summary>
    public void Write(TalkWriter talk)
    {
        _writer.Complete();
        AtomicFile.WriteAllBytes(_path, _bytes.ToArray());
        talk.Info($"result: {ReportOutput.Shown(_path)}");
    }

    public void Dispose() => _bytes.Dispose();
}
