using System.CommandLine;
using NativeEngine.Devices;
using NativeEngine.Devices.Cpu;
using NativeEngine.Devices.Gpu;

namespace NativeEngine.Cli;

/// <summary>Everything a verb gets: its options, the common ones resolved, and where to write.</summary>
internal sealed class VerbContext
{
    private readonly ParseResult _parse;
    private readonly CommonOptions _common;
    private readonly Interrupts _interrupts;
    private readonly DeviceChoice _device;
    private Device? _opened;

    public VerbContext(ParseResult parse, CommonOptions common, ResultWriter result, TalkWriter talk, Interrupts interrupts)
    {
        (_parse, _common, _interrupts) = (parse, common, interrupts);
        (Result, Talk) = (result, talk);
        Limits = CgroupLimits.Read();
        AddressSpace = AddressSpaceLimit.Left();
        Threads = ThreadCount.Resolve(
            parse.GetValue(common.Threads), Environment.GetEnvironmentVariable, Limits, Environment.ProcessorCount, talk.Warn);
        if (!DeviceChoice.IsName(DeviceName))
        {
            throw new EngineException(ErrorKind.Usage, $"--device expects auto, cpu, cuda[:i] or opencl[:p.d], got '{DeviceName}'",
                DeviceChoice.IsName(DeviceName.ToLowerInvariant()) ? $"--device {DeviceName.ToLowerInvariant()}" : "nengine doctor shows the devices");
        }
        _device = new DeviceChoice(DeviceName, Precision);
    }

    /// <summary>The command line, the program's path first: what run.json and reports say.</summary>
    public IReadOnlyList<string> CommandLine { get; private init; } = Environment.GetCommandLineArgs();

    /// <summary>The context of another verb that this one runs as a part of its work: the same signals and stderr, another line and stdout.</summary>
    public VerbContext For(ParseResult parse, CommonOptions common, ResultWriter result, IReadOnlyList<string> line) =>
        new(parse, common, result, Talk, _interrupts) { CommandLine = line };

    /// <summary>stdout.</summary>
    public ResultWriter Result { get; }

    /// <summary>stderr.</summary>
    public TalkWriter Talk { get; }

    /// <summary>Cancelled by Ctrl-C, SIGTERM and SIGUSR1.</summary>
    public CancellationToken Cancellation => _interrupts.Token;

    /// <summary>What the container or batch system allows.</summary>
    public CgroupLimits Limits { get; }

    /// <summary>What a limit on addresses (<c>ulimit -v</c>) left when the verb began, or null.</summary>
    public long? AddressSpace { get; }

    /// <summary>CPU threads to use and why.</summary>
    public ThreadCount Threads { get; }

    /// <summary>--device as given.</summary>
    public string DeviceName => Need(_common.Device);

    /// <summary>--simd; null: what NENGINE_SIMD says, else the widest.</summary>
    public SimdWidth? Width => Need(_common.Simd) switch
    {
        "512" => SimdWidth.Bits512,
        "256" => SimdWidth.Bits256,
        "128" => SimdWidth.Bits128,
        "scalar" => SimdWidth.Scalar,
        _ => null,
    };

    /// <summary>--matmul.</summary>
    public MatMulPrecision Precision => Need(_common.MatMul) == "bf16" ? MatMulPrecision.BFloat16 : MatMulPrecision.Float32;

    /// <summary>--seed.</summary>
    public ulong Seed => Need(_common.Seed);

    /// <summary>--seed where it was given, else null.</summary>
    public ulong? GivenSeed => IsGiven(_common.Seed) ? Seed : null;

    /// <summary>--dry-run: check, say what would be done and its peak memory, do nothing.</summary>
    public bool DryRun => Need(_common.DryRun);

    /// <summary>--output as given, or null.</summary>
    public string? Output => Get(_common.Output);

