using NativeEngine.Formats;

namespace NativeEngine.Profiling;

/// <summary>An earlier profile, read from its JSON document, to compare times with.</summary>
public sealed class ProfileBaseline
{
    /// <summary>Slower by less than this share is not told from noise, however small the spread of the samples.</summary>
    public const double Tolerance = 0.1;

    private readonly Dictionary<string, (double Seconds, double Spread)> _rows = new(StringComparer.Ordinal);

    private ProfileBaseline(StrictJson json)
    {
        json.RequireSchema(1);
        Name = json.File;
        var rows = json.Optional("rows");
        if (rows is null || json.Optional("machine") is not { } machine)
        {
            throw json.Bad("has no times of kernels", "nengine profile --output BASE.json writes a baseline (without --work)");
        }
        Machine = $"{machine.RequireString("device")}, version {machine.RequireString("version")}";
        foreach (var row in rows.Items())
        {
            string size = string.Join(' ', row.Require("size").Members().Select(m => $"{m.Name}={m.Value.AsLong()}"));
            _rows[Key(row.RequireString("kernel"), size)] = (row.RequireDouble("seconds", 0), row.RequireDouble("spread", 0));
        }
    }

    /// <summary>The file.</summary>
    public string Name { get; }

    /// <summary>The device and the program's version it was measured with.</summary>
    public string Machine { get; }

    /// <summary>Reads what <c>profile --json</c> wrote. Errors: BadInput for another document.</summary>
    public static ProfileBaseline Load(string path) => new(StrictJson.Load(path));

    /// <summary>Reads a document from memory; <paramref name="name"/> is for messages.</summary>
    public static ProfileBaseline Parse(string name, ReadOnlySpan<byte> utf8) => new(StrictJson.Parse(name, utf8));

    /// <summary>The earlier time of a kernel at the same size in seconds; null when it was not measured.</summary>
    public double? Seconds(KernelMeasurement m) => _rows.TryGetValue(Key(m), out var row) && row.Seconds > 0 ? row.Seconds : null;

    /// <summary>Time now / time then; null when it was not measured.</summary>
    public double? Ratio(KernelMeasurement m) => m.Seconds / Seconds(m);

    /// <summary>Whether it is slower by more than <see cref="Tolerance"/> and more than half the spreads of both measurements together.</summary>
    public bool IsSlower(KernelMeasurement m) => Ratio(m) is { } ratio && ratio > 1 + Math.Max(Tolerance, (m.Spread + _rows[Key(m)].Spread) / 2);

    private static string Key(KernelMeasurement m) => Key(m.Row.Name, m.Size.ToString());

    private static string Key(string kernel, string size) => kernel + " " + size;
}
