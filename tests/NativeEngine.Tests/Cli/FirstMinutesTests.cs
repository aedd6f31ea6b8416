using System.Text.Json;
using NativeEngine.Data;
using NativeEngine.Formats;
using NativeEngine.Selection;
using NativeEngine.Tests.Support;

namespace NativeEngine.Tests.Cli;

/// <summary>What a newcomer does with data of their own, mistakes included.</summary>
public sealed class FirstMinutesTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public FirstMinutesTests()
    {
        var lines = MixtureSynthesizer.Generate(120, 3, SynthesisSplit.Train)
            .Select((e, i) => JsonSerializer.Serialize(new Dictionary<string, object> { ["src"] = e.Source, ["text"] = e.Text, ["id"] = i }));
        _folder.Write("mine.jsonl", string.Join('\n', lines) + "\n");
    }

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Select_FromADataFile_WritesTheLinesThatTheDocumentNames()
    {
        var run = Run("select", "mine.jsonl", "--text-field", "text", "--source-field", "src", "-k", "10%", "-o", "picked.jsonl", "--report", "r.html", "--json").Expect(0);
        Assert.Contains("8 sources", run.StdErr, StringComparison.Ordinal);
        Assert.Contains("preset:0.2m, which has learnt nothing yet", run.StdErr, StringComparison.Ordinal);
        var document = run.Json();
        int[] indices = [.. document.GetProperty("indices").EnumerateArray().Select(i => i.GetInt32())];
        Assert.Equal((120, 12), (document.GetProperty("n").GetInt32(), indices.Length));
        string[] lines = File.ReadAllLines(_folder.File("mine.jsonl"));
        Assert.Equal(indices.Order().Select(i => lines[i]), File.ReadLines(_folder.File("picked.jsonl")));
        Assert.True(File.Exists(_folder.File("r.html")));
        // The same features from disk give the same picks.
        Run("select", "mine.jsonl", "--text-field", "text", "--source-field", "src", "-k", "12", "-o", "again.json").Expect(0);
        using var again = JsonDocument.Parse(File.ReadAllText(_folder.File("again.json")));
        Assert.Equal(indices, again.RootElement.GetProperty("indices").EnumerateArray().Select(i => i.GetInt32()));
    }

    [Fact]
    public void Select_ExamplesTooShortForAFeature_AreDroppedWithTheReason()
    {
        _folder.Write("short.jsonl", "{\"text\":\"first one here\"}\n{\"text\":\"x\"}\n{\"text\":\"another one there\"}\n{\"text\":\"and a third one\"}\n");
        var document = Run("select", "short.jsonl", "-k", "2", "--json").Expect(0).Json();
        var dropped = document.GetProperty("dropped").EnumerateArray().Select(d => d.GetProperty("index").GetInt32()).ToArray();
        int[] indices = [.. document.GetProperty("indices").EnumerateArray().Select(i => i.GetInt32())];
        Assert.Equal(4, document.GetProperty("n").GetInt32());
        Assert.DoesNotContain(indices, i => dropped.Contains(i));
        Assert.All(dropped, d => Assert.Equal(1, d));
        Assert.All(indices, i => Assert.True(document.GetProperty("owners")[i].GetInt32() >= 0));
    }

    [Theory]
    [InlineData("selct mine.jsonl", "did you mean 'select'?")]
    [InlineData("select mine.jsonl", "hint: nengine select mine.jsonl --budget 10% --output picked.jsonl")]
    [InlineData("select", "hint: nengine select mine.jsonl")]
    [InlineData("select min.jsonl -k 5", "did you mean 'mine.jsonl'?")]
    [InlineData("select mine.jsonl -k 5 --text-field txt", "its texts are \"src\", \"text\" (--text-field names one)")]
    [InlineData("select mine.jsonl -k 200%", "at most 100%")]
    [InlineData("select mine.jsonl -k 5 -o out/picked.jsonl", "hint: mkdir -p ")]
    [InlineData("select mine.jsonl -k 5 --sources s.txt", "--source-field NAME")]
    [InlineData("select mine.jsonl --features f.npy -k 5", "exclude each other")]
    [InlineData("select --features f.npy -k 5 --kind grad", "--kind belongs to DATA.jsonl")]
    [InlineData("train --data mine.jsonl --output x", "hint: nengine train --model preset:0.2m")]
    [InlineData("train --model preset:2m --data mine.jsonl --output x", "hint: --model preset:")]
    [InlineData("train --model preset:0.2m --step 3 --output x", "did you mean '--steps'?")]
    [InlineData("eval --model nowhere", "hint: nengine eval --model")]
    public void Nengine_AMistake_IsAnsweredWithWhatToType(string line, string hint)
    {
        var run = Run(line.Split(' '));
        Assert.True(run.ExitCode is 2 or 3, $"exit code {run.ExitCode}: {run.StdErr}");
        Assert.Contains(hint, run.StdErr, StringComparison.Ordinal);
        // Before the work, not after it.
        Assert.DoesNotContain("features: last hidden states", run.StdErr, StringComparison.Ordinal);
    }

    [Fact]
    public void Select_BlankAndBadLines_AreNotCountedAndTheLinesAreNamed()
    {
        string[] lines = File.ReadAllLines(_folder.File("mine.jsonl"));
        _folder.Write("dirty.jsonl", string.Join('\n', (string[])["\uFEFF" + lines[0], "", "{oops", .. lines[1..40]]) + "\n");
        var document = Run("select", "dirty.jsonl", "--on-bad-line", "skip", "--source-field", "src", "-k", "8", "-o", "picks.npy", "--report", "r.html", "--json").Expect(0).Json();
        int[] indices = [.. document.GetProperty("indices").EnumerateArray().Select(i => i.GetInt32())];
        Assert.Equal(40, document.GetProperty("n").GetInt32());
        Assert.Equal(indices.Select(i => i == 0 ? 1L : i + 3L), document.GetProperty("lines").EnumerateArray().Select(l => l.GetInt64()));
        using var saved = NpyFile.Open(_folder.File("picks.npy"));
        var read = new long[indices.Length];
        saved.ReadInt64(0, read);
        Assert.Equal(indices.Select(i => (long)i), read);
        Assert.Contains("Examples are counted from 0 in the order of dirty.jsonl", File.ReadAllText(_folder.File("r.html")), StringComparison.Ordinal);
        Run("select", "mine.jsonl", "--limit", "30", "-k", "3", "--report", "whole.html").Expect(0);
        Assert.Contains("Example i is line i + 1 of mine.jsonl", File.ReadAllText(_folder.File("whole.html")), StringComparison.Ordinal);
    }

    [Fact]
    public void Inspect_TableForms_HaveTheRowsOfTheDocument()
    {
        _folder.Write("two.jsonl", "{\"text\":\"a b\",\"source\":\"x\"}\n{\"text\":\"c d\",\"source\":\"y\"}\n");
        var document = Run("data", "inspect", "two.jsonl", "--format", "json").Expect(0).Json();
        string[] csv = Run("data", "inspect", "two.jsonl", "--format", "csv").Expect(0).StdOut.Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.Equal(document.GetProperty("sources")[0].EnumerateObject().Select(m => m.Name).Where(n => n != "lengths"), csv[0].Split(',').Where(c => !c.StartsWith("lengths.", StringComparison.Ordinal)));
        Assert.Equal(document.GetProperty("sources").EnumerateArray().Select(s => s.GetProperty("source").GetString()), csv.Skip(1).Select(row => row.Split(',')[0].Trim()));
        Run("data", "inspect", "two.jsonl", "--output", "t.md", "--quiet").Expect(0);
        Assert.StartsWith("| ", File.ReadAllText(_folder.File("t.md")), StringComparison.Ordinal);
    }

    [Fact]
    public void Select_IdField_TellsTheNamesOfThePicks()
    {
        _folder.Write("named.jsonl", string.Concat(Enumerable.Range(0, 12).Select(i => $"{{\"text\":\"{new string((char)('a' + i), 3)} {i * i}\",\"uid\":{(i == 5 ? "5" : $"\"n{i}\"")}}}\n")));
        var document = Run("select", "named.jsonl", "--id-field", "uid", "-k", "12", "-o", "picks.json", "--json").Expect(0).Json();
        Assert.Equal(document.GetProperty("indices").EnumerateArray().Select(i => i.GetInt32() == 5 ? "5" : $"n{i.GetInt32()}"), document.GetProperty("ids").EnumerateArray().Select(i => i.GetString()));
        Assert.Equal(12, SelectionDocument.Load(_folder.File("picks.json")).Ids!.Count);
        Assert.False(Run("select", "named.jsonl", "-k", "3", "--json").Expect(0).Json().TryGetProperty("ids", out _));
        Run("select", "named.jsonl", "-k", "3", "-o", "picks.npz").Expect(0);
        using var indices = NpzFile.Open(_folder.File("picks.npz"), "indices");
        using var weights = NpzFile.Open(_folder.File("picks.npz"), "weights");
        Assert.Equal(12, weights.ToInt64().Sum());
        Assert.Equal(3, indices.ToInt64().Distinct().Count());
    }

    [Fact]
    public void Inspect_Output_IsACopyInItsOwnForm()
    {
        string told = Run("data", "inspect", "mine.jsonl", "--source-field", "src", "--limit", "30", "--output", "told.json", "--quiet").Expect(0).StdOut;
        Run("data", "inspect", "mine.jsonl", "--source-field", "src", "--limit", "30", "--output", "told.txt", "--json").Expect(0);
        using var copy = JsonDocument.Parse(File.ReadAllText(_folder.File("told.json")));
        Assert.Equal(30, copy.RootElement.GetProperty("examples").GetInt32());
        Assert.StartsWith("source", told, StringComparison.Ordinal);
        using var other = JsonDocument.Parse(File.ReadAllText(_folder.File("told.txt")));
        Assert.Equal(30, other.RootElement.GetProperty("examples").GetInt32());
        Assert.Equal(3, Run("data", "inspect", "mine.jsonl", "--output", "no/told.json").ExitCode);
    }

    [Fact]
    public void Train_MaxSeconds_SavesAndResumeAutoGoesOn()
    {
        string[] line =
        [
            "train", "--model", "preset:0.2m", "--data", "mine.jsonl", "--text-field", "text", "--pool", "8", "--batch", "4", "--seq-len", "32", "--steps", "1000000",
            "--output", "run", "--max-seconds", "1.5", "--resume", "auto", "--json",
        ];
        var first = Run(line).Expect(75).Json().GetProperty("error");
        Assert.Equal("stopped by --max-seconds 1.5; what was done is saved", first.GetProperty("message").GetString());
        Assert.Equal("run the same command with --resume", first.GetProperty("hint").GetString());
        Assert.Contains("resuming from", Run(line).Expect(75).StdErr, StringComparison.Ordinal);
    }

    [Fact]
    public void Train_DryRun_AddsUpStepsAndEvaluations()
    {
        var plan = Run("train", "--model", "preset:0.2m", "--data", "mine.jsonl", "--text-field", "text", "--eval-data", "mine.jsonl", "--eval-every", "10", "--pool", "8", "--batch", "4",
            "--steps", "25", "--output", "run", "--dry-run", "--simd", "128", "--json").Expect(0).Json();
        double step = plan.GetProperty("step_seconds").GetDouble(), evaluation = plan.GetProperty("evaluation_seconds").GetDouble();
        Assert.True(step > 0 && evaluation > 0);
        // After steps 0, 10 and 20, and at the end.
        Assert.Equal((25 * step) + (4 * evaluation), plan.GetProperty("seconds").GetDouble(), 1e-4);
        Assert.False(Directory.Exists(_folder.File("run")));
    }

    [Fact]
    public void Eval_ReportOfMultipleChoice_HasTheNumbersOfTheJson()
    {
        string[] questions =
        [
            .. MixtureSynthesizer.Generate(24, 9, SynthesisSplit.Valid).Where(e => e.Prompt is not null).Select((e, i) => JsonSerializer.Serialize(
                new Dictionary<string, object> { ["source"] = e.Source, ["prompt"] = e.Prompt!, ["choices"] = (string[])[e.Completion! + " no", e.Completion!], ["answer"] = i % 2 })),
        ];
        _folder.Write("questions.jsonl", string.Join('\n', questions) + "\n");
        Run("train", "--model", "preset:0.2m", "--data", "mine.jsonl", "--text-field", "text", "--pool", "8", "--batch", "4", "--seq-len", "48", "--steps", "1", "--output", "run", "--quiet").Expect(0);
        var result = Run("eval", "--model", "run", "--data", "questions.jsonl", "--report", "choice.html", "--json").Expect(0).Json();
        using var numbers = JsonDocument.Parse(File.ReadAllText(_folder.File("choice_files/numbers.json")));
        var facts = numbers.RootElement.GetProperty("facts");
        Assert.Equal(result.GetProperty("accuracy_normalized").GetDouble(), facts.GetProperty("accuracy per byte").GetDouble());
        Assert.Equal(result.GetProperty("questions").GetInt32(), facts.GetProperty("questions").GetInt32());
        // Each source's accuracy too, in the order of its own table.
        string[] csv = File.ReadAllLines(_folder.File("choice_files/choice-table.csv"));
        Assert.Equal(result.GetProperty("sources").EnumerateArray().Select(r => r.GetProperty("source").GetString()), csv.Skip(1).Select(l => l.Split(',')[0]));
    }

    private NEngineResult Run(params string[] args) => NEngine.Run(args, stdin: null, workingFolder: _folder.Path);
}
