using System.Buffers.Binary;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using NativeEngine.Formats;
using NativeEngine.Tests.Support;
using Xunit.Abstractions;

namespace NativeEngine.Tests.Fuzz;

/// <summary>
/// Our safetensors reader and tools/python/differential_safetensors.py, which was written from the format's description, on the same mutants: the same tensors with the same bytes,
/// or both refuse. Only what our reader's documentation says it is stricter about may differ. <c>dotnet run tools/build.cs -- differential [COUNT]</c> compares more.
/// </summary>
public class DifferentialTests(ITestOutputHelper output)
{
    private const int MutantsInTests = 20_000;

    [FactWithPython]
    public void Safetensors_Mutants_TwoReadersAgree()
    {
        long count = long.TryParse(Environment.GetEnvironmentVariable("NENGINE_DIFFERENTIAL_COUNT"), CultureInfo.InvariantCulture, out long asked) ? asked : MutantsInTests;
        var mutator = new Mutator(FuzzFormats.All.Single(f => f.Name == "safetensors"), seed: 2);
        using var folder = new TemporaryFolder();
        string pack = folder.File("pack");
        var ours = new List<string>();
        using (var file = File.Create(pack))
        {
            var length = new byte[4];
            for (long i = 0; i < count; i++)
            {
                byte[] mutant = mutator.Make(i);
                BinaryPrimitives.WriteInt32LittleEndian(length, mutant.Length);
                file.Write(length);
                file.Write(mutant);
                ours.Add(Read(mutant));
            }
        }
        string[] theirs = Python.Run("tools/python/differential_safetensors.py", pack).Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.Equal(ours.Count, theirs.Length);
        int same = 0, refused = 0, stricter = 0;
        for (int i = 0; i < ours.Count; i++)
        {
            bool refuses = ours[i][0] == '-', theyRefuse = theirs[i][0] == '-';
            bool byRule = refuses && !theyRefuse && (ours[i].Contains("more than 64 numbers", StringComparison.Ordinal) || ours[i].Contains("maximum configured depth", StringComparison.Ordinal)
                || ours[i].Contains("more elements than a file can hold", StringComparison.Ordinal));
            (same, refused, stricter) = (same + (refuses ? 0 : 1), refused + (refuses && theyRefuse ? 1 : 0), stricter + (byRule ? 1 : 0));
            Assert.True(byRule || (refuses && theyRefuse) || ours[i] == theirs[i], $"mutant {i}: ours says {ours[i]}, Python's {theirs[i]}\n{Convert.ToHexString(mutator.Make(i))}");
        }
        string line = string.Create(CultureInfo.InvariantCulture, $"{ours.Count:N0} mutants: {same:N0} with the same tensors, {refused:N0} refused by both, {stricter:N0} refused by ours for a rule of its own, 0 different");
        output.WriteLine(line);
        if (Environment.GetEnvironmentVariable("NENGINE_DIFFERENTIAL_REPORT") is { Length: > 0 } report)
        {
            File.AppendAllText(report, line + "\n");
        }
        Assert.True(same > count / 50 && refused > count / 50, line);
    }

    private static string Read(byte[] bytes)
    {
        try
        {
            using var file = SafetensorsFile.Parse("mutant", bytes);
            using var digest = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
            foreach (var (name, tensor) in file.Tensors.Select(t => (Encoding.UTF8.GetBytes(t.Name), t)).OrderBy(t => Convert.ToHexString(t.Item1), StringComparer.Ordinal))
            {
                digest.AppendData([.. name, 0, .. Encoding.ASCII.GetBytes(tensor.DType.FileName()), 0, .. Encoding.ASCII.GetBytes(string.Join(',', tensor.Shape.ToArray())), 0]);
                digest.AppendData(tensor.Bytes(0, (int)tensor.ByteLength));
            }
            return Convert.ToHexStringLower(digest.GetHashAndReset());
        }
        catch (EngineException e)
        {
            return $"- {e.Message}";
        }
    }
}
