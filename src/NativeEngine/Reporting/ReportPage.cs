using System.Globalization;
using System.Net;
using System.Text;

namespace NativeEngine.Reporting;

/// <summary>
/// A report as one HTML page: no script, nothing from elsewhere, light and dark, readable on a phone, at a desk and on paper. The same report gives
/// the same bytes.
/// </summary>
public static class ReportPage
{
    private const int MostTableRows = 200;
    private const int MostFigureRows = 60;

    private const string Style = """
        :root{color-scheme:light dark;--page:#ffffff;--text:#1b1f24;--soft:#57606a;--line:#d8dde3;--tint:#f4f6f8;--accent:#0b6bcb}
        @media (prefers-color-scheme:dark){:root{--page:#14181d;--text:#e8ebee;--soft:#9aa4af;--line:#2b3138;--tint:#1b2027;--accent:#6cb2ff}}
        *{box-sizing:border-box}
        body{margin:0;background:var(--page);color:var(--text);font:16px/1.5 system-ui,"Segoe UI","Helvetica Neue",Arial,sans-serif}
        main{max-width:800px;margin:0 auto;padding:28px 20px 56px}
        h1,h2{overflow-wrap:anywhere}h1{font-size:28px;line-height:1.2;margin:0 0 6px}h2{font-size:20px;line-height:1.3;margin:44px 0 6px}p{margin:0 0 14px;max-width:70ch;overflow-wrap:anywhere}
        .lead{color:var(--soft);font-size:17px}
        dl.facts{display:grid;grid-template-columns:repeat(auto-fill,minmax(150px,1fr));gap:10px;margin:22px 0 8px}
        dl.facts div{background:var(--tint);border-radius:8px;padding:10px 12px}dl.facts dt{font-size:13px;color:var(--soft)}
        dl.facts dd{margin:2px 0 0;font-size:20px;font-weight:600;overflow-wrap:anywhere}
        dl.facts dd.words{font-size:15px}figure{margin:18px 0 22px}figure .phone{display:none}figcaption{font-size:14px;color:var(--soft);margin-top:2px}
        .scroll{overflow-x:auto}
        table{border-collapse:collapse;font-size:14px;margin:6px 0 14px;font-variant-numeric:tabular-nums}
        .caption{font-size:14px;font-weight:600;margin:14px 0 0;max-width:none}th,td{padding:3px 14px 3px 0;text-align:left;border-bottom:1px solid var(--line);vertical-align:top}
        th{font-weight:600;color:var(--soft)}td.n,th.n{text-align:right}td.n{white-space:nowrap}td{overflow-wrap:break-word;min-width:9em;max-width:34em}td.n{min-width:0}th.n{white-space:normal;max-width:16ch}
        details{font-size:14px;color:var(--soft)}summary{cursor:pointer}details table,details .caption{color:var(--text)}
        a{color:var(--accent)}footer{margin-top:52px;border-top:1px solid var(--line);padding-top:14px;font-size:14px;color:var(--soft)}
        footer dt{font-weight:600;margin-top:8px}footer dd{margin:0;overflow-wrap:anywhere;font-family:ui-monospace,Menlo,Consolas,monospace;font-size:13px}
        @media (max-width:560px){main{padding:18px 14px 40px}h1{font-size:23px}dl.facts{grid-template-columns:1fr 1fr}figure .desk{display:none}figure .phone{display:block}th,td{padding-right:9px}td{min-width:6em}}
        @media print{
        :root{color-scheme:light;--page:#ffffff;--text:#1b1f24;--soft:#57606a;--line:#d8dde3;--tint:#f4f6f8;--accent:#0b6bcb}
        svg{--ground:#ffffff;--ink:#1b1f24;--quiet:#57606a;--grid:#e3e6ea;--a:#0b6bcb;--b:#c2410c;--c:#15803d;--d:#7e22ce;--e:#a16207;--f:#0e7490;--more:#4796e3;--less:#ea7a45}
        main{max-width:none;padding:0}figure,dl.facts div{break-inside:avoid}h2{break-after:avoid}figure .desk{display:block}figure .phone{display:none}details{display:none}
        }

        """;

