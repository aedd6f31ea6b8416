using System.CommandLine;
using System.Text.Json;
using NativeEngine.Formats;
using NativeEngine.Training;

namespace NativeEngine.Cli.Verbs;

/// <summary>Finds where two training runs part.</summary>
internal sealed class DiffRunsVerb : Verb
{
    private readonly Argument<string> _a = new("A") { HelpName = "DIR", Description = "A training run's folder." };
    private readonly Option<bool> _replay = Opt.Flag("--replay", "Also train both again from their last checkpoints before, to tell what they were told from a fault.");
    private readonly Argument<string> _b = new("B") { HelpName = "DIR", Description = "Another." };

    public DiffRunsVerb()
        : base("diff-runs", "Finds the first step, tensor and element where two training runs part, and why.", "nengine diff-runs runs/a runs/b")
    {
        Add(_a);
        Add(_b);
        Add("options", _replay);
    }

    public override bool OutputIsResult => true;

    public override int Run(VerbContext context)
    {
        string a = context.Need(_a), b = context.Need(_b);
        foreach (string folder in (string[])[a, b])
        {
            if (!File.Exists(Path.Combine(folder, MetricsHistory.FileName)))
            {
                throw new EngineException(ErrorKind.BadInput, Directory.Exists(folder) ? $"{folder} is no training run: it has no {MetricsHistory.FileName}" : File.Exists(folder) ? $"{folder} is a file, a training run's folder is needed" : $"there is no folder {folder}",
                    MissingPath.Hint(folder, holding: MetricsHistory.FileName) ?? $"nengine train --model preset:0.2m --data builtin --steps 200 --output {(Path.Exists(folder) ? "runs/first" : folder)} makes one");
            }
        }
        var found = RunComparison.Of(a, b, context.Cancellation);
        // A run that ends early has nothing more to train again.
        var replays = context.Get(_replay) && found.First is { Step: > 0 } first && first.Where != "step" ? Replays.Of(context, a, b, first) : null;
        context.Result.Write(
            text =>
            {
                WriteText(text, found);
                replays?.WriteText(text);
            },
            json =>
            {
                WriteJson(json, found);
                replays?.WriteJson(json);
            });
        return found.First is null ? 0 : (int)ErrorKind.VerificationFailed;
    }

    private static void WriteText(TextWriter text, RunComparison found)
    {
        string compared = $"{found.Steps} steps and {(found.Checkpoints.Count == 1 ? "1 checkpoint" : $"{found.Checkpoints.Count} checkpoints")} compared";
        if (found.First is not { } first)
        {
            text.WriteLine($"the runs agree to the bit; {compared}");
            return;
        }
        text.WriteLine($"{CauseName(first.Cause)}: {first.Sentence}");
        if (found.Tensor is { } tensor && tensor != first)
        {
            text.WriteLine(tensor.Sentence);
        }
        foreach (var (name, x, y) in found.Options)
        {
            text.WriteLine($"option {name}: {x} and {y}");
        }
        text.WriteLine(compared);
    }

    private static void WriteJson(Utf8JsonWriter json, RunComparison found)
    {
        json.WriteNumber("schema", 1);
        json.WriteBoolean("same", found.First is null);
        Write(json, "first", found.First);
        Write(json, "tensor", found.Tensor);
        json.WriteStartObject("options");
        foreach (var (name, x, y) in found.Options)
        {
            json.Strings(name, [x, y]);
        }
        json.WriteEndObject();
        json.WriteNumber("steps_compared", found.Steps);
        json.Numbers("checkpoints_compared", found.Checkpoints);
    }

    private static void Write(Utf8JsonWriter json, string name, RunDifference? difference)
    {
        if (difference is null)
        {
            json.WriteNull(name);
            return;
        }
        json.WriteStartObject(name);
        json.WriteNumber("step", difference.Step);
        json.WriteBoolean("after", difference.After);
        json.WriteString("cause", CauseName(difference.Cause).Replace(' ', '_'));
        json.WriteString("where", difference.Where);
        json.WriteNumber("element", difference.Element);
        json.WriteString("a", difference.A);
        json.WriteString("b", difference.B);
        json.WriteString("sentence", difference.Sentence);
        json.WriteEndObject();
    }

    /// <summary>A cause in words.</summary>
    public static string CauseName(PartingCause cause) => cause switch
    {
        PartingCause.RandomNumbers => "random numbers",
        PartingCause.DataOrder => "data order",
        PartingCause.ReductionOrder => "reduction order",
        _ => cause.ToString().ToLowerInvariant(),
    };
}
