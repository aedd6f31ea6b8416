using NativeEngine.Ablation;
using NativeEngine.Ablation.Ranking;
using NativeEngine.Formats;
using NativeEngine.Tests.Ablation;
using NativeEngine.Tests.Support;
using NativeEngine.Tests.Training;
using NativeEngine.Training;
using Xunit.Abstractions;

namespace NativeEngine.Tests.Reliability;

/// <summary>
/// What a disk may keep of a write when the power goes: every file of what is read back later, torn at every sector of 512 bytes. The loader sees it by the checksum,
/// says which file, and takes what there was before; it never takes torn bytes for whole.
/// </summary>
public sealed class TornWriteTests(ITestOutputHelper talk) : IDisposable
{
    private const int Sector = 512;
    private readonly TemporaryFolder _folder = new();

    /// <summary>What becomes of the bytes from a sector on.</summary>
    private enum Tear
    {
        /// <summary>The rest is missing.</summary>
        Dropped,
        /// <summary>The rest is zeros.</summary>
        ZeroedTail,
        /// <summary>One sector is zeros.</summary>
        Zeroed,
        /// <summary>One sector is noise.</summary>
        Scrambled,
        /// <summary>Two neighbouring sectors changed places.</summary>
        Swapped,
    }

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void FindNewest_CheckpointTornAnywhere_SaysSoAndTakesTheOneBefore()
    {
        var options = new Dictionary<string, string> { ["lr"] = "1" };
        using var tiny = new TinyTraining(TinyTraining.Options());
        tiny.Train(1);
        string older = Checkpoint.Save(_folder.Path, tiny.Trainer, options);
        tiny.Train(1);
        string newer = Checkpoint.Save(_folder.Path, tiny.Trainer, options);
        int tears = 0;
        foreach (string file in Directory.GetFiles(newer))
        {
            tears += ForEachTear(file, context =>
            {
                var said = new List<string>();
                Assert.True(older == Checkpoint.FindNewest(_folder.Path, said.Add), context);
                string name = Path.GetFileName(file);
                Assert.True(said.Count == 1 && said[0].StartsWith(newer, StringComparison.Ordinal), $"{context}: {string.Join('\n', said)}");
                Assert.True(name == AtomicFolder.ChecksumsName || said[0].Contains(name, StringComparison.Ordinal), $"{context}: {said[0]}");
            });
        }
        Assert.Equal(newer, Checkpoint.FindNewest(_folder.Path, Assert.Fail));
        Sweep.Report(talk, "tears", tears, $"{Directory.GetFiles(newer).Length} files of a checkpoint, {tears} tears: all were noticed, and the checkpoint before was taken");
    }

    [Fact]
    public void Find_CacheEntryTornAnywhere_IsMovedAsideAndTrainedAgain()
    {
        using var kit = new AblationKit();
        var key = new StudyJobs(kit.Plan()).Seed;
        string content = string.Concat(Enumerable.Range(0, 400).Select(i => $"{i * i} "));
        var cache = new UnitCache(kit.File("cache"));
        string entry = cache.Publish(key, folder => File.WriteAllText(Path.Combine(folder, SafetensorsModel.SingleName), content), new UnitCost(1, 2, 3, 4), default);
        int tears = 0;
        foreach (string name in Directory.GetFiles(entry).Select(f => Path.GetFileName(f)!).ToList())
        {
            tears += ForEachTear(Path.Combine(entry, name), context =>
            {
                var said = new List<string>();
                Assert.True(new UnitCache(kit.File("cache")) { OnDamage = said.Add }.Find(key) is null, context);
                Assert.True(said.Count == 1 && said[0].Contains("it will be trained again", StringComparison.Ordinal), context);
                // Back from where it was put, for the next tear.
                Directory.Move(Assert.Single(Directory.GetDirectories(kit.File("cache/damaged"))), entry);
            });
        }
        Assert.Equal(entry, new UnitCache(kit.File("cache")).Find(key));
        Sweep.Report(talk, "tears", tears, $"{tears} tears of a cache entry: all were noticed");
    }

    [Fact]
    public void LossCache_TornAnywhere_GivesTheRightLossesOrNone()
    {
        const int Records = 40;
        string[] keys = [.. Enumerable.Range(0, Records).Select(i => Convert.ToHexStringLower(System.Security.Cryptography.SHA256.HashData([(byte)i])))];
        double[] losses = [.. Enumerable.Range(0, 25).Select(i => 1 / (i + 0.5))];
        using (var cache = new LossCache(_folder.File("losses")))
        {
            foreach (string key in keys)
            {
                cache.Add(key, losses);
            }
        }
        int kept = 0, tears = ForEachTear(Assert.Single(Directory.GetFiles(_folder.File("losses"))), context =>
        {
            using var torn = new LossCache(_folder.File("losses"));
            int found = 0;
            foreach (string key in keys)
            {
                double[]? got = torn.Find(key);
                Assert.True(got is null || got.AsSpan().SequenceEqual(losses), context);
                found += got is null ? 0 : 1;
            }
            Assert.True(torn.Damaged > 0 || found < Records, context);
            kept += found;
        });
        Sweep.Report(talk, "tears", tears, $"{tears} tears of stored losses: of {tears * Records} records {kept} were read, all right");
        Assert.True(kept > 0);
    }

    /// <summary>Tears a file in every way at every sector, and puts it back; returns how often.</summary>
    private static int ForEachTear(string file, Action<string> check)
    {
        byte[] whole = File.ReadAllBytes(file);
        var random = new Random(whole.Length);
        int tears = 0;
        for (int at = 0; at < whole.Length; at += Sector)
        {
            foreach (var tear in Enum.GetValues<Tear>())
            {
                byte[] torn = [.. whole];
                var here = torn.AsSpan(at, Math.Min(Sector, torn.Length - at));
                switch (tear)
                {
                    case Tear.Dropped:
                        torn = torn[..at];
                        break;
                    case Tear.ZeroedTail:
                        torn.AsSpan(at).Clear();
                        break;
                    case Tear.Zeroed:
                        here.Clear();
                        break;
                    case Tear.Scrambled:
                        random.NextBytes(here);
                        break;
                    case Tear.Swapped when at + (2 * Sector) <= torn.Length:
                        whole.AsSpan(at + Sector, Sector).CopyTo(here);
                        whole.AsSpan(at, Sector).CopyTo(torn.AsSpan(at + Sector));
                        break;
                    default:
                        break;
                }
                if (torn.AsSpan().SequenceEqual(whole))
                {
                    // Zeros in place of zeros are no harm.
                    continue;
                }
                File.WriteAllBytes(file, torn);
                check($"{Path.GetFileName(file)}, {tear} at byte {at} of {whole.Length}");
                tears++;
            }
        }
        File.WriteAllBytes(file, whole);
        return tears;
    }
}
