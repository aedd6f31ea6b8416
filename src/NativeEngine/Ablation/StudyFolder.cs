using NativeEngine.Formats;
using NativeEngine.Training;

namespace NativeEngine.Ablation;

/// <summary>
/// The output folder of a study: plan.json (the manifest: units, hashes, token counts, keys) and what the other verbs add. A folder belongs to one study;
/// changing what is searched or confirmed is no other study, changing data, seed, units or training is.
/// </summary>
public static class StudyFolder
{
    /// <summary>The manifest's name.</summary>
    public const string PlanName = "plan.json";

    /// <summary>What makes a study: the hash of all its models' keys and of its evaluation documents.</summary>
    public static string Identity(StudyPlan plan, StudyJobs jobs) => UnitKey.HashOf(
        string.Join('\n', jobs.UnitJobs.Select(j => j.Key.Hash).Prepend(jobs.Seed.Hash).Append(ContentHash.Of(plan.Evaluation))));

    /// <summary>
    /// Writes the manifest, or checks the one that is there. Errors: Usage when the folder belongs to another study, and when it holds something else.
    /// </summary>
    public static void Open(string folder, StudyPlan plan, StudyJobs jobs)
    {
        string path = Path.Combine(folder, PlanName), identity = Identity(plan, jobs);
        if (File.Exists(path))
        {
            var manifest = StrictJson.Load(path);
            manifest.RequireSchema(1);
            string there = manifest.RequireString("identity");
            if (there != identity)
            {
                throw new EngineException(ErrorKind.Usage, $"{folder} belongs to another study: its data, seed, units or training differ from {plan.Study.Path}",
                    "choose another --output; trained units are found again in a shared cache:");
            }
            return;
        }
        if (Directory.Exists(folder) && Directory.EnumerateFileSystemEntries(folder).Any(e => Path.GetFileName(e) != "cache" && !TemporaryName.IsTemporary(Path.GetFileName(e))))
        {
            if (File.Exists(path))
            {
                // Another process of the study wrote it between the two looks.
                Open(folder, plan, jobs);
                return;
            }
            throw new EngineException(ErrorKind.Usage, $"the output folder '{folder}' is not empty and has no {PlanName}", "choose another --output");
        }
        Directory.CreateDirectory(folder);
        AtomicFile.WriteAllText(path, Manifest(plan, jobs, identity));
    }

    private static string Manifest(StudyPlan plan, StudyJobs jobs, string identity) => StudyJson.Document(json =>
    {
        json.WriteString("study", Path.GetFileName(plan.Study.Path));
        json.WriteString("identity", identity);
        json.WriteString("seed_key", jobs.Seed.Hash);
        json.WriteNumber("parameters", plan.Config.ParameterCount);
        json.WriteNumber("sequence_length", plan.Study.Units.Length);
        json.Objects("units", plan.Units, unit =>
        {
            json.WriteString("unit", unit.Name);
            json.WriteString("source", unit.Source);
            json.WriteNumber("documents", unit.Documents);
            json.WriteNumber("tokens", unit.Tokens);
            json.WriteNumber("sequences", unit.Sequences);
            json.WriteString("documents_sha256", unit.ContentHash);
            json.WriteString("sequences_sha256", unit.SequenceHash);
            json.WriteString("import", unit.Import);
            json.WriteStartArray("keys");
            for (int s = 0; s < plan.Study.Training.Seeds.Count; s++)
            {
                json.WriteStringValue(jobs.Unit(unit.Index, s).Hash);
            }
            json.WriteEndArray();
        });
        json.Objects("sources", plan.Sources, source =>
        {
            json.WriteString("source", source.Name);
            json.WriteNumber("documents", source.Documents);
            json.WriteNumber("held_out", source.HeldOut);
            json.WriteNumber("seed", source.Seed);
            json.WriteNumber("repeated", source.Repeated);
            json.WriteNumber("in_units", source.Units);
            json.WriteNumber("units", source.UnitCount);
            json.WriteNumber("tokens", source.Tokens);
            json.WriteNumber("evaluation_documents", source.EvaluationDocuments);
            json.WriteNumber("evaluation_tokens", source.EvaluationTokens);
            json.WriteString("note", source.Note);
        });
        json.WriteString("evaluation_sha256", ContentHash.Of(plan.Evaluation));
    });
}
