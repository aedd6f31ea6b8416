using System.Text.Json;
using NativeEngine.Data;
using NativeEngine.Tests.Support;

namespace NativeEngine.Tests.Cli;

/// <summary>A folder as somebody has it who has begun: data, a small model, features, a selection.</summary>
public sealed class BegunFolder : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public BegunFolder()
    {
        string[] lines = [.. MixtureSynthesizer.Generate(48, 3, SynthesisSplit.Train).Select(e => JsonSerializer.Serialize(new { source = e.Source, text = e.Text }))];
        _folder.Write("mine.jsonl", string.Join('\n', lines) + "\n");
        _folder.Write("bad.jsonl", lines[0] + "\n{\"text\": oops}\n");
        _folder.Write("typo.yaml", "train:\n  stepz: 3\n");
        _folder.Write("study.yaml", "data: {train: mine.jsonl}\nseed: {model: preset:0.2m, steps: 2}\nunits: {tokens: 400, lenght: 16}\ntraining: {steps: 2}\n");
        _folder.Write("recipe.yaml", "merge_method: linar\nmodels: [{model: run, parameters: {weight: 1}}]\n");
        _folder.Write("two.txt", "a\nb\n");
        _folder.Write("mine.jsonl.zst", "zstd");
        Run("train --model preset:0.2m --data mine.jsonl --pool 8 --batch 4 --seq-len 32 --steps 1 --output run --quiet").Expect(0);
        Run("features --model run --data mine.jsonl --kind hidden --output f.npy --quiet").Expect(0);
        Run("features --model run --data mine.jsonl --kind hidden --limit 20 --output few.npy --quiet").Expect(0);
        Run("select --features f.npy -k 8 --output picks.json --quiet").Expect(0);
    }

    public NEngineResult Run(string line) => NEngine.Run(line.Split(' '), stdin: null, workingFolder: _folder.Path);

    public void Dispose() => _folder.Dispose();
}

