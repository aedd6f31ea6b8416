using System.Collections.Concurrent;
using System.Diagnostics;
using Xunit.Abstractions;

namespace NativeEngine.Tests.Reliability;

/// <summary>
/// How much of a sweep is done: little in a run of all tests; everything, as many processes at a time as there are processors and with a report that the chores
/// "kills", "faults" and "chaos" print, when NENGINE_TEST_KILLS, NENGINE_TEST_FAULTS or NENGINE_TEST_CHAOS says so.
/// </summary>
internal static class Sweep
{
    /// <summary>Kills that were asked for, or null.</summary>
    public static int? Kills => int.TryParse(Environment.GetEnvironmentVariable("NENGINE_TEST_KILLS"), out int asked) ? Math.Max(1, asked) : null;

    /// <summary>Kills of a test that is not about one verb of many: a twentieth of what was asked for, or what a run of all tests does.</summary>
    public static int KillsOfAWorkflow(int few) => Kills is { } asked ? Math.Max(few, asked / 20) : few;

    /// <summary>Seeds of chaos that were asked for, or null.</summary>
    public static int? Chaos => int.TryParse(Environment.GetEnvironmentVariable("NENGINE_TEST_CHAOS"), out int asked) ? Math.Max(1, asked) : null;

    /// <summary>Whether every change on disk fails in turn.</summary>
    public static bool AllFaults => Environment.GetEnvironmentVariable("NENGINE_TEST_FAULTS") == "all";

    /// <summary>The verbs of the sweep: all, or those of NENGINE_TEST_VERBS, separated by commas.</summary>
    public static IEnumerable<string> Verbs(IEnumerable<string> all) =>
        Environment.GetEnvironmentVariable("NENGINE_TEST_VERBS") is { Length: > 0 } asked ? all.Intersect(asked.Split(',')) : all;

    /// <summary>
    /// Does a numbered work until <paramref name="until"/> says so, several at a time in a sweep, each with a worker's number. What fails does not end the others: all failures are told
    /// together.
    /// </summary>
    public static void Run(string what, Func<int, bool> until, Action<int, int> work)
    {
        int next = -1, done = 0;
        var failures = new ConcurrentQueue<string>();
        var said = Stopwatch.StartNew();
        void Worker(int worker)
        {
            for (int i = Interlocked.Increment(ref next); !until(i) && failures.Count < 10; i = Interlocked.Increment(ref next))
            {
                try
                {
                    work(worker, i);
                }
                catch (Exception e)
                {
                    failures.Enqueue(e is Xunit.Sdk.XunitException ? e.Message : e.ToString());
                    Write("", 0, $"{what}: FAILED: {e.Message}");
                }
                int count = Interlocked.Increment(ref done);
                lock (said)
                {
                    if (said.Elapsed.TotalSeconds > 20)
                    {
                        said.Restart();
                        Write("", 0, $"… {what}: {count} done");
                    }
                }
            }
        }
        int workers = Kills is null && Chaos is null && !AllFaults ? 1 : Environment.ProcessorCount;
        Task.WaitAll([.. Enumerable.Range(0, workers).Select(worker => Task.Factory.StartNew(() => Worker(worker), TaskCreationOptions.LongRunning))]);
        Assert.True(failures.IsEmpty, $"{failures.Count} failures:\n{string.Join("\n\n", failures)}");
    }

    /// <summary>What a test of a sweep found: <paramref name="count"/> of a kind, which the chore adds up, in a sentence.</summary>
    public static void Report(ITestOutputHelper talk, string kind, int count, string sentence)
    {
        talk.WriteLine(sentence);
        Write(kind, count, sentence);
    }

    private static void Write(string kind, int count, string sentence)
    {
        if (Environment.GetEnvironmentVariable("NENGINE_SWEEP_REPORT") is { Length: > 0 } file)
        {
            lock (typeof(Sweep))
            {
                File.AppendAllText(file, FormattableString.Invariant($"{kind}\t{count}\t{sentence.ReplaceLineEndings(" ")}\n"));
            }
        }
    }
}
