using NativeEngine.Formats;

namespace NativeEngine.Reporting;

/// <summary>
/// A report on disk. FILE.html is the page; beside it are FILE.json with the same numbers and the folder FILE with NAME.svg and NAME.csv of every
/// figure and table. A folder stands for report.html inside it.
/// </summary>
public static class ReportFiles
{
    /// <summary>The page's name in a folder.</summary>
    public const string PageName = "report.html";

    /// <summary>The page that a path stands for: itself when it ends in .html or .htm, else report.html in that folder.</summary>
    public static string PageOf(string path) =>
        path.EndsWith(".html", StringComparison.OrdinalIgnoreCase) || path.EndsWith(".htm", StringComparison.OrdinalIgnoreCase) ? path : Path.Combine(path, PageName);

    /// <summary>
    /// Refuses a path before any work is done: a page without a folder to be in, or whose JSON would take the place of a file that is no report
    /// (<paramref name="others"/> are files the same command writes). Returns the page's path.
    /// </summary>
    public static string Check(string path, params IReadOnlyList<string?> others)
    {
        string page = Path.GetFullPath(PageOf(path)), numbers = Path.ChangeExtension(page, ".json");
        if (path.Length == 0 || Directory.Exists(page) || File.Exists(Path.GetDirectoryName(page)))
        {
            throw new EngineException(ErrorKind.Usage, $"the report '{path}' cannot be a page", "give a name that ends in .html, or a folder");
        }
        if (PageOf(path) == path && !Directory.Exists(Path.GetDirectoryName(page)))
        {
            throw new EngineException(ErrorKind.BadInput, $"the report '{path}' cannot be written: there is no folder '{Path.GetDirectoryName(page)}'", "create the folder first");
        }
        bool other = others.Any(o => o is not null && Path.GetFullPath(o) == numbers);
        return other || (File.Exists(numbers) && !IsReport(numbers))
            ? throw new EngineException(
                ErrorKind.Usage, $"the numbers of the report '{path}' would go to {numbers}, which is {(other ? "the other output of this command" : "another file")}", "choose another name for the report")
            : page;
    }

    private static bool IsReport(string file)
    {
        var head = new byte[64];
        using var stream = File.OpenRead(file);
        return head.AsSpan(0, stream.ReadAtLeast(head, head.Length, throwOnEndOfStream: false)).StartsWith("{\"schema\":1,\"report\":"u8);
    }

    /// <summary>
    /// Writes all files, each atomically, the page last; figures of an earlier report of that name are deleted. Returns the page's path. Errors:
    /// BadInput or WillNotFit when it cannot be written.
    /// </summary>
    public static string Write(Report report, string path)
    {
        string page = Path.GetFullPath(PageOf(path)), stem = Path.Combine(Path.GetDirectoryName(page)!, Path.GetFileNameWithoutExtension(page));
        string[] names = [.. report.Figures.Select(f => f.Name), .. report.Sections.SelectMany(s => s.Tables).Select(t => t.Name)];
        if (names.GroupBy(n => n, StringComparer.Ordinal).FirstOrDefault(g => g.Count() > 1) is { } twice)
        {
            throw new ArgumentException($"two parts of the report are named {twice.Key}", nameof(report));
        }
        try
        {
            Directory.CreateDirectory(stem);
            foreach (string old in Directory.EnumerateFiles(stem).Where(f => Path.GetExtension(f) is ".svg" or ".csv" && !names.Contains(Path.GetFileNameWithoutExtension(f))))
            {
                File.Delete(old);
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new EngineException(ErrorKind.BadInput, $"the folder of the report's figures, {stem}, cannot be written: {e.Message}", "choose another --report", e);
        }
        foreach (var figure in report.Figures)
        {
            AtomicFile.WriteAllText(Path.Combine(stem, figure.Name + ".svg"), figure.Draw(Figure.WideWidth));
        }
        foreach (var table in report.Data)
        {
            AtomicFile.WriteAllText(Path.Combine(stem, table.Name + ".csv"), table.ToCsv());
        }
        AtomicFile.WriteAllText(stem + ".json", report.ToJson());
        AtomicFile.WriteAllText(page, ReportPage.Write(report, Uri.EscapeDataString(Path.GetFileName(stem))));
        return page;
    }
}