/// <summary>Mistakes that people make, one of every kind, over all verbs: the right exit code, one sentence, and what to do.</summary>
public sealed class MistakeTests(BegunFolder folder) : IClassFixture<BegunFolder>
{
    [Theory]
    [InlineData(2, "trian --model preset:0.2m", "did you mean 'train'?")]
    [InlineData(2, "", "nengine --help")]
    [InlineData(2, "train --model preset:0.2m --output x --stpes 3", "did you mean '--steps'?")]
    [InlineData(2, "train --model preset:0.2m --output x --lr fast", "nengine train --help")]
    [InlineData(2, "train --model preset:0.2m --output x --selection clom", "nengine train --help")]
    [InlineData(2, "train --model 0.2m --output x --data mine.jsonl", "--model preset:0.2m")]
    [InlineData(3, "train --model preset:0.2m --data nothere/mine.jsonl --output x", "there is no folder 'nothere'")]
    [InlineData(2, "train --model preset:0.2m --data mine.jsonl --pool 8 --batch 16 --output x", "--pool 32 with --batch 16")]
    [InlineData(2, "train --model preset:0.2m --data mine.jsonl --pool 1000 --output x", "--pool 24")]
    [InlineData(2, "train --model run --data mine.jsonl --lora-rank 4 --lora-targets z --output x", "LoRA targets are")]
    [InlineData(3, "train --config none.yaml", "there are recipe.yaml, study.yaml, typo.yaml")]
    [InlineData(2, "train --config typo.yaml --output x", "did you mean 'steps'?")]
    [InlineData(2, "train --set steps --output x", "--set seed=7")]
    [InlineData(2, "train --model preset:0.2m --output run", "--resume")]
    [InlineData(2, "train --model preset:0.2m --output x --resume newest", "nengine train --help")]
    [InlineData(4, "train --model preset:0.2m --data mine.jsonl --pool 8 --batch 4 --max-memory 1MiB --output x", "raise --max-memory")]
    [InlineData(5, "train --model preset:0.2m --device cuda --output x", "nengine doctor")]
    [InlineData(2, "train --model preset:0.2m --data mine.jsonl --seq-len 9999 --output x", "--seq-len 512")]
    [InlineData(2, "train --model preset:0.2m --simd 1024 --output x", "nengine train --help")]
    [InlineData(3, "eval --model run --data nothere.jsonl", "there are bad.jsonl, mine.jsonl")]
    [InlineData(3, "eval --model rnu --data mine.jsonl", "did you mean 'run'?")]
    [InlineData(2, "eval --model preset:0.2m --data mine.jsonl", "nengine train --model preset:0.2m")]
    [InlineData(2, "eval --model run", "nengine eval --model")]
    [InlineData(2, "eval --model run --data mine.jsonl --provider cpu", "--engine onnx")]
    [InlineData(2, "generate --model run --temperature -1", "nengine generate --help")]
    [InlineData(3, "select -k 5 --features nothere.npy", "there are f.npy, few.npy")]
    [InlineData(3, "select -k 5 --features mine.jsonl", "nengine select mine.jsonl --budget 10%")]
    [InlineData(3, "select -k 5 --features f.npy --sources two.txt", "one source for every row")]
    [InlineData(2, "select -k 0 --features f.npy", "a budget from 1 to 48")]
    [InlineData(2, "select -k many --features f.npy", "--budget 64 or --budget 50%")]
    [InlineData(2, "select -k 5 --features f.npy -o picks.csv", "picks.json")]
    [InlineData(2, "select -k 5 --features f.npy -o picks.jsonl", "picks.npy")]
    [InlineData(2, "verify picks.json --features f.npy --format csv", "--format json")]
    [InlineData(2, "data inspect mine.jsonl --json --format md", "leave one out")]
    [InlineData(3, "select -k 5 mine.parquet", "pandas.read_parquet('mine.parquet')")]
    [InlineData(3, "data inspect mine.csv", "pandas.read_csv('mine.csv')")]
    [InlineData(3, "select -k 5 --id-field source mine.jsonl", "--id-field whose values differ")]
    [InlineData(3, "select -k 5 --id-field nothere mine.jsonl", "--on-bad-line skip")]
    [InlineData(3, "select -k 5 --features nothere.npz", "nengine")]
    [InlineData(3, "select -k 5 mine.jsonl.zst", "zstd -dc mine.jsonl.zst | nengine")]
    [InlineData(3, "verify pick.json --features f.npy", "did you mean 'picks.json'?")]
    [InlineData(7, "verify picks.json --features few.npy", "that the selection was made from")]
    [InlineData(2, "why picks.json 9999 --features f.npy", "from 0 to 47")]
    [InlineData(2, "features --model run --data mine.jsonl", "--output PATH")]
    [InlineData(2, "features --model run --data mine.jsonl --output g", "--output g.npy")]
    [InlineData(2, "cluster --model run --data mine.jsonl --clusters 9999 --output s.txt", "1 to 48")]
    [InlineData(2, "merge --linear run --output m", "--linear runs/a=0.3 runs/b=0.7")]
    [InlineData(3, "merge --linear run=0.5 rnu=0.5 --output m", "did you mean 'run'?")]
    [InlineData(3, "merge nothere.yaml m", "recipe.yaml")]
    [InlineData(3, "merge recipe.yaml m", "did you mean 'linear'?")]
    [InlineData(3, "ablate plan stduy.yaml --output s", "did you mean 'study.yaml'?")]
    [InlineData(3, "ablate plan study.yaml --output s", "did you mean 'length'?")]
    [InlineData(2, "ablate", "nengine ablate --help")]
    [InlineData(3, "ablate cache list nothere", "ablate train")]
    [InlineData(2, "export --model run --output m.bin", "--output model.onnx")]
    [InlineData(2, "profile --kernel matmull", "did you mean 'matmul")]
    [InlineData(3, "report rnu", "did you mean 'run'?")]
    [InlineData(3, "diff-runs run runs/nothere", "there is no folder 'runs'")]
    [InlineData(3, "data split bad.jsonl --valid v.jsonl --output t.jsonl", "--on-bad-line skip")]
    [InlineData(2, "data split mine.jsonl --valid v.jsonl --fraction 2 --output t.jsonl", "nengine data split --help")]
    [InlineData(2, "data tokenize mine.jsonl --train-bpe 10 --output t.safetensors", "nengine data tokenize --help")]
    [InlineData(2, "data synth --count 2 --output t.jsonl", "nengine data synth --help")]
    [InlineData(2, "doctor all", "nengine doctor --help")]
    [InlineData(2, "completions powershell", "nengine completions")]
    public void Nengine_AMistake_HasItsCodeOneSentenceAndAHint(int code, string line, string hint)
    {
        var run = folder.Run(line.Length == 0 ? "--json" : line + " --json").Expect(code);
        var error = run.Json().GetProperty("error");
        string message = error.GetProperty("message").GetString()!, given = error.GetProperty("hint").GetString() ?? "";
        Assert.Equal(code, error.GetProperty("code").GetInt32());
        Assert.True(given.Contains(hint, StringComparison.Ordinal), $"{line}\n  error: {message}\n  hint: {given}\n  expected in the hint: {hint}");
        Assert.DoesNotContain('\n', message);
        Assert.DoesNotContain("Exception", message, StringComparison.Ordinal);
        Assert.EndsWith($"error: {message}\n  hint: {given}\n", run.StdErr, StringComparison.Ordinal);
        Assert.DoesNotContain("   at ", run.StdErr, StringComparison.Ordinal);
    }
}
