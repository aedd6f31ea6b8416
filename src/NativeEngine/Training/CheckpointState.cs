using NativeEngine.Data;
using NativeEngine.Formats;

namespace NativeEngine.Training;

/// <summary>state.json of a checkpoint: where the run was, and the options it must be continued with.</summary>
internal sealed record CheckpointState(long Step, long OptimizerSteps, SamplerPosition Position, IReadOnlyDictionary<string, string> Options)
{
    /// <summary>The form that is written and read.</summary>
    public const int Schema = 1;

    /// <summary>Reads a file. Errors: BadInput, also for a schema of a newer version.</summary>
    public static CheckpointState Load(string path) => Parse(StrictJson.Load(path));

    /// <summary>Reads the document.</summary>
    public static CheckpointState Parse(StrictJson json)
    {
        json.RequireSchema(Schema);
        return new CheckpointState(
            json.RequireLong("step", 0), json.RequireLong("optimizer_steps", 0), new SamplerPosition(json.RequireInt("epoch", 0), json.RequireInt("offset", 0)),
            json.Require("options").Members().ToDictionary(o => o.Name, o => o.Value.AsString(), StringComparer.Ordinal));
    }

    /// <summary>The document.</summary>
    public byte[] ToJson() => JsonWriting.Document(json =>
    {
        json.WriteNumber("schema", Schema);
        json.WriteNumber("step", Step);
        json.WriteNumber("optimizer_steps", OptimizerSteps);
        json.WriteNumber("epoch", Position.Epoch);
        json.WriteNumber("offset", Position.Offset);
        json.Strings("options", Options.OrderBy(o => o.Key, StringComparer.Ordinal).Select(o => (o.Key, o.Value)));
    });
}
