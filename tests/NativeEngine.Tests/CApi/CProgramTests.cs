using System.Reflection;
using System.Runtime.InteropServices;
using System.Text.Json;
using System.Text.RegularExpressions;
using NativeEngine.Formats;
using NativeEngine.Tests.Support;

namespace NativeEngine.Tests.CApi;

/// <summary>C programs against the published library.</summary>
public sealed class CProgramTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [FactWithCompiler]
    public void Header_StrictC99AndCpp_NoWarnings()
    {
        string unit = _folder.Write("header.c", "#include \"native_engine.h\"\nint main(void) { ne_select_options o; NE_INIT(&o); return (int)o.budget; }\n");
        foreach (string[] language in (string[][])[["-xc", "-std=c99"], ["-xc", "-std=c11"], ["-xc++", "-std=c++98", "-Wno-long-long"], ["-xc++", "-std=c++20"]])
        {
            var run = NativeLibraryKit.Run(NativeLibraryKit.Compiler!, [.. language, "-Wall", "-Wextra", "-Werror", "-pedantic", "-fsyntax-only", "-I", NativeLibraryKit.Header, unit]);
            // A C compiler without its C++ half says that it cannot run cc1plus.
            Assert.True(run.ExitCode == 0 || (language[0] == "-xc++" && run.StdErr.Contains("cc1plus", StringComparison.Ordinal)), string.Join(' ', language) + "\n" + run.StdErr);
        }
    }

    [FactWithCompiler]
    public void Header_Structs_SameSizesAsTheLibrarys()
    {
        // ne_stream_options -> StreamOptionsStruct; the C compiler says how long its side is.
        var sizes = new Dictionary<string, int>
        {
            ["ne_control"] = 32,
            ["ne_device_options"] = 24,
            ["ne_matrix"] = 48,
            ["ne_select_options"] = 104,
            ["ne_selection"] = 104,
            ["ne_stream_options"] = 64,
            ["ne_stream_report"] = 56,
            ["ne_merge_options"] = 32,
            ["ne_merge_report"] = 56,
            ["ne_model_options"] = 56,
            ["ne_model_info"] = 56,
            ["ne_data_options"] = 72,
            ["ne_data_info"] = 64,
            ["ne_feature_options"] = 32,
            ["ne_loss"] = 56,
            ["ne_train_options"] = 160,
            ["ne_step_report"] = 96,
        };
        string checks = string.Concat(sizes.Select(s => $"typedef char {s.Key}_size[sizeof({s.Key}) == {s.Value} ? 1 : -1];\n"));
        string unit = _folder.Write("sizes.c", "#include \"native_engine.h\"\n" + checks);
        NativeLibraryKit.Run(NativeLibraryKit.Compiler!, ["-std=c99", "-fsyntax-only", "-I", NativeLibraryKit.Header, unit]).Expect(0);
        var library = typeof(NativeEngine.CApi.Status).Assembly.GetTypes().Where(t => t.Name.EndsWith("Struct", StringComparison.Ordinal)).ToDictionary(t => t.Name, t => Marshal.SizeOf(t));
        Assert.Equal(library.Count, sizes.Count);
        foreach (var (name, size) in sizes)
        {
            string type = string.Concat(name[3..].Split('_').Select(w => char.ToUpperInvariant(w[0]) + w[1..])) + "Struct";
            Assert.True(library[type] == size, $"{name} has {size} bytes in C and {library[type]} in {type}");
        }
    }

    [Fact]
    public void Header_EveryFunction_IsAnExportWithItsParameters()
    {
        string header = File.ReadAllText(Path.Combine(NativeLibraryKit.Header, "native_engine.h"));
        header = Regex.Replace(header, @"/\*.*?\*/", "", RegexOptions.Singleline);
        var declared = Regex.Matches(header, @"^[a-z][a-z0-9_ ]*[ *](ne_\w+)\(([^;]*?)\);", RegexOptions.Multiline | RegexOptions.Singleline)
            .ToDictionary(m => m.Groups[1].Value, m => m.Groups[2].Value == "void" ? 0 : m.Groups[2].Value.Split(',').Length);
        var exported = typeof(NativeEngine.CApi.Status).Assembly.GetTypes()
            .SelectMany(t => t.GetMethods(BindingFlags.Static | BindingFlags.Public))
            .Select(m => (m.GetCustomAttribute<UnmanagedCallersOnlyAttribute>()?.EntryPoint, m.GetParameters().Length))
            .Where(m => m.EntryPoint is not null)
            .ToDictionary(m => m.EntryPoint!, m => m.Length);
        Assert.True(declared.Count > 50);
        Assert.Equal(declared.OrderBy(d => d.Key, StringComparer.Ordinal), exported.OrderBy(e => e.Key, StringComparer.Ordinal));
    }

    [TheoryWithNativeLibrary]
    [InlineData(128, 40, 64, true)]
    [InlineData(443, 33, 100, true)]
    [InlineData(1024, 5, 31, false)]
    public void Example_FeaturesOnDisk_PicksOfTheProgram(int n, int d, int budget, bool withSources)
    {
        string program = NativeLibraryKit.Compile(_folder, "example");
        var random = new Random(n);
        float[] x = [.. Enumerable.Range(0, n * d).Select(i => random.NextSingle() + (i / d % 9))];
        x[d + 1] = float.NaN;
        NpyWriter.WriteFloat32(_folder.File("f.npy"), [n, d], x);
        string sources = _folder.Write("s.txt", string.Concat(Enumerable.Range(0, n).Select(i => $"{(i * i % 11) - 2}\n")));
        string[] more = withSources ? [sources] : [];
        var expected = NEngine.Run(["select", "--features", _folder.File("f.npy"), "--budget", $"{budget}", "--json", .. withSources ? (string[])["--sources", sources] : []]).Expect(0).Json();
        foreach (string width in (string[])["auto", "256", "128", "scalar"])
        {
            var picked = NativeLibraryKit.Run(program, [_folder.File("f.npy"), $"{budget}", .. more], new Dictionary<string, string?> { ["NENGINE_SIMD"] = width }).Expect(0).Json();
            Assert.Equal(Numbers(expected, "indices"), Numbers(picked, "indices"));
            Assert.Equal(Numbers(expected, "weights"), Numbers(picked, "weights"));
            Assert.Equal(expected.GetProperty("objective").GetDouble(), picked.GetProperty("objective").GetDouble());
        }
    }

    [FactWithNativeLibrary]
    public void Example_Tour_GoesThroughEverything()
    {
        string text = NativeLibraryKit.Run(NativeLibraryKit.Compile(_folder, "example"), ["tour"]).Expect(0).StdOut;
        Assert.Contains("stream: 16 of 128 selected after 2 reductions", text);
        Assert.Contains("merged: 4 5 6", text);
        Assert.Contains("features: 2 x 4608", text);
        Assert.Contains("step 3: loss ", text);
        Assert.Contains("progress was heard", text);
        Assert.Contains("\"instructions\":\"x86-64-v", text);
    }

    [FactWithNativeLibrary]
    public void Abuse_HundredThousandSequences_OnlyStatuses()
    {
        string text = NativeLibraryKit.Run(NativeLibraryKit.Compile(_folder, "abuse"), ["100000", "1", "4"]).Expect(0).StdOut;
        Assert.StartsWith("100000 sequences, ", text);
        foreach (string status in (string[])["OK", "ARGUMENT", "WILL_NOT_FIT", "DEVICE", "HANDLE", "BUSY", "CANCELLED", "ABI", "BUFFER", "STATE"])
        {
            Assert.True(text.Contains("NE_" + (status == "OK" ? status : "ERROR_" + status), StringComparison.Ordinal), $"{status} never came up:\n{text}");
        }
    }

    [FactWithNativeLibrary]
    public void Fields_RightAndWrong_AsTheHeaderSays()
    {
        string renamed = _folder.Write(
            "renamed.jsonl",
            """
            {"uid":"s/1","topic":"sums","q":"What is 2 + 2?","a":"It is 4."}
            {"uid":2,"topic":"words","body":"hello there"}
            {"uid":"é","topic":"sums","q":"What is 3 + 3?","a":"It is 6."}

            """);
        string usual = _folder.Write("usual.jsonl", """{"source":"sums","prompt":"2 + 2","completion":"4"}""" + "\n" + """{"source":"words","text":"hello there"}""" + "\n{\n");
        string text = NativeLibraryKit.Run(NativeLibraryKit.Compile(_folder, "fields"), [renamed, usual]).Expect(0).StdOut;
        Assert.Equal("all as said\n", text);
    }

    [FactWithNativeLibrary]
    public void Soak_ManySelections_MemoryDoesNotGrow() =>
        NativeLibraryKit.Run(NativeLibraryKit.Compile(_folder, "soak"), ["4000", "64", "16"]).Expect(0);

    private static long[] Numbers(JsonElement json, string name) => [.. json.GetProperty(name).EnumerateArray().Select(e => e.GetInt64())];
}
