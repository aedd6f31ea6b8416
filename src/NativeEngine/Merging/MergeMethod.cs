using NativeEngine.Formats;

namespace NativeEngine.Merging;

/// <summary>What a method does with base_model.</summary>
public enum BaseRule
{
    /// <summary>It is only where the configuration and the tokenizer come from; listed among the models it is one of them.</summary>
    Ignored,
    /// <summary>Used when given, and then not one of the models.</summary>
    Optional,
    /// <summary>Needed, and not one of the models.</summary>
    Required,
}

/// <summary>One parameter of a method, as recipes name it.</summary>
/// <param name="Name">The key.</param>
/// <param name="Default">Its value where a recipe says nothing; NaN when it must be given.</param>
/// <param name="PerModel">Whether each model may have its own.</param>
/// <param name="Meaning">A phrase for people, with the range.</param>
/// <param name="Min">The smallest allowed value.</param>
/// <param name="Max">The largest allowed value.</param>
public sealed record MergeParameter(
    string Name, double Default, bool PerModel, string Meaning, double Min = double.NegativeInfinity, double Max = double.PositiveInfinity)
{
    /// <summary>Words that may stand for numbers: true, false and the like; empty for a plain number.</summary>
    public IReadOnlyDictionary<string, double> Words { get; init; } = new Dictionary<string, double>();

    internal static MergeParameter Weight { get; } = new("weight", double.NaN, true, "relative weight, any number");

    internal static MergeParameter Flag(string name, bool value, string meaning) => new(name, value ? 1 : 0, false, meaning, 0, 1)
    {
        Words = new Dictionary<string, double> { ["false"] = 0, ["true"] = 1 },
    };
}

/// <summary>The values of a method's parameters for one tensor: one each, and one for every model where a parameter is per model.</summary>
internal sealed class ParameterValues(IReadOnlyDictionary<string, double> shared, IReadOnlyList<IReadOnlyDictionary<string, double>> perModel, IReadOnlyList<int>? places = null)
{
    public double this[string name] => shared[name];

    public double this[string name, int model] => perModel[model][name];

    public bool Flag(string name) => shared[name] != 0;

    /// <summary>The model's place in the recipe: what its random numbers are keyed by, whichever models take part in a tensor.</summary>
    public int Place(int model) => places?[model] ?? model;

    /// <summary>The weights in the order of the models.</summary>
    public double[] Weights() => [.. perModel.Select(values => values["weight"])];
}

/// <summary>Everything a method needs to merge one tensor. All tensors have the same shape.</summary>
internal sealed record TensorInputs(string Name, IReadOnlyList<MergeTensor> Models, MergeTensor? Base, ParameterValues Values, ulong Seed)
{
    public MergeTensor First => Models[0];

    public long Count => First.Count;

    /// <summary>Makes a range of every input ready to be read.</summary>
    public void Bring(long start, long count)
    {
        foreach (var model in Models)
        {
            model.Bring(start, count);
        }
        Base?.Bring(start, count);
    }

    /// <summary>A range of the inputs is not needed for now.</summary>
    public void Forget(long start, long count)
    {
        foreach (var model in Models)
        {
            model.Forget(start, count);
        }
        Base?.Forget(start, count);
    }

    /// <summary>Reads one model's elements, less the base's where there is a base.</summary>
    public void ReadDelta(int model, long start, Span<double> target, Span<double> scratch)
    {
        Models[model].Read(start, target);
        if (Base is not null)
        {
            Base.Read(start, scratch);
            for (int i = 0; i < target.Length; i++)
            {
                target[i] -= scratch[i];
            }
        }
    }
}

/// <summary>
/// A merge method: a formula over K tensors of one shape, everything in double. Preparing a tensor may read it several times (norms,
/// ranks); the answer gives any range of the result, from several threads at once, and a range's values do not depend on the cut.
/// </summary>
internal abstract class MergeMethod
{
    /// <summary>The name in recipes (merge_method).</summary>
    public abstract string Name { get; }

    /// <summary>The formula in one line.</summary>
    public abstract string Formula { get; }

    /// <summary>What base_model is to this method.</summary>
    public virtual BaseRule Base => BaseRule.Ignored;

    /// <summary>The fewest and the most models, the base not counted unless <see cref="BaseRule.Ignored"/>.</summary>
    public virtual (int Min, int Max) Models => (1, int.MaxValue);

