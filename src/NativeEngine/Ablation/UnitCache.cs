using System.Globalization;
using NativeEngine.Formats;

namespace NativeEngine.Ablation;

/// <summary>How processes that share a cache treat each other.</summary>
public sealed record UnitCacheOptions
{
    /// <summary>Time between two beats of a claim's counter.</summary>
    public TimeSpan Heartbeat { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>How long a counter may stand still before another process takes over.</summary>
    public TimeSpan Patience { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>Time between two checkpoints of a training in progress.</summary>
    public TimeSpan CheckpointEvery { get; init; } = TimeSpan.FromSeconds(20);

    /// <summary>Off: claims are granted to everybody, as on a file system whose locks lie. Only tests turn this off.</summary>
    internal bool Exclusive { get; init; } = true;
}

/// <summary>What a cache entry cost.</summary>
/// <param name="Steps">Optimizer steps.</param>
/// <param name="Tokens">Tokens trained.</param>
/// <param name="Flops">6 P tokens for P parameters.</param>
/// <param name="Seconds">Time of training, of all processes that worked on it as far as they saved something.</param>
public sealed record UnitCost(long Steps, long Tokens, double Flops, double Seconds);

/// <summary>An entry of the cache as a person sees it.</summary>
/// <param name="Key">The hash of its key.</param>
/// <param name="Label">What it is.</param>
/// <param name="Folder">Where it lies.</param>
/// <param name="Bytes">Its size.</param>
/// <param name="LastUsed">When a study last found it (UTC).</param>
/// <param name="Cost">What it cost, or null when that is not known.</param>
public sealed record UnitCacheEntry(string Key, string Label, string Folder, long Bytes, DateTime LastUsed, UnitCost? Cost);

/// <summary>
/// Trained models by the hash of everything they depend on. An entry is a Hugging Face folder (float32) with unit.json (the key), cost.json and
/// at-0.25, at-0.5, … for fractions of the budget; it is published whole by a rename, with checksums that are checked before the first use in a
/// process. Several processes and nodes may share the folder; locks are not needed for correctness (<see cref="UnitClaims"/>).
/// <para>Layout: entries/KEY, claims/KEY.GENERATION, work/KEY.GENERATION-TOKEN (checkpoints of trainings in progress), damaged/ (entries whose
/// checksums failed, moved aside and trained again).</para>
/// </summary>
public sealed class UnitCache
{
    private const string KeyName = "unit.json", CostName = "cost.json";

    private readonly HashSet<string> _verified = new(StringComparer.Ordinal);
    private readonly UnitClaims _claims;

    /// <summary>
    /// Opens a cache, making the folder when it is not there; with <paramref name="create"/> off nothing is touched, for looking alone. Errors: BadInput when it
    /// cannot be written.
    /// </summary>
    public UnitCache(string folder, UnitCacheOptions? options = null, bool create = true)
    {
        Folder = Path.GetFullPath(folder);
        Options = options ?? new UnitCacheOptions();
        try
        {
            foreach (string part in create ? new[] { "entries", "claims", "work" } : [])
            {
                Directory.CreateDirectory(Path.Combine(Folder, part));
            }
        }
        catch (IOException e) when (WriteErrors.IsDiskFull(e))
        {
            throw WriteErrors.Translate(folder, 0, e);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new EngineException(ErrorKind.BadInput, $"the unit cache {folder} cannot be written: {e.Message}", "choose another cache: in the study", e);
        }
        _claims = new UnitClaims(Path.Combine(Folder, "claims"), Options);
    }

    /// <summary>The absolute path.</summary>
    public string Folder { get; }

    /// <summary>The options.</summary>
    public UnitCacheOptions Options { get; }

    /// <summary>Hears of entries that are moved aside because they are damaged.</summary>
    public Action<string>? OnDamage { get; set; }

    /// <summary>
    /// The folder of a key's model, or null when it has to be trained. Cost: the first time in a process every byte is read for its checksum. A damaged entry is
    /// moved aside and counts as absent.
    /// </summary>
    public string? Find(UnitKey key, CancellationToken cancellation = default)
    {
        string folder = EntryOf(key.Hash);
        if (!Directory.Exists(folder))
        {
            return null;
        }
        if (!_verified.Contains(key.Hash))
        {
            if (Wrong(folder, key.Hash, cancellation) is { } wrong)
            {
                SetAside(folder, wrong);
                return null;
            }
            _verified.Add(key.Hash);
        }
        Touch(folder);
        return folder;
    }

    /// <summary>
    /// What an entry cost; null when there is none. The cost of an entry is not part of what its key promises: two trainings of the same bytes take different times.
    /// </summary>
    public UnitCost? Cost(UnitKey key) => ReadCost(EntryOf(key.Hash));

    /// <summary>Every entry, the least recently used first.</summary>
    public IReadOnlyList<UnitCacheEntry> List() =>
    [
        .. (Directory.Exists(Path.Combine(Folder, "entries")) ? Directory.EnumerateDirectories(Path.Combine(Folder, "entries")) : [])
            .Where(folder => !TemporaryName.IsTemporary(Path.GetFileName(folder)))
            .Select(Describe).OrderBy(e => e.LastUsed).ThenBy(e => e.Key, StringComparer.Ordinal),
    ];

    /// <summary>Checks every byte of every entry; returns a sentence for each that is wrong. <paramref name="setAside"/> moves those aside.</summary>
    public IReadOnlyList<string> Verify(bool setAside, Action<int, int>? progress = null, CancellationToken cancellation = default)
    {
        var all = List();
        var wrong = new List<string>();
        for (int i = 0; i < all.Count; i++)
        {
            if (Wrong(all[i].Folder, all[i].Key, cancellation) is { } sentence)
            {
                wrong.Add(sentence);
                if (setAside)
                {
                    SetAside(all[i].Folder, sentence);
                }
            }
            progress?.Invoke(i + 1, all.Count);
        }
        return wrong;
    }

    /// <summary>
    /// Deletes entries not used for <paramref name="maxAge"/>, then the least recently used ones until the cache has at most <paramref name="maxBytes"/>, and what
    /// dead processes left of unfinished work. Kept in any case: what was used within <paramref name="grace"/>, so that nothing is taken from a study at work.
    /// </summary>
    public IReadOnlyList<UnitCacheEntry> Collect(TimeSpan? maxAge, long? maxBytes, TimeSpan grace, bool dryRun = false)
    {
        var deleted = new List<UnitCacheEntry>();
        var all = List();
        long bytes = all.Sum(e => e.Bytes);
        var now = DateTime.UtcNow;
        foreach (var entry in all.Where(e => now - e.LastUsed >= grace))
        {
            if ((maxAge is { } age && now - entry.LastUsed > age) || (maxBytes is { } limit && bytes > limit))
            {
                deleted.Add(entry);
                bytes -= entry.Bytes;
                if (!dryRun)
                {
                    // Renamed first, so that nobody finds half of it.
                    Remove(entry.Folder);
                    _verified.Remove(entry.Key);
                }
            }
        }
        if (!dryRun)
        {
            CollectWork(now, grace);
        }
        return deleted;
    }

    /// <summary>Claims a key for training; null when another process is at work on it, or when it has been published meanwhile.</summary>
    internal UnitWork? TryClaim(UnitKey key, CancellationToken cancellation)
    {
        var claim = _claims.TryClaim(key.Hash);
        if (claim is null)
        {
            return null;
        }
        // Published between the caller's look and our claim: claims are cleared after publication, so a look now cannot miss it.
        if (Options.Exclusive && Find(key, cancellation) is not null)
        {
            claim.Dispose();
            return null;
        }
        return new UnitWork(this, key, claim);
    }

    /// <summary>Whether somebody is at work on a key, as far as can be seen.</summary>
    public bool IsClaimed(UnitKey key) => _claims.IsClaimed(key.Hash);

    /// <summary>Publishes a model under its key. When another process was first, its entry stays: equal keys are equal bytes.</summary>
    internal string Publish(UnitKey key, Action<string> fill, UnitCost cost, CancellationToken cancellation)
    {
        string entry = EntryOf(key.Hash);
        try
        {
            AtomicFolder.Publish(entry, folder =>
            {
                fill(folder);
                AtomicFile.WriteAllText(Path.Combine(folder, KeyName), KeyJson(key));
                AtomicFile.WriteAllText(Path.Combine(folder, CostName), CostJson(cost));
            }, cancellation: cancellation);
        }
        catch (Exception e) when (e is EngineException or IOException && Find(key, cancellation) is not null)
        {
            // Another process trained the same at the same time and was first.
        }
        Tidy(key);
        return Find(key, cancellation) ?? throw new EngineException(ErrorKind.BadInput, $"{entry}: the entry was gone or damaged right after it was written", "is the disk sound?");
    }

    /// <summary>
    /// Removes what is left of the trainings of a key whose model is there, also by a process that was killed between publishing and this: claims, checkpoints, unfinished
    /// copies. Whoever still works on the key finds the entry and stops; what a process at work is about to publish is its own to delete.
    /// </summary>
    internal void Tidy(UnitKey key)
    {
        _claims.Clear(key.Hash);
        foreach (string folder in WorkOf(key.Hash).ToList())
        {
            TemporaryName.DeleteQuietly(folder);
        }
        TemporaryName.DeleteLeftovers(Path.Combine(Folder, "entries"), key.Hash);
    }

    /// <summary>Folders with unfinished work on a key, of any process.</summary>
    internal IEnumerable<string> WorkOf(string hash) => Directory.EnumerateDirectories(Path.Combine(Folder, "work"), hash + ".*");

    internal string NewWork(string hash, string token) => Path.Combine(Folder, "work", $"{hash}.{token}");

    private string EntryOf(string hash) => Path.Combine(Folder, "entries", hash);

    private static string? Wrong(string folder, string hash, CancellationToken cancellation)
    {
        if (AtomicFolder.Verify(folder, cancellation) is { } sentence)
        {
            return sentence;
        }
        try
        {
            return ReadKey(StrictJson.Load(Path.Combine(folder, KeyName))) == hash ? null : $"{folder}: {KeyName} describes another key than the folder's name";
        }
        catch (EngineException e)
        {
            return e.Message;
        }
    }

    private void SetAside(string folder, string why)
    {
        string damaged = Path.Combine(Folder, "damaged");
        Directory.CreateDirectory(damaged);
        try
        {
            Directory.Move(folder, Path.Combine(damaged, $"{Path.GetFileName(folder)}.{Guid.NewGuid():N}"));
            OnDamage?.Invoke($"{why}; moved to {damaged}, it will be trained again");
        }
        catch (IOException) when (!Directory.Exists(folder))
        {
            // Another process moved it.
        }
    }

    private void Remove(string folder)
    {
        string aside = Path.Combine(Folder, "work", $"removed.{Guid.NewGuid():N}");
        try
        {
            Directory.Move(folder, aside);
        }
        catch (IOException) when (!Directory.Exists(folder))
        {
            return;
        }
        TemporaryName.DeleteQuietly(aside);
    }

    // What lies in work/ and has an owner alive is left; so is what was touched within the grace, whose owner may be on another node.
    private void CollectWork(DateTime now, TimeSpan grace)
    {
        foreach (string part in new[] { "work", "entries", "claims", "damaged" }.Select(p => Path.Combine(Folder, p)).Where(Directory.Exists))
        {
            foreach (string path in Directory.EnumerateFileSystemEntries(part))
            {
                string name = Path.GetFileName(path);
                bool leftover = TemporaryName.IsTemporary(name) || name.StartsWith("removed.", StringComparison.Ordinal)
                    || Path.GetFileName(part) is "damaged"
                    || (Path.GetFileName(part) is "work" or "claims" && !_claims.IsClaimed(name.Split('.')[0]));
                if (leftover && now - File.GetLastWriteTimeUtc(path) >= grace)
                {
                    TemporaryName.DeleteQuietly(path);
                }
            }
        }
    }

    private static UnitCacheEntry Describe(string folder)
    {
        long bytes = new DirectoryInfo(folder).EnumerateFiles("*", SearchOption.AllDirectories).Sum(f => f.Length);
        string label = "?";
        try
        {
            label = StrictJson.Load(Path.Combine(folder, KeyName)).OptionalString("label") ?? "?";
        }
        catch (EngineException)
        {
            // verify tells what is wrong with it.
        }
        return new UnitCacheEntry(Path.GetFileName(folder), label, folder, bytes, Directory.GetLastWriteTimeUtc(folder), ReadCost(folder));
    }

    /// <summary>The key that the fields of an entry's key.json give.</summary>
    internal static string ReadKey(StrictJson json)
    {
        json.RequireSchema(1);
        return UnitKey.HashOf(json.Require("fields").Members().ToDictionary(f => f.Name, f => f.Value.AsString(), StringComparer.Ordinal));
    }

    internal static UnitCost ReadCost(StrictJson json)
    {
        json.RequireSchema(1);
        return new UnitCost(json.RequireLong("steps", 0), json.RequireLong("tokens", 0), json.RequireDouble("flops", 0), json.RequireDouble("seconds", 0));
    }

    private static UnitCost? ReadCost(string folder)
    {
        try
        {
            return ReadCost(StrictJson.Load(Path.Combine(folder, CostName)));
        }
        catch (EngineException)
        {
            return null;
        }
    }

    private static void Touch(string folder)
    {
        try
        {
            Directory.SetLastWriteTimeUtc(folder, DateTime.UtcNow);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // A cache that is only readable has no record of its use.
        }
    }

    private static string KeyJson(UnitKey key) => StudyJson.Document(json =>
    {
        json.WriteString("label", key.Label);
        json.WriteString("key", key.Hash);
        json.WriteStartObject("fields");
        foreach (var (name, value) in key.Fields)
        {
            json.WriteString(name, value);
        }
        json.WriteEndObject();
    });

    private static string CostJson(UnitCost cost) => StudyJson.Document(json =>
    {
        json.WriteNumber("steps", cost.Steps);
        json.WriteNumber("tokens", cost.Tokens);
        json.WriteNumber("flops", cost.Flops);
        json.WriteNumber("seconds", cost.Seconds);
        json.WriteString("written", DateTimeOffset.UtcNow.ToString("o", CultureInfo.InvariantCulture));
    });
}
