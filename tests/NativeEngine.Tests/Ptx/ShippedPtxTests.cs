using System.Security.Cryptography;
using NativeEngine.Devices.Gpu;
using NativeEngine.Tests.Support;

namespace NativeEngine.Tests.Ptx;

/// <summary>kernels/ptx is what kernels/*.cu compile to; remake it with: dotnet run tools/build.cs -- kernels.</summary>
public class ShippedPtxTests
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

    private static string PtxOf(string source) => Path.Combine(_folder, "ptx", Path.ChangeExtension(Path.GetFileName(source), ".ptx"));

    private static string Compile(string source, params string[] first)
    {
        using var folder = new TemporaryFolder();
        string target = Path.Combine(folder.Path, "made.ptx");
        var (code, errors) = Clang.Run([$"@{Path.Combine(_folder, "clang.options")}", .. first, "-include", Path.Combine(_folder, "portable.h"), "-o", target, source]);
        Assert.True(code == 0, $"{source}: {errors}");
        return File.ReadAllText(target);
    }
}
