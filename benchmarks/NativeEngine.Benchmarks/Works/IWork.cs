namespace NativeEngine.Benchmarks.Works;

/// <summary>Something that can be run again and again and always does the same work.</summary>
public interface IWork : IDisposable
{
    /// <summary>Before each run, outside of its time: takes away what the run before left.</summary>
    void Prepare()
    {
    }

    /// <summary>One run, finished on return.</summary>
    void Run();

    /// <summary>Seconds of the last run without what its peer does not do, where the work takes its own time; null: all of it counts.</summary>
    double? Seconds => null;
}