    /// <summary>
    /// The page. <paramref name="files"/> is the folder of the figures and their data, relative to the page, for links; null without them.
    /// </summary>
    public static string Write(Report report, string? files)
    {
        var body = new StringBuilder();
        var styles = new List<string>();
        body.Append(CultureInfo.InvariantCulture, $"<main>\n<header>\n<h1>{Text(report.Title)}</h1>\n");
        if (report.Subtitle.Length > 0)
        {
            body.Append(CultureInfo.InvariantCulture, $"<p class=\"lead\">{Text(report.Subtitle)}</p>\n");
        }
        if (report.Facts.Count > 0)
        {
            body.Append("<dl class=\"facts\">\n");
            foreach (var fact in report.Facts)
            {
                body.Append(CultureInfo.InvariantCulture, $"<div><dt>{Text(fact.Label)}</dt><dd{(double.IsFinite(fact.Value) ? "" : " class=\"words\"")}>{Text(fact.Text)}</dd></div>\n");
            }
            body.Append("</dl>\n");
        }
        body.Append("</header>\n");
        foreach (var section in report.Sections)
        {
            body.Append(CultureInfo.InvariantCulture, $"<section>\n<h2>{Text(section.Question)}</h2>\n<p>{Text(section.Answer)}</p>\n");
            foreach (var figure in section.Figures)
            {
                WriteFigure(body, styles, figure, files);
            }
            foreach (var table in section.Tables)
            {
                WriteTable(body, table, MostTableRows, files);
            }
            body.Append("</section>\n");
        }
        WriteOrigin(body, report);
        body.Append("</main>\n");
        return $"<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n"
            + $"<title>{Text(report.Title)}</title>\n<style>\n{string.Concat(styles)}{Style}</style>\n</head>\n<body>\n{body}</body>\n</html>\n";
    }

    private static void WriteFigure(StringBuilder body, List<string> styles, Figure figure, string? files)
    {
        body.Append(CultureInfo.InvariantCulture, $"<figure id=\"{Text(figure.Name)}\">\n");
        body.Append("<div class=\"desk\">\n").Append(Embed(styles, figure.Draw(Figure.WideWidth), figure.Name)).Append("</div>\n<div class=\"phone\">\n")
            .Append(Embed(styles, figure.Draw(Figure.NarrowWidth), figure.Name + "-narrow")).Append("</div>\n");
        if (figure.Caption.Length > 0)
        {
            body.Append(CultureInfo.InvariantCulture, $"<figcaption>{Text(figure.Caption)}</figcaption>\n");
        }
        if (files is not null || figure.Data.Rows <= MostFigureRows)
        {
            body.Append("<details><summary>the numbers</summary>\n");
            if (files is not null)
            {
                string path = Text(files + "/" + figure.Name);
                body.Append(CultureInfo.InvariantCulture, $"<p><a href=\"{path}.svg\">figure</a> · <a href=\"{path}.csv\">data</a></p>\n");
            }
            if (figure.Data.Rows <= MostFigureRows)
            {
                WriteTable(body, figure.Data, MostFigureRows, null);
            }
            body.Append("</details>\n");
        }
        body.Append("</figure>\n");
    }

    /// <summary>A standalone SVG inside a page: its style goes to the page, which has each once, and its names get their own prefix.</summary>
    private static string Embed(List<string> styles, string svg, string name)
    {
        int start = svg.IndexOf("<style>", StringComparison.Ordinal), end = svg.IndexOf("</style>", StringComparison.Ordinal);
        string style = svg[(start + "<style>".Length)..end];
        if (!styles.Contains(style))
        {
            styles.Add(style);
        }
        string head = svg[..start].TrimEnd()
            .Replace("figure-title", name + "-title", StringComparison.Ordinal).Replace("figure-description", name + "-description", StringComparison.Ordinal);
        return head + svg[(end + "</style>".Length)..];
    }

    private static void WriteTable(StringBuilder body, DataTable table, int most, string? files)
    {
        // What it shows stands above and not within: a table wider than a phone scrolls, its heading does not.
        string heading = Text(table.Name + "-table");
        body.Append(CultureInfo.InvariantCulture, $"<p class=\"caption\" id=\"{heading}\">{Text(table.Title)}</p>\n")
            .Append(CultureInfo.InvariantCulture, $"<div class=\"scroll\" role=\"region\" tabindex=\"0\" aria-labelledby=\"{heading}\">\n<table aria-labelledby=\"{heading}\">\n<thead><tr>");
        foreach (var column in table.Columns)
        {
            body.Append(CultureInfo.InvariantCulture, $"<th{(column.Numbers is null ? "" : " class=\"n\"")} scope=\"col\">{Text(column.Name)}</th>");
        }
        body.Append("</tr></thead>\n<tbody>\n");
        for (int row = 0; row < Math.Min(most, table.Rows); row++)
        {
            body.Append("<tr>");
            foreach (var column in table.Columns)
            {
                body.Append(column.Numbers is { } numbers ? $"<td class=\"n\">{ReportNumber.Exact(numbers[row])}</td>" : $"<td>{Text(column.Words![row])}</td>");
            }
            body.Append("</tr>\n");
        }
        body.Append("</tbody>\n</table>\n</div>\n");
        if (table.Rows > most)
        {
            string where = files is null ? "" : $": <a href=\"{Text(files + "/" + table.Name)}.csv\">all of them</a>";
            body.Append(CultureInfo.InvariantCulture, $"<p>and {table.Rows - most} more rows{where}</p>\n");
        }
    }

    private static void WriteOrigin(StringBuilder body, Report report)
    {
        if (report.Origin.Count == 0)
        {
            return;
        }
        body.Append("<footer>\n<dl>\n");
        foreach (var (label, text) in report.Origin)
        {
            body.Append(CultureInfo.InvariantCulture, $"<dt>{Text(label)}</dt><dd>{Text(text)}</dd>\n");
        }
        body.Append("</dl>\n</footer>\n");
    }

    private static string Text(string text) => WebUtility.HtmlEncode(text);
}
