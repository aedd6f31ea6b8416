using System.Text.Json;
using NativeEngine.Training;

namespace NativeEngine.Cli.Verbs;

/// <summary>Two runs trained again up to where they part, each by its own command from its own newest checkpoint before.</summary>
internal sealed record Replays(long To, ReplayedStretch A, ReplayedStretch B, ReplayVerdict Verdict)
{
    /// <summary>Trains both again. Errors: BadInput when a run's manifest, data or model is not what it was.</summary>
    public static Replays Of(VerbContext context, string a, string b, RunDifference first)
    {
        var (one, sameA) = Again(context, a, first.Step);
        var (other, sameB) = Again(context, b, first.Step);
        return new Replays(first.Step, one, other, ReplayVerdict.Of(first, one, other, sameA, sameB));
    }

    public void WriteText(TextWriter text)
    {
        text.WriteLine($"trained again: the first run from {Begin(A)}, the second from {Begin(B)}, to step {To}");
        text.WriteLine($"{DiffRunsVerb.CauseName(Verdict.Cause)}: {Verdict.Sentence}");
    }

    public void WriteJson(Utf8JsonWriter json)
    {
        json.WriteStartObject("replay");
        json.WriteNumber("to", To);
        json.WriteString("cause", DiffRunsVerb.CauseName(Verdict.Cause).Replace(' ', '_'));
        json.WriteString("sentence", Verdict.Sentence);
        foreach (var (name, stretch) in new[] { ("a", A), ("b", B) })
        {
            json.WriteStartObject(name);
            json.WriteNumber("from", stretch.From);
            json.WriteBoolean("same", stretch.Difference is null);
            json.WriteString("difference", stretch.Difference?.Sentence);
            json.WriteEndObject();
        }
        json.WriteEndObject();
    }

    private static string Begin(ReplayedStretch stretch) => stretch.From == 0 ? "the beginning" : $"its checkpoint after step {stretch.From}";

    private static (ReplayedStretch Stretch, bool SameHere) Again(VerbContext context, string folder, long to)
    {
        string full = Path.GetFullPath(folder), here = Environment.CurrentDirectory;
        var record = RunRecord.Load(full);
        if (record.WorkingFolder is not { } working || !Directory.Exists(working))
        {
            throw new EngineException(ErrorKind.BadInput, $"{folder} was trained in {record.WorkingFolder ?? "an unknown folder"}, which is not here", "replay where the run was made, with the data and model that run.json names");
        }
        var common = new CommonOptions();
        string[] words = [.. record.Command.Skip(1)];
        var parse = new CommandLineReader(VerbList.Create(common, words), common);
        context.Talk.OnlyProgress = true;
        try
        {
            // Names in the command are as seen from there.
            Environment.CurrentDirectory = working;
            var line = parse.Read(words);
            if (line.CommandResult.Command is not TrainVerb train)
            {
                throw new EngineException(ErrorKind.BadInput, $"{folder} was not made by train but by {string.Join(' ', words.Take(2))}", "compare runs of nengine train");
            }
            using var run = train.Prepare(context.For(line, common, context.Result, record.Command), full);
            long from = RunReplay.Begin(full, to);
            using var progress = context.Progress($"training {folder} again", to - from, "steps");
            var stretch = RunReplay.Run(full, run.Trainer, run.Model.Model, run.Settings, record.Options, to, done => progress.Report(done), context.Cancellation);
            bool same = record.Commit == RunManifest.Commit && record.Version == typeof(RunManifest).Assembly.GetName().Version?.ToString(3) && record.Device == run.Device.Description;
            return (stretch, same);
        }
        finally
        {
            Environment.CurrentDirectory = here;
            context.Talk.OnlyProgress = false;
        }
    }
}
