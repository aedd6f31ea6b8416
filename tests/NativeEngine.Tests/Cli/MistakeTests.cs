using System.Text;
using System.Text.Json;
using NativeEngine.Data;
using NativeEngine.Formats;
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
        _folder.Write("odd/tabs.yaml", "train:\n\tsteps: 3\n");
        _folder.Write("odd/twice.yaml", "steps: 3\nsteps: 4\n");
        _folder.Write("odd/colon.yaml", "model: preset: 0.2m\n");
        _folder.Write("odd/under.yaml", "batch_size: 3\n");
        _folder.Write("odd/dos.yaml", "\uFEFFtrain:\r\n  model: preset:0.2m\r\n  stpes: 1\r\n");
        _folder.Write("odd/weight.yaml", "merge_method: linear\nmodels:\n- model: run\n  parameters: {weight: heavy}\n");
        _folder.Write("odd/windows.yaml", "merge_method: linear\nmodels:\n- model: C:\\models\\run\n  parameters: {weight: 1}\n");
        _folder.Write("odd/array.json", $"[{lines[0]},\n{lines[1]}]\n");
        _folder.Write("odd/chat.jsonl", "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"assistant\",\"content\":\"b\"}]}\n");
        _folder.Write("odd/plain.jsonl.gz", lines[0] + "\n");
        File.WriteAllBytes(_folder.Write("odd/wide.jsonl", ""), [.. Encoding.Unicode.Preamble, .. Encoding.Unicode.GetBytes(lines[0] + "\n")]);
        _folder.Write("odd/empty.npy", "");
        _folder.Write("odd/notes.txt", "");
        Directory.CreateDirectory(_folder.File("odd/folder"));
        NpyWriter.WriteFloat32(_folder.File("odd/nan.npy"), [2, 2], new[] { float.NaN, 0, 1, float.PositiveInfinity });
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
    [InlineData(3, "train --model preset:0.2m --data nothere/mine.jsonl --output x", "did you mean 'mine.jsonl'?")]
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
    [InlineData(2, "features --model run --data mine.jsonl", "--output f.npy")]
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
    [InlineData(2, "export --model run --output m.bin", "--output m.onnx")]
    [InlineData(2, "profile --kernel matmull", "did you mean 'matmul")]
    [InlineData(3, "report rnu", "did you mean 'run'?")]
    [InlineData(3, "diff-runs run runs/nothere", "did you mean 'run'?")]
    [InlineData(3, "data split bad.jsonl --valid v.jsonl --output t.jsonl", "--on-bad-line skip")]
    [InlineData(2, "data split mine.jsonl --valid v.jsonl --fraction 2 --output t.jsonl", "nengine data split --help")]
    [InlineData(2, "data tokenize mine.jsonl --train-bpe 10 --output t.safetensors", "nengine data tokenize --help")]
    [InlineData(2, "data synth --count 2 --output t.jsonl", "nengine data synth --help")]
    [InlineData(2, "doctor all", "nengine doctor")]
    [InlineData(2, "completions powershell", "nengine completions")]
    [InlineData(3, "train --model preset:0.2m --data buildin --output x", "--data builtin")]
    [InlineData(2, "ablate help", "nengine ablate --help")]
    [InlineData(2, "train help", "nengine train --help")]
    [InlineData(2, "help trian", "did you mean 'train'?")]
    [InlineData(2, "trian --help", "did you mean 'train'?")]
    [InlineData(2, "version", "nengine --version")]
    [InlineData(2, "train --version", "nengine --version")]
    [InlineData(2, "ablate study.yaml", "a verb comes first, as in nengine ablate plan study.yaml")]
    [InlineData(2, "train --steps", "nengine train --model preset:0.2m --data builtin --steps 200")]
    [InlineData(2, "train --model preset:0.2m --output x --clip", "for example --clip 1")]
    [InlineData(2, "train --model preset:0.2m --output", "nengine train --model preset:0.2m")]
    [InlineData(2, "select mine.jsonl -k", "nengine select mine.jsonl --budget 10%")]
    [InlineData(2, "train --model preset:0.2m --output x --steps 3 --steps 4", "give it once: --steps 4")]
    [InlineData(2, "verify --features f.npy", "nengine verify selection.json --features f.npy")]
    [InlineData(2, "why picks.json first --features f.npy", "nengine why selection.json 17")]
    [InlineData(2, "train mine.jsonl --model preset:0.2m --output x", "--data mine.jsonl")]
    [InlineData(2, "train preset:0.2m --data mine.jsonl --output x", "--model preset:0.2m")]
    [InlineData(2, "eval run --data mine.jsonl", "--model run")]
    [InlineData(2, "train --model preset:0.2m --output x --dry-run yes", "leave 'yes' out")]
    [InlineData(2, "train --model preset:0.2m --output x --dry-run=1", "leave '1' out")]
    [InlineData(2, "train --model preset:0.2m --output x --set lr 0.1", "--set lr=0.1")]
    [InlineData(2, "train --model preset:0.2m --output x --set lr", "--set lr=VALUE")]
    [InlineData(2, "select mine.jsonl -k 10 %", "-k 10%")]
    [InlineData(2, "select mine.jsonl -k10", "-k 10")]
    [InlineData(2, "select mine.jsonl -k 0.1", "--budget 10%")]
    [InlineData(2, "train --model preset:0.2m --output x —steps 3", "write --steps with two hyphens")]
    [InlineData(2, "train --model preset:0.2m --output x --learning-rate 0.1", "did you mean '--lr'?")]
    [InlineData(2, "train --model preset:0.2m --output x --batch_size 8", "did you mean '--batch'?")]
    [InlineData(2, "train --model preset:0.2m --output x --max-tokens 8", "nengine generate has it")]
    [InlineData(2, "train --model preset:0.2m --output x --device CPU", "--device cpu")]
    [InlineData(2, "train --model 1M --output x", "--model preset:1m")]
    [InlineData(2, "train --model PRESET=0.2m --output x", "--model preset:0.2m")]
    [InlineData(3, "train --model meta-llama/Llama-2-7b-hf --output x", "hf download meta-llama/Llama-2-7b-hf --local-dir")]
    [InlineData(3, "eval --model run/model.safetensors --data mine.jsonl", "--model run")]
    [InlineData(3, "eval --model mine.jsonl --data run", "there is run")]
    [InlineData(3, "eval --model run/checkpoint-000001 --data mine.jsonl", "did you mean 'run'?")]
    [InlineData(3, "eval --model run --data run", "nengine eval --model run --data")]
    [InlineData(3, "eval --model runs/first --data mine.jsonl", "did you mean 'run'?")]
    [InlineData(3, "eval --model run --data ~/mine.jsonl", "$HOME/mine.jsonl")]
    [InlineData(2, "train --model preset:0.2m --data mine.jsonl --output mine.jsonl/x", "--output mine.jsonl-2")]
    [InlineData(2, "train --model preset:0.2m --data mine.jsonl --output run", "--output run-2, or --resume")]
    [InlineData(2, "select --features f.npy -k 5 -o odd/folder", "name a file in it: odd/folder/NAME")]
    [InlineData(2, "features --model run --data mine.jsonl --output f.txt", "--output f.npy")]
    [InlineData(2, "data tokenize mine.jsonl --output t.bin", "--output t.safetensors")]
    [InlineData(3, "train --config odd/tabs.yaml --output x", "sed -i 's/\\t/  /g' odd/tabs.yaml")]
    [InlineData(3, "train --config odd/twice.yaml --output x", "leave one of them out of odd/twice.yaml")]
    [InlineData(3, "train --config odd/colon.yaml --output x", "goes in quotes")]
    [InlineData(2, "train --config odd/under.yaml --output x", "did you mean 'batch'?")]
    [InlineData(2, "train --config odd/dos.yaml --output x", "did you mean 'steps'?")]
    [InlineData(3, "train --config odd/folder --output x", "--print-config > odd/folder/run.yaml")]
    [InlineData(3, "merge odd/weight.yaml m", "correct line 4 of odd/weight.yaml")]
    [InlineData(3, "merge odd/windows.yaml m", "did you mean 'run'?")]
    [InlineData(3, "merge --linear run=-1 run=1 --output m", "nengine merge --linear")]
    [InlineData(3, "select f.npy -k 10", "nengine select --features f.npy --budget 10%")]
    [InlineData(3, "data inspect odd/array.json", "> odd/array-lines.jsonl")]
    [InlineData(3, "select odd/chat.jsonl -k 1", "> odd/chat-pairs.jsonl")]
    [InlineData(3, "select odd/wide.jsonl -k 1", "iconv -f UTF-16 -t UTF-8 odd/wide.jsonl > odd/wide-utf8.jsonl")]
    [InlineData(3, "select odd/plain.jsonl.gz -k 1", "mv odd/plain.jsonl.gz odd/plain.jsonl")]
    [InlineData(3, "select --features odd/empty.npy -k 1", "numpy.save('F.npy'")]
    [InlineData(3, "select --features odd/nan.npy -k 1", "numpy.isfinite")]
    [InlineData(3, "select --features f.npy --sources mine.jsonl#sauce -k 5", "--sources mine.jsonl#source")]
    [InlineData(2, "verify f.npy --features picks.json", "picks.json --features f.npy")]
    [InlineData(3, "report mine.jsonl", "nengine report runs/first")]
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

    [Theory]
    [InlineData("--steps 1,000", "did you mean 1000?")]
    [InlineData("--steps 1e3", "did you mean 1000?")]
    [InlineData("--steps 10k", "did you mean 10000?")]
    [InlineData("--steps 3.0", "did you mean 3?")]
    [InlineData("--lr 0,001", "did you mean 0.001?")]
    [InlineData("--warmup 10%", "did you mean 0.1?")]
    [InlineData("--warmup 10", "did you mean 0.1?")]
    [InlineData("--max-seconds 10m", "did you mean 600?")]
    [InlineData("--max-seconds 1.5h", "did you mean 5400?")]
    [InlineData("--steps 3.5", "got '3.5'")]
    [InlineData("--batch -4", "got -4")]
    [InlineData("--lr 1e-3x", "got '1e-3x'")]
    [InlineData("--max-seconds 0m", "got '0m'")]
    public void Train_ANumberInAnotherWriting_IsAskedAbout(string option, string end) =>
        Assert.EndsWith(end, folder.Run($"train --model preset:0.2m --output x {option} --json").Expect(2).Json().GetProperty("error").GetProperty("message").GetString(), StringComparison.Ordinal);

    [Fact]
    public void Generate_NothingOrTooMuchAskedFor_SaysSo()
    {
        Assert.Contains("no token was asked for", folder.Run("generate --model run --prompt hi --max-tokens 0").Expect(0).StdErr, StringComparison.Ordinal);
        string most = folder.Run("generate --model run --prompt hi --max-tokens 100000 --json").Expect(0).StdErr;
        Assert.True(most.Contains("the model's context of 512 tokens is full", StringComparison.Ordinal) || most.Contains("the model ended the text", StringComparison.Ordinal), most);
    }
}