    /// <summary>
    /// Bytes this run may use on its device: --max-memory, else what the GPU, or for the CPU the machine or the cgroup, has in total, less where <c>ulimit -v</c> leaves less. Work that
    /// needs more is refused with <see cref="ErrorKind.WillNotFit"/> before it starts.
    /// </summary>
    public long MaxMemory => Get(_common.MaxMemory) ?? (IsOnGpu ? _opened?.TotalMemory ?? _device.Named!.TotalMemory : ProcessMemory);

    /// <summary>Whether the device has memory of its own, so that what lies beside its buffers does not count.</summary>
    public bool IsOnGpu => _opened is { } opened ? opened.TotalMemory != long.MaxValue : _device.Named is not null;

    /// <summary>What the machine or the cgroup has in total, or a limit on addresses leaves.</summary>
    private long ProcessMemory => Math.Min(SystemMemory.Read().Total, Math.Min(Limits.MemoryBytes ?? long.MaxValue, AddressSpace ?? long.MaxValue));

    /// <summary>
    /// Set by a verb as soon as its work can be continued: what to do for that ("run the same command with --resume"). A Ctrl-C then
    /// ends with 75 in place of 130.
    /// </summary>
    public string? ResumeHint { get; set; }

    /// <summary>Set by a verb that works with other processes: hears of the exit code after a failure was reported.</summary>
    public Action<int>? OnFailure { get; set; }

    /// <summary>The signal that came first, or null.</summary>
    public string? Signal => _interrupts.Received;

    /// <summary>The value of an option or argument, null when it was left out and has no default.</summary>
    public T? Get<T>(Option<T> option) => _parse.GetValue(option);

    /// <inheritdoc cref="Get{T}(Option{T})"/>
    public T? Get<T>(Argument<T> argument) => _parse.GetValue(argument);

    /// <summary>The value of an option that is required or has a default.</summary>
    public T Need<T>(Option<T> option)
        where T : notnull => _parse.GetValue(option)
            ?? throw new EngineException(ErrorKind.Usage, $"{option.Name} is needed here", $"give {option.Name} {option.HelpName}");

    /// <summary>The value of a required argument.</summary>
    public T Need<T>(Argument<T> argument)
        where T : notnull => _parse.GetValue(argument)
            ?? throw new EngineException(ErrorKind.Usage, $"{argument.Name} is needed here", ((Verb)_parse.CommandResult.Command).Example);

    /// <summary>--output, where the verb cannot do without.</summary>
    public string NeedOutput() => Output
        ?? throw new EngineException(ErrorKind.Usage, $"{CommandLineReader.Path(_parse.CommandResult.Command)} needs --output {_common.Output.HelpName}", ((Verb)_parse.CommandResult.Command).Example);

    /// <summary>Whether an option was given (on the line, with --set or in the configuration) rather than left at its default.</summary>
    public bool IsGiven(Option option) => _parse.GetResult(option) is { Implicit: false };

    /// <summary>Every option of the verb as resolved, for run.json: name without dashes, and value as text.</summary>
    public IReadOnlyList<KeyValuePair<string, string>> ResolvedOptions() => ResolvedConfiguration.Of(_parse, _common);

    /// <summary>
    /// The device of --device, with --threads and --max-memory applied: <c>using var device = context.OpenDevice();</c> before the
    /// buffers. With --verbose it says what was chosen. <paramref name="decorate"/> may put a profiler around the kernels.
    /// </summary>
    public Device OpenDevice(Func<IKernels, IKernels>? decorate = null)
    {
        Talk.Detail($"threads: {Threads.Count} (from {Threads.Source})");
        return _opened = _device.Open(Threads.Count, Get(_common.MaxMemory), ProcessMemory, new DeviceTalk(Talk.Detail, Talk.Info, Talk.Warn), decorate, Width);
    }

    /// <summary>A progress line on stderr; dispose it when the work is done. A total of 0 means unknown.</summary>
    public ProgressLine Progress(string what, long total, string unit) => new(Talk, what, total, unit);
}
