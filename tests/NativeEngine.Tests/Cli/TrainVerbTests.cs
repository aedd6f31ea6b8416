using System.Security.Cryptography;
using System.Text.Json;
using NativeEngine.Tests.Reliability;
using NativeEngine.Tests.Support;
using Xunit.Abstractions;

namespace NativeEngine.Tests.Cli;

/// <summary>The verb train as a process: its document and files, stopping and going on, and what it refuses.</summary>
public sealed class TrainVerbTests(TrainRuns runs, ITestOutputHelper talk) : IClassFixture<TrainRuns>
{
    [Fact]
    public void Run_Json_IsTheDocumentThatScriptsRelyOn()
    {
        var json = runs.Undisturbed.Json();
        Assert.Equal(
            ["schema", "steps", "train_loss", "eval", "tokens_per_second", "peak_activation_bytes", "selection_seconds", "output"],
            json.EnumerateObject().Select(m => m.Name));
        Assert.Equal((1, 40), (json.GetProperty("schema").GetInt32(), json.GetProperty("steps").GetInt32()));
        Assert.InRange(json.GetProperty("train_loss").GetDouble(), 1, 5);
        Assert.True(json.GetProperty("tokens_per_second").GetDouble() > 0);
        Assert.True(json.GetProperty("peak_activation_bytes").GetInt64() > 100_000);
        Assert.True(json.GetProperty("selection_seconds").GetDouble() > 0);
        Assert.Equal(runs.UndisturbedFolder, json.GetProperty("output").GetString());
    }

    [Fact]
    public void Run_Folder_IsAModelThatEvalMeasuresTheSame()
    {
        var json = runs.Undisturbed.Json().GetProperty("eval");
        var eval = NEngine.Run("eval", "--model", runs.UndisturbedFolder, "--data", runs.Valid, "--json").Expect(0).Json();
        Assert.Equal(json.GetRawText(), eval.GetRawText());
        Assert.Equal(8, json.GetProperty("sources").GetArrayLength());
    }

