using System.Globalization;
using System.Text;
using System.Text.Json;
using NativeEngine.Devices.Gpu;
using NativeEngine.Formats;

namespace NativeEngine.GpuCheck;

/// <summary>One line of the check: what was asked, whether it held, and with what figures.</summary>
internal sealed record CheckLine(string Section, string What, bool? Passed, string Detail);

/// <summary>One rate against its goal.</summary>
internal sealed record RateLine(string What, string Size, double Seconds, string Rate, string Share, string PyTorch, string Goal, string Verdict);

/// <summary>Everything the check found, told as it goes and written at the end.</summary>
internal sealed class CheckReport(GpuInfo info)
{
    private readonly List<CheckLine> _lines = [];
    private readonly List<RateLine> _rates = [];
    private readonly List<string> _facts = [];

    public int Failures => _lines.Count(line => line.Passed == false);

    /// <summary>The card's name as a folder.</summary>
    public static string FolderOf(GpuInfo info)
    {
        string[] parts = info.Description.Split(',');
        string name = (parts.Length > 1 ? parts[1] : parts[0]).Trim();
        return string.Concat(name.Select(c => char.IsLetterOrDigit(c) || c is '-' or '.' ? c : '-')).Trim('-');
    }

    /// <summary>A rate with the prefix that suits it: 4.1 TB/s, 233 GB/s.</summary>
    public static string Quantity(double perSecond, string unit)
    {
        var (scale, prefix) = perSecond switch { >= 1e12 => (1e12, "T"), >= 1e9 => (1e9, "G"), _ => (1e6, "M") };
        return string.Create(CultureInfo.InvariantCulture, $"{perSecond / scale:G3} {prefix}{unit}");
    }

    public void Say(string text) => Console.WriteLine(text);

    /// <summary>A fact of the card: a roof.</summary>
    public void Fact(string text)
    {
        _facts.Add(text);
        Say(text);
    }

    /// <summary>A check; a null passed is a check that could not be made.</summary>
    public void Add(string section, string what, bool? passed, string detail)
    {
        _lines.Add(new CheckLine(section, what, passed, detail));
        Say($"{(passed switch { true => "ok     ", false => "FAILED ", _ => "skipped" })} {section}: {what}: {detail}");
    }

    /// <summary>A rate; of small sizes it is not judged.</summary>
    public void Add(RateLine rate, CheckOptions options)
    {
        rate = options.Quick ? rate with { Verdict = "not judged" } : rate;
        _rates.Add(rate);
        Say(FormattableString.Invariant($"{rate.What} {rate.Size}: {rate.Seconds * 1e3:0.000} ms, {rate.Rate}, {rate.Share}; PyTorch {rate.PyTorch}; goal {rate.Goal}: {rate.Verdict}"));
    }

    /// <summary>Writes check.md and check.json.</summary>
    public void Write(string folder, CheckOptions options)
    {
        Directory.CreateDirectory(folder);
        AtomicFile.WriteAllText(Path.Combine(folder, "check.md"), Page(options));
        AtomicFile.Write(Path.Combine(folder, "check.json"), stream =>
        {
            using var json = new Utf8JsonWriter(stream, new JsonWriterOptions { Indented = true });
            WriteJson(json, options);
        });
        Say($"written to {folder}");
    }

    private string Page(CheckOptions options)
    {
        var page = new StringBuilder();
        page.Append($"# {info.Description}\n\n`check --device {options.Device}{(options.Quick ? " --quick" : "")}`, {DateTime.UtcNow:yyyy-MM-dd}.");
        page.Append(options.Quick ? " Small sizes: the figures say nothing about the card.\n\n" : "\n\n");
        _facts.ForEach(fact => page.Append($"- {fact}\n"));
        page.Append("\n| | size | time | rate | share of the roof | PyTorch | goal | |\n|---|---|---|---|---|---|---|---|\n");
        foreach (var r in _rates)
        {
            page.Append(FormattableString.Invariant($"| {r.What} | {r.Size} | {r.Seconds * 1e3:0.000} ms | {r.Rate} | {r.Share} | {r.PyTorch} | {r.Goal} | {r.Verdict} |\n"));
        }
        page.Append($"\n{_lines.Count(l => l.Passed == true)} checks passed, {Failures} failed, {_lines.Count(l => l.Passed is null)} skipped.\n\n| check | | |\n|---|---|---|\n");
        foreach (var line in _lines)
        {
            page.Append($"| {line.Section}: {line.What} | {(line.Passed switch { true => "ok", false => "**FAILED**", _ => "skipped" })} | {line.Detail.ReplaceLineEndings(" ").Replace("|", "/", StringComparison.Ordinal)} |\n");
        }
        return page.ToString();
    }

    private void WriteJson(Utf8JsonWriter json, CheckOptions options)
    {
        json.WriteStartObject();
        json.WriteNumber("schema", 1);
        json.WriteString("device", info.Description);
        json.WriteBoolean("quick", options.Quick);
        json.WriteStartArray("facts");
        _facts.ForEach(json.WriteStringValue);
        json.WriteEndArray();
        json.WriteStartArray("rates");
        foreach (var r in _rates)
        {
            json.WriteStartObject();
            json.WriteString("what", r.What);
            json.WriteString("size", r.Size);
            json.WriteNumber("seconds", r.Seconds);
            json.WriteString("rate", r.Rate);
            json.WriteString("share", r.Share);
            json.WriteString("pytorch", r.PyTorch);
            json.WriteString("goal", r.Goal);
            json.WriteString("verdict", r.Verdict);
            json.WriteEndObject();
        }
        json.WriteEndArray();
        json.WriteStartArray("checks");
        foreach (var line in _lines)
        {
            json.WriteStartObject();
            json.WriteString("section", line.Section);
            json.WriteString("what", line.What);
            if (line.Passed is { } passed)
            {
                json.WriteBoolean("passed", passed);
            }
            else
            {
                json.WriteNull("passed");
            }
            json.WriteString("detail", line.Detail);
            json.WriteEndObject();
        }
        json.WriteEndArray();
        json.WriteEndObject();
    }
}
