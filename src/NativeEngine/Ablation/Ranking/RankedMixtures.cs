using NativeEngine.Ablation.Mixtures;
using NativeEngine.Formats;

namespace NativeEngine.Ablation.Ranking;

/// <summary>The mixtures of a study's rank.json, best first.</summary>
/// <param name="Finalists">Those scored on all documents.</param>
/// <param name="All">These, and after them the ones that left the race, best first.</param>
public sealed record RankedMixtures(IReadOnlyList<Mixture> Finalists, IReadOnlyList<Mixture> All)
{
    /// <summary>Reads them. Errors: Usage without a rank.json or with one of another study; BadInput for a damaged one.</summary>
    public static RankedMixtures Read(string folder, string identity, StudyPlan plan)
    {
        string path = Path.Combine(folder, RankDocument.Name);
        if (!File.Exists(path))
        {
            throw new EngineException(ErrorKind.Usage, $"{folder} has no {RankDocument.Name}: nothing is ranked yet", $"nengine ablate rank {plan.Study.Path} --output {folder}");
        }
        var json = StrictJson.Load(path);
        json.RequireSchema(1);
        if (json.RequireString("identity") != identity)
        {
            throw new EngineException(ErrorKind.Usage, $"{path} is of another study: data, seed, units or training have changed since", "rank again");
        }
        string[] names = [.. plan.Units.Select(u => u.Name)];
        var finalists = Read(json.Require("mixtures"), names);
        return new RankedMixtures(finalists, [.. finalists, .. Read(json.Require("left_the_race"), names)]);
    }

    /// <summary>The mixtures of a list of objects with weights, over the units of these names.</summary>
    internal static List<Mixture> Read(StrictJson list, string[] names)
    {
        return [.. list.Items().Select(row =>
        {
            var weights = new double[names.Length];
            foreach (var (name, value) in row.Require("weights").Members())
            {
                int unit = Array.IndexOf(names, name);
                weights[unit >= 0 ? unit : throw value.Bad("is no unit of the study")] = value.AsDouble(0, 1);
            }
            return weights.Any(w => w > 0) ? Mixture.Exactly(weights) : throw row.Bad("has no weight above 0");
        })];
    }
}
