using System.Text.Json.Nodes;
using NativeEngine.Formats;
using NativeEngine.Tests.Golden;
using NativeEngine.Tests.Support;

namespace NativeEngine.Tests.Cli;

/// <summary>The verbs select and verify as processes.</summary>
public sealed class SelectTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public static TheoryData<string> StepIds => GoldenCases.Ids("select_step");

    public void Dispose() => _folder.Dispose();

    [Theory]
    [MemberData(nameof(StepIds))]
    public void Select_GoldenStep_EqualAndVerified(string id)
    {
        var c = GoldenCases.Get(id);
        var (values, n, d) = c.Matrix("features");
        NpyWriter.WriteFloat32(_folder.File("f.npy"), [n, d], values);
        NpyWriter.WriteInt64(_folder.File("s.npy"), [n], Array.ConvertAll(c.Ints("sources"), i => (long)i));
        string keep = string.Join(',', c.Ints("keep_sources"));
        string[] args =
        [
            "select", "--features", _folder.File("f.npy"), "--sources", _folder.File("s.npy"), "--json", "--budget", $"{c.Int("total_budget")}", "--top",
            $"{c.Int("h")}", "--metric", c.Input.GetProperty("metric").GetString()!, "--keep", keep.Length == 0 ? "none" : keep, "--output", _folder.File("o.json"),
        ];
        if (c.Input.GetProperty("adam").GetBoolean())
        {
            SafetensorsWriter.WriteFloat32(
                _folder.File("in.safetensors"), null, Moment("m", GoldenCases.Floats(c.Input.GetProperty("prev_m"))),
                Moment("v", GoldenCases.Floats(c.Input.GetProperty("prev_v"))));
            args =
            [
                .. args, "--adam", "--step", $"{c.Int("step")}", "--state", _folder.File("in.safetensors"), "--save-state", _folder.File("out.safetensors"),
            ];
        }
        var json = NEngine.Run(args).Expect(0).Json();

        Assert.Equal(GoldenCases.Ints(c.Expected.GetProperty("selected")), GoldenCases.Ints(json.GetProperty("indices")));
        Assert.Equal(GoldenCases.Ints(c.Expected.GetProperty("weights_cluster")), GoldenCases.Ints(json.GetProperty("weights")));
        Assert.Equal(GoldenCases.Ints(c.Expected.GetProperty("kept")), GoldenCases.Ints(json.GetProperty("kept")));
        Assert.Equal((n, d), (json.GetProperty("n").GetInt32(), json.GetProperty("dim").GetInt32()));
        Assert.Equal(0, json.GetProperty("dropped").GetArrayLength());
        Assert.InRange(json.GetProperty("certificate").GetProperty("ratio").GetDouble(), 1 - (1 / Math.E), 1);
        if (c.Input.GetProperty("adam").GetBoolean())
        {
            using var state = SafetensorsFile.Open(_folder.File("out.safetensors"));
            foreach (string moment in new[] { "m", "v" })
            {
                double[] expected = GoldenCases.Doubles(c.Expected.GetProperty("new_" + moment));
                float[] got = state[moment].ToFloat32();
                Assert.All(expected.Zip(got), pair => Assert.Equal(pair.First, pair.Second, 1e-6));
            }
        }
        NEngine.Run("verify", _folder.File("o.json"), "--features", _folder.File("f.npy")).Expect(0);
    }

    [Fact]
    public void Select_StateChain_StepsByItself()
    {
        // The chain's files follow each other; only the first is told its step.
        foreach (string id in new[] { "chain_1", "chain_2", "chain_3" })
        {
            var c = GoldenCases.Get(id);
            var (values, n, d) = c.Matrix("features");
            NpyWriter.WriteFloat32(_folder.File("f.npy"), [n, d], values);
            _folder.Write("s.txt", string.Join('\n', c.Ints("sources")) + "\n");
            string[] history = id == "chain_1" ? ["--step", "1"] : [];
            if (id == "chain_1")
            {
                SafetensorsWriter.WriteFloat32(
                    _folder.File("state.safetensors"), null, Moment("m", GoldenCases.Floats(c.Input.GetProperty("prev_m"))),
                    Moment("v", GoldenCases.Floats(c.Input.GetProperty("prev_v"))));
            }
            var json = NEngine.Run(
                [
                    "select", "--features", _folder.File("f.npy"), "--sources", _folder.File("s.txt"), "--budget", "50%", "--top", $"{c.Int("h")}", "--keep",
                    "3", "--json", "--adam", "--state", _folder.File("state.safetensors"), "--save-state", _folder.File("state.safetensors"), .. history,
                ]).Expect(0).Json();
            Assert.Equal(GoldenCases.Ints(c.Expected.GetProperty("selected")), GoldenCases.Ints(json.GetProperty("indices")));
        }
    }

    [Fact]
    public void Select_NamesAndNonFiniteRows_DroppedWithReasonAndText()
    {
        NpyWriter.WriteFloat32(_folder.File("f.npy"), [6, 2], new float[] { 0, 0, float.NaN, 1, 4, 4, 5, 5, 9, float.PositiveInfinity, 2, 2 });
        _folder.Write("s.jsonl", string.Concat("bbabba".Select(s => $"{{\"text\":\"x\",\"origin\":\"{s}\"}}\n")));
        string[] args = ["select", "--features", _folder.File("f.npy"), "--sources", _folder.File("s.jsonl") + "#origin", "--budget", "3", "--keep", "small"];
        var json = NEngine.Run([.. args, "--json", "--output", _folder.File("o.json")]).Expect(0).Json();
        Assert.Equal([2, 5, 0], GoldenCases.Ints(json.GetProperty("indices")));
        Assert.Equal(["a", "b"], json.GetProperty("sources").EnumerateArray().Select(s => s.GetProperty("source").GetString()));
        Assert.Equal([1, 4], json.GetProperty("dropped").EnumerateArray().Select(x => x.GetProperty("index").GetInt32()));
        Assert.All(json.GetProperty("dropped").EnumerateArray(), x => Assert.Equal("non-finite feature", x.GetProperty("reason").GetString()));
        NEngine.Run("verify", _folder.File("o.json"), "--features", _folder.File("f.npy")).Expect(0);
        string text = NEngine.Run(args).Expect(0).StdOut;
        Assert.Contains("dropped 4: non-finite feature", text, StringComparison.Ordinal);
        Assert.Contains("indices 2 5 0", text, StringComparison.Ordinal);
    }

    [Fact]
    public void Select_Safetensors_SameAsNpy()
    {
        float[] values = [.. Enumerable.Range(0, 60).Select(i => (float)Math.Sin(i * i))];
        NpyWriter.WriteFloat32(_folder.File("f.npy"), [20, 3], values);
        SafetensorsWriter.WriteFloat32(_folder.File("f.safetensors"), null, ("x", [20, 3], values), ("y", [20, 3], values.Reverse().ToArray()));
        var npy = NEngine.Run("select", "--features", _folder.File("f.npy"), "--budget", "7", "--json").Expect(0).Json();
        var safetensors = NEngine.Run("select", "--features", _folder.File("f.safetensors") + "#x", "--budget", "7", "--json").Expect(0).Json();
        Assert.Equal(GoldenCases.Ints(npy.GetProperty("indices")), GoldenCases.Ints(safetensors.GetProperty("indices")));
        var unnamed = NEngine.Run("select", "--features", _folder.File("f.safetensors"), "--budget", "7", "--json").Expect(3).Json();
        Assert.Contains("holds 2 tensors (x, y)", unnamed.GetProperty("error").GetProperty("message").GetString(), StringComparison.Ordinal);
    }

    [Fact]
    public void Select_AutoWithLittleMemory_SaysItsChoiceFitsAndIsVerified()
    {
        float[] values = [.. Enumerable.Range(0, 1500 * 4).Select(i => (float)Math.Sin(i * (double)i))];
        NpyWriter.WriteFloat32(_folder.File("f.npy"), [1500, 4], values);
        string[] args = ["select", "--features", _folder.File("f.npy"), "--budget", "50%", "--json"];
        Assert.Equal("exact", NEngine.Run(args).Expect(0).Json().GetProperty("choice").GetProperty("algorithm").GetString());
        var refused = NEngine.Run([.. args, "--algorithm", "exact", "--max-memory", "9MiB"]).Expect(4).Json().GetProperty("error");
        Assert.Contains("may use 9 MiB", refused.GetProperty("message").GetString(), StringComparison.Ordinal);
        Assert.Equal(3, refused.GetProperty("hint").GetString()!.Split("; or ").Length);
        string[] small = [.. args, "--neighbours", "16", "--max-memory", "8MiB"];
        var dry = NEngine.Run([.. small, "--dry-run"]).Expect(0).Json();
        var run = NEngine.Run([.. small, "--output", _folder.File("o.json")]).Expect(0);
        var json = run.Json();
        Assert.Contains("auto chose sparse", run.StdErr, StringComparison.Ordinal);
        Assert.Equal("sparse", json.GetProperty("choice").GetProperty("algorithm").GetString());
        Assert.Equal("sparse", dry.GetProperty("choice").GetProperty("algorithm").GetString());
        Assert.True(dry.GetProperty("seconds").GetDouble() > 0 && dry.GetProperty("process_bytes").GetInt64() <= 8 << 20);
        double ratio = dry.GetProperty("peak_bytes").GetInt64() / (double)json.GetProperty("peak_bytes").GetInt64();
        Assert.InRange(ratio, 0.9, 1.1);
        NEngine.Run("verify", _folder.File("o.json"), "--features", _folder.File("f.npy")).Expect(0);
        int lost = Enumerable.Range(0, 1500).Except(GoldenCases.Ints(json.GetProperty("indices"))).First();
        var why = NEngine.Run("why", _folder.File("o.json"), $"{lost}", "--features", _folder.File("f.npy"), "--json").Expect(0).Json();
        Assert.Equal(("represented", json.GetProperty("owners")[lost].GetInt32()), (why.GetProperty("fate").GetString(), why.GetProperty("owner").GetInt32()));
        Assert.Contains("is represented by", NEngine.Run("why", _folder.File("o.json"), $"{lost}", "--features", _folder.File("f.npy")).Expect(0).StdOut, StringComparison.Ordinal);
    }

    [Fact]
    public void Select_BadRequests_SentenceCodeAndNoFile()
    {
        NpyWriter.WriteFloat32(_folder.File("f.npy"), [4, 2], new float[8]);
        NpyWriter.WriteInt64(_folder.File("i.npy"), [4, 2], new long[8]);
        NpyWriter.WriteFloat32(_folder.File("flat.npy"), [8], new float[8]);
        File.WriteAllBytes(_folder.File("cut.npy"), File.ReadAllBytes(_folder.File("f.npy"))[..^5]);
        _folder.Write("empty.npy", "");
        _folder.Write("three.txt", "0\n0\n1\n");
        _folder.Write("hole.txt", "0\n\n1\n1\n");
        SafetensorsWriter.WriteFloat32(_folder.File("short.safetensors"), null, Moment("m", new float[1]), Moment("v", new float[1]));
        (int Code, string Says, string[] Args)[] cases =
        [
            (3, "absent.npy", ["--features", _folder.File("absent.npy"), "--budget", "2"]),
            (3, "empty.npy", ["--features", _folder.File("empty.npy"), "--budget", "2"]),
            (3, "I64 [4, 2]", ["--features", _folder.File("i.npy"), "--budget", "2"]),
            (3, "[8]", ["--features", _folder.File("flat.npy"), "--budget", "2"]),
            (3, "cut.npy", ["--features", _folder.File("cut.npy"), "--budget", "2"]),
            (3, "3 sources for the 4 examples", ["--features", _folder.File("f.npy"), "--budget", "2", "--sources", _folder.File("three.txt")]),
            (3, "line 2 names no source", ["--features", _folder.File("f.npy"), "--budget", "2", "--sources", _folder.File("hole.txt")]),
            (3, "missing.txt", ["--features", _folder.File("f.npy"), "--budget", "2", "--sources", _folder.File("missing.txt")]),
            (3, "need F32 [2]", ["--features", _folder.File("f.npy"), "--budget", "2", "--adam", "--state", _folder.File("short.safetensors")]),
            (2, "asks for 0 of 4", ["--features", _folder.File("f.npy"), "--budget", "0"]),
            (2, "asks for 5 of 4", ["--features", _folder.File("f.npy"), "--budget", "5"]),
            (2, "got 'many'", ["--features", _folder.File("f.npy"), "--budget", "many"]),
            (2, "got 'hamming'", ["--features", _folder.File("f.npy"), "--budget", "2", "--metric", "hamming"]),
            (2, "got 'int4'", ["--features", _folder.File("f.npy"), "--budget", "2", "--precision", "int4"]),
            (2, "--adam", ["--features", _folder.File("f.npy"), "--budget", "2", "--save-state", _folder.File("o.safetensors")]),
            (4, "may use 64", ["--features", _folder.File("f.npy"), "--budget", "2", "--max-memory", "64"]),
        ];
        foreach (var (code, says, args) in cases)
        {
            var run = NEngine.Run(["select", "--json", "--output", _folder.File("o.json"), .. args]).Expect(code);
            var error = run.Json().GetProperty("error");
            Assert.Equal(code, error.GetProperty("code").GetInt32());
            Assert.Contains(says, error.GetProperty("message").GetString(), StringComparison.Ordinal);
            Assert.False(File.Exists(_folder.File("o.json")) || File.Exists(_folder.File("o.safetensors")), $"a partial output after: {says}");
        }
    }

    [Fact]
    public void Verify_TamperedDocument_RefusedWithCode7()
    {
        var c = GoldenCases.Get("step_10");
        var (values, n, d) = c.Matrix("features");
        NpyWriter.WriteFloat32(_folder.File("f.npy"), [n, d], values);
        NpyWriter.WriteInt64(_folder.File("s.npy"), [n], Array.ConvertAll(c.Ints("sources"), i => (long)i));
        NEngine.Run(
            "select", "--features", _folder.File("f.npy"), "--sources", _folder.File("s.npy"), "--budget", "100", "--top", "8", "--keep", "4", "--output",
            _folder.File("o.json"), "--quiet").Expect(0);
        string text = File.ReadAllText(_folder.File("o.json"));
        Action<JsonNode>[] tampering =
        [
            o => o["objective"] = o["objective"]!.GetValue<double>() * 1.0001,
            o => o["certificate"]!["upper_bound"] = o["objective"]!.GetValue<double>(),
            o => o["certificate"]!["ratio"] = 1.0,
            o => o["gains"]![20] = o["gains"]![20]!.GetValue<double>() + 1,
            o => (o["indices"]![11], o["indices"]![12]) = (o["indices"]![12]!.DeepClone(), o["indices"]![11]!.DeepClone()),
            o => o["weights"]![15] = o["weights"]![15]!.GetValue<int>() + 1,
            o => o["dropped"]!.AsArray().Add(JsonNode.Parse("{\"index\":3,\"reason\":\"non-finite feature\"}")),
            o => o["kept"]!.AsArray().RemoveAt(0),
        ];
        foreach (var tamper in tampering)
        {
            var document = JsonNode.Parse(text)!;
            tamper(document);
            File.WriteAllText(_folder.File("t.json"), document.ToJsonString());
            var error = NEngine.Run("verify", _folder.File("t.json"), "--features", _folder.File("f.npy"), "--json").Expect(7).Json().GetProperty("error");
            Assert.Contains("does not hold", error.GetProperty("message").GetString(), StringComparison.Ordinal);
        }
        values[7 * d] += 3;
        NpyWriter.WriteFloat32(_folder.File("f.npy"), [n, d], values);
        NEngine.Run("verify", _folder.File("o.json"), "--features", _folder.File("f.npy")).Expect(7);
        NEngine.Run("verify", _folder.Write("broken.json", "{\"schema\":1}"), "--features", _folder.File("f.npy")).Expect(3);
    }

    private static (string, long[], ReadOnlyMemory<float>) Moment(string name, float[] values) => (name, [values.Length], values);
}
