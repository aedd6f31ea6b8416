using System.Diagnostics;
using System.Globalization;
using NativeEngine.Formats;
using NativeEngine.Native;

namespace NativeEngine.Ablation;

/// <summary>
/// Who trains what, agreed through files that several processes and nodes see. A claim of generation g of a key is the file KEY.g, made by
/// exclusive creation, with its owner and a counter that a timer raises. A claim is dead when its owner runs on this system no more, or when its counter has
/// not moved for the patience, measured on the observer's own clock (clocks of nodes differ). Whoever sees a dead claim of generation g makes
/// generation g + 1: one succeeds, and nothing has to be taken away from anybody.
/// <para>Claims only save work. Where a file system lets two processes have the same one, both train to the same bytes, and the first to publish wins.</para>
/// </summary>
internal sealed class UnitClaims(string folder, UnitCacheOptions options)
{
    private readonly Dictionary<string, (string Content, long Since)> _seen = new(StringComparer.Ordinal);

    /// <summary>Claims a key; null when somebody is at work on it.</summary>
    public UnitClaim? TryClaim(string key)
    {
        if (!options.Exclusive)
        {
            return new UnitClaim(null, NewToken(), options);
        }
        var (generation, file) = Newest(key);
        if (file is not null && !IsDead(file))
        {
            return null;
        }
        string next = Path.Combine(folder, string.Create(CultureInfo.InvariantCulture, $"{key}.{generation + 1:D6}"));
        string token = NewToken(), temporary = TemporaryName.For(next);
        try
        {
            // With its content before it has its name: a claim that a process which died left empty would be nobody's, and be waited for.
            string content = UnitClaim.Content(token, 0);
            File.WriteAllText(temporary, content);
            return Name(temporary, next, content) ? new UnitClaim(next, token, options) : null;
        }
        catch (IOException) when (File.Exists(next))
        {
            return null;
        }
        catch (IOException e) when (WriteErrors.IsDiskFull(e))
        {
            throw WriteErrors.Translate(next, 0, e);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new EngineException(ErrorKind.BadInput, $"the unit cache cannot be written: {e.Message}", "choose another cache: in the study", e);
        }
        finally
        {
            TemporaryName.DeleteQuietly(temporary);
        }
    }

    /// <summary>Whether somebody is at work on a key, as far as can be seen now.</summary>
    public bool IsClaimed(string key) => Newest(key) is (_, { } file) && !IsDead(file);

    /// <summary>Removes the claims of a key that is done.</summary>
    public void Clear(string key)
    {
        TemporaryName.DeleteLeftovers(folder, key);
        foreach (string file in Directory.EnumerateFiles(folder, key + ".*"))
        {
            TemporaryName.DeleteQuietly(file);
        }
    }

    // File.Move without overwriting looks first and renames then, on Unix: two processes between the two would both have the name.
    private static bool Name(string file, string name, string content)
    {
        const int IoError = 5, Exists = 17, NoSpace = 28, Quota = 122;
        if (OperatingSystem.IsWindows())
        {
            File.Move(file, name, overwrite: false);
            return true;
        }
        int error = LibC.Link(file, name);
        if (error is IoError or NoSpace or Quota || (error == Exists && Directory.Exists(name)))
        {
            throw new IOException($"link of {name} failed with errno {error}", error);
        }
        if (error is 0 or Exists)
        {
            return error == 0;
        }
        // A file system without hard links: created exclusively, and empty for a moment.
        using var writer = new StreamWriter(new FileStream(name, FileMode.CreateNew, FileAccess.Write));
        writer.Write(content);
        return true;
    }

    private (int Generation, string? File) Newest(string key)
    {
        (int Generation, string? File) newest = (0, null);
        foreach (string file in Directory.EnumerateFiles(folder, key + ".*"))
        {
            if (int.TryParse(Path.GetExtension(file).AsSpan(1), NumberStyles.None, CultureInfo.InvariantCulture, out int generation) && generation > newest.Generation)
            {
                newest = (generation, file);
            }
        }
        return newest;
    }

    private bool IsDead(string file)
    {
        string content;
        try
        {
            content = File.ReadAllText(file);
        }
        catch (IOException)
        {
            // Given up between the listing and the reading; the next look tells.
            return false;
        }
        if (ProcessIdentity.Parse(content.Split('\n')[0]) is { } owner && owner.IsAlive() == false)
        {
            return true;
        }
        long now = Stopwatch.GetTimestamp();
        if (!_seen.TryGetValue(file, out var seen) || seen.Content != content)
        {
            _seen[file] = (content, now);
            return false;
        }
        return Stopwatch.GetElapsedTime(seen.Since, now) > options.Patience;
    }

    private static string NewToken() => Guid.NewGuid().ToString("N")[..12];
}

/// <summary>A claim held: its counter moves until it is disposed, then its file goes.</summary>
internal sealed class UnitClaim : IDisposable
{
    private readonly string? _file;
    private readonly Timer? _timer;
    private readonly Lock _lock = new();
    private long _beats;
    private bool _ended;

    public UnitClaim(string? file, string token, UnitCacheOptions options)
    {
        (_file, Token) = (file, token);
        _timer = file is null ? null : new Timer(_ => Beat(), null, options.Heartbeat, options.Heartbeat);
    }

    /// <summary>Tells this claim from any other, also of the same process.</summary>
    public string Token { get; }

    public static string Content(string token, long beats) => string.Create(CultureInfo.InvariantCulture, $"{ProcessIdentity.Current}\n{token}\n{beats}\n");

    public void Dispose()
    {
        lock (_lock)
        {
            _ended = true;
            _timer?.Dispose();
            if (_file is not null)
            {
                TemporaryName.DeleteQuietly(_file);
            }
        }
    }

    private void Beat()
    {
        lock (_lock)
        {
            if (_ended || !File.Exists(_file))
            {
                return;
            }
            try
            {
                AtomicFile.WriteAllText(_file!, Content(Token, ++_beats));
            }
            catch (EngineException)
            {
                // A full disk shows itself where it matters; a missed beat costs at most a second training to the same bytes.
            }
        }
    }
}
