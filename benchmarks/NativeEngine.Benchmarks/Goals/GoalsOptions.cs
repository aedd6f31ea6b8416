using System.Globalization;

namespace NativeEngine.Benchmarks.Goals;

/// <summary>What the command line asks for.</summary>
internal sealed record GoalsOptions
{
    public const string Help = """
        usage: dotnet run benchmarks/compare.cs -- [options]
          --only LIST      selection, training, merging, kernels, process; default: all
          --quick          tiny sizes, one round: shows that everything runs, judges nothing
          --large          also selections of 8192 and 16384 rows (many minutes for the peers)
          --rounds N       how often ours and the peer take turns (default 3)
          --seconds S      least time of one side in one round (default 1)
          --threads N      of both sides (default: all processors)
          --no-peers       ours and the roofs alone
          --python FILE    the Python that has torch and numpy
          --blas FOLDER    where the peer finds libblas.so.3, instead of the system's
          --output FOLDER  default: benchmarks/results/<processor>
          --load X         load average before anything was built (compare.cs gives it)
        """;

    public static IReadOnlyList<string> Sections { get; } = ["selection", "process", "training", "merging", "kernels"];

    public IReadOnlyList<string> Only { get; init; } = Sections;

    public bool Quick { get; init; }

    public bool Large { get; init; }

    public int Rounds { get; init; } = 3;

    public double Seconds { get; init; } = 1;

    public int Threads { get; init; } = Environment.ProcessorCount;

    public bool Peers { get; init; } = true;

    public string? Python { get; init; }

    public string? Blas { get; init; }

    public string? Output { get; init; }

    public double? Load { get; init; }

    /// <summary>The arguments as a table shows them.</summary>
    public string CommandLine { get; init; } = "";

    /// <summary>Reads the arguments. Errors: ArgumentException naming the one that is wrong.</summary>
    public static GoalsOptions Read(ReadOnlySpan<string> arguments)
    {
        var options = new GoalsOptions();
        for (int i = 0; i < arguments.Length; i++)
        {
            string name = arguments[i];
            if (name is "--quick" or "--large" or "--no-peers")
            {
                options = name switch
                {
                    "--quick" => options with { Quick = true, Rounds = 1, Seconds = 0.05 },
                    "--large" => options with { Large = true },
                    _ => options with { Peers = false },
                };
                continue;
            }
            if (++i == arguments.Length)
            {
                throw new ArgumentException($"{name}: unknown, or its value is missing");
            }
            string value = arguments[i];
            options = name switch
            {
                "--only" => options with { Only = ReadSections(value) },
                "--rounds" => options with { Rounds = (int)Number(name, value, 1) },
                "--seconds" => options with { Seconds = Number(name, value, 0) },
                "--threads" => options with { Threads = (int)Number(name, value, 1) },
                "--python" => options with { Python = value },
                "--blas" => options with { Blas = Path.GetFullPath(value) },
                "--output" => options with { Output = value },
                "--load" => options with { Load = Number(name, value, 0) },
                _ => throw new ArgumentException($"{name}: unknown option"),
            };
        }
        return options with { CommandLine = Shown(arguments) };
    }

    // What makes a result, without where things lie on one machine.
    private static string Shown(ReadOnlySpan<string> arguments)
    {
        var shown = new List<string>();
        for (int i = 0; i < arguments.Length; i++)
        {
            switch (arguments[i])
            {
                case "--output" or "--load":
                    i++;
                    break;
                case "--blas" or "--python":
                    shown.Add($"{arguments[i++]} PATH");
                    break;
                default:
                    shown.Add(arguments[i]);
                    break;
            }
        }
        return string.Join(' ', shown);
    }

    private static string[] ReadSections(string value)
    {
        string[] sections = value.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries);
        string? unknown = sections.FirstOrDefault(s => !Sections.Contains(s));
        return unknown is null ? sections : throw new ArgumentException($"--only: there is no section \"{unknown}\", only {string.Join(", ", Sections)}");
    }

    private static double Number(string name, string value, double least) =>
        double.TryParse(value, NumberStyles.Float, CultureInfo.InvariantCulture, out double number) && number >= least
            ? number
            : throw new ArgumentException($"{name}: \"{value}\" is no number of at least {least}");
}
