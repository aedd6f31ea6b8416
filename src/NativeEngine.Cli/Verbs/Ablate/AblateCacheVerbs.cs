using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using NativeEngine.Ablation;
using NativeEngine.Formats;

namespace NativeEngine.Cli.Verbs;

/// <summary>Lists what a unit cache holds.</summary>
internal sealed class AblateCacheListVerb : Verb
{
    private readonly Argument<string> _folder = CacheFolder.Argument();

    public AblateCacheListVerb()
        : base("list", "Lists the models of a unit cache, the least recently used first.", "nengine ablate cache list runs/study/cache") => Add(_folder);

    public override bool OutputIsResult => true;

    public override string? Table => "entries";

    public override int Run(VerbContext context)
    {
        var all = CacheFolder.Open(context.Need(_folder)).List();
        context.Result.Write(
            text =>
            {
                foreach (var e in all)
                {
                    text.WriteLine(string.Create(CultureInfo.InvariantCulture,
                        $"{e.Key[..12]}  {ByteSize.Format(e.Bytes),10}  used {e.LastUsed:yyyy-MM-dd HH:mm}  {(e.Cost is { } c ? $"{c.Steps,6:N0} steps {c.Seconds,7:0.0} s" : "cost unknown"),-24}  {e.Label}"));
                }
                text.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{all.Count} models, {ByteSize.Format(all.Sum(e => e.Bytes))}"));
            },
            json =>
            {
                json.WriteNumber("schema", 1);
                CacheFolder.Write(json, "entries", all);
                json.WriteNumber("bytes", all.Sum(e => e.Bytes));
            });
        return 0;
    }
}

/// <summary>Reads every byte of a unit cache.</summary>
internal sealed class AblateCacheVerifyVerb : Verb
{
    private readonly Argument<string> _folder = CacheFolder.Argument();
    private readonly Option<bool> _setAside = Opt.Flag("--set-aside", "Move damaged models to damaged/, so that they are trained again.");

    public AblateCacheVerifyVerb()
        : base("verify", "Checks every model of a unit cache against its checksums and its key.", "nengine ablate cache verify runs/study/cache")
    {
        Add(_folder);
        Add("options", _setAside);
    }

    public override bool OutputIsResult => true;

    public override int Run(VerbContext context)
    {
        var cache = CacheFolder.Open(context.Need(_folder));
        int count = cache.List().Count;
        IReadOnlyList<string> wrong;
        using (var progress = context.Progress("verifying", count, "models"))
        {
            wrong = cache.Verify(context.Get(_setAside), (done, _) => progress.Report(done), context.Cancellation);
        }
        context.Result.Write(
            text =>
            {
                foreach (string sentence in wrong)
                {
                    text.WriteLine(sentence);
                }
                text.WriteLine($"{count} models, {wrong.Count} damaged");
            },
            json =>
            {
                json.WriteNumber("schema", 1);
                json.WriteNumber("entries", count);
                json.Strings("damaged", wrong);
            });
        return wrong.Count == 0 ? 0 : (int)ErrorKind.VerificationFailed;
    }
}

/// <summary>Makes a unit cache smaller.</summary>
internal sealed class AblateCacheGcVerb : Verb
{
    private readonly Argument<string> _folder = CacheFolder.Argument();
    private readonly Option<double?> _age = Opt.MaybeNumber<double>("--max-age", "DAYS", "Delete models not used for so many days.", min: 0);
    private readonly Option<long?> _size = Opt.MaybeSize("--max-size", "Then delete the least recently used until the cache is no larger.");
    private readonly Option<double> _grace = Opt.Number("--grace", "HOURS", "Keep what was used within so many hours, whatever the limits.", 1.0, min: 0.0);

    public AblateCacheGcVerb()
        : base("gc", "Deletes models by age and size, and what dead processes left.", "nengine ablate cache gc runs/study/cache --max-age 30 --max-size 20GiB")
    {
        Add(_folder);
        Add("options", _age, _size, _grace);
    }

    public override bool OutputIsResult => true;

    public override int Run(VerbContext context)
    {
        var cache = CacheFolder.Open(context.Need(_folder));
        var deleted = cache.Collect(
            context.Get(_age) is { } days ? TimeSpan.FromDays(days) : null, context.Get(_size), TimeSpan.FromHours(context.Need(_grace)), context.DryRun);
        context.Result.Write(
            text =>
            {
                foreach (var e in deleted)
                {
                    text.WriteLine($"{e.Key[..12]}  {ByteSize.Format(e.Bytes),10}  {e.Label}");
                }
                text.WriteLine($"{(context.DryRun ? "would delete" : "deleted")} {deleted.Count} models, {ByteSize.Format(deleted.Sum(e => e.Bytes))}");
            },
            json =>
            {
                json.WriteNumber("schema", 1);
                json.WriteBoolean("dry_run", context.DryRun);
                CacheFolder.Write(json, "deleted", deleted);
                json.WriteNumber("bytes", deleted.Sum(e => e.Bytes));
            });
        return 0;
    }
}

/// <summary>What the verbs of a cache share.</summary>
internal static class CacheFolder
{
    public static Argument<string> Argument() => new("CACHE") { Description = "The cache's folder." };

    /// <summary>Opens a cache that is there. Errors: BadInput for a folder that is none.</summary>
    public static UnitCache Open(string folder) => Directory.Exists(Path.Combine(folder, "entries")) ? new UnitCache(folder)
        : throw new EngineException(ErrorKind.BadInput, $"{folder} is no unit cache: it has no folder entries", "give the folder that ablate train names");

    public static void Write(Utf8JsonWriter json, string name, IReadOnlyList<UnitCacheEntry> entries)
    {
        json.Objects(name, entries, e =>
        {
            json.WriteString("key", e.Key);
            json.WriteString("label", e.Label);
            json.WriteNumber("bytes", e.Bytes);
            json.WriteString("last_used", e.LastUsed.ToString("o", CultureInfo.InvariantCulture));
            if (e.Cost is { } cost)
            {
                json.WriteNumber("steps", cost.Steps);
                json.WriteNumber("tokens", cost.Tokens);
                json.WriteNumber("seconds", cost.Seconds);
            }
        });
    }
}
