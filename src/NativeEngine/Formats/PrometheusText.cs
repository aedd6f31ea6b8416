using System.Globalization;
using System.Text;

namespace NativeEngine.Formats;

/// <summary>
/// Builds a file in Prometheus' text format as node_exporter's textfile collector takes it: HELP and TYPE before the samples of a name, escaped labels,
/// no timestamps, a newline at the end.
/// </summary>
public sealed class PrometheusText
{
    private readonly StringBuilder _text = new();

    /// <summary>Adds one metric with its samples; none at all when there are no samples.</summary>
    /// <param name="name">Letters, digits and underscores; a counter's ends in _total.</param>
    /// <param name="type">gauge or counter.</param>
    /// <param name="help">What it is, with its unit.</param>
    /// <param name="samples">Labels and value of each.</param>
    public void Add(string name, string type, string help, IEnumerable<((string Name, string Value)[] Labels, double Value)> samples)
    {
        bool first = true;
        foreach (var (labels, value) in samples)
        {
            if (first)
            {
                _text.Append(CultureInfo.InvariantCulture, $"# HELP {name} {help.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("\n", "\\n", StringComparison.Ordinal)}\n# TYPE {name} {type}\n");
                first = false;
            }
            _text.Append(name);
            if (labels.Length > 0)
            {
                _text.Append('{').AppendJoin(',', labels.Select(l => $"{l.Name}=\"{Escape(l.Value)}\"")).Append('}');
            }
            _text.Append(' ').Append(value switch
            {
                double.NaN => "NaN",
                double.PositiveInfinity => "+Inf",
                double.NegativeInfinity => "-Inf",
                _ => value.ToString("R", CultureInfo.InvariantCulture),
            }).Append('\n');
        }
    }

    /// <summary>The file's text.</summary>
    public override string ToString() => _text.ToString();

    private static string Escape(string value) =>
        value.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("\"", "\\\"", StringComparison.Ordinal).Replace("\n", "\\n", StringComparison.Ordinal);
}
