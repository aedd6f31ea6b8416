using System.CommandLine;
using System.Diagnostics;
using NativeEngine.Formats;
using NativeEngine.Model;

namespace NativeEngine.Cli.Verbs;

/// <summary>Samples a continuation of a prompt.</summary>
internal sealed class GenerateVerb : Verb
{
    private readonly Option<string> _model = Opt.RequiredText("--model", "DIR", "The model folder.");
    private readonly Option<string> _prompt = Opt.Text("--prompt", "TEXT", "What to continue; empty starts from the first token alone.", "");
    private readonly Option<bool> _ask = Opt.Flag("--ask", "End the prompt with the line break that training puts between prompt and completion: for models of such data.");
    private readonly Option<int> _maxTokens = Opt.Number("--max-tokens", "N", "Most tokens to add.", 128, min: 0);
    private readonly Option<float> _temperature = Opt.Number("--temperature", "T", "0 takes the most likely token.", 0f, min: 0f);
    private readonly Option<float> _topP = Opt.Number("--top-p", "P", "Draw from the most likely tokens that make up this share.", 1f, min: 1e-6f, max: 1f);
    private readonly Option<string?> _adapter = Opt.MaybeText("--adapter", "DIR", "A LoRA adapter to put on the model.");

    public GenerateVerb()
        : base("generate", "Continues a prompt.", "nengine generate --model runs/first --prompt \"Once upon a time\" --max-tokens 64") =>
        Add("options", _model, _prompt, _ask, _maxTokens, _temperature, _topP, _adapter);

    public override bool OutputIsResult => true;

    public override int Run(VerbContext context)
    {
        using var device = context.OpenDevice();
        using var model = new OpenModel(context.Need(_model), context.Get(_adapter), device, context.Cancellation);
        string prompt = context.Need(_prompt) + (context.Get(_ask) ? "\n" : "");
        var ids = model.Tokenizer.Encode(prompt).Ids;
        if (ids.Length == 0 && model.Tokenizer.BosId is { } bos)
        {
            ids = [bos];
        }
        var options = new GenerationOptions(context.Need(_maxTokens), context.Need(_temperature), context.Need(_topP), context.Seed);
        var tokens = new TextGenerator(model.Model).Generate(ids, options, context.Cancellation);
        if (context.DryRun)
        {
            context.Result.Write(
                text => text.WriteLine($"would add at most {options.MaxTokens} tokens to {ids.Length}"),
                json =>
                {
                    json.WriteNumber("schema", 1);
                    json.WriteBoolean("dry_run", true);
                    json.WriteNumber("prompt_tokens", ids.Length);
                    json.WriteNumber("max_tokens", options.MaxTokens);
                });
            return 0;
        }
        var all = ids.ToList();
        long start = Stopwatch.GetTimestamp();
        string shown = model.Tokenizer.Decode(ids);
        context.Result.WriteText(shown);
        foreach (int token in tokens)
        {
            all.Add(token);
            string text = model.Tokenizer.Decode([.. all]);
            // A token may end inside a character: wait until the text so far is whole.
            if (text.StartsWith(shown, StringComparison.Ordinal) && !text.EndsWith('\uFFFD'))
            {
                context.Result.WriteText(text[shown.Length..]);
                shown = text;
            }
        }
        string whole = model.Tokenizer.Decode([.. all]);
        context.Result.WriteText((whole.StartsWith(shown, StringComparison.Ordinal) ? whole[shown.Length..] : "") + "\n");
        int added = all.Count - ids.Length;
        double seconds = Stopwatch.GetElapsedTime(start).TotalSeconds;
        context.Talk.Info(options.MaxTokens == 0 ? "no token was asked for"
            : added == 0 ? $"no token was added: the model ended the text at once{(context.Get(_ask) ? "" : " (--ask ends the prompt as training does)")}"
            : FormattableString.Invariant($"{added} tokens in {seconds:0.00} s, {added / seconds:0} tokens/s{(added == options.MaxTokens ? "" : all.Count >= model.Config.ContextLength ? $"; the model's context of {model.Config.ContextLength} tokens is full" : "; the model ended the text")}"));
        context.Result.WriteJson(json =>
        {
            json.WriteNumber("schema", 1);
            json.WriteString("prompt", prompt);
            json.WriteString("text", whole);
            json.Numbers("tokens", all);
            json.WriteNumber("prompt_tokens", ids.Length);
        });
        return 0;
    }
}
