using System.Text.Json;

namespace NativeEngine.Profiling;

/// <summary>
/// Writes recorded work as Chrome trace JSON, for ui.perfetto.dev and chrome://tracing: complete events on one track, strictly nested, times in
/// microseconds with nanosecond digits, and metadata that names process and track.
/// </summary>
public static class ChromeTrace
{
    private const int Process = 1, Track = 1;

    /// <summary>
    /// Writes the whole document. Errors: <see cref="ArgumentException"/> for events that overlap without one holding the other.
    /// </summary>
    public static void Write(Stream stream, IReadOnlyList<TraceEvent> events, string processName, string trackName)
    {
        using var json = new Utf8JsonWriter(stream);
        json.WriteStartObject();
        json.WriteString("displayTimeUnit", "ms");
        json.WriteStartArray("traceEvents");
        Name(json, "process_name", processName);
        Name(json, "thread_name", trackName);
        var open = new Stack<TraceEvent>();
        // A part comes before what it holds also where both begin together.
        foreach (var item in events.OrderBy(e => e.Start).ThenByDescending(e => e.Duration).ThenBy(e => e.Size is not null))
        {
            while (open.TryPeek(out var outer) && outer.End <= item.Start)
            {
                open.Pop();
            }
            if (open.TryPeek(out var around) && around.End < item.End)
            {
                throw new ArgumentException($"the events {around.Name} and {item.Name} overlap", nameof(events));
            }
            open.Push(item);
            Event(json, item);
        }
        json.WriteEndArray();
        json.WriteEndObject();
    }

    private static void Event(Utf8JsonWriter json, TraceEvent item)
    {
        json.WriteStartObject();
        json.WriteString("name", item.Name);
        json.WriteString("cat", item.Size is null ? "part" : "kernel");
        json.WriteString("ph", "X");
        json.WriteNumber("pid", Process);
        json.WriteNumber("tid", Track);
        json.WriteNumber("ts", item.Start / 1000m);
        json.WriteNumber("dur", item.Duration / 1000m);
        if (item.Size is { } size)
        {
            json.WriteStartObject("args");
            json.WriteString("size", size.ToString());
            json.WriteNumber("flops", item.Flops);
            json.WriteNumber("bytes", item.Bytes);
            json.WriteEndObject();
        }
        json.WriteEndObject();
    }

    private static void Name(Utf8JsonWriter json, string what, string name)
    {
        json.WriteStartObject();
        json.WriteString("name", what);
        json.WriteString("ph", "M");
        json.WriteNumber("pid", Process);
        json.WriteNumber("tid", Track);
        json.WriteStartObject("args");
        json.WriteString("name", name);
        json.WriteEndObject();
        json.WriteEndObject();
    }
}
