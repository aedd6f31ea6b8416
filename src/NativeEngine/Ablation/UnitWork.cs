using NativeEngine.Formats;
using NativeEngine.Training;

namespace NativeEngine.Ablation;

/// <summary>
/// The right to train one key, with a folder of its own for checkpoints. Checkpoints that any process left for the key are checkpoints of the same
/// bytes, so the newest sound one is continued, whoever made it; each process writes only into its own folder.
/// </summary>
internal sealed class UnitWork : IDisposable
{
    private readonly UnitCache _cache;
    private readonly UnitClaim _claim;

    public UnitWork(UnitCache cache, UnitKey key, UnitClaim claim)
    {
        (_cache, Key, _claim) = (cache, key, claim);
        Folder = cache.NewWork(key.Hash, claim.Token);
    }

    public UnitKey Key { get; }

    /// <summary>This process's folder; it need not exist.</summary>
    public string Folder { get; }

    /// <summary>
    /// The newest sound checkpoint that has the models of all fractions up to it, with the steps it has done; null to start from the beginning. The
    /// checkpoint and the fractions' models are copied into this process's folder first.
    /// </summary>
    /// <param name="fractions">Folder names by the step after which they are due.</param>
    /// <param name="cancellation">Stops the reading.</param>
    public string? TakeOver(IReadOnlyList<(long Step, string Name)> fractions, CancellationToken cancellation)
    {
        var found = new List<(long Step, string Checkpoint, string Work)>();
        foreach (string work in _cache.WorkOf(Key.Hash).Where(w => w != Folder).Order(StringComparer.Ordinal))
        {
            try
            {
                if (Checkpoint.FindNewest(work, _ => { }) is { } checkpoint)
                {
                    found.Add((StrictJson.Load(Path.Combine(checkpoint, "state.json")).RequireLong("step", 0), checkpoint, work));
                }
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException or EngineException)
            {
                // Its owner is alive after all and has just removed it.
            }
        }
        foreach (var (step, checkpoint, work) in found.OrderByDescending(f => f.Step))
        {
            var due = fractions.Where(f => f.Step <= step).Select(f => Path.Combine(work, f.Name)).ToList();
            due.Add(checkpoint);
            try
            {
                Directory.CreateDirectory(Folder);
                due.ForEach(f => Copy(f, Path.Combine(Folder, Path.GetFileName(f))));
                // Looked at after copying: what is sound now was sound while it was copied, whatever its owner does.
                if (due.All(f => Directory.Exists(f) && AtomicFolder.Verify(f, cancellation) is null))
                {
                    return Path.Combine(Folder, Path.GetFileName(checkpoint));
                }
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException or EngineException { Kind: not ErrorKind.WillNotFit })
            {
                // As above.
            }
            TemporaryName.DeleteQuietly(Folder);
        }
        return null;
    }

    /// <summary>Publishes the model; the claim's files and all work on the key go.</summary>
    public string Publish(Action<string> fill, UnitCost cost, CancellationToken cancellation) => _cache.Publish(Key, fill, cost, cancellation);

    /// <summary>Gives the claim up; checkpoints stay for whoever continues.</summary>
    public void Dispose() => _claim.Dispose();

    /// <summary>Copies a folder's files, checksums and all, and publishes them under a name.</summary>
    internal static void Copy(string from, string to) => AtomicFolder.Publish(to, folder =>
    {
        foreach (string file in Directory.EnumerateFiles(from).Where(f => Path.GetFileName(f) != AtomicFolder.ChecksumsName))
        {
            File.Copy(file, Path.Combine(folder, Path.GetFileName(file)));
        }
    }, replace: true);
}
