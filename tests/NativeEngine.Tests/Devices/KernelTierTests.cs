using System.Text.RegularExpressions;
using NativeEngine.Tests.Support;

namespace NativeEngine.Tests.Devices;

public sealed partial class KernelTierTests
{
    /// <summary>
    /// Methods without loops start unoptimised in .NET, and are hundreds of times slower then when they work on lanes. The runtime's own list of what it
    /// compiled, of a run through the kernels that have such helpers, must show none of them.
    /// </summary>
    [Fact]
    public void Kernels_InnerHelpers_AreNeverCompiledUnoptimised()
    {
        using var folder = new TemporaryFolder();
        string list = folder.File("jit.txt");
        var env = new Dictionary<string, string?> { ["DOTNET_JitStdOutFile"] = list, ["DOTNET_JitDisasmSummary"] = "1" };
        string kernels = "adam_normalize,lion_normalize,update_moment,rms_norm,similarity,attention,cross_entropy,facility_location,swiglu,gaussian,adamw";
        NEngine.Run(["profile", "--quick", "--threads", "1", "--max-memory", "24MiB", "--kernel", kernels, "--json"], null, env);
        string[] lines = File.ReadAllLines(list);
        Assert.Contains(lines, line => line.Contains("PairsJob", StringComparison.Ordinal));
        Assert.DoesNotContain(lines, line => line.Contains("[Tier0", StringComparison.Ordinal) && Inner().IsMatch(line));
    }

    [GeneratedRegex(@"NativeEngine\.Devices\.Cpu\.(Lanes\w+:(?!get_Width)|LaneMath|PairSums|.*:(Apply|Before|Dot|Tile\w*)[\[(])")]
    private static partial Regex Inner();
}
