using System.Text.Json;
using NativeEngine.Data;
using NativeEngine.Tests.Support;

namespace NativeEngine.Tests.Cli;

/// <summary>Files for small training runs of the executable, and one run that nothing disturbed to compare others with.</summary>
public sealed class TrainRuns : IDisposable
{
    private readonly TemporaryFolder _folder = new();
    private readonly Lazy<NEngineResult> _undisturbed;

    public TrainRuns()
    {
        Data = _folder.File("train.jsonl");
        Valid = _folder.File("valid.jsonl");
        JsonlWriter.Write(Data, MixtureSynthesizer.Generate(300, 5, SynthesisSplit.Train));
        JsonlWriter.Write(Valid, MixtureSynthesizer.Generate(60, 5, SynthesisSplit.Valid));
        _undisturbed = new Lazy<NEngineResult>(() => NEngine.Run(Args(UndisturbedFolder)).Expect(0));
    }

    public string Data { get; }

    public string Valid { get; }

    public string UndisturbedFolder => _folder.File("undisturbed");

    /// <summary>The result of the run that nothing disturbed.</summary>
    public NEngineResult Undisturbed => _undisturbed.Value;

    /// <summary>A path that no other test uses.</summary>
    public string NewFolder() => _folder.File(Guid.NewGuid().ToString("N"));

    /// <summary>A folder as the undisturbed run left it.</summary>
    public string CopyOfUndisturbed()
    {
        Undisturbed.Expect(0);
        string copy = NewFolder();
        foreach (string file in Directory.EnumerateFiles(UndisturbedFolder, "*", SearchOption.AllDirectories))
        {
            string target = Path.Combine(copy, Path.GetRelativePath(UndisturbedFolder, file));
            Directory.CreateDirectory(Path.GetDirectoryName(target)!);
            File.Copy(file, target);
        }
        return copy;
    }

    /// <summary>Forty steps of CoLM with a checkpoint every third; extra options win.</summary>
    public string[] Args(string output, params string[] extra) =>
    [
        "train", "--json", "--output", output,
        .. Override(
            [
                "--model", "preset:0.2m", "--data", Data, "--eval-data", Valid, "--seq-len", "64", "--loss-on", "all", "--pool", "16", "--batch", "8",
                "--steps", "40", "--checkpoint-every", "3", "--threads", "2",
            ],
            extra),
    ];

    /// <summary>Options with values, those that are given again left out, then the others.</summary>
    public static string[] Override(string[] options, string[] extra) =>
        [.. options.Chunk(2).Where(option => !extra.Contains(option[0])).SelectMany(option => option), .. extra];

    /// <summary>Every line of metrics.jsonl without its times, and without the memory, which tells what earlier steps left in use too.</summary>
    public static string[] Metrics(string output) =>
    [
        .. File.ReadLines(Path.Combine(output, "metrics.jsonl")).Select(line =>
        {
            using var json = JsonDocument.Parse(line);
            return string.Join(' ', json.RootElement.EnumerateObject().Where(m => !m.Name.EndsWith("seconds", StringComparison.Ordinal) && m.Name != "activation_bytes").Select(m => $"{m.Name}={m.Value}"));
        }),
    ];

    /// <summary>Fails unless the run ended as the undisturbed one: the same model, the same metrics, nothing half-made.</summary>
    public void AssertSameEnd(string output)
    {
        Undisturbed.Expect(0);
        foreach (string file in new[] { "model.safetensors", "config.json", "tokenizer.json" })
        {
            Assert.True(
                File.ReadAllBytes(Path.Combine(UndisturbedFolder, file)).AsSpan().SequenceEqual(File.ReadAllBytes(Path.Combine(output, file))), $"{file} differs");
        }
        Assert.Equal(Metrics(UndisturbedFolder), Metrics(output));
        Assert.Equal(Names(UndisturbedFolder), Names(output));

        static string?[] Names(string folder) => [.. Directory.GetFileSystemEntries(folder).Select(Path.GetFileName).Order()];
    }

    /// <summary>Waits until the run has logged so many steps; false when it ended before.</summary>
    public static bool WaitForSteps(System.Diagnostics.Process process, string output, int steps)
    {
        string metrics = Path.Combine(output, "metrics.jsonl");
        while (!process.HasExited)
        {
            if (File.Exists(metrics) && Lines(metrics) >= steps)
            {
                return true;
            }
            Thread.Sleep(1);
        }
        return false;
    }

    public void Dispose() => _folder.Dispose();

    private static int Lines(string path)
    {
        using var reader = new StreamReader(new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete));
        return reader.ReadToEnd().Count(c => c == '\n');
    }
}
