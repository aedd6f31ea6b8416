using System.Globalization;
using NativeEngine.Formats;
using NativeEngine.Model;

namespace NativeEngine.Training;

/// <summary>
/// Checkpoints of a run: folders checkpoint-000100 with the trained parameters, the optimiser's and the selector's state, the data position
/// and the options, published whole with checksums. What is restored is what was saved, to the bit.
/// </summary>
public static class Checkpoint
{
    private const string Prefix = "checkpoint-";
    private const string StateName = "state.json";
    private const string SourcesName = "sources.npy";

    /// <summary>
    /// Saves after a step; an existing checkpoint of that step is replaced. Returns the folder. Errors: Numerical naming the tensor when a
    /// trained parameter is not finite, so that no run can be continued from there.
    /// </summary>
    public static string Save(string output, Trainer trainer, IReadOnlyDictionary<string, string> options)
    {
        trainer.RequireFinite();
        string folder = Path.Combine(output, string.Create(CultureInfo.InvariantCulture, $"{Prefix}{trainer.StepsDone:D6}"));
        AtomicFolder.Publish(
            folder,
            temporary =>
            {
                WriteSet(Path.Combine(temporary, "parameters.safetensors"), trainer.Trained);
                foreach (var (name, set) in trainer.Optimizer.State)
                {
                    WriteSet(Path.Combine(temporary, $"optimizer.{name}.safetensors"), set);
                }
                trainer.SaveSelector(Path.Combine(temporary, "selector.safetensors"));
                if (trainer.HasOwnSources)
                {
                    NpyWriter.WriteInt64(Path.Combine(temporary, SourcesName), [trainer.Data.Count], Enumerable.Range(0, trainer.Data.Count).Select(i => (long)trainer.Data.SourceOf(i)).ToArray());
                }
                var state = new CheckpointState(trainer.StepsDone, trainer.Optimizer.Steps, trainer.Position, options);
                AtomicFile.WriteAllBytes(Path.Combine(temporary, StateName), state.ToJson());
            },
            replace: true);
        return folder;
    }

    /// <summary>
    /// The newest checkpoint whose checksums hold, or null when there is none; <paramref name="say"/> hears of each that is passed over and why.
    /// </summary>
    public static string? FindNewest(string output, Action<string> say)
    {
        foreach (var (folder, _) in NewestFirst(output))
        {
            string? wrong = AtomicFolder.Verify(folder);
            if (wrong is null)
            {
                return folder;
            }
            say($"{wrong}; taking an earlier checkpoint");
        }
        return null;
    }

    /// <summary>
    /// Puts a trainer where the checkpoint was saved. Errors: Usage when an option differs from the run's (naming it and both values),
    /// BadInput for files that do not fit the model, Numerical for values that are not finite.
    /// </summary>
    public static void Restore(string folder, Trainer trainer, IReadOnlyDictionary<string, string> options)
    {
        var state = CheckpointState.Load(Path.Combine(folder, StateName));
        var saved = state.Options;
        // Options first; a hash of some content, whose name has spaces, says the least.
        foreach (string name in saved.Keys.Union(options.Keys).OrderBy(n => n.Contains(' ', StringComparison.Ordinal)).ThenBy(n => n, StringComparer.Ordinal))
        {
            string before = saved.GetValueOrDefault(name, "nothing"), now = options.GetValueOrDefault(name, "nothing");
            if (before != now)
            {
                throw new EngineException(ErrorKind.Usage,
                    $"{folder} was made with {name} = {before}, this run has {now}", "resume with the options and the files of the first run, or choose another --output");
            }
        }
        ReadSet(Path.Combine(folder, "parameters.safetensors"), trainer.Trained);
        foreach (var (name, set) in trainer.Optimizer.State)
        {
            ReadSet(Path.Combine(folder, $"optimizer.{name}.safetensors"), set);
        }
        trainer.LoadSelector(Path.Combine(folder, "selector.safetensors"));
        if (File.Exists(Path.Combine(folder, SourcesName)))
        {
            RestoreSources(Path.Combine(folder, SourcesName), trainer);
        }
        trainer.StepsDone = state.Step;
        trainer.RequireFinite();
        trainer.Optimizer.Steps = state.OptimizerSteps;
        trainer.Position = state.Position;
    }

    /// <summary>
    /// Deletes all but the newest <paramref name="keep"/> checkpoints up to the step just saved. Those of later steps go too: the run was
    /// continued from before them because they are damaged, and its own will take their place.
    /// </summary>
    public static void Prune(string output, int keep, long stepsDone)
    {
        int seen = 0;
        foreach (var (folder, step) in NewestFirst(output))
        {
            if (step > stepsDone || ++seen > keep)
            {
                AtomicFolder.Delete(folder);
            }
        }
        TemporaryName.DeleteLeftovers(output);
    }

    private static void RestoreSources(string path, Trainer trainer)
    {
        using var file = NpyFile.Open(path);
        var ids = new long[checked((int)file.ElementCount)];
        file.ReadInt64(0, ids);
        if (ids.Length != trainer.Data.Count || ids.Any(id => id is < 0 or >= int.MaxValue))
        {
            throw FormatErrors.Bad(path, $"there are {ids.Length} sources for {trainer.Data.Count} examples");
        }
        trainer.UseSources(Reclustering.Names((int)ids.Max() + 1), Array.ConvertAll(ids, id => (int)id));
    }

    /// <summary>The steps done that the name of a checkpoint's folder tells; -1 for another name.</summary>
    public static long StepsOf(string folder) => Path.GetFileName(folder) is var name && name.StartsWith(Prefix, StringComparison.Ordinal)
        && long.TryParse(name.AsSpan(Prefix.Length), NumberStyles.None, CultureInfo.InvariantCulture, out long step) ? step : -1;

    /// <summary>The steps of a run's checkpoints.</summary>
    internal static IEnumerable<long> Steps(string output) => NewestFirst(output).Select(c => c.Step);

    /// <summary>The folder of the checkpoint of a step.</summary>
    internal static string FolderOf(string output, long step) => NewestFirst(output).First(c => c.Step == step).Folder;

    private static IEnumerable<(string Folder, long Step)> NewestFirst(string output) =>
        !Directory.Exists(output) ? []
        : Directory.GetDirectories(output, Prefix + "*")
            .Select(folder => (folder, StepsOf(folder)))
            .Where(c => c.Item2 >= 0)
            .OrderByDescending(c => c.Item2);

    private static void WriteSet(string path, ParameterSet set) =>
        SafetensorsWriter.Write(
            path, [.. set.Layout.Entries.Select(e => ModelFolder.Spec(e, e.Name, DType.F32))],
            (spec, sink) => ModelFolder.Write(set, set.Layout.Find(spec.Name)!, sink));

    private static void ReadSet(string path, ParameterSet set)
    {
        using var file = SafetensorsModel.Open(path);
        ModelFolder.Read(file, set, name => name, CancellationToken.None);
    }
}
