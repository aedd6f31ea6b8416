using System.CommandLine;
using NativeEngine.Cli;
using NativeEngine.Tests.Support;

namespace NativeEngine.Tests.Cli;

/// <summary>--config and --set, on a small command tree of the tests' own: fit, and store put.</summary>
public sealed class ConfigurationTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();
    private readonly CommonOptions _common = new();
    private readonly FitVerb _fit = new();
    private readonly PutVerb _put = new();
    private readonly CommandLineReader _reader;

    public ConfigurationTests()
    {
        var root = new Command("nengine", "test") { _fit, new VerbGroup("store", "test", _put) };
        foreach (var option in _common.All)
        {
            root.Add(option);
        }
        _reader = new CommandLineReader(root, _common);
    }

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Read_Precedence_IsLineThenSetThenSectionThenFlatThenDefault()
    {
        string file = _folder.Write("run.yaml", "lr: 1e-1\nsteps: 10\nseed: 10\nmax-memory: 1MiB\nfit:\n  lr: 1e-2\n  steps: 20\n  seed: 20\n");
        var parse = _reader.Read(["fit", "--model", "m", "--config", file, "--set", "fit.steps=30", "--set", "seed=30", "--seed", "40"]);
        Assert.Equal(40UL, parse.GetValue(_common.Seed));
        Assert.Equal(30, parse.GetValue(_fit.Steps));
        Assert.Equal(1e-2, parse.GetValue(_fit.Rate));
        Assert.Equal(1L << 20, parse.GetValue(_common.MaxMemory));
        Assert.Equal("cosine", parse.GetValue(_fit.Schedule));
    }

    [Fact]
    public void Read_RequiredOption_MayComeFromTheFile()
    {
        string file = _folder.Write("run.yaml", "model: preset:tiny=1\nkeep: [0, 3]\nresume: true\n");
        var parse = _reader.Read(["fit", "--config", file]);
        Assert.Equal("preset:tiny=1", parse.GetValue(_fit.Model));
        Assert.Equal("0,3", parse.GetValue(_fit.Kept));
        Assert.True(parse.GetValue(_fit.Resume));
    }

    [Fact]
    public void Read_SectionOfAnotherVerb_IsCheckedAndLeftAlone()
    {
        string file = _folder.Write("run.yaml", "store:\n  put:\n    name: x\nmodel: m\n");
        Assert.Equal("m", _reader.Read(["fit", "--config", file]).GetValue(_fit.Model));
        Assert.Equal("x", _reader.Read(["store", "put", "--config", _folder.Write("b.yaml", "store: {put: {name: x}}\nfit: {lr: 1}\n")]).GetValue(_put.Label));
        string bad = _folder.Write("bad.yaml", "model: m\nstore:\n  put:\n    nam: x\n");
        Refused(ErrorKind.Usage, ["fit", "--config", bad], $"{bad}:4: unknown key 'nam'", "did you mean 'name'?");
    }

    [Theory]
    [InlineData("lr: 1\nlrr: 2\n", ":2: unknown key 'lrr' for fit", "did you mean 'lr'?")]
    [InlineData("fit:\n  stepz: 2\n", ":2: unknown key 'stepz' for fit", "did you mean 'steps'?")]
    [InlineData("fitt:\n  steps: 2\n", ":1: unknown key 'fitt' for fit", "did you mean 'fit'?")]
    [InlineData("max_memory: 1GiB\n", ":1: unknown key 'max_memory' for fit", "did you mean 'max-memory'?")]
    [InlineData("config: other.yaml\n", ":1: unknown key 'config' for fit", null)]
    [InlineData("seed: 1\nlr: 0,5\n", ":2: --lr expects a number", null)]
    [InlineData("lr: .nan\n", ":1: --lr expects a number", null)]
    [InlineData("schedule: cosin\n", ":1: --schedule expects one of cosine, linear", null)]
    public void Read_WrongKeyOrValue_IsUsageWithFileAndLine(string yaml, string message, string? hint)
    {
        string file = _folder.Write("run.yaml", yaml);
        Refused(ErrorKind.Usage, ["fit", "--model", "m", "--config", file], file + message, hint);
    }

    [Theory]
    [InlineData("lr: [1\n")]
    [InlineData("- lr\n")]
    [InlineData("lr: 1\nlr: 2\n")]
    [InlineData("lr: [{a: 1}]\n")]
    [InlineData("just words\n")]
    [InlineData("? [a]\n: 1\n")]
    [InlineData("a: &x {b: *x}\n")]
    public void Read_BadYaml_IsBadInputOrUsageNotACrash(string yaml) =>
        Assert.Throws<EngineException>(() => _reader.Read(["fit", "--model", "m", "--config", _folder.Write("run.yaml", yaml)]));

    [Fact]
    public void Read_EmptyFileOrNullValue_ChangesNothing()
    {
        Assert.Equal(1000, _reader.Read(["fit", "--model", "m", "--config", _folder.Write("a.yaml", "")]).GetValue(_fit.Steps));
        Assert.Equal(1000, _reader.Read(["fit", "--model", "m", "--config", _folder.Write("b.yaml", "steps:\n")]).GetValue(_fit.Steps));
    }

    [Theory]
    [InlineData("stepz=1", "unknown key 'stepz' for fit")]
    [InlineData("put.name=x", "'put' is not the verb that runs (fit)")]
    [InlineData("steps", "expects key=value")]
    [InlineData("steps=x", "--steps expects an integer")]
    public void Read_WrongSet_IsUsage(string set, string message) => Refused(ErrorKind.Usage, ["fit", "--model", "m", "--set", set], message, null);

    [Fact]
    public void Read_SetWithSpacesEqualsAndEmpty_KeepsTheText()
    {
        Assert.Equal("a b=c:d", _reader.Read(["fit", "--set", "model=a b=c:d"]).GetValue(_fit.Model));
        Assert.Equal("--steps", _reader.Read(["fit", "--set", "model=--steps"]).GetValue(_fit.Model));
    }

    [Fact]
    public void ResolvedConfiguration_Yaml_ReadsBackToTheSame()
    {
        string[] line = ["fit", "--model", "it's \"x\": #1\n- ünï", "--lr", "3e-4", "--keep", "-", "--resume", "--threads", "3", "--max-memory", "2GB"];
        string first = Yaml(line);
        Assert.Contains("lr: 3e-4\n", first, StringComparison.Ordinal);
        Assert.Contains("schedule: cosine\n", first, StringComparison.Ordinal);
        string file = _folder.Write("printed.yaml", first);
        Assert.Equal(first, Yaml(["fit", "--config", file]));
        Assert.Equal(line[2], _reader.Read(["fit", "--config", file]).GetValue(_fit.Model));
    }

    private string Yaml(string[] args)
    {
        using var writer = new StringWriter { NewLine = "\n" };
        ResolvedConfiguration.WriteYaml(writer, _reader.Read(args), _common);
        return writer.ToString();
    }

    private void Refused(ErrorKind kind, string[] args, string message, string? hint)
    {
        var error = Assert.Throws<EngineException>(() => _reader.Read(args));
        Assert.Equal(kind, error.Kind);
        Assert.Contains(message, error.Message, StringComparison.Ordinal);
        if (hint is not null)
        {
            Assert.Equal(hint, error.Hint);
        }
    }

    private sealed class FitVerb : Verb
    {
        public FitVerb()
            : base("fit", "test", "nengine fit --model m") => Add("options", Model, Rate, Steps, Schedule, Kept, Resume);

        public Option<string> Model { get; } = Opt.RequiredText("--model", "DIR", "test");
        public Option<double> Rate { get; } = Opt.Number("--lr", "X", "test", 1e-3, min: 0.0);
        public Option<int> Steps { get; } = Opt.Number("--steps", "N", "test", 1000, min: 1);
        public Option<string> Schedule { get; } = Opt.Choice("--schedule", "test", "cosine", "linear");
        public Option<string?> Kept { get; } = Opt.MaybeText("--keep", "LIST", "test");
        public Option<bool> Resume { get; } = Opt.Flag("--resume", "test");

        public override int Run(VerbContext context) => 0;
    }

    private sealed class PutVerb : Verb
    {
        public PutVerb()
            : base("put", "test", "nengine store put --name x") => Add("options", Label);

        public Option<string?> Label { get; } = Opt.MaybeText("--name", "TEXT", "test");

        public override int Run(VerbContext context) => 0;
    }
}
