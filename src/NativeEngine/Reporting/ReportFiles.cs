using NativeEngine.Formats;

namespace NativeEngine.Reporting;

/// <summary>
/// A report on disk. FILE.html is the page; beside it the folder FILE_files holds numbers.json with the same numbers, and NAME.svg and NAME.csv of every
/// figure and table. A folder stands for report.html inside it.
/// </summary>
public static class ReportFiles
{
    /// <summary>The page's name in a folder.</summary>
    public const string PageName = "report.html";

    /// <summary>The page that a path stands for: itself when it ends in .html or .htm, else report.html in that folder.</summary>
    public static string PageOf(string path) =>
        path.EndsWith(".html", StringComparison.OrdinalIgnoreCase) || path.EndsWith(".htm", StringComparison.OrdinalIgnoreCase) ? path : Path.Combine(path, PageName);

    /// <summary>The name of the JSON document in the page's folder.</summary>
    public const string NumbersName = "numbers.json";

    /// <summary>The folder beside a page.</summary>
    public static string FolderOf(string page) => Path.Combine(Path.GetDirectoryName(Path.GetFullPath(page))!, Path.GetFileNameWithoutExtension(page) + "_files");

    /// <summary>Refuses a path before any work is done: a page without a folder to be in. Returns the page's path.</summary>
    public static string Check(string path)
    {
        string page = Path.GetFullPath(PageOf(path));
        if (path.Length == 0 || Directory.Exists(page) || File.Exists(Path.GetDirectoryName(page)))
        {
            throw new EngineException(ErrorKind.Usage, $"the report '{path}' cannot be a page", "give a name that ends in .html, or a folder");
        }
        if (PageOf(path) == path && !Directory.Exists(Path.GetDirectoryName(page)))
        {
            throw new EngineException(ErrorKind.BadInput, $"the report '{path}' cannot be written: there is no folder '{Path.GetDirectoryName(page)}'", $"mkdir -p {Path.GetDirectoryName(page)}");
        }
        return page;
    }

    /// <summary>
    /// Writes all files, each atomically, the page last; figures of an earlier report of that name are deleted. Returns the page's path. Errors:
    /// BadInput or WillNotFit when it cannot be written.
    /// </summary>
    public static string Write(Report report, string path)
    {
        string page = Path.GetFullPath(PageOf(path)), folder = FolderOf(page);
        string[] names = [.. report.Figures.Select(f => f.Name), .. report.Sections.SelectMany(s => s.Tables).Select(t => t.Name)];
        if (names.GroupBy(n => n, StringComparer.Ordinal).FirstOrDefault(g => g.Count() > 1) is { } twice)
        {
            throw new ArgumentException($"two parts of the report are named {twice.Key}", nameof(report));
        }
        try
        {
            Directory.CreateDirectory(folder);
            TemporaryName.DeleteLeftovers(folder);
            foreach (string old in Directory.EnumerateFiles(folder).Where(f => Path.GetExtension(f) is ".svg" or ".csv" && !names.Contains(Path.GetFileNameWithoutExtension(f))))
            {
                File.Delete(old);
            }
        }
        catch (IOException e) when (WriteErrors.IsDiskFull(e))
        {
            throw WriteErrors.Translate(folder, 0, e);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new EngineException(ErrorKind.BadInput, $"the folder of the report's figures, {folder}, cannot be written: {e.Message}", "choose another --report", e);
        }
        foreach (var figure in report.Figures)
        {
            AtomicFile.WriteAllText(Path.Combine(folder, figure.Name + ".svg"), figure.Draw(Figure.WideWidth));
        }
        foreach (var table in report.Data)
        {
            AtomicFile.WriteAllText(Path.Combine(folder, table.Name + ".csv"), table.ToCsv());
        }
        AtomicFile.WriteAllText(Path.Combine(folder, NumbersName), report.ToJson());
        AtomicFile.WriteAllText(page, ReportPage.Write(report, Uri.EscapeDataString(Path.GetFileName(folder))));
        return page;
    }
}
