using System.Diagnostics;
using System.Globalization;
using System.Text.Json;

namespace NativeEngine.Benchmarks.Goals;

/// <summary>One line of a peer: the seconds of each run, and facts such as an objective or a loss.</summary>
internal sealed record PeerResult(double[] Samples, IReadOnlyDictionary<string, double> Facts, string Capability)
{
    public double Median => Sampling.Median(Samples);
}

/// <summary>
/// The Python scripts of benchmarks/peers as child processes, with the best environment that this machine offers them: settings that hold the
/// BLAS to an older processor are removed, and PyTorch is tried with and without AVX-512.
/// </summary>
internal sealed class Peer
{
    private readonly string _scripts;
    private readonly string? _python, _blas;
    private readonly int _threads;
    private readonly double _seconds;

    private Peer(string scripts, string? python, string missing, GoalsOptions options, IReadOnlyList<string> capabilities)
    {
        (_scripts, _python, Missing, _blas, _threads, _seconds) = (scripts, python, missing, options.Blas, options.Threads, options.Seconds);
        Capabilities = capabilities;
    }

    /// <summary>Why there is no peer; empty when there is one.</summary>
    public string Missing { get; }

    /// <summary>Settings of ATEN_CPU_CAPABILITY worth trying; the empty one is PyTorch's own choice.</summary>
    public IReadOnlyList<string> Capabilities { get; }

    /// <summary>Versions as the peer tells them; null until it ran.</summary>
    public string? Environment { get; private set; }

    /// <summary>False when the peer's products run on the reference BLAS, some fifty times slower than an optimised one.</summary>
    public bool HasFastBlas { get; private set; } = true;

    public static Peer Find(string repository, GoalsOptions options, bool avx512)
    {
        string scripts = Path.Combine(repository, "benchmarks", "peers");
        if (!options.Peers)
        {
            return new Peer(scripts, null, "left out by --no-peers", options, []);
        }
        string[] candidates = options.Python is { } given ? [given] : ["/usr/bin/python3", "python3"];
        string? python = candidates.FirstOrDefault(HasTorch);
        string missing = python is null ? $"no torch and numpy in {string.Join(" or ", candidates)}" : "";
        return new Peer(scripts, python, missing, options, avx512 ? ["", "avx512"] : [""]);
    }

    /// <summary>Runs a script and returns its last measurement. Errors: InvalidOperationException with what it said.</summary>
    public PeerResult Measure(string script, IEnumerable<string> arguments, string capability)
    {
        string seconds = _seconds.ToString(CultureInfo.InvariantCulture);
        var start = Start(script, [.. arguments, "--seconds", seconds, "--samples", Sampling.FewestSamples.ToString(CultureInfo.InvariantCulture)], capability);
        start.RedirectStandardOutput = true;
        start.RedirectStandardError = true;
        using var process = Process.Start(start)!;
        var errors = process.StandardError.ReadToEndAsync();
        string[] lines = process.StandardOutput.ReadToEnd().Split('\n', StringSplitOptions.RemoveEmptyEntries);
        process.WaitForExit();
        if (process.ExitCode != 0 || lines.Length < 2)
        {
            throw new InvalidOperationException($"{script} ended with {process.ExitCode}: {errors.Result.Trim()}");
        }
        ReadEnvironment(lines[0]);
        using var document = JsonDocument.Parse(lines[^1]);
        var facts = document.RootElement.EnumerateObject().Where(p => p.Value.ValueKind == JsonValueKind.Number)
            .ToDictionary(p => p.Name, p => p.Value.GetDouble());
        return new PeerResult([.. document.RootElement.GetProperty("samples").EnumerateArray().Select(s => s.GetDouble())], facts, capability);
    }

    /// <summary>How a script is started.</summary>
    public ProcessStartInfo Start(string script, IEnumerable<string> arguments, string capability)
    {
        var start = new ProcessStartInfo(
            _python!, [Path.Combine(_scripts, script), .. arguments, "--threads", _threads.ToString(CultureInfo.InvariantCulture)]);
        foreach (string name in new[] { "OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE", "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "ATEN_CPU_CAPABILITY" })
        {
            start.Environment.Remove(name);
        }
        start.Environment["PYTHONDONTWRITEBYTECODE"] = "1";
        start.Environment["OMP_NUM_THREADS"] = _threads.ToString(CultureInfo.InvariantCulture);
        if (capability.Length > 0)
        {
            start.Environment["ATEN_CPU_CAPABILITY"] = capability;
        }
        if (_blas is not null)
        {
            start.Environment["LD_LIBRARY_PATH"] = _blas;
        }
        return start;
    }

    private void ReadEnvironment(string line)
    {
        using var document = JsonDocument.Parse(line);
        var facts = document.RootElement.GetProperty("environment");
        string blas = string.Join(" ", facts.GetProperty("blas").EnumerateArray().Select(b => b.GetString()));
        HasFastBlas = new[] { "openblas", "mkl_", "blis" }.Any(name => blas.Contains(name, StringComparison.Ordinal));
        Environment = $"Python {facts.GetProperty("python")}, PyTorch {facts.GetProperty("torch")}, numpy {facts.GetProperty("numpy")}, "
            + $"{facts.GetProperty("threads")} threads, BLAS {blas}{(HasFastBlas ? "" : " (the reference BLAS: not optimised)")}";
    }

    private static bool HasTorch(string python)
    {
        try
        {
            using var process = Process.Start(
                new ProcessStartInfo(python, ["-c", "import torch, numpy"]) { RedirectStandardError = true, RedirectStandardOutput = true })!;
            process.StandardError.ReadToEnd();
            process.WaitForExit();
            return process.ExitCode == 0;
        }
        catch (System.ComponentModel.Win32Exception)
        {
            return false;
        }
    }
}
