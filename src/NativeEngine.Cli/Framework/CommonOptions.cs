using System.CommandLine;

namespace NativeEngine.Cli;

/// <summary>The options of every verb. One instance belongs to one command tree.</summary>
internal sealed class CommonOptions
{
    /// <summary>The seed of every random decision unless --seed says otherwise.</summary>
    public const ulong DefaultSeed = 1;

    public Option<string> Device { get; } =
        Opt.Text("--device", "auto|cpu|cuda[:i]|opencl[:p.d]", "Where to compute; only auto may choose, and it says what it chose.", "auto");
    public Option<string> MatMul { get; } =
        Opt.Choice("--matmul", "What matrix products multiply. bf16: on the tensor cores of a named CUDA device, faster, and without the CPU's bits.", "float32", "bf16");
    public Option<int?> Threads { get; } =
        Opt.MaybeNumber<int>("--threads", "N", "CPU threads; else SLURM_CPUS_PER_TASK, OMP_NUM_THREADS, the cgroup's quota, all processors.", min: 1, max: 4096);
    public Option<string> Simd { get; } =
        Opt.Choice("--simd", "Bits of the CPU's registers; auto: NENGINE_SIMD, else the widest. Results have the same bits.", "auto", "512", "256", "128", "scalar");
    public Option<ulong> Seed { get; } = Opt.Number("--seed", "N", "Seed of every random decision.", DefaultSeed);
    public Option<long?> MaxMemory { get; } = Opt.MaybeSize("--max-memory", "Refuse work that needs more than this, like 8GiB.");
    public Option<double?> MaxSeconds { get; } =
        Opt.MaybeNumber<double>("--max-seconds", "S", "Stop after so many seconds as after SIGTERM: what can be continued is saved, exit code 75.", min: 0.001, max: 1e8);
    public Option<string?> Output { get; } = Opt.MaybeText("--output", "PATH", "Where the result goes: a file or folder, as the verb says; of verbs that only tell something a copy, NAME.json as JSON.", "-o");
    public Option<string?> Config { get; } = Opt.MaybeText("--config", "FILE.yaml", "Options from a file; keys are the long option names.");
    public Option<string[]> Set { get; } = new("--set")
    {
        Description = "One option as key=value or verb.key=value; repeatable, wins over --config, loses to the option itself.",
        HelpName = "key=value",
        Arity = ArgumentArity.OneOrMore,
        AllowMultipleArgumentsPerToken = false,
    };
    public Option<bool> PrintConfig { get; } = Opt.Flag("--print-config", "Print the resolved options as YAML and stop.");
    public Option<bool> DryRun { get; } = Opt.Flag("--dry-run", "Check everything and say what would be done and its peak memory; do nothing.");
    public Option<bool> Json { get; } = Opt.Flag("--json", "The result as one JSON document on stdout, also on failure.");
    public Option<string> Format { get; } =
        Opt.Choice("--format", "What the result is: text for people, json as --json, or the table in it as csv or md (Markdown), where the verb has one.", "text", "json", "csv", "md");
    public Option<bool> Quiet { get; } = Opt.Flag("--quiet", "Only warnings and errors on stderr.");
    public Option<bool> Verbose { get; } = Opt.Flag("--verbose", "More on stderr, stack traces too.");
    public Option<string> Progress { get; } =
        Opt.Choice("--progress", "How progress is told on stderr. auto: a line that is rewritten on a terminal, else one line every five seconds, none with --quiet; jsonl: one JSON object a second.", "auto", "none", "line", "jsonl");
    public Option<bool> NoColor { get; } = Opt.Flag("--no-color", "No colours (so do NO_COLOR, TERM=dumb and a stderr that is no terminal).");
    public Option<bool> Help { get; } = new("--help", "-h") { Description = "Show this help." };

    /// <summary>In the order of the help text.</summary>
    public IReadOnlyList<Option> All { get; }

    public CommonOptions()
    {
        All = [Device, MatMul, Threads, Simd, Seed, MaxMemory, MaxSeconds, Output, Config, Set, PrintConfig, DryRun, Json, Format, Quiet, Verbose, Progress, NoColor, Help];
        foreach (var option in All)
        {
            option.Recursive = true;
        }
    }

    /// <summary>Whether a configuration file or --set may give this option: not those that say where options come from.</summary>
    public bool Configurable(Option option) => option != Config && option != Set && option != PrintConfig && option != Help;
}
