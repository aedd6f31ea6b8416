using System.Diagnostics;
using System.Globalization;
using NativeEngine.Devices;
using NativeEngine.Devices.Cpu;
using NativeEngine.Merging;
using NativeEngine.Model;

namespace NativeEngine.Benchmarks.Works;

/// <summary>
/// The average of models on disk, from their safetensors files to a new one. They lie where users have theirs, on a disk (the folder for temporary files), and
/// are read once before each run, so that the system's cache has them.
/// </summary>
public sealed class MergeWork : IWork
{
    private readonly string _folder;
    private readonly MergeRecipe _recipe;
    private readonly int _models, _threads;
    private readonly bool _onDisk;

    /// <summary>
    /// Writes so many random models of a shape. The time of a run ends when the file system has all bytes of the result, or, with <paramref name="onDisk"/>, when they have
    /// been forced to the disk and the folder has its name.
    /// </summary>
    public MergeWork(TrainingShape shape, int models, int threads = 0, bool onDisk = false)
    {
        (_models, _threads, _onDisk) = (models, threads == 0 ? Environment.ProcessorCount : threads, onDisk);
        var layout = shape.Config.Layout();
        _folder = Directory.CreateDirectory(Path.Combine(Place((models + 2) * layout.Count * sizeof(float)), $"nengine-merge-{Guid.NewGuid():N}")).FullName;
        using var device = new CpuDevice(_threads);
        using var parameters = new ParameterSet(device, layout, MemoryUse.Parameters);
        for (int m = 0; m < models; m++)
        {
            device.Kernels.Gaussian(1, (uint)m, parameters.Flat);
            ModelFolder.Save(Input(m), shape.Config, parameters, null);
        }
        _recipe = MergeRecipe.Linear([.. Enumerable.Range(0, models).Select(m => (Input(m), 1.0))]);
    }

    /// <summary>The folder that holds the models as 0, 1, ….</summary>
    public string Folder => _folder;

    /// <summary>Bytes of all models.</summary>
    public double InputBytes => Enumerable.Range(0, _models).Sum(m => new FileInfo(File(m)).Length);

    /// <inheritdoc/>
    public double? Seconds { get; private set; }

    /// <summary>Seconds that the system takes to show the same bytes and to take the result.</summary>
    public double LeastSeconds()
    {
        Prepare();
        return MappedFiles.Seconds([.. Enumerable.Range(0, _models).Select(File)], Path.Combine(_folder, "least.bin"), _threads);
    }

    /// <summary>Takes away the folder of the run before (users merge into a new one) and reads the models.</summary>
    public void Prepare()
    {
        if (Directory.Exists(Output))
        {
            Directory.Delete(Output, recursive: true);
        }
        Parallel.For(0, _models, m =>
        {
            using var file = System.IO.File.OpenRead(File(m));
            file.CopyTo(Stream.Null, 1 << 20);
        });
    }

    /// <summary>Merges into a new folder.</summary>
    public void Run()
    {
        long start = Stopwatch.GetTimestamp();
        using var merger = new ParameterMerger(_recipe, new MergeOptions { Threads = _threads });
        double opened = Stopwatch.GetElapsedTime(start).TotalSeconds;
        var report = merger.Run(Output);
        Seconds = _onDisk ? null : opened + report.MergeTime.TotalSeconds;
    }

    /// <inheritdoc/>
    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private string Output => Path.Combine(_folder, "merged");

    private string Input(int model) => Path.Combine(_folder, model.ToString(CultureInfo.InvariantCulture));

    private string File(int model) => Path.Combine(Input(model), "model.safetensors");

    private static string Place(long bytes)
    {
        const string Memory = "/dev/shm";
        string disk = Path.GetTempPath();
        return new DriveInfo(disk).AvailableFreeSpace > bytes || !Directory.Exists(Memory) ? disk : Memory;
    }
}
