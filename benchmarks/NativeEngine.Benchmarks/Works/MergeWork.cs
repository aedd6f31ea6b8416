using NativeEngine.Devices;
using NativeEngine.Devices.Cpu;
using NativeEngine.Merging;
using NativeEngine.Model;

namespace NativeEngine.Benchmarks.Works;

/// <summary>
/// The average of models on disk, from their safetensors files to a new one. The files lie in memory where the system has a file system there
/// (/dev/shm) with room, so that the disk is not measured.
/// </summary>
public sealed class MergeWork : IWork
{
    private readonly string _folder;
    private readonly MergeRecipe _recipe;
    private readonly int _models, _threads;
    private readonly long _bytes;

    /// <summary>Writes so many random models of a shape.</summary>
    public MergeWork(TrainingShape shape, int models, int threads = 0)
    {
        (_models, _threads) = (models, threads == 0 ? Environment.ProcessorCount : threads);
        var layout = shape.Config.Layout();
        _bytes = layout.Count * sizeof(float);
        string parent = Place((models + 2) * _bytes);
        _folder = Directory.CreateDirectory(Path.Combine(parent, $"nengine-merge-{Guid.NewGuid():N}")).FullName;
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

    /// <summary>Bytes that must move: every model read, the result written.</summary>
    public double Bytes => (_models + 1.0) * _bytes;

    /// <summary>Takes away the folder of the run before: users merge into a new one, and giving back its pages takes an eighth of the time of a merge.</summary>
    public void Prepare()
    {
        if (Directory.Exists(Output))
        {
            Directory.Delete(Output, recursive: true);
        }
    }

    /// <summary>Merges into a new folder.</summary>
    public void Run()
    {
        using var merger = new ParameterMerger(_recipe, new MergeOptions { Threads = _threads });
        merger.Run(Output);
    }

    /// <inheritdoc/>
    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private string Output => Path.Combine(_folder, "merged");

    private string Input(int model) => Path.Combine(_folder, model.ToString(System.Globalization.CultureInfo.InvariantCulture));

    private static string Place(long bytes)
    {
        const string Memory = "/dev/shm";
        return Directory.Exists(Memory) && new DriveInfo(Memory).AvailableFreeSpace > bytes ? Memory : Path.GetTempPath();
    }
}
