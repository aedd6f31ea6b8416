namespace NativeEngine.Devices;

// How typical argument values are made: helpers shared by the rows.
public static partial class KernelTable
{
    /// <summary>Standard normal values times scale plus shift.</summary>
    private static KernelArgument Gaussian(string name, ArgumentRole role, Func<KernelSize, Shape> shape, double scale = 1, double shift = 0) =>
        new(name, role, shape)
        {
            Floats = (size, random) =>
            {
                var values = new float[shape(size).Count];
                for (int i = 0; i < values.Length; i++)
                {
                    values[i] = (float)((random.Normal((ulong)i) * scale) + shift);
                }
                return values;
            },
        };

    /// <summary>Uniform values in [low, high).</summary>
    private static KernelArgument Uniform(string name, ArgumentRole role, Func<KernelSize, Shape> shape, double low, double high) =>
        new(name, role, shape)
        {
            Floats = (size, random) =>
            {
                var values = new float[shape(size).Count];
                for (int i = 0; i < values.Length; i++)
                {
                    values[i] = (float)(low + (random.Uniform((ulong)i) * (high - low)));
                }
                return values;
            },
        };

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
