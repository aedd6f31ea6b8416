using System.Collections;
using System.Diagnostics;
using System.Globalization;
using System.Reflection;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text.Json;
using NativeEngine.Devices;
using NativeEngine.Formats;

namespace NativeEngine.Training;

/// <summary>
/// run.json: what is needed to repeat a run and to know what it read and made: command, resolved options (the seed among them), versions and commit,
/// device, the environment variables that matter, SHA-256 of every input and output file, times, peak memory.
/// </summary>
public sealed class RunManifest
{
    /// <summary>The file's name in a run's folder.</summary>
    public const string FileName = "run.json";

    private static readonly string[] _variables =
        ["NENGINE_", "SLURM_", "OMP_NUM_THREADS", "OMPI_COMM_WORLD_", "PMI_", "RANK", "WORLD_SIZE", "CUDA_VISIBLE_DEVICES", "DOTNET_GC", "DOTNET_Enable"];

    private readonly string _path;
    private readonly IReadOnlyList<string> _command;
    private readonly IReadOnlyDictionary<string, string> _options;
    private readonly Device _device;
    private readonly DateTimeOffset _started = DateTimeOffset.UtcNow;
    private readonly long _clock = Stopwatch.GetTimestamp();
    private readonly List<(string File, string Hash)> _inputs;

    /// <summary>Reads the inputs, files or model folders (their weights, shards, index, configuration and tokenizer), for their hashes; what is not there is left out.</summary>
    public RunManifest(string path, IReadOnlyList<string> command, IReadOnlyDictionary<string, string> options, Device device, IEnumerable<string> inputs)
    {
        (_path, _command, _options, _device) = (path, command, options, device);
        _inputs = [.. inputs.SelectMany(Files).Distinct(StringComparer.Ordinal).Select(file => (file, Hash(file)))];
    }

    /// <summary>The commit this program was built from, or null where the build did not know.</summary>
    public static string? Commit { get; } =
        typeof(RunManifest).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion.Split('+') is [_, var commit] ? commit : null;

    /// <summary>
    /// Writes the manifest. Once the run has ended <paramref name="outputs"/> names what it made, relative to the manifest's folder, and <paramref name="result"/>
    /// adds what came out.
    /// </summary>
    public void Write(IEnumerable<string>? outputs = null, Action<Utf8JsonWriter>? result = null)
    {
        AtomicFile.WriteAllBytes(_path, JsonWriting.Document(json =>
        {
            json.WriteNumber("schema", 1);
            json.WriteString("program", "nengine");
            json.WriteString("version", typeof(RunManifest).Assembly.GetName().Version?.ToString(3));
            json.WriteString("commit", Commit);
            json.WriteString("runtime", RuntimeInformation.FrameworkDescription);
            json.WriteString("system", $"{RuntimeInformation.OSDescription.Trim()} ({RuntimeInformation.ProcessArchitecture})");
            json.WriteString("device", _device.Description);
            json.WriteNumber("processors", Environment.ProcessorCount);
            json.WriteBoolean("complete", result is not null);
            json.WriteString("started", Time(_started));
            json.WriteString("written", Time(DateTimeOffset.UtcNow));
            json.WriteNumber("seconds", Math.Round(Stopwatch.GetElapsedTime(_clock).TotalSeconds, 3));
            json.WriteNumber("peak_resident_bytes", Process.GetCurrentProcess().PeakWorkingSet64);
            if (WorkingFolder() is { } workingFolder)
            {
                json.WriteString("working_folder", workingFolder);
            }
            json.Strings("command", _command);
            json.Strings("options", _options.OrderBy(o => o.Key, StringComparer.Ordinal).Select(o => (o.Key, o.Value)));
            json.Strings("environment", Variables());
            json.Strings("inputs", _inputs);
            if (outputs is not null)
            {
                string folder = Path.GetDirectoryName(Path.GetFullPath(_path))!;
                json.Strings("outputs", outputs.Where(name => File.Exists(Path.Combine(folder, name))).Select(name => (name, Hash(Path.Combine(folder, name)))));
            }
            if (result is not null)
            {
                json.WriteStartObject("result");
                result(json);
                json.WriteEndObject();
            }
        }));
    }

    private static IEnumerable<(string, string)> Variables() =>
        from variable in Environment.GetEnvironmentVariables().Cast<DictionaryEntry>()
        let name = (string)variable.Key
        where _variables.Any(v => v.EndsWith('_') || v.StartsWith("DOTNET_", StringComparison.Ordinal) ? name.StartsWith(v, StringComparison.Ordinal) : name == v)
        orderby name
        select (name, (string?)variable.Value ?? "");

    private static IEnumerable<string> Files(string input) =>
        // A pipe is read once, by who needs it.
        Native.LibC.KindOf(input) is Native.FileKind.Pipe or Native.FileKind.Device ? []
        : File.Exists(input) ? [input]
        : Directory.Exists(input) ? Directory.EnumerateFiles(input).Where(f => Path.GetExtension(f) is ".safetensors" or ".json" && Path.GetFileName(f) != FileName).Order(StringComparer.Ordinal)
        : [];

    private static string Hash(string file)
    {
        using var content = File.OpenRead(file);
        return Convert.ToHexStringLower(SHA256.HashData(content));
    }

    // Null when it has been deleted under us.
    private static string? WorkingFolder()
    {
        try
        {
            return Environment.CurrentDirectory;
        }
        catch (IOException)
        {
            return null;
        }
    }

    private static string Time(DateTimeOffset time) => time.ToString("o", CultureInfo.InvariantCulture);
}
