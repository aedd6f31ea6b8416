using NativeEngine.Devices;
using NativeEngine.Formats;
using NativeEngine.Model;

namespace NativeEngine.Ablation;

/// <summary>A unit model trained elsewhere: a model folder of any float type, sharded or not, or MODEL+ADAPTER in PEFT's form.</summary>
internal static class ImportedModel
{
    /// <summary>The hash of its files.</summary>
    public static string Hash(StudyFile study, string reference)
    {
        var (model, adapter) = Locate(study, reference);
        return adapter is null ? UnitKey.HashOfFolder(model) : UnitKey.HashOf(UnitKey.HashOfFolder(model) + UnitKey.HashOfFolder(adapter));
    }

    /// <summary>
    /// Its weights in float32, the adapter merged. Errors: BadInput when its shape is not the study's, naming both.
    /// </summary>
    public static ParameterSet Load(StudyPlan plan, string reference, Device device, CancellationToken cancellation)
    {
        var (model, adapter) = Locate(plan.Study, reference);
        var (config, parameters) = ModelFolder.Load(model, device, cancellation);
        try
        {
            // Token ids of begin and end do not change the weights' layout.
            var own = plan.Config with { BosTokenId = config.BosTokenId, EosTokenId = config.EosTokenId };
            if (config != own)
            {
                throw new EngineException(ErrorKind.BadInput, $"{model}: the imported model has another shape than the study's: {config}, expected {own}",
                    "units can only be averaged with models that branch from the study's seed");
            }
            if (adapter is not null)
            {
                using var lora = AdapterFolder.Load(adapter, config, device, cancellation: cancellation);
                lora.MergeInto(parameters);
            }
            return parameters;
        }
        catch
        {
            parameters.Dispose();
            throw;
        }
    }

    private static (string Model, string? Adapter) Locate(StudyFile study, string reference)
    {
        string whole = study.Locate(reference);
        if (Directory.Exists(whole))
        {
            return (whole, null);
        }
        int plus = reference.IndexOf('+', StringComparison.Ordinal);
        string model = study.Locate(plus > 0 ? reference[..plus] : reference);
        string? adapter = plus > 0 ? study.Locate(reference[(plus + 1)..]) : null;
        foreach (string? folder in new[] { model, adapter })
        {
            if (folder is not null && !Directory.Exists(folder))
            {
                throw FormatErrors.Bad(study.Path, $"the imported model {folder} is no folder here", "import: [{unit: NAME, model: DIR or DIR+ADAPTER}]");
            }
        }
        return (model, adapter);
    }
}