    /// <summary>The parameters it knows; others are refused.</summary>
    public virtual IReadOnlyList<MergeParameter> Parameters => [MergeParameter.Weight];

    /// <summary>Whether a model of weight 0 contributes nothing, so that it need not be opened.</summary>
    public virtual bool SkipsZeroWeight => false;

    /// <summary>A sentence when these values cannot be merged with, for a tensor of this many elements; null when they can.</summary>
    public virtual string? Refuse(ParameterValues values, int models, long count) => null;

    /// <summary>Whether it looks at whole tensors (norms, ranks) before it merges them.</summary>
    public virtual bool Scans => true;

    /// <summary>Whether, with some parameters, it holds a whole row of each model in memory.</summary>
    public virtual bool HoldsRows => false;

    /// <summary>Makes ready to merge one tensor.</summary>
    public abstract TensorMerge Prepare(TensorInputs inputs, TensorScan scan);
}

/// <summary>One tensor, ready to be merged in any pieces.</summary>
internal abstract class TensorMerge
{
    /// <summary>Elements merged at a time: a piece of every input and of the result stay in the first caches.</summary>
    public const int Piece = 1 << 11;

    /// <summary>Pieces begin at multiples of this, and end there or at the end of the tensor.</summary>
    public virtual long Grain => 1;

    /// <summary>The merged elements [start, start + output.Length).</summary>
    public abstract void Combine(long start, Span<double> output, MergeScratch scratch);

    /// <summary>
    /// The merged elements from a multiple of <see cref="Grain"/> on, rounded once to a type; the target has the bytes of exactly so many.
    /// Returns the place of the first that is not finite, or -1.
    /// </summary>
    public virtual int Store(long start, int count, DType type, Span<byte> target, MergeScratch scratch)
    {
        int size = type.Bits() / 8, step = (int)Math.Max(Grain, Piece / Grain * Grain), bad = -1;
        for (int at = 0; at < count; at += step)
        {
            var values = scratch.Doubles(8, Math.Min(step, count - at));
            Combine(start + at, values, scratch);
            int here = OutputRounding.Store(values, type, target.Slice(at * size, values.Length * size));
            bad = bad < 0 && here >= 0 ? at + here : bad;
        }
        return bad;
    }
}

/// <summary>A merge that is one weighted sum: sum over k of c[k] x[k], then the base times its own factor when that is not 0, over the divisor.</summary>
internal sealed class WeightedTensorMerge(TensorInputs inputs, double[] coefficients, double baseCoefficient = 0, double divisor = 1) : TensorMerge
{
    // Their addresses lie on the stack.
    private const int MostStreamed = 1 << 10;

    private readonly MergeTensor[] _terms = baseCoefficient == 0 ? [.. inputs.Models] : [.. inputs.Models, inputs.Base!];
    private readonly double[] _weights = baseCoefficient == 0 ? coefficients : [.. coefficients, baseCoefficient];
    private readonly bool _streams = inputs.Models.Count < MostStreamed && inputs.Models.All(term => term.IsStored) && (baseCoefficient == 0 || inputs.Base!.IsStored);

    public IReadOnlyList<MergeTensor> Terms => _terms;

    public IReadOnlyList<double> Weights => _weights;

    public double Divisor => divisor;

    public override void Combine(long start, Span<double> output, MergeScratch scratch)
    {
        output.Clear();
        for (int k = 0; k < _terms.Length; k++)
        {
            _terms[k].AddScaled(_weights[k], start, output);
        }
        StreamedSum.Divide(output, divisor);
    }

    /// <summary>Sums the inputs from where they lie to the result, where they are stored as F32 or BF16.</summary>
    public override int Store(long start, int count, DType type, Span<byte> target, MergeScratch scratch)
    {
        if (!_streams)
        {
            return base.Store(start, count, type, target, scratch);
        }
        int size = type.Bits() / 8, bad = -1;
        var sums = scratch.Doubles(8, Piece);
        Span<StoredElements> stored = stackalloc StoredElements[_terms.Length];
        for (int k = 0; k < stored.Length; k++)
        {
            stored[k] = _terms[k].Stored(start, count);
        }
        for (int at = 0; at < count; at += Piece)
        {
            int n = Math.Min(Piece, count - at);
            int here = StreamedSum.Store(stored, at, _weights, divisor, type, target.Slice(at * size, n * size), sums);
            bad = bad < 0 && here >= 0 ? at + here : bad;
        }
        return bad;
    }
}
