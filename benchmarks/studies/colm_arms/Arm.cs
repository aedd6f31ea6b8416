/// <summary>How many steps an arm makes.</summary>
internal enum Budget
{
    EqualSteps,
    EqualTime,
    EqualCompute,
}

/// <summary>One way to train. Features: what the selection costs; Keep: whether small sources are taken whole and so never forwarded.</summary>
internal sealed record Arm(string Id, string Title, string[] Options, string Features = "", bool Keep = false, Budget Budget = Budget.EqualSteps, bool Accumulates = false)
{
    public const string Random = "random-b", Full = "full-2b", Gradient = "colm-grad", Quotas = "quotas", Composition = "composition", Full4 = "full-4b";
    public const string RandomTime = "random-b-equal-time", FullCompute = "full-2b-equal-compute", AccumulatedTime = "full-2b-accumulated-equal-time";

    // In an order in which every arm comes after those that its budget is taken from.
    public static Arm[] All(Settings s) =>
    [
        new(Random, "random B", ["--selection", "random"]),
        new(Full, "full 2B", ["--selection", "full"]),
        new(Composition, "composition: small sources kept, quotas, random inside", ["--selection", "composition", "--keep", "small"]),
        new(Quotas, "quotas for all sources, random inside", ["--selection", "composition", "--keep", "none"]),
        new("colm-zo-1", "CoLM, zeroth order, 1 direction (the paper)", Colm("zo", "small", "--directions", "1"), "zo1", true),
        new("colm-zo-m", $"CoLM, zeroth order, {s.Directions} directions", Colm("zo", "small", "--directions", $"{s.Directions}"), $"zo{s.Directions}", true),
        new(Gradient, "CoLM, exact gradient", Colm("grad", "small"), "grad", true),
        new("colm-grad-keep-none", "CoLM, exact gradient, no source kept whole", Colm("grad", "none"), "grad"),
        new("colm-grad-raw-keep-none", "CoLM, exact gradient as it is, all columns, no source kept whole", [.. Colm("grad", "none", "--raw-features"), "--top", "0"], "grad"),
        new("colm-hidden", "CoLM, hidden states", [.. Colm("hidden", "small", "--raw-features"), "--top", "0"], "hidden", true),
        new("colm-grad-weights", "CoLM, exact gradient, cluster weights", Colm("grad", "small", "--weights", "cluster"), "grad", true),
        new(Full4, "full 4B", ["--selection", "full", "--pool", $"{2 * s.Pool}"]),
        new("full-2b-accumulated", "full 2B, accumulated in B's memory", ["--selection", "full"], Accumulates: true),
        new(RandomTime, "random B, as long as CoLM exact gradient takes", ["--selection", "random"], Budget: Budget.EqualTime),
        new(FullCompute, "full 2B, with CoLM exact gradient's FLOPs", ["--selection", "full"], Budget: Budget.EqualCompute),
        new(AccumulatedTime, "full 2B accumulated, as long as CoLM exact gradient takes", ["--selection", "full"], Budget: Budget.EqualTime, Accumulates: true),
    ];

    /// <summary>The arm whose speed an equal budget is divided by.</summary>
    public string Base => Accumulates ? "full-2b-accumulated" : Options is ["--selection", "random"] ? Random : Full;

    /// <summary>The arms that must have run before.</summary>
    public string[] Needs => [.. Accumulates ? [Full] : (string[])[], .. Budget == Budget.EqualSteps ? [] : (string[])[Gradient, Base]];

    private static string[] Colm(string feature, string keep, params string[] more) => ["--selection", "colm", "--feature", feature, "--keep", keep, .. more];
}
