using NativeEngine.Model;

namespace NativeEngine.Ablation.Ranking;

/// <summary>
/// Aligning units before they are averaged: a hidden unit of the feed-forward part, a group of query heads with its key and value head, and
/// a query head within its group can be exchanged without changing what a model computes. Each unit model is put in the order in which its
/// weights match the seed's best (sum of inner products, linear assignment, as in Git Re-Basin, Ainsworth et al. 2023); the function of the
/// unit model stays the same. Units that have stayed near the seed are in the right order already.
/// </summary>
public static class UnitAlignment
{
    /// <summary>Permutes a copy of a unit's weights to match the pool's seed; returns hidden units and heads that moved.</summary>
    public static int ToSeed(UnitPool pool, int unit, ParameterSet weights)
    {
        var config = pool.Config;
        int moved = 0;
        for (int l = 0; l < config.Layers; l++)
        {
            moved += FeedForward(pool, unit, weights, l);
            moved += Heads(pool, unit, weights, l);
        }
        return moved;
    }

    private static int FeedForward(UnitPool pool, int unit, ParameterSet weights, int layer)
    {
        int hidden = pool.Config.IntermediateSize, width = pool.Config.HiddenSize;
        string gate = LlamaConfig.Name(layer, "mlp.gate_proj"), up = LlamaConfig.Name(layer, "mlp.up_proj"), down = LlamaConfig.Name(layer, "mlp.down_proj");
        var value = new double[hidden, hidden];
        foreach (string name in (string[])[gate, up])
        {
            AddRows(value, Seed(pool, name), Unit(pool, unit, name), width);
        }
        AddRows(value, Transposed(Seed(pool, down), width, hidden), Transposed(Unit(pool, unit, down), width, hidden), width);
        int[] order = Assignment.Largest(value);
        int moved = Moved(order);
        if (moved > 0)
        {
            PermuteRows(weights, gate, order, width);
            PermuteRows(weights, up, order, width);
            PermuteColumns(weights, down, order, 1);
        }
        return moved;
    }

    private static int Heads(UnitPool pool, int unit, ParameterSet weights, int layer)
    {
        var config = pool.Config;
        int width = config.HiddenSize, size = config.HeadSize, groups = config.KeyValueHeads, each = config.Heads / groups;
        string q = LlamaConfig.Name(layer, "self_attn.q_proj"), k = LlamaConfig.Name(layer, "self_attn.k_proj"), v = LlamaConfig.Name(layer, "self_attn.v_proj"), o = LlamaConfig.Name(layer, "self_attn.o_proj");
        // Value of putting the unit's query head b in the place of the seed's head a.
        var head = new double[config.Heads, config.Heads];
        AddRows(head, Seed(pool, q), Unit(pool, unit, q), size * width);
        AddRows(head, Transposed(Seed(pool, o), width, config.QuerySize), Transposed(Unit(pool, unit, o), width, config.QuerySize), size * width);
        var group = new double[groups, groups];
        AddRows(group, Seed(pool, k), Unit(pool, unit, k), size * width);
        AddRows(group, Seed(pool, v), Unit(pool, unit, v), size * width);
        var within = new int[groups, groups][];
        for (int a = 0; a < groups; a++)
        {
            for (int b = 0; b < groups; b++)
            {
                var part = new double[each, each];
                for (int i = 0; i < each; i++)
                {
                    for (int j = 0; j < each; j++)
                    {
                        part[i, j] = head[(a * each) + i, (b * each) + j];
                    }
                }
                within[a, b] = Assignment.Largest(part);
                for (int i = 0; i < each; i++)
                {
                    group[a, b] += part[i, within[a, b][i]];
                }
            }
        }
        int[] groupOrder = Assignment.Largest(group);
        int[] headOrder = [.. Enumerable.Range(0, config.Heads).Select(h => (groupOrder[h / each] * each) + within[h / each, groupOrder[h / each]][h % each])];
        int moved = Moved(groupOrder) + Moved(headOrder);
        if (moved > 0)
        {
            PermuteRows(weights, q, headOrder, size * width);
            PermuteColumns(weights, o, headOrder, size);
            PermuteRows(weights, k, groupOrder, size * width);
            PermuteRows(weights, v, groupOrder, size * width);
        }
        return moved;
    }

    private static int Moved(int[] order) => order.Where((to, from) => to != from).Count();

    private static float[] Seed(UnitPool pool, string name) => Unit(pool, pool.Count, name);

    private static float[] Unit(UnitPool pool, int unit, string name) => pool.Weights(unit, pool.Layout.Find(name)!).ToArray();

    /// <summary>value[a, b] += inner product of block a of x and block b of y.</summary>
    private static void AddRows(double[,] value, float[] x, float[] y, int block)
    {
        int n = value.GetLength(0);
        Parallel.For(0, n, a =>
        {
            for (int b = 0; b < n; b++)
            {
                double sum = 0;
                ReadOnlySpan<float> left = x.AsSpan(a * block, block), right = y.AsSpan(b * block, block);
                for (int i = 0; i < block; i++)
                {
                    sum += (double)left[i] * right[i];
                }
                value[a, b] += sum;
            }
        });
    }

    private static float[] Transposed(float[] matrix, int rows, int columns)
    {
        var result = new float[matrix.Length];
        for (int r = 0; r < rows; r++)
        {
            for (int c = 0; c < columns; c++)
            {
                result[(c * rows) + r] = matrix[(r * columns) + c];
            }
        }
        return result;
    }

    private static void PermuteRows(ParameterSet weights, string name, int[] order, int block)
    {
        var flat = weights[name].Reshape(weights[name].Length);
        float[] old = weights.Device.Download(flat), values = new float[old.Length];
        for (int a = 0; a < order.Length; a++)
        {
            old.AsSpan(order[a] * block, block).CopyTo(values.AsSpan(a * block, block));
        }
        weights.Device.Upload<float>(values, flat);
    }

    private static void PermuteColumns(ParameterSet weights, string name, int[] order, int block)
    {
        var flat = weights[name].Reshape(weights[name].Length);
        float[] old = weights.Device.Download(flat), values = new float[old.Length];
        int columns = order.Length * block;
        for (int row = 0; row < old.Length; row += columns)
        {
            for (int a = 0; a < order.Length; a++)
            {
                old.AsSpan(row + (order[a] * block), block).CopyTo(values.AsSpan(row + (a * block), block));
            }
        }
        weights.Device.Upload<float>(values, flat);
    }
}
