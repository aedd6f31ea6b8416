using NativeEngine.Benchmarks.Works;

namespace NativeEngine.Benchmarks.Goals;

/// <summary>One line of the goals: our work, the peer's, and what is asked of the two.</summary>
internal sealed record GoalRow(string Section, string Name, Func<IWork> Ours)
{
    /// <summary>The peer's script and arguments, known once our work is prepared (it may write the peer's input); null: no peer.</summary>
    public (string Name, string Script, Func<string[]> Arguments)? Peer { get; init; }

    /// <summary>Whether the peer's time is that of its BLAS, so that a slow one says nothing.</summary>
    public bool PeerUsesBlas { get; init; }

    /// <summary>Least quotient of the peer's time and ours.</summary>
    public double? GoalRatio { get; init; }

    /// <summary>Least share of the roof.</summary>
    public double? GoalShare { get; init; }

    /// <summary>Seconds that the roof allows at best, and the name of the roof.</summary>
    public (string Name, Func<IWork, Roofs, double> Seconds)? Roof { get; init; }

    /// <summary>Bytes whose rate is told beside the time.</summary>
    public Func<IWork, double>? Bytes { get; init; }

    /// <summary>A figure of our result that must not be worse than the peer's fact of the same name, by more than one part in a million.</summary>
    public (string Fact, Func<IWork, double> Value)? Quality { get; init; }
}

/// <summary>What a line came to. Values are seconds, or MiB where the unit says so.</summary>
internal sealed record GoalResult(string Section, string Name, string Unit, Measurement Ours)
{
    public string PeerName { get; init; } = "";

    public Measurement? Peer { get; init; }

    public string PeerSetting { get; init; } = "";

    public double? GoalRatio { get; init; }

    public double? GoalShare { get; init; }

    public string RoofName { get; init; } = "";

    public double? Share { get; init; }

    /// <summary>The bytes of a run whose rate is told.</summary>
    public double? Bytes { get; init; }

    /// <summary>10^9 of those bytes a second, by the median.</summary>
    public double? Gigabytes => Bytes / Ours.Median * 1e-9;

    /// <summary>Our quality figure divided by the peer's.</summary>
    public double? Quality { get; init; }

    /// <summary>Why the line is not judged; empty when it is.</summary>
    public string NotJudged { get; init; } = "";

    /// <summary>The peer's median divided by ours.</summary>
    public double? Ratio => Peer?.Median / Ours.Median;

    /// <summary>Smallest and largest quotient of the medians of one round.</summary>
    public (double Least, double Most)? RatioRange
    {
        get
        {
            if (Peer is null)
            {
                return null;
            }
            double[] ratios = [.. Peer.Rounds.Zip(Ours.Rounds, (peer, ours) => Sampling.Median(peer) / Sampling.Median(ours))];
            return (ratios.Min(), ratios.Max());
        }
    }

    public string Verdict
    {
        get
        {
            if (NotJudged.Length > 0)
            {
                return $"not judged: {NotJudged}";
            }
            if (GoalRatio is null && GoalShare is null)
            {
                return "no goal";
            }
            if (Share > 1.02)
            {
                return $"not judged: above the roof of {RoofName}, which was disturbed or does not bound this work";
            }
            if (Quality < 1 - 1e-6)
            {
                return "missed: quality";
            }
            return (GoalRatio is { } ratio ? Ratio >= ratio : Share >= GoalShare) ? "met" : "missed";
        }
    }
}
