/// <summary>What was asked for.</summary>
internal sealed record Settings
{
    public const string Help =
        """
        usage: dotnet run benchmarks/studies/colm_arms.cs -- [options]

          --train T.jsonl, --eval E.jsonl   the mixture (both or neither; default: the generated one)
          --model preset:0.2m|DIR           what is trained
          --seeds 3  --steps 120            seeds 1 to N; optimizer steps of the arms with equal steps
          --batch 32  --pool 64             B and 2B
          --seq-len 192  --lr 0.005         the same for every arm
          --directions 16                   of the arm with several zeroth-order directions
          --arms a,b                        only these (random-b, full-2b and what they need are added)
          --threads N                       default: all processors
          --output DIR                      default: artifacts/colm-arms; runs found there are not run again
          --quick                           a trial of the machinery: 2 seeds, 10 steps, 16 of 32, 128 tokens, 4 directions
          --choose-lr 0.002,0.005           instead of the study: random B at these rates, seed 0, and stop
          --dry-run                         the runs and the time they will take, and stop
        """;

    public string? Train { get; init; }
    public string? Eval { get; init; }
    public string Model { get; init; } = "preset:0.2m";
    public int Seeds { get; init; } = 3;
    public int Steps { get; init; } = 120;
    public int Batch { get; init; } = 32;
    public int Pool { get; init; } = 64;
    public int Length { get; init; } = 192;
    public double Rate { get; init; } = 0.005;
    public int Directions { get; init; } = 16;
    public string[] Arms { get; init; } = [];
    public int Threads { get; init; } = Environment.ProcessorCount;
    public string Output { get; init; } = "artifacts/colm-arms";
    public bool Quick { get; init; }
    public bool DryRun { get; init; }
    public double[] ChooseRate { get; init; } = [];
    public string CommandLine { get; init; } = "";

    /// <summary>The settings, or null when help was asked for.</summary>
    public static Settings? Parse(string[] args)
    {
        var s = new Settings { CommandLine = "dotnet run benchmarks/studies/colm_arms.cs -- " + string.Join(' ', args) };
        if (args.Contains("--quick"))
        {
            s = s with { Quick = true, Seeds = 2, Steps = 10, Batch = 16, Pool = 32, Length = 128, Directions = 4, Output = "artifacts/colm-arms-quick" };
        }
        for (int i = 0; i < args.Length; i++)
        {
            string name = args[i];
            string Value() => ++i < args.Length ? args[i] : throw new StudyException(2, $"{name} needs a value");
            int Number() => int.TryParse(Value(), out int n) && n > 0 ? n : throw new StudyException(2, $"{name} needs a positive whole number, got {args[i]}");
            double Real(string text) => double.TryParse(text, out double x) && x > 0 ? x : throw new StudyException(2, $"{name} needs positive numbers, got {text}");
            switch (name)
            {
                case "--help" or "-h": return null;
                case "--quick": break;
                case "--dry-run": s = s with { DryRun = true }; break;
                case "--train": s = s with { Train = Value() }; break;
                case "--eval": s = s with { Eval = Value() }; break;
                case "--model": s = s with { Model = Value() }; break;
                case "--output": s = s with { Output = Value() }; break;
                case "--arms": s = s with { Arms = Value().Split(',') }; break;
                case "--seeds": s = s with { Seeds = Number() }; break;
                case "--steps": s = s with { Steps = Number() }; break;
                case "--batch": s = s with { Batch = Number() }; break;
                case "--pool": s = s with { Pool = Number() }; break;
                case "--seq-len": s = s with { Length = Number() }; break;
                case "--directions": s = s with { Directions = Number() }; break;
                case "--threads": s = s with { Threads = Number() }; break;
                case "--lr": s = s with { Rate = Real(Value()) }; break;
                case "--choose-lr": s = s with { ChooseRate = [.. Value().Split(',').Select(Real)] }; break;
                default: throw new StudyException(2, $"no option is named {name}\n\n{Help}");
            }
        }
        return (s.Train is null) != (s.Eval is null) ? throw new StudyException(2, "--train and --eval belong together")
            : s.Batch > s.Pool ? throw new StudyException(2, $"--batch {s.Batch} is larger than --pool {s.Pool}")
            : s;
    }
}
