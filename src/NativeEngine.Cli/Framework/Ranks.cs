using System.Globalization;
using NativeEngine.Native;

namespace NativeEngine.Cli;

/// <summary>
/// This process among those of its job. The first rank speaks and writes; the others only warn and fail, by their number. A failure of one ends all
/// with its exit code.
/// </summary>
internal sealed class Ranks
{
    // How long a SIGTERM waits for a collective call to end: mpirun kills a second after it.
    private static readonly TimeSpan _patience = TimeSpan.FromMilliseconds(250);

    private Ranks(RankGroup group) => Group = group;

    /// <summary>The group; of one where the process is alone.</summary>
    public RankGroup Group { get; }

    /// <summary>Whether a stop is now something that all ranks agree on.</summary>
    public bool StopsTogether { get; set; }

    /// <summary>
    /// Joins the job: always with "mpi", never with "one", and with "auto" where a launcher started several processes. Errors: Usage when the
    /// launcher and MPI disagree on how many there are.
    /// </summary>
    public static Ranks Join(VerbContext context, string how)
    {
        int started = Started(Environment.GetEnvironmentVariable, out string variable);
        if (how == "one" || (how == "auto" && started <= 1))
        {
            return new Ranks(new SingleRank());
        }
        var group = MpiRanks.Join();
        if (started > 1 && group.Count == 1)
        {
            group.Dispose();
            throw new EngineException(ErrorKind.Usage, $"{variable} says that {started} processes were started, {group.Description} knows only this one",
                "start them with this library's mpirun or with srun --mpi=pmix (or pmi2), or let each work alone with --ranks one");
        }
        var ranks = new Ranks(group);
        context.OnFailure = group.Abort;
        if (group.Rank > 0)
        {
            context.Result.IsSilent = true;
            context.Talk.SpeakAs(string.Create(CultureInfo.InvariantCulture, $"rank {group.Rank}: "));
        }
        context.Talk.Info($"{group.Count} ranks, {group.Description}");
        context.Cancellation.UnsafeRegister(_ => Watch(context, group), null);
        return ranks;
    }

    /// <summary>Ends the work with the others; returns when all have come here.</summary>
    public void Leave() => Group.Dispose();

    /// <summary>How many processes the launcher started, by its own variables; 1 where there is none.</summary>
    internal static int Started(Func<string, string?> environment, out string variable)
    {
        foreach (string name in new[] { "OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "MV2_COMM_WORLD_SIZE", "SLURM_STEP_NUM_TASKS" })
        {
            if (int.TryParse(environment(name), NumberStyles.None, CultureInfo.InvariantCulture, out int count) && count > 1)
            {
                variable = name;
                return count;
            }
        }
        variable = "";
        return 1;
    }

    // A launcher that lost a process sends SIGTERM to the rest, whose calls will never return.
    private static void Watch(VerbContext context, MpiRanks group)
    {
        var watcher = new Thread(() =>
        {
            while (context.Signal == "SIGTERM")
            {
                if (group.Waiting > _patience)
                {
                    context.Talk.Error("another rank was lost, or the job was ended, while this one waited for it", context.ResumeHint ?? "nothing was saved yet (--checkpoint-every)");
                    Environment.Exit(Interrupts.Resumable);
                }
                Thread.Sleep(20);
            }
        })
        {
            IsBackground = true,
        };
        watcher.Start();
    }
}
