using System.Globalization;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using NativeEngine.Devices;
using NativeEngine.Formats;

namespace NativeEngine.Training;

/// <summary>run.json: what is needed to repeat a run and to know what it read.</summary>
public static class RunManifest
{
    /// <summary>
    /// Writes the manifest: command line, resolved options, program and runtime versions, device, and SHA-256 of the input files.
    /// <paramref name="result"/> adds what came out, once the run has ended.
    /// </summary>
    public static void Write(
        string path, IReadOnlyList<string> command, IReadOnlyDictionary<string, string> options, Device device, IEnumerable<string> inputs,
        Action<Utf8JsonWriter>? result = null)
    {
        using var stream = new MemoryStream();
        using (var json = new Utf8JsonWriter(stream, new JsonWriterOptions { Indented = true }))
        {
            json.WriteStartObject();
            json.WriteNumber("schema", 1);
            json.WriteString("program", "nengine");
            json.WriteString("version", typeof(RunManifest).Assembly.GetName().Version?.ToString(3));
            json.WriteString("runtime", RuntimeInformation.FrameworkDescription);
            json.WriteString("system", RuntimeInformation.OSDescription);
            json.WriteString("device", device.Description);
            json.WriteString("written", DateTimeOffset.UtcNow.ToString("o", CultureInfo.InvariantCulture));
            json.WriteStartArray("command");
            foreach (string word in command)
            {
                json.WriteStringValue(word);
            }
            json.WriteEndArray();
            json.WriteStartObject("options");
            foreach (var (name, value) in options.OrderBy(o => o.Key, StringComparer.Ordinal))
            {
                json.WriteString(name, value);
            }
            json.WriteEndObject();
            json.WriteStartObject("inputs");
            foreach (string file in inputs.Where(File.Exists))
            {
                using var content = File.OpenRead(file);
                json.WriteString(file, Convert.ToHexStringLower(SHA256.HashData(content)));
            }
            json.WriteEndObject();
            if (result is not null)
            {
                json.WriteStartObject("result");
                result(json);
                json.WriteEndObject();
            }
            json.WriteEndObject();
        }
        AtomicFile.WriteAllText(path, Encoding.UTF8.GetString(stream.ToArray()) + "\n");
    }
}
