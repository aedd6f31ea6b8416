using System.Text.Json;
using System.Xml.Linq;
using NativeEngine.Tests.Profiling;
using NativeEngine.Tests.Support;

namespace NativeEngine.Tests.Cli;

public sealed class ProfileTests
{
    [Fact]
    public void Profile_OneKernel_TellsMachineRoofsAndRows()
    {
        using var folder = new TemporaryFolder();
        string figure = folder.File("r.svg");
        var result = NEngine.Run("profile", "--kernel", "rope", "--quick", "--threads", "2", "--max-memory", "256MiB", "--roofline", figure, "--json").Expect(0).Json();
        Assert.Equal(1, result.GetProperty("schema").GetInt32());
        Assert.Equal(2, result.GetProperty("machine").GetProperty("threads").GetInt32());
        var roof = Assert.Single(result.GetProperty("roofs").EnumerateArray());
        Assert.True(roof.GetProperty("fma_flops_per_second").GetDouble() > 0 && roof.GetProperty("copy_bytes_per_second").GetDouble() > 0);
        Assert.True(roof.GetProperty("min_add_terms_per_second").GetDouble() > 0);
        Assert.Equal(["rope", "rope"], result.GetProperty("rows").EnumerateArray().Select(r => r.GetProperty("kernel").GetString()));
        Assert.Empty(result.GetProperty("above_roof").EnumerateArray());
        Assert.Equal("svg", XDocument.Load(figure).Root!.Name.LocalName);
    }

    [Theory]
    [InlineData("ropee", "rope")]
    [InlineData("matmull", "matmul")]
    [InlineData("similarity_l3", "similarity_l1")]
    public void Profile_UnknownKernel_SuggestsTheNearest(string typed, string meant)
    {
        var error = NEngine.Run("profile", "--kernel", typed, "--json").Expect(2).Json().GetProperty("error");
        Assert.Contains(typed, error.GetProperty("message").GetString(), StringComparison.Ordinal);
        Assert.Contains($"'{meant}'", error.GetProperty("hint").GetString(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("step", "adamw")]
    [InlineData("select", "facility_location")]
    public void Profile_Work_WritesANestedTraceAndSaysWhereTheTimeGoes(string work, string kernel)
    {
        using var folder = new TemporaryFolder();
        string trace = folder.File("t.json");
        var result = NEngine.Run("profile", "--work", work, "--model", "preset:0.2m", "--repeat", "1", "--trace", trace, "--json").Expect(0).Json();
        var kernels = result.GetProperty("work").GetProperty("kernels").EnumerateArray().ToArray();
        Assert.Contains(kernels, k => k.GetProperty("kernel").GetString() == kernel);
        Assert.InRange(kernels.Sum(k => k.GetProperty("share").GetDouble()), 0.0, 1.0);
        using var document = JsonDocument.Parse(File.ReadAllBytes(trace));
        TraceTests.AssertNested(document);
        var names = document.RootElement.GetProperty("traceEvents").EnumerateArray().Select(e => e.GetProperty("name").GetString()!).ToHashSet();
        Assert.Contains(kernel, names);
        Assert.Contains(names, name => name.StartsWith(work + " ", StringComparison.Ordinal));
    }

    [Fact]
    public void Profile_KernelTogetherWithWork_IsRefused() => NEngine.Run("profile", "--kernel", "rope", "--work", "step").Expect(2);

    [Fact]
    public void Profile_DryRun_TimesNothing()
    {
        var plan = NEngine.Run("profile", "--dry-run", "--json").Expect(0).Json();
        Assert.True(plan.GetProperty("kernels").GetInt32() > 40 && plan.GetProperty("peak_bytes").GetInt64() > 1 << 30);
    }
}
