namespace NativeEngine.Cli.Verbs;

/// <summary>What may befall a run.</summary>
internal enum Trouble
{
    /// <summary>SIGKILL at a random moment.</summary>
    Killed,
    /// <summary>SIGKILL while a checkpoint is being saved.</summary>
    KilledSaving,
    /// <summary>SIGTERM, as a batch system sends it before the time limit.</summary>
    Stopped,
    /// <summary>A file system that has no room for another checkpoint.</summary>
    DiskFull,
    /// <summary>SIGKILL, and the end of a file of the newest checkpoint is missing, as after a power cut.</summary>
    CutOff,
    /// <summary>SIGKILL, and a sector of a file of the newest checkpoint is zeros.</summary>
    Zeroed,
    /// <summary>SIGKILL, and a sector of a file of the newest checkpoint is noise.</summary>
    Scrambled,
}

/// <summary>One trouble of a plan.</summary>
/// <param name="Kind">What.</param>
/// <param name="AfterSteps">Steps that the process does before.</param>
/// <param name="Draw">Random bits for what else is to be decided: milliseconds, the file, the place in it.</param>
internal readonly record struct PlannedTrouble(Trouble Kind, int AfterSteps, ulong Draw)
{
    /// <summary>Troubles that spread over a run of so many steps; every seven in a row are of all kinds. A function of the seed.</summary>
    public static IReadOnlyList<PlannedTrouble> Plan(ulong seed, int count, int steps)
    {
        var random = new CounterRandom(seed, RandomPurpose.Chaos);
        var plan = new List<PlannedTrouble>(count);
        while (plan.Count < count)
        {
            var kinds = Enum.GetValues<Trouble>();
            for (int i = kinds.Length - 1; i > 0; i--)
            {
                int j = (int)random.Below((ulong)(3 * (plan.Count + i)), i + 1);
                (kinds[i], kinds[j]) = (kinds[j], kinds[i]);
            }
            plan.AddRange(kinds.Select((kind, i) => new PlannedTrouble(
                kind, 1 + (int)random.Below((ulong)(3 * (plan.Count + i)) + 1, Math.Max(1, 2 * steps / count)), random.Bits((ulong)(3 * (plan.Count + i)) + 2))));
        }
        return [.. plan.Take(count)];
    }
}