    [Fact]
    public void Run_Folder_HoldsMetricsOfEveryStepAndTheManifest()
    {
        string output = runs.Undisturbed.Json().GetProperty("output").GetString()!;
        Assert.Equal(
            [
                "checkpoint-000039", "checkpoint-000040", "config.json", "events.out.tfevents.0.nengine", "metrics.jsonl", "model.safetensors", "report.html", "report_files", "run.json",
            ],
            Directory.GetFileSystemEntries(output).Select(f => Path.GetFileName(f)!).Where(f => !f.StartsWith("tokenizer", StringComparison.Ordinal) && !f.StartsWith("special", StringComparison.Ordinal)).Order());
        var lines = File.ReadLines(Path.Combine(output, "metrics.jsonl")).Select(l => JsonDocument.Parse(l).RootElement).ToList();
        Assert.Equal(Enumerable.Range(1, 40).Append(40), lines.Select(l => l.GetProperty("step").GetInt32()));
        Assert.True(lines[39].GetProperty("loss").GetDouble() < lines[0].GetProperty("loss").GetDouble() - 1);
        Assert.True(lines[40].TryGetProperty("eval_loss", out _));
        using var manifest = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(output, "run.json")));
        Assert.Equal("16", manifest.RootElement.GetProperty("options").GetProperty("pool").GetString());
        Assert.Matches("^[0-9a-f]{64}$", manifest.RootElement.GetProperty("inputs").GetProperty(runs.Data).GetString());
        Assert.Equal("1", manifest.RootElement.GetProperty("options").GetProperty("seed").GetString());
        Assert.True(manifest.RootElement.GetProperty("complete").GetBoolean());
        Assert.InRange(manifest.RootElement.GetProperty("peak_resident_bytes").GetInt64(), 10L << 20, 10L << 30);
        foreach (var made in manifest.RootElement.GetProperty("outputs").EnumerateObject())
        {
            Assert.Equal(Convert.ToHexStringLower(SHA256.HashData(File.ReadAllBytes(Path.Combine(output, made.Name)))), made.Value.GetString());
        }
        Assert.Contains(manifest.RootElement.GetProperty("outputs").EnumerateObject(), made => made.Name == "model.safetensors");
    }

    [Fact]
    public void Report_OfTheFolder_MakesTheSameFilesAgain()
    {
        string output = runs.CopyOfUndisturbed(), page = Path.Combine(output, "report.html"), figure = Path.Combine(output, "report_files", "loss.svg");
        string[] files = [page, figure, Path.Combine(output, "report_files", "numbers.json"), Path.Combine(output, "report_files", "picks.csv")];
        byte[][] before = [.. files.Select(File.ReadAllBytes)];
        Array.ForEach(files, File.Delete);
        var json = NEngine.Run("report", output, "--json").Expect(0).Json();
        // The run's name is in the page; the copy has another.
        string renamed(byte[] bytes) => System.Text.Encoding.UTF8.GetString(bytes).Replace(Path.GetFileName(runs.UndisturbedFolder), Path.GetFileName(output), StringComparison.Ordinal);
        Assert.Equal(before.Skip(1).Take(1).Select(renamed), files.Skip(1).Take(1).Select(File.ReadAllText));
        Assert.Equal(before[3], File.ReadAllBytes(files[3]));
        Assert.Equal("train", json.GetProperty("report").GetString());
        Assert.Equal(runs.Undisturbed.Json().GetProperty("train_loss").GetDouble(), json.GetProperty("facts").GetProperty("last training loss").GetDouble());
        Assert.Equal(runs.Undisturbed.Json().GetProperty("eval").GetProperty("nll").GetDouble(), json.GetProperty("facts").GetProperty("held-out loss").GetDouble());
        Assert.True(File.Exists(page));
    }

    [Fact]
    public void DiffRuns_CopyAndOtherSeed_AgreesAndNamesTheSeed()
    {
        string copy = runs.CopyOfUndisturbed(), other = runs.NewFolder();
        Assert.True(NEngine.Run("diff-runs", runs.UndisturbedFolder, copy, "--json").Expect(0).Json().GetProperty("same").GetBoolean());
        NEngine.Run(runs.Args(other, "--seed", "2", "--steps", "4")).Expect(0);
        var first = NEngine.Run("diff-runs", runs.UndisturbedFolder, other, "--json").Expect(7).Json().GetProperty("first");
        Assert.Equal(("random_numbers", 1), (first.GetProperty("cause").GetString(), first.GetProperty("step").GetInt32()));
        NEngine.Run("diff-runs", runs.UndisturbedFolder, runs.Data).Expect(3);
    }

    [Fact]
    public void Recluster_StoppedAndResumed_EndsAsUndisturbed()
    {
        string whole = runs.NewFolder(), cut = runs.NewFolder();
        string[] options = ["--recluster-every", "4", "--clusters", "3", "--steps", "10"];
        NEngine.Run(runs.Args(whole, options)).Expect(0);
        // A checkpoint after step 6 holds the groups of step 4: the run goes on with them to step 8.
        NEngine.Run(runs.Args(cut, [.. options[..4], "--steps", "10", "--checkpoint-every", "6"])).Expect(0);
        foreach (string file in Directory.GetFiles(cut, "model.safetensors").Append(Path.Combine(cut, "run.json")))
        {
            File.Delete(file);
        }
        Directory.Delete(Path.Combine(cut, "checkpoint-000010"), recursive: true);
        NEngine.Run(runs.Args(cut, [.. options, "--checkpoint-every", "6", "--resume", "--threads", "1"])).Expect(0);
        Assert.Equal(TrainRuns.Metrics(whole), TrainRuns.Metrics(cut));
        Assert.Equal(File.ReadAllBytes(Path.Combine(whole, "model.safetensors")), File.ReadAllBytes(Path.Combine(cut, "model.safetensors")));
        using var last = JsonDocument.Parse(File.ReadLines(Path.Combine(whole, "metrics.jsonl")).ElementAt(8));
        Assert.Subset(new HashSet<string> { "0", "1", "2" }, last.RootElement.GetProperty("trained").EnumerateObject().Select(s => s.Name).ToHashSet());
        NEngine.Run(runs.Args(runs.NewFolder(), "--clusters", "3")).Expect(2);
    }

    [Fact]
    public void Resume_AtTheEndWithACheckpointTooMany_DeletesIt()
    {
        // As a run leaves it that ended while it deleted an old checkpoint.
        string output = runs.CopyOfUndisturbed(), old = Path.Combine(output, "checkpoint-000036");
        Directory.CreateDirectory(old);
        File.Copy(Path.Combine(output, "checkpoint-000039", "state.json"), Path.Combine(old, "state.json"));
        NEngine.Run(runs.Args(output, "--resume")).Expect(0);
        Assert.Equal(["checkpoint-000039", "checkpoint-000040"], Directory.GetDirectories(output, "checkpoint-*").Select(Path.GetFileName).Order());
    }

    [FactWithPython]
    public void TensorBoard_EventFile_ReadByAnIndependentReader_HasEveryStep()
    {
        string read = Python.Run("tests/NativeEngine.Tests/Formats/read_events.py", Path.Combine(runs.Undisturbed.Json().GetProperty("output").GetString()!, "events.out.tfevents.0.nengine"));
        var losses = read.Split('\n').Select(l => l.Split('\t')).Where(l => l is [_, "train/loss", _]).ToDictionary(l => int.Parse(l[0]), l => double.Parse(l[2], System.Globalization.CultureInfo.InvariantCulture));
        var lines = File.ReadLines(Path.Combine(runs.UndisturbedFolder, "metrics.jsonl")).Select(l => JsonDocument.Parse(l).RootElement).Where(l => l.TryGetProperty("loss", out _)).ToList();
        Assert.Equal(40, losses.Count);
        Assert.All(lines, l => Assert.Equal((float)l.GetProperty("loss").GetDouble(), (float)losses[l.GetProperty("step").GetInt32()]));
    }

    [Fact]
    public void Prometheus_File_TellsTheLastStepAndEachSource()
    {
        string file = runs.NewFolder() + ".prom";
        NEngine.Run(runs.Args(runs.NewFolder(), "--prometheus", file, "--steps", "5")).Expect(0);
        string text = File.ReadAllText(file);
        Assert.EndsWith("\n", text, StringComparison.Ordinal);
        string[] samples = [.. text.Split('\n', StringSplitOptions.RemoveEmptyEntries).Where(l => l[0] != '#')];
        Assert.All(samples, s => Assert.Matches("^[a-z_]+\\{run=\"[0-9a-f]+\"(,source=\"[a-z]+\")?\\} [0-9.eE+-]+$", s));
        Assert.Contains(samples, s => s.StartsWith("nengine_step{", StringComparison.Ordinal) && s.EndsWith(" 5", StringComparison.Ordinal));
        Assert.Equal(5 * 16, samples.Where(s => s.StartsWith("nengine_examples_drawn_total{", StringComparison.Ordinal)).Sum(s => int.Parse(s.Split(' ')[1])));
        Assert.Equal(samples.Select(s => s.Split('{')[0]).Distinct(), text.Split('\n').Where(l => l.StartsWith("# TYPE", StringComparison.Ordinal)).Select(l => l.Split(' ')[2]));
    }

    [Theory]
    [InlineData("1")]
    [InlineData("3")]
    public void Run_OtherThreads_SameModel(string threads)
    {
        string output = runs.NewFolder();
        NEngine.Run(runs.Args(output, "--threads", threads)).Expect(0);
        runs.AssertSameEnd(output);
    }

    [Fact]
    public void Run_BuiltInData_NeedsNoFiles()
    {
        string output = runs.NewFolder();
        var json = NEngine.Run(
            "train", "--model", "preset:0.2m", "--data", "builtin", "--seq-len", "48", "--pool", "16", "--batch", "8", "--steps", "2", "--json", "--output", output).Expect(0).Json();
        Assert.Equal(8, json.GetProperty("eval").GetProperty("sources").GetArrayLength());
    }

    [Fact]
    public void Run_Adapter_IsWrittenBesideTheMergedModel()
    {
        runs.Undisturbed.Expect(0);
        string output = runs.NewFolder();
        string[] args = runs.Args(output, "--model", runs.UndisturbedFolder, "--lora-rank", "4", "--steps", "12", "--lr", "0.002");
        var json = NEngine.Run(args).Expect(0).Json();
        Assert.True(File.Exists(Path.Combine(output, "adapter", "adapter_model.safetensors")));
        double trained = json.GetProperty("eval").GetProperty("nll").GetDouble(), merged = Eval("--model", output);
        Assert.Equal(trained, merged, 1e-5);
        Assert.Equal(trained, Eval("--model", runs.UndisturbedFolder, "--adapter", Path.Combine(output, "adapter")), 1e-5);
        Assert.True(trained < runs.Undisturbed.Json().GetProperty("eval").GetProperty("nll").GetDouble());

        double Eval(params string[] model) => NEngine.Run(["eval", .. model, "--data", runs.Valid, "--json"]).Expect(0).Json().GetProperty("nll").GetDouble();
    }

    [FactOnUnix]
    public void Run_StoppedBySignals_ExitsWith75AndResumesToTheSameModel()
    {
        string output = runs.NewFolder();
        int reached = 0;
        foreach (int signal in new[] { 15, 10, 2 })
        {
            using var process = NEngine.Start(runs.Args(output, "--resume"));
            var (stdout, stderr) = (process.StandardOutput.ReadToEndAsync(), process.StandardError.ReadToEndAsync());
            Assert.True(TrainRuns.WaitForSteps(process, output, reached + 2), stderr.IsCompleted ? stderr.Result : "the run ended before it could be stopped");
            NEngine.Signal(process, signal);
            var result = NEngine.Finish(process, stdout, stderr).Expect(75);
            Assert.Contains("--resume", result.Json().GetProperty("error").GetProperty("hint").GetString(), StringComparison.Ordinal);
            Assert.DoesNotContain(Directory.GetFileSystemEntries(output), f => Path.GetFileName(f).StartsWith('.'));
            reached = TrainRuns.Metrics(output).Length;
            Assert.InRange(reached, 2, 39);
            Assert.True(Directory.Exists(Path.Combine(output, $"checkpoint-{reached:D6}")));
        }
        var last = NEngine.Run(runs.Args(output, "--resume")).Expect(0);
        Assert.Contains($"checkpoint-{reached:D6}, {reached} steps done", last.StdErr, StringComparison.Ordinal);
        runs.AssertSameEnd(output);
    }

    // Five kills here; the chore "kills" asks for more.
    [FactOnUnix]
    public void Run_KilledAtAnyMoment_ResumesToTheSameModel()
    {
        int kills = Sweep.KillsOfAWorkflow(5);
        var random = new CounterRandom((ulong)kills, RandomPurpose.Test);
        string output = runs.NewFolder();
        int finished = 0, duringSave = 0;
        bool ended = false;
        for (int k = 0; k < kills; k++)
        {
            if (ended)
            {
                // Killed too late: begin again.
                runs.AssertSameEnd(output);
                output = runs.NewFolder();
            }
            using var process = NEngine.Start(runs.Args(output, "--resume", "--checkpoint-every", "1"));
            var (stdout, stderr) = (process.StandardOutput.ReadToEndAsync(), process.StandardError.ReadToEndAsync());
            if (k % 2 == 1)
            {
                duringSave += WaitForSave(process, output, (int)random.Below((ulong)k, 6)) ? 1 : 0;
            }
            else
            {
                process.WaitForExit((int)(300 + random.Below((ulong)k, 1200)));
            }
            process.Kill();
            process.WaitForExit();
            ended = process.ExitCode == 0;
            finished += ended ? 1 : 0;
            Task.WaitAll(stdout, stderr);
        }
        Assert.True(kills < 2 || duringSave > 0, "no kill fell into the saving of a checkpoint");
        NEngine.Run(runs.Args(output, "--resume")).Expect(0);
        runs.AssertSameEnd(output);
        Sweep.Report(talk, "kills", kills, $"train, 40 steps: {kills} kills, {duringSave} of them while a checkpoint was being saved, {finished} after the end: the same model");
    }

    [Fact]
    public void Run_NewestCheckpointDamaged_SaysSoAndTakesTheOneBefore()
    {
        string output = runs.CopyOfUndisturbed();
        Damage(Path.Combine(output, "checkpoint-000040", "parameters.safetensors"));
        var result = NEngine.Run(runs.Args(output, "--resume")).Expect(0);
        Assert.Contains("checkpoint-000040: the content of parameters.safetensors does not match its checksum", result.StdErr, StringComparison.Ordinal);
        Assert.Contains("checkpoint-000039, 39 steps done", result.StdErr, StringComparison.Ordinal);
        runs.AssertSameEnd(output);
    }

    [Fact]
    public void Run_ResumeWithOtherOptionsOrData_IsRefusedAndNothingChanges()
    {
        string output = runs.CopyOfUndisturbed();
        byte[] before = File.ReadAllBytes(Path.Combine(output, "metrics.jsonl"));
        Refused(["lr = 0.001", "0.002"], "--lr", "0.002");
        Refused(["seed = 1", "this run has 2"], "--seed", "2");
        string other = Path.Combine(Path.GetDirectoryName(runs.Data)!, "other.jsonl");
        File.WriteAllText(other, string.Concat(File.ReadAllLines(runs.Data).Skip(1).Select(l => l + "\n")));
        Refused(["data = " + runs.Data, other], "--data", other);
        Assert.Equal(before, File.ReadAllBytes(Path.Combine(output, "metrics.jsonl")));
        NEngine.Run(runs.Args(output, "--resume", "--checkpoint-every", "7", "--threads", "1")).Expect(0);
        runs.AssertSameEnd(output);

        void Refused(string[] words, params string[] extra)
        {
            string message = NEngine.Run(runs.Args(output, ["--resume", .. extra])).Expect(2).Json().GetProperty("error").GetProperty("message").GetString()!;
            Assert.All(words, w => Assert.Contains(w, message, StringComparison.Ordinal));
        }
    }

    [Fact]
    public void Run_ResumeAfterTheDataFileChanged_IsRefused()
    {
        string output = runs.NewFolder(), data = runs.NewFolder() + ".jsonl";
        File.Copy(runs.Data, data);
        NEngine.Run(runs.Args(output, "--data", data, "--steps", "2")).Expect(0);
        File.WriteAllText(data, File.ReadAllText(data).Replace('7', '8'));
        var error = NEngine.Run(runs.Args(output, "--data", data, "--steps", "2", "--resume")).Expect(2).Json().GetProperty("error");
        Assert.Contains("content of the data", error.GetProperty("message").GetString(), StringComparison.Ordinal);
    }

    [Fact]
    public void Run_OutputNotEmptyWithoutResume_IsRefused()
    {
        string output = runs.NewFolder();
        Directory.CreateDirectory(output);
        File.WriteAllText(Path.Combine(output, "mine.txt"), "mine");
        Assert.Contains("not empty", NEngine.Run(runs.Args(output)).Expect(2).StdErr, StringComparison.Ordinal);
        Assert.Equal("mine.txt", Path.GetFileName(Assert.Single(Directory.GetFileSystemEntries(output))));
    }

    [Theory]
    [InlineData(2, "from 1 to 300", "--pool", "301")]
    [InlineData(2, "the batch has 17", "--batch", "17")]
    [InlineData(2, "--seq-len is 513, the model's context is 512", "--seq-len", "513")]
    [InlineData(2, "no preset is named \"0.3m\"", "--model", "preset:0.3m")]
    [InlineData(2, "", "--top", "-1")]
    [InlineData(2, "got 'int4'", "--precision", "int4")]
    [InlineData(3, "no-such-folder", "--model", "no-such-folder")]
    [InlineData(3, "no-such.jsonl", "--data", "no-such.jsonl")]
    [InlineData(3, "no-such.jsonl", "--eval-data", "no-such.jsonl")]
    [InlineData(4, "this run needs about", "--max-memory", "4MiB")]
    [InlineData(5, "cuda", "--device", "cuda")]
    [InlineData(6, "is not finite|is NaN|is ∞|is Infinity", "--lr", "1e30")]
    public void Run_ImpossibleRequest_IsRefusedInASentenceAndLeavesNothing(int code, string words, params string[] extra)
    {
        string output = runs.NewFolder();
        var result = NEngine.Run(runs.Args(output, extra)).Expect(code);
        string message = result.Json().GetProperty("error").GetProperty("message").GetString()!;
        Assert.Contains(words.Split('|'), w => message.Contains(w, StringComparison.Ordinal));
        Assert.DoesNotContain("defect", message, StringComparison.Ordinal);
        Assert.False(Directory.Exists(output), "something was left behind");
    }

    [Fact]
    public void Run_EvalDataWithoutASource_WarnsAndMeasuresTheOthers()
    {
        string output = runs.NewFolder(), valid = runs.NewFolder() + ".jsonl";
        File.WriteAllLines(valid, File.ReadLines(runs.Valid).Where(l => !l.Contains("\"roman\"", StringComparison.Ordinal)));
        var result = NEngine.Run(runs.Args(output, "--eval-data", valid, "--steps", "1")).Expect(0);
        Assert.Contains("no example of roman", result.StdErr, StringComparison.Ordinal);
        Assert.Equal(7, result.Json().GetProperty("eval").GetProperty("sources").GetArrayLength());
    }

    [Fact]
    public void Run_DryRun_TellsTheMemoryAndWritesNothing()
    {
        string output = runs.NewFolder();
        var plan = NEngine.Run(runs.Args(output, "--dry-run")).Expect(0).Json();
        Assert.False(Directory.Exists(output));
        double planned = plan.GetProperty("peak_activation_bytes").GetDouble(), counted = runs.Undisturbed.Json().GetProperty("peak_activation_bytes").GetDouble();
        Assert.InRange(counted / planned, 0.9, 1.1);
    }

    private static bool WaitForSave(System.Diagnostics.Process process, string output, int milliseconds)
    {
        while (!process.HasExited)
        {
            if (Directory.Exists(output) && Directory.EnumerateDirectories(output, ".tmp-checkpoint-*").Any())
            {
                Thread.Sleep(milliseconds);
                return Directory.EnumerateDirectories(output, ".tmp-checkpoint-*").Any();
            }
            Thread.Sleep(0);
        }
        return false;
    }

    private static void Damage(string path)
    {
        byte[] bytes = File.ReadAllBytes(path);
        bytes[^100] ^= 1;
        File.WriteAllBytes(path, bytes);
    }
}
