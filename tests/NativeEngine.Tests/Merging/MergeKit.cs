using NativeEngine.Devices.Cpu;
using NativeEngine.Merging;

namespace NativeEngine.Tests.Merging;

/// <summary>Runs merge methods on arrays: one tensor, in memory.</summary>
internal sealed class MergeKit : IDisposable
{
    private readonly ThreadTeam _team;

    public MergeKit(int threads = 2)
    {
        _team = new ThreadTeam(threads);
        Scan = new TensorScan(_team);
    }

    public TensorScan Scan { get; }

    public void Dispose() => _team.Dispose();

    /// <summary>
    /// The merged tensor. Parameters that are not given have their defaults; an array gives one value per model. Pieces of the given length
    /// (rounded up to whole rows where a method asks for them).
    /// </summary>
    public double[] Merge(
        string method, double[][] models, double[]? @base = null, (string Name, object Value)[]? parameters = null, long[]? shape = null, int piece = 7,
        string name = "w", ulong seed = 1) =>
        Merge(MergeMethods.Find(method)!, models, @base, parameters, shape, piece, name, seed);

    /// <inheritdoc cref="Merge(string, double[][], double[], ValueTuple{string, object}[], long[], int, string, ulong)"/>
    public double[] Merge(
        MergeMethod method, double[][] models, double[]? @base = null, (string Name, object Value)[]? parameters = null, long[]? shape = null, int piece = 7,
        string name = "w", ulong seed = 1)
    {
        shape ??= [models[0].Length];
        var inputs = new TensorInputs(
            name, [.. models.Select(m => new ArrayTensor(m, shape))], @base is null ? null : new ArrayTensor(@base, shape),
            Values(method, models.Length, parameters ?? []), seed);
        Assert.Null(method.Refuse(inputs.Values, models.Length, inputs.Count));
        var merge = method.Prepare(inputs, Scan);
        var result = new double[inputs.Count];
        Array.Fill(result, double.NaN);
        int step = (int)Math.Max(merge.Grain, (piece + merge.Grain - 1) / merge.Grain * merge.Grain);
        var scratch = new MergeScratch();
        for (int start = 0; start < result.Length; start += step)
        {
            merge.Combine(start, result.AsSpan(start, Math.Min(step, result.Length - start)), scratch);
        }
        return result;
    }

    public static ParameterValues Values(MergeMethod method, int models, params (string Name, object Value)[] parameters)
    {
        var given = parameters.ToDictionary(p => p.Name, p => p.Value);
        Assert.All(given.Keys, key => Assert.Contains(method.Parameters, p => p.Name == key));
        double Of(MergeParameter p, int model) => given.GetValueOrDefault(p.Name) switch
        {
            double[] list => list[model],
            double value => value,
            int value => value,
            bool value => value ? 1 : 0,
            _ => p.Default,
        };
        return new ParameterValues(
            method.Parameters.Where(p => !p.PerModel).ToDictionary(p => p.Name, p => Of(p, 0)),
            [.. Enumerable.Range(0, models).Select(i => method.Parameters.Where(p => p.PerModel).ToDictionary(p => p.Name, p => Of(p, i)))]);
    }

    /// <summary>Standard normal values.</summary>
    public static double[] Normal(uint stream, int count)
    {
        var random = new CounterRandom(11, RandomPurpose.Test, stream);
        return [.. Enumerable.Range(0, count).Select(i => random.Normal((ulong)i))];
    }
}
