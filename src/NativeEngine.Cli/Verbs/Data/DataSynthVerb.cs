using System.CommandLine;
using NativeEngine.Data;
using NativeEngine.Formats;

namespace NativeEngine.Cli.Verbs;

/// <summary>Writes the built-in imbalanced mixture.</summary>
internal sealed class DataSynthVerb : Verb
{
    private readonly Option<int> _count = Opt.Number("--count", "N", "Examples for training.", 12_000, min: 8);
    private readonly Option<string?> _valid = Opt.MaybeText("--valid", "V.jsonl", "Also write a held-out file that shares no prompt.");
    private readonly Option<int?> _validCount = Opt.MaybeNumber<int>("--valid-count", "N", "Examples in the held-out file; a tenth of --count if left out.", min: 8);

    public DataSynthVerb()
        : base("synth", "Writes the built-in mixture: eight sources of different size and difficulty.",
            "nengine data synth --count 12000 --output train.jsonl --valid valid.jsonl") => Add("options", _count, _valid, _validCount);

    public override string? Table => "sources";

    public override int Run(VerbContext context)
    {
        int count = context.Need(_count);
        string train = OutputFile.Check(context.NeedOutput());
        string? valid = context.Get(_valid) is { } path ? OutputFile.Check(path) : null;
        OutputFile.RequireApart("--output", train, "--valid", valid);
        int validCount = valid is null ? 0 : context.Get(_validCount) ?? Math.Max(MixtureSynthesizer.Sources.Count, count / 10);
        if (valid == train)
        {
            throw new EngineException(ErrorKind.Usage, $"--output and --valid are the same file '{train}'", "give two names");
        }
        if (!context.DryRun)
        {
            JsonlWriter.Write(train, MixtureSynthesizer.Generate(count, context.Seed, SynthesisSplit.Train, context.Cancellation));
            if (valid is not null)
            {
                JsonlWriter.Write(valid, MixtureSynthesizer.Generate(validCount, context.Seed, SynthesisSplit.Valid, context.Cancellation));
            }
        }
        int[] sizes = MixtureSynthesizer.Sizes(count);
        context.Result.Write(
            text =>
            {
                for (int s = 0; s < sizes.Length; s++)
                {
                    var source = MixtureSynthesizer.Sources[s];
                    text.WriteLine(FormattableString.Invariant($"{source.Name,-10} {sizes[s],9}  {source.Description}"));
                }
                text.WriteLine(FormattableString.Invariant($"{"train",-10} {count,9}  {train}"));
                if (valid is not null)
                {
                    text.WriteLine(FormattableString.Invariant($"{"valid",-10} {validCount,9}  {valid}"));
                }
            },
            json =>
            {
                json.WriteNumber("schema", 1);
                json.WriteNumber("examples", count);
                json.WriteNumber("valid_examples", validCount);
                json.WriteString("output", train);
                json.WriteString("valid", valid);
                json.Objects("sources", Enumerable.Range(0, sizes.Length), s =>
                {
                    json.WriteString("source", MixtureSynthesizer.Sources[s].Name);
                    json.WriteNumber("examples", sizes[s]);
                });
            });
        return 0;
    }
}
