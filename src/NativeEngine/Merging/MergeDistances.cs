using System.Runtime.Intrinsics;
using NativeEngine.Formats;

namespace NativeEngine.Merging;

/// <summary>How far the inputs of one tensor lie from the result and from each other, in Euclidean norms.</summary>
/// <param name="Name">The result's tensor.</param>
/// <param name="Elements">Its elements.</param>
/// <param name="Norm">Norm of the result.</param>
/// <param name="Moved">For every model of <see cref="MergeDistances.Models"/> the norm of (model - result); NaN where the model has no such tensor in the merge.</param>
/// <param name="Products">Inner products of (model i - result) with (model j - result); NaN where one is missing.</param>
public sealed record TensorDistance(string Name, long Elements, double Norm, IReadOnlyList<double> Moved, double[,] Products);

/// <summary>
/// What a merge did to its inputs: for every tensor how far each model lies from the result. Sums are in double in the order of the elements, so
/// they do not depend on threads.
/// </summary>
public sealed record MergeDistances(IReadOnlyList<string> Models, IReadOnlyList<TensorDistance> Tensors)
{
    private const int Piece = 4096;

    /// <summary>Norm of (model - result) over all its tensors, as a share of the norm of the result over the same.</summary>
    public double Moved(int model)
    {
        var both = Tensors.Where(t => double.IsFinite(t.Moved[model])).ToArray();
        return Math.Sqrt(both.Sum(t => t.Moved[model] * t.Moved[model])) / Math.Sqrt(both.Sum(t => t.Norm * t.Norm));
    }

    /// <summary>Norm of (model i - model j) over the tensors that both have, as a share of the norm of the result over the same.</summary>
    public double Between(int i, int j)
    {
        var both = Tensors.Where(t => double.IsFinite(t.Products[i, j])).ToArray();
        return Math.Sqrt(Math.Max(0, both.Sum(t => t.Products[i, i] + t.Products[j, j] - (2 * t.Products[i, j])))) / Math.Sqrt(both.Sum(t => t.Norm * t.Norm));
    }

    /// <summary>Reads the result and every input once. Cost: models squared / 2 products an element.</summary>
    internal static MergeDistances Of(MergePlan plan, string output, int threads, CancellationToken cancellation)
    {
        string[] models = [.. plan.Inputs.Select(input => input.Reference)];
        using var result = SafetensorsModel.Open(output);
        var tensors = plan.Tensors.Where(t => t.Inputs is not null).ToArray();
        var distances = new TensorDistance[tensors.Length];
        Parallel.For(0, tensors.Length, new ParallelOptions { MaxDegreeOfParallelism = threads, CancellationToken = cancellation },
            t => distances[t] = One(tensors[t], models, new FileTensor(result[tensors[t].Spec.Name])));
        return new MergeDistances(models, distances);
    }

    private static TensorDistance One(OutputTensor tensor, string[] models, MergeTensor merged)
    {
        var inputs = tensor.Inputs!;
        MergeTensor[] readers = [.. inputs.Models, .. inputs.Base is null ? [] : new[] { inputs.Base }];
        int[] places = [.. tensor.Sources.Select(s => Array.IndexOf(models, s.Model))];
        int k = readers.Length;
        var products = new double[k, k];
        var (result, values) = (new double[Piece], Enumerable.Range(0, k).Select(_ => new double[Piece]).ToArray());
        double norm = 0;
        for (long first = 0; first < merged.Count; first += Piece)
        {
            int count = (int)Math.Min(Piece, merged.Count - first);
            merged.Read(first, result.AsSpan(0, count));
            for (int m = 0; m < k; m++)
            {
                readers[m].Read(first, values[m].AsSpan(0, count));
                for (int e = 0; e < count; e++)
                {
                    values[m][e] -= result[e];
                }
            }
            norm += Dot(result, result, count);
            for (int i = 0; i < k; i++)
            {
                for (int j = 0; j <= i; j++)
                {
                    products[i, j] += Dot(values[i], values[j], count);
                }
            }
        }
        var all = new double[models.Length, models.Length];
        var moved = new double[models.Length];
        Array.Fill(moved, double.NaN);
        for (int i = 0; i < models.Length; i++)
        {
            for (int j = 0; j < models.Length; j++)
            {
                all[i, j] = double.NaN;
            }
        }
        for (int i = 0; i < k; i++)
        {
            moved[places[i]] = Math.Sqrt(products[i, i]);
            for (int j = 0; j <= i; j++)
            {
                all[places[i], places[j]] = all[places[j], places[i]] = products[i, j];
            }
        }
        return new TensorDistance(tensor.Spec.Name, tensor.Spec.ElementCount, Math.Sqrt(norm), moved, all);
    }

    private static double Dot(double[] a, double[] b, int count)
    {
        // Four sums, in a fixed order whatever the registers.
        var sum = Vector256<double>.Zero;
        int e = 0;
        for (; e + 4 <= count; e += 4)
        {
            sum += Vector256.Create(a.AsSpan(e)) * Vector256.Create(b.AsSpan(e));
        }
        double total = Vector256.Sum(sum);
        for (; e < count; e++)
        {
            total += a[e] * b[e];
        }
        return total;
    }
}
