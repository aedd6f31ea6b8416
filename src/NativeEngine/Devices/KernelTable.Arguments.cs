namespace NativeEngine.Devices;

// How typical argument values are made: helpers shared by the rows.
public static partial class KernelTable
{
    /// <summary>Standard normal values times scale plus shift.</summary>
    private static KernelArgument Gaussian(string name, ArgumentRole role, Func<KernelSize, Shape> shape, double scale = 1, double shift = 0) =>
        Drawn(name, role, shape, (random, i) => (float)((random.Normal(i) * scale) + shift));

    /// <summary>Uniform values in [low, high).</summary>
    private static KernelArgument Uniform(string name, ArgumentRole role, Func<KernelSize, Shape> shape, double low, double high) =>
        Drawn(name, role, shape, (random, i) => (float)(low + (random.Uniform(i) * (high - low))));

    /// <summary>Independent draws.</summary>
    private static KernelArgument Drawn(
        string name, ArgumentRole role, Func<KernelSize, Shape> shape, Func<CounterRandom, ulong, float> draw) =>
        new(name, role, shape)
        {
            Draw = draw,
            Floats = (size, random) =>
            {
                var values = new float[shape(size).Count];
                for (int i = 0; i < values.Length; i++)
                {
                    values[i] = draw(random, (ulong)i);
                }
                return values;
            },
        };

    /// <summary>How many different values <paramref name="draws"/> draws with replacement from <paramref name="count"/> have, on average.</summary>
    private static double Distinct(double draws, double count) => count * (1 - Math.Pow(1 - (1 / count), draws));

    /// <summary>Integers in [0, bound(size)), with repeats.</summary>
    private static KernelArgument Indices(string name, Func<KernelSize, Shape> shape, Func<KernelSize, long> bound) =>
        new(name, ArgumentRole.In, shape)
        {
            Ints = (size, random) =>
            {
                var values = new int[shape(size).Count];
                for (int i = 0; i < values.Length; i++)
                {
                    values[i] = (int)random.Below((ulong)i, bound(size));
                }
                return values;
            },
        };

    /// <summary>Segment bounds over count * length rows: uneven lengths, some of them 0 when there are more than two segments.</summary>
    private static KernelArgument Offsets(string name, string count, string length) =>
        new(name, ArgumentRole.In, size => new Shape(size[count] + 1))
        {
            Ints = (size, random) =>
            {
                int segments = (int)size[count], rows = (int)(size[count] * size[length]);
                var cuts = new int[segments + 1];
                for (int i = 1; i < segments; i++)
                {
                    cuts[i] = (int)random.Below((ulong)i, rows + 1);
                }
                cuts[segments] = rows;
                Array.Sort(cuts);
                return cuts;
            },
        };
}
