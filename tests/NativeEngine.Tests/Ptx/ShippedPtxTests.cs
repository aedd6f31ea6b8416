using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.RegularExpressions;
using NativeEngine.Devices.Gpu;
using NativeEngine.Tests.Support;

namespace NativeEngine.Tests.Ptx;

/// <summary>kernels/ptx is what kernels/*.cu compile to; remake it with: dotnet run tools/build.cs -- kernels.</summary>
public partial class ShippedPtxTests
{
    private static readonly string _folder = RepositoryPaths.InRepository("kernels");

    private static IEnumerable<string> Sources => Directory.GetFiles(_folder, "*.cu").Order();

    [Fact]
    public void Ptx_EverySource_HasItsHash()
    {
        Assert.NotEmpty(Sources);
        byte[] header = File.ReadAllBytes(Path.Combine(_folder, "portable.h"));
        Assert.All(Sources, source =>
        {
            string hash = Convert.ToHexStringLower(SHA256.HashData((byte[])[.. header, .. File.ReadAllBytes(source)]));
            string first = File.ReadLines(PtxOf(source)).First();
            Assert.True(first == $"// {Path.GetFileName(source)} sha256 {hash}", $"{PtxOf(source)} was made from another source: run dotnet run tools/build.cs -- kernels");
        });
        Assert.Equal(Sources.Select(PtxOf), Directory.GetFiles(Path.Combine(_folder, "ptx")).Order());
    }

    [Fact]
    public void Ptx_EveryKernel_IsReadByTheInterpreterAndContractsNothing()
    {
        foreach (var (source, text) in Sources.Select(s => (s, File.ReadAllText(PtxOf(s)))))
        {
            var kernels = PtxKernel.Parse(text);
            Assert.NotEmpty(kernels);
            Assert.All(kernels.Values, kernel => Assert.Contains(kernel.Name, GpuModules.Kernels));
            // Without .rn the assembler would be free to fuse a product and a sum.
            Assert.DoesNotMatch(@"\b(add|sub|mul|fma)\.f(32|64)\b", text);
            Assert.True(!text.Contains(".local", StringComparison.Ordinal), $"{source}: a private array lies in memory; unroll its loops");
        }
    }

    [Fact]
    public void Ptx_EveryKernel_StaysWithinWhatEveryDriverGives()
    {
        foreach (var (source, text) in Sources.Select(s => (s, File.ReadAllText(PtxOf(s)))))
        {
            Assert.Contains(".version 7.0\n.target sm_80\n.address_size 64\n", text, StringComparison.Ordinal);
            Assert.True(Ascii.IsValid(text), $"{source}: PTX is ASCII");
            foreach (string kernel in text.Split(".visible .entry ")[1..])
            {
                Assert.Contains(".maxntid 256, 1, 1", kernel, StringComparison.Ordinal);
                // More shared memory needs an attribute of the function, more parameters a newer version.
                int shared = SharedArrays().Matches(kernel).Sum(match => int.Parse(match.Groups[1].Value, CultureInfo.InvariantCulture));
                Assert.InRange(shared, 0, 48 << 10);
                Assert.InRange(Parameters().Matches(kernel).Sum(match => int.Parse(match.Groups[1].Value, CultureInfo.InvariantCulture) / 8), 0, 4096);
            }
        }
    }

    /// <summary>sm_80 is the least card, sm_90 the largest that CUDA 11.8 knows.</summary>
    [TheoryWithPtxas]
    [InlineData("sm_80")]
    [InlineData("sm_90")]
    public void Ptx_Assembled_IsTakenWithoutSpilling(string card)
    {
        foreach (string source in Sources)
        {
            var (code, said) = CompilerProgram.Ptxas.Run("-v", "-arch", card, "-o", "/dev/null", PtxOf(source));
            Assert.True(code == 0, $"{source}: {said}");
            // A word is what the assembler itself gives up to reach a better occupancy.
            Assert.All(Spills().Matches(said), match => Assert.InRange(int.Parse(match.Groups[1].Value, CultureInfo.InvariantCulture), 0, 16));
            Assert.All(Registers().Matches(said), match => Assert.InRange(int.Parse(match.Groups[1].Value, CultureInfo.InvariantCulture), 1, 128));
        }
    }

    [FactWithClang]
    public void Ptx_CompiledAgain_IsTheSame()
    {
        foreach (string source in Sources)
        {
            string made = Compile(source);
            string shipped = File.ReadAllText(PtxOf(source));
            Assert.True(made == shipped[(shipped.IndexOf('\n', StringComparison.Ordinal) + 1)..], $"{source}: clang makes other PTX than is shipped");
        }
    }

    [FactWithClang]
    public void Sources_TheBranchForNvrtc_Compiles()
    {
        string shim = RepositoryPaths.InRepository("tests/NativeEngine.Tests/Ptx/nvrtc_shim.h");
        Assert.All(Sources.Where(s => !Path.GetFileName(s).StartsWith("tensor_", StringComparison.Ordinal)), source => Assert.Contains(".entry", Compile(source, "-include", shim), StringComparison.Ordinal));
    }

    [GeneratedRegex(@"\.shared [^\n]*\[(\d+)\];")]
    private static partial Regex SharedArrays();

    [GeneratedRegex(@"\.param \.[a-z](\d+)")]
    private static partial Regex Parameters();

    [GeneratedRegex(@"(\d+) bytes spill stores")]
    private static partial Regex Spills();

    [GeneratedRegex(@"Used (\d+) registers")]
    private static partial Regex Registers();

    private static string PtxOf(string source) => Path.Combine(_folder, "ptx", Path.ChangeExtension(Path.GetFileName(source), ".ptx"));

    private static string Compile(string source, params string[] first)
    {
        using var folder = new TemporaryFolder();
        string target = Path.Combine(folder.Path, "made.ptx");
        var (code, errors) = CompilerProgram.Clang.Run([$"@{Path.Combine(_folder, "clang.options")}", .. first, "-include", Path.Combine(_folder, "portable.h"), "-o", target, source]);
        Assert.True(code == 0, $"{source}: {errors}");
        return File.ReadAllText(target);
    }
}
