using System.IO.MemoryMappedFiles;
using System.Numerics;

namespace NativeEngine.Benchmarks.Works;

/// <summary>What the system takes at least to show files that lie in its cache to a program, and to take a file from it.</summary>
internal static class MappedFiles
{
    private const int Stretch = 1 << 20;

    /// <summary>
    /// Seconds to read every byte of files of one length where they are mapped, and to write as many as one of them has, a MiB of each in turn, on so many threads; best of
    /// three. Unmapping and deleting are not counted, so whoever does more with the same bytes takes longer.
    /// </summary>
    public static double Seconds(IReadOnlyList<string> inputs, string output, int threads) => Enumerable.Range(0, 3).Min(_ => Once(inputs, output, threads));

    private static unsafe double Once(IReadOnlyList<string> inputs, string output, int threads)
    {
        long length = new FileInfo(inputs[0]).Length / Stretch * Stretch, part = ((length / Stretch) + threads - 1) / threads * Stretch;
        MemoryMappedFile[] files = [.. inputs.Select(path => MemoryMappedFile.CreateFromFile(path, FileMode.Open, null, 0, MemoryMappedFileAccess.Read))];
        MemoryMappedViewAccessor[] views = [.. files.Select(file => file.CreateViewAccessor(0, 0, MemoryMappedFileAccess.Read))];
        try
        {
            long start = System.Diagnostics.Stopwatch.GetTimestamp();
            using (var handle = File.OpenHandle(output, FileMode.Create, FileAccess.Write, FileShare.None, FileOptions.None, preallocationSize: length))
            {
                Parallel.For(0, threads, new ParallelOptions { MaxDegreeOfParallelism = threads }, t =>
                {
                    var written = new byte[Stretch];
                    var pointers = new nint[views.Length];
                    for (int k = 0; k < pointers.Length; k++)
                    {
                        byte* pointer = null;
                        views[k].SafeMemoryMappedViewHandle.AcquirePointer(ref pointer);
                        pointers[k] = (nint)pointer;
                    }
                    for (long at = t * part; at < Math.Min(length, (t + 1) * part); at += Stretch)
                    {
                        var sum = Vector<float>.Zero;
                        foreach (nint from in pointers)
                        {
                            sum += Sum((float*)(from + (nint)at));
                        }
                        Vector.AsVectorByte(sum).CopyTo(written);
                        RandomAccess.Write(handle, written, at);
                    }
                    foreach (var view in views)
                    {
                        view.SafeMemoryMappedViewHandle.ReleasePointer();
                    }
                });
            }
            return System.Diagnostics.Stopwatch.GetElapsedTime(start).TotalSeconds;
        }
        finally
        {
            foreach (var view in views)
            {
                view.Dispose();
            }
            foreach (var file in files)
            {
                file.Dispose();
            }
            File.Delete(output);
        }
    }

    private static unsafe Vector<float> Sum(float* from)
    {
        Vector<float> a = default, b = default, c = default, d = default;
        int n = Vector<float>.Count;
        for (int i = 0; i < Stretch / sizeof(float); i += 4 * n)
        {
            a += Vector.Load(from + i);
            b += Vector.Load(from + i + n);
            c += Vector.Load(from + i + (2 * n));
            d += Vector.Load(from + i + (3 * n));
        }
        return a + b + c + d;
    }
}
