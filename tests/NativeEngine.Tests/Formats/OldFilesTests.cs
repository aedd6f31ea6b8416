using System.Text.RegularExpressions;
using NativeEngine.Ablation;
using NativeEngine.Ablation.Ranking;
using NativeEngine.Formats;
using NativeEngine.Reporting;
using NativeEngine.Selection;
using NativeEngine.Tests.Support;
using NativeEngine.Training;

namespace NativeEngine.Tests.Formats;

/// <summary>
/// A file of every form that was ever written (Versions/NUMBER, as the program of that time wrote it) is still read; one of a newer form is refused by name. When a form changes, its
/// files go into a new folder and the old ones stay.
/// </summary>
public sealed partial class OldFilesTests
{
    private static readonly Dictionary<string, Action<string>> _readers = new()
    {
        ["state.json"] = path => Assert.Equal((2, 2), (CheckpointState.Load(path).Step, CheckpointState.Load(path).OptimizerSteps)),
        ["checksums.json"] = path => Assert.Contains("parameters.safetensors", AtomicFolder.ReadChecksums(StrictJson.Load(path)).Select(f => f.Name)),
        ["run.json"] = path => Assert.Equal("2", RunRecord.Parse(StrictJson.Load(path)).Options["steps"]),
        ["selection.json"] = path => Assert.Equal(4, SelectionDocument.Load(path).Indices.Count),
        ["unit.json"] = path => Assert.Equal(StrictJson.Load(path).RequireString("key"), UnitCache.ReadKey(StrictJson.Load(path))),
        ["cost.json"] = path => Assert.True(UnitCache.ReadCost(StrictJson.Load(path)).Flops > 0),
        ["rank.json"] = path =>
        {
            Assert.NotEmpty(AblationPage.Of(StrictJson.Load(path), null, "x", []).Sections);
            Assert.Equal(6, RankedMixtures.Read(StrictJson.Load(path).Require("mixtures"), ["a", "b"]).Count);
        },
        ["confirm.json"] = path => Assert.Contains("How well did merging predict true trainings?",
            AblationPage.Of(StrictJson.Load(Path.Combine(Path.GetDirectoryName(path)!, "rank.json")), StrictJson.Load(path), "x", []).Sections.Select(s => s.Question)),
    };

    public static TheoryData<string, string> Files
    {
        get
        {
            var files = new TheoryData<string, string>();
            foreach (string version in Directory.GetDirectories(Folder).Select(f => Path.GetFileName(f)!).Order(StringComparer.Ordinal))
            {
                foreach (string name in _readers.Keys.Where(name => File.Exists(Path.Combine(Folder, version, name))))
                {
                    files.Add(version, name);
                }
            }
            return files;
        }
    }

    private static string Folder => RepositoryPaths.InRepository("tests/NativeEngine.Tests/Formats/Versions");

    [Theory]
    [MemberData(nameof(Files))]
    public void Read_FileOfAnyVersion_AsItWasWritten(string version, string name) => _readers[name](Path.Combine(Folder, version, name));

    [Theory]
    [MemberData(nameof(Files))]
    public void Read_FileOfANewerVersion_RefusedByName(string version, string name)
    {
        using var folder = new TemporaryFolder();
        foreach (string other in Directory.GetFiles(Path.Combine(Folder, version)))
        {
            File.Copy(other, folder.File(Path.GetFileName(other)));
        }
        string text = File.ReadAllText(folder.File(name)), newer = Schema().Replace(text, "\"schema\": 99", 1);
        Assert.NotEqual(text, newer);
        var error = Assert.Throws<EngineException>(() => _readers[name](folder.Write(name, newer)));
        Assert.Equal(ErrorKind.BadInput, error.Kind);
        Assert.Contains("schema 99", error.Message, StringComparison.Ordinal);
        Assert.Contains("newer nengine", error.Hint, StringComparison.Ordinal);
    }

    [Fact]
    public void Read_MetricsAndLossesOfVersion1_WholeAndOfANewerVersionPassedOver()
    {
        var history = MetricsHistory.Load(Path.Combine(Folder, "1", MetricsHistory.FileName));
        Assert.Equal([1, 2], history.Steps.Select(s => s.Step));
        Assert.NotEmpty(history.Evaluations);
        Assert.All(history.Steps, s => Assert.True(s.Loss > 0 && s.Sources.Count > 0));

        byte[] losses = File.ReadAllBytes(Path.Combine(Folder, "1", "cache.losses"));
        var known = new Dictionary<string, double[]>();
        Assert.Equal(0, LossCache.Read(MappedFile.Of("x", losses), known));
        Assert.NotEmpty(known);
        losses[6] = (byte)'2';
        Assert.Equal(1, LossCache.Read(MappedFile.Of("x", losses), []));
    }

    [GeneratedRegex("\"schema\":\\s*1\\b")]
    private static partial Regex Schema();
}
