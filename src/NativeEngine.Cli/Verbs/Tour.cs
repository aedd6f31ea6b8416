using System.Diagnostics;
using System.Text.Json;
using NativeEngine.Formats;

namespace NativeEngine.Cli.Verbs;

/// <summary>
/// Runs other verbs one after the other inside this process, each as the command line that it says it runs, and keeps each one's JSON result as a file: a step whose
/// file is there is not run again. So a tour that was stopped goes on where it was.
/// </summary>
internal sealed class Tour(VerbContext context, string folder, int steps)
{
    private int _step;

    /// <summary>Whether a step was done.</summary>
    public bool Has(string name) => File.Exists(Path.Combine(folder, name + ".json"));

    /// <summary>Runs one step, or takes its result from the file NAME.json.</summary>
    public JsonElement Step(string name, string says, params IReadOnlyList<string> args)
    {
        _step++;
        string file = Path.Combine(folder, name + ".json");
        string line = "nengine " + string.Join(' ', args);
        if (Read(file) is { } done)
        {
            context.Talk.Info($"[{_step}/{steps}] {says}: done before");
            return done;
        }
        context.Talk.Info($"[{_step}/{steps}] {says}");
        context.Talk.Info($"      {line}");
        long start = Stopwatch.GetTimestamp();
        byte[] result = Run(args);
        Directory.CreateDirectory(folder);
        AtomicFile.WriteAllBytes(file, result);
        context.ResumeHint = "run the same command again: it goes on where it was";
        context.Talk.Detail($"      {Stopwatch.GetElapsedTime(start).TotalSeconds:0.0} s");
        return Read(file)!.Value;
    }

    private byte[] Run(IReadOnlyList<string> args)
    {
        using var stdout = new MemoryStream();
        var common = new CommonOptions();
        var result = new ResultWriter(stdout, ResultForm.Json);
        var parse = new CommandLineReader(VerbList.Create(common), common).Read([.. args, "--json", "--threads", $"{context.Threads.Count}", "--device", context.DeviceName, "--max-memory", $"{context.MaxMemory}"]);
        var inner = context.For(parse, common, result, ["nengine", .. args]);
        try
        {
            context.Talk.OnlyProgress = true;
            int code = ((Verb)parse.CommandResult.Command).Run(inner);
            if (code != 0)
            {
                throw new EngineException((ErrorKind)code, $"nengine {string.Join(' ', args)} ended with {code}", $"run it by itself: nengine {string.Join(' ', args)}");
            }
        }
        finally
        {
            context.Talk.OnlyProgress = false;
            context.ResumeHint = inner.ResumeHint is null ? context.ResumeHint : "run the same command again: it goes on where it was";
        }
        result.Complete();
        return stdout.ToArray();
    }

    private static JsonElement? Read(string file)
    {
        if (!File.Exists(file))
        {
            return null;
        }
        using var document = JsonDocument.Parse(File.ReadAllBytes(file));
        return document.RootElement.Clone();
    }
}
