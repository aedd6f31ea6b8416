using System.Text;
using NativeEngine.Native;

namespace NativeEngine.Formats;

/// <summary>
/// How files are opened that are read once, from their first byte to their last: data, sources, YAML, metrics. A pipe (<c>&lt;(zcat …)</c>, /dev/stdin, a named one) will do; a device
/// will not, since /dev/zero never ends and a terminal is what <c>-</c> is for. What is wrong is an <see cref="IOException"/>, to which the caller adds what it wanted to read.
/// </summary>
public static class InputFile
{
    /// <summary>Opens a file or a pipe. Errors: IOException for a device or a folder, and as <see cref="FileStream"/>.</summary>
    public static FileStream Open(string path)
    {
        if (LibC.KindOf(path) == FileKind.Device)
        {
            throw new IOException("it is a device, a file is needed");
        }
        if (Directory.Exists(path))
        {
            throw new IOException("it is a folder, a file is needed");
        }
        return new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read, 1 << 16, FileOptions.SequentialScan);
    }

    /// <summary>All bytes of a file or pipe that has no more than <paramref name="most"/>. Errors: IOException, also for one that has more, of which no more is read.</summary>
    public static byte[] ReadAllBytes(string path, long most)
    {
        using var file = Open(path);
        using var bytes = new MemoryStream();
        byte[] part = new byte[1 << 16];
        for (int read; (read = file.Read(part)) > 0; bytes.Write(part, 0, read))
        {
            if (bytes.Length + read > most)
            {
                throw new IOException($"it has more than {FormatErrors.Count(most)} bytes, and no more are read");
            }
        }
        return bytes.ToArray();
    }

    /// <summary>The same as text: UTF-8, or what a byte order mark says.</summary>
    public static string ReadAllText(string path, long most)
    {
        using var text = new StreamReader(new MemoryStream(ReadAllBytes(path, most)), Encoding.UTF8);
        return text.ReadToEnd();
    }

    /// <summary>The lines of a file or pipe, read as they are asked for.</summary>
    public static IEnumerable<string> ReadLines(string path)
    {
        using var text = new StreamReader(Open(path), Encoding.UTF8);
        while (text.ReadLine() is { } line)
        {
            yield return line;
        }
    }

    /// <summary>Whether it is a pipe or a socket, which can be read only once.</summary>
    public static bool IsPipe(string path) => LibC.KindOf(path) == FileKind.Pipe;

    /// <summary>Errors: IOException for what has no bytes at places of their own, so that it cannot be mapped. A pipe would be waited for.</summary>
    internal static void RequireMappable(string path)
    {
        if (LibC.KindOf(path) is var kind and (FileKind.Pipe or FileKind.Device))
        {
            throw new IOException(kind == FileKind.Pipe ? "it is a pipe, and a file is needed that can be read in any order" : "it is a device, a file is needed");
        }
    }
}
