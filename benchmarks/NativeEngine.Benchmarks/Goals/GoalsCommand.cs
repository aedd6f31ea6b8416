using System.Runtime.CompilerServices;

namespace NativeEngine.Benchmarks.Goals;

/// <summary>
/// Runs ours and the peer in turns (A B A B) for every goal, with the machine's roofs measured in the same run, and writes the tables.
/// </summary>
internal static class GoalsCommand
{
    public static int Run(ReadOnlySpan<string> arguments)
    {
        GoalsOptions options;
        try
        {
            options = GoalsOptions.Read(arguments);
        }
        catch (ArgumentException e)
        {
            Console.Error.WriteLine(e.Message);
            Console.Error.WriteLine(GoalsOptions.Help);
            return 2;
        }
        string repository = Repository();
        var machine = MachineFacts.Read(repository);
        var load = new MachineLoad(options.Load);
        Console.WriteLine($"{machine.Processor}; load average {load.AtStart:0.00} at the start");
        var peer = Peer.Find(repository, options, machine.HasAvx512);
        if (peer.Missing.Length > 0)
        {
            Console.WriteLine($"no peers: {peer.Missing}");
        }
        var roofs = Roofs.Measure(options.Threads, options.Quick);
        Console.WriteLine($"roofs: {roofs.FmaGflops:0} GFLOP/s, min+fma {roofs.MinFmaGterms:0.0} G terms/s, copy {roofs.CopyGigabytes:0.0} GB/s");

        var folder = Directory.CreateTempSubdirectory("nengine-goals-");
        string output = options.Output ?? Path.Combine(repository, "benchmarks", "results", machine.Folder);
        var results = new List<GoalResult>();
        try
        {
            var rows = new GoalRows(options, folder.FullName);
            foreach (var row in rows.All())
            {
                Add(Measure(row, options, peer, roofs));
            }
            if (options.Only.Contains("process"))
            {
                foreach (var result in new FreshProcess(options, peer, repository, rows.FeatureFile(128)).Measure())
                {
                    Add(result);
                }
            }
        }
        finally
        {
            folder.Delete(recursive: true);
        }
        var report = Report();
        Console.WriteLine(report.Disturbance.Length == 0 ? "clean" : $"DISTURBED: {report.Disturbance}");
        Console.WriteLine($"written: {Path.Combine(output, report.Name)}.md and .json");
        return 0;

        GoalsReport Report() => new(options, machine, load, peer, roofs, results);

        // Written line by line: a run that is stopped leaves what it measured.
        void Add(GoalResult result)
        {
            Console.WriteLine($"   {GoalsReport.Line(result)}");
            results.Add(result);
            Report().Write(output);
        }
    }

    private static GoalResult Measure(GoalRow row, GoalsOptions options, Peer peer, Roofs roofs)
    {
        using var work = row.Ours();
        var ours = new List<double[]>();
        var theirs = new List<double[]>();
        string setting = "";
        double? quality = null;
        string reason = "";
        for (int round = 0; round < options.Rounds; round++)
        {
            ours.Add(Sampling.Measure(work, options.Seconds));
            if (row.Peer is not { } other || peer.Missing.Length > 0)
            {
                continue;
            }
            try
            {
                // The first round tries every setting of the peer, the later ones use the fastest.
                var settings = round == 0 ? peer.Capabilities : [setting];
                var best = settings.Select(s => peer.Measure(other.Script, other.Arguments(), s)).MinBy(r => r.Median)!;
                setting = best.Capability;
                theirs.Add(best.Samples);
                quality = row.Quality is { } q ? q.Value(work) / best.Facts[q.Fact] : null;
            }
            catch (InvalidOperationException e)
            {
                Console.WriteLine($"   {row.Name}: the peer failed: {e.Message}");
                theirs.Clear();
                reason = "the peer failed";
                break;
            }
        }
        var result = new GoalResult(row.Section, row.Name, "s", new Measurement(ours))
        {
            PeerName = row.Peer?.Name ?? "",
            Peer = theirs.Count > 0 ? new Measurement(theirs) : null,
            PeerSetting = setting,
            GoalRatio = row.GoalRatio,
            GoalShare = row.GoalShare,
            RoofName = row.Roof?.Name ?? "",
            Bytes = row.Bytes?.Invoke(work),
            Quality = quality,
        };
        double? share = row.Roof?.Seconds(work, roofs) / result.Ours.Median;
        return result with { Share = share, NotJudged = reason.Length > 0 ? reason : Reason(row, options, peer) };
    }

    private static string Reason(GoalRow row, GoalsOptions options, Peer peer) =>
        options.Quick ? "quick size"
        : row.GoalRatio is null ? ""
        : peer.Missing.Length > 0 ? peer.Missing
        : row.PeerUsesBlas && !peer.HasFastBlas ? "the peer has no optimised BLAS (--blas)"
        : "";

    // The sources lie in benchmarks/NativeEngine.Benchmarks/Goals.
    private static string Repository([CallerFilePath] string file = "") => Path.GetFullPath(Path.Combine(Path.GetDirectoryName(file)!, "..", "..", ".."));
}
