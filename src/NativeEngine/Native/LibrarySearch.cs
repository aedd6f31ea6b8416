using System.Runtime.InteropServices;

namespace NativeEngine.Native;

/// <summary>One place where a library was looked for, and what came of it: "loaded", "not found", or why it does not load.</summary>
public sealed record LibraryAttempt(string Path, string Outcome);

/// <summary>
/// Looks for a library at run time, so that nothing is linked and a missing one is a sentence. The order: what an environment variable says (a
/// file or a folder; then nowhere else), the program's folder and its runtimes/RID/native, then the names as the system's loader finds them.
/// </summary>
/// <param name="Handle">The loaded library, or 0.</param>
/// <param name="Path">What was loaded, or null.</param>
/// <param name="Tried">Every place in order, the last one the one that loaded.</param>
public sealed record LibrarySearch(nint Handle, string? Path, IReadOnlyList<LibraryAttempt> Tried)
{
    /// <summary>Whether a library was loaded.</summary>
    public bool Found => Handle != 0;

    /// <summary>The places in one line, for errors.</summary>
    public string Places => string.Join(", ", Tried.Select(t => t.Path));

    /// <summary>Looks for the first of these file names, with folders or without, that loads.</summary>
    /// <param name="variable">The environment variable that may say where it is.</param>
    /// <param name="names">File names for the loader; names with a folder are tried as they are, after the others.</param>
    public static LibrarySearch Find(string variable, params ReadOnlySpan<string> names)
    {
        var tried = new List<LibraryAttempt>();
        foreach (string path in Candidates(Environment.GetEnvironmentVariable(variable), names.ToArray()))
        {
            if (TryLoad(path, tried) is var handle and not 0)
            {
                return new LibrarySearch(handle, path, tried);
            }
        }
        return new LibrarySearch(0, null, tried);
    }

    /// <summary>The address of a function, or 0 when the library lacks it.</summary>
    public nint Function(string name) => Found && NativeLibrary.TryGetExport(Handle, name, out nint address) ? address : 0;

    private static IEnumerable<string> Candidates(string? asked, string[] names)
    {
        if (!string.IsNullOrEmpty(asked))
        {
            return Directory.Exists(asked)
                ? names.Where(name => !name.Contains('/')).Select(name => System.IO.Path.Combine(asked, name))
                : [asked];
        }
        string application = AppContext.BaseDirectory, native = System.IO.Path.Combine(application, "runtimes", RuntimeInformation.RuntimeIdentifier, "native");
        var plain = names.Where(name => !name.Contains('/')).ToArray();
        return new[] { application, native }.SelectMany(folder => plain.Select(name => System.IO.Path.Combine(folder, name)))
            .Where(File.Exists).Concat(names);
    }

    private static nint TryLoad(string path, List<LibraryAttempt> tried)
    {
        // A bare name that does not exist is the common case: no exception is made for it.
        if (NativeLibrary.TryLoad(path, out nint handle))
        {
            tried.Add(new LibraryAttempt(path, "loaded"));
            return handle;
        }
        tried.Add(new LibraryAttempt(path, File.Exists(path) ? Reason(path) : "not found"));
        return 0;
    }

    private static string Reason(string path)
    {
        try
        {
            NativeLibrary.Free(NativeLibrary.Load(path));
            return "not loaded at first";
        }
        catch (Exception error) when (error is DllNotFoundException or BadImageFormatException)
        {
            string last = error.Message.Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries).LastOrDefault("does not load");
            return $"does not load: {last}";
        }
    }
}
