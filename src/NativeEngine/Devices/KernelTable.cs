namespace NativeEngine.Devices;

/// <summary>Whether a kernel reads an argument, writes it, or both.</summary>
public enum ArgumentRole
{
    /// <summary>Read only.</summary>
    In,
    /// <summary>Overwritten; its old contents must not matter.</summary>
    Out,
    /// <summary>Read and updated.</summary>
    InOut,
}

/// <summary>The extents one run of a kernel is given, by name: m, n, k, rows, ...</summary>
public sealed class KernelSize(params (string Name, long Value)[] dimensions)
{
    /// <summary>The named extents in the order given.</summary>
    public IReadOnlyList<(string Name, long Value)> Dimensions { get; } = dimensions;

    /// <summary>The extent of a name. Errors: a name that is not there.</summary>
    public long this[string name] => Dimensions.First(d => d.Name == name).Value;

    /// <summary>Written as m=8 n=16.</summary>
    public override string ToString() => string.Join(' ', Dimensions.Select(d => $"{d.Name}={d.Value}"));
}

/// <summary>Which arithmetic a kernel's inner loop is made of, and so which peak of the machine bounds it.</summary>
public enum ArithmeticKind
{
    /// <summary>Fused multiply-adds, two operations each.</summary>
    FusedMultiplyAdd,
    /// <summary>A minimum and an addition a term: L1 distances as sum a + sum b - 2 sum min(a, b).</summary>
    MinimumAdd,
    /// <summary>A subtraction and a fused multiply-add a term, three operations: squared differences.</summary>
    SubtractMultiplyAdd,
}

/// <summary>
/// One tensor argument of a kernel: its role, its shape as a function of the size, and typical values (a host array) for tests and
/// benchmarks. Exactly one of the three value functions is set, which also tells the element type.
/// </summary>
public sealed record KernelArgument(string Name, ArgumentRole Role, Func<KernelSize, Shape> Shape)
{
    /// <summary>Typical float32 values.</summary>
    public Func<KernelSize, CounterRandom, float[]>? Floats { get; init; }

    /// <summary>
    /// Where float32 values are independent draws: the value of one index. A profiler fills large arguments with repetitions of a block of them.
    /// </summary>
    public Func<CounterRandom, ulong, float>? Draw { get; init; }

    /// <summary>Typical int32 values.</summary>
    public Func<KernelSize, CounterRandom, int[]>? Ints { get; init; }

    /// <summary>Typical float64 values.</summary>
    public Func<KernelSize, CounterRandom, double[]>? Doubles { get; init; }
}

/// <summary>The device tensors of one run, by argument name.</summary>
public sealed class KernelCall(KernelSize size)
{
    private readonly Dictionary<string, Tensor<float>> _floats = [];
    private readonly Dictionary<string, Tensor<int>> _ints = [];
    private readonly Dictionary<string, Tensor<double>> _doubles = [];

    /// <summary>The extents of this run.</summary>
    public KernelSize Size { get; } = size;

    /// <summary>A float32 argument.</summary>
    public Tensor<float> F(string name) => _floats[name];

    /// <summary>An int32 argument.</summary>
    public Tensor<int> I(string name) => _ints[name];

    /// <summary>A float64 argument.</summary>
    public Tensor<double> D(string name) => _doubles[name];

    /// <summary>Binds an argument.</summary>
    public void Bind(string name, Tensor<float> tensor) => _floats[name] = tensor;

    /// <summary>Binds an argument.</summary>
    public void Bind(string name, Tensor<int> tensor) => _ints[name] = tensor;

    /// <summary>Binds an argument.</summary>
    public void Bind(string name, Tensor<double> tensor) => _doubles[name] = tensor;
}

/// <summary>
/// One row of the kernel table: what a kernel computes, its arguments, how much work a size is, and how to launch it. One kernel may have
/// several rows where its modes differ in cost or code path (matmul's transposes).
/// </summary>
public sealed record KernelRow(
    string Name, string Formula, IReadOnlyList<KernelArgument> Arguments, Action<IKernels, KernelCall> Launch)
{
    /// <summary>Sizes of practical interest, for benchmarks and the profiler.</summary>
    public required IReadOnlyList<KernelSize> BenchmarkSizes { get; init; }

    /// <summary>Small and awkward sizes (1, 2, 31, 32, 33, 443, ...), for tests.</summary>
    public required IReadOnlyList<KernelSize> TestSizes { get; init; }

    /// <summary>Floating-point operations of a run (a fused multiply-add counts two).</summary>
    public required Func<KernelSize, double> Flops { get; init; }

    /// <summary>Bytes a run must at least move: every element that is used, once per direction.</summary>
    public required Func<KernelSize, double> Bytes { get; init; }

    /// <summary>What <see cref="Flops"/> are made of.</summary>
    public ArithmeticKind Arithmetic { get; init; }
}

/// <summary>The one list of kernels. Tests, benchmarks, the profiler and the documentation enumerate it.</summary>
public static partial class KernelTable
{
    /// <summary>Every row, grouped by family.</summary>
    public static IReadOnlyList<KernelRow> All { get; } = [.. MatMulRows(), .. TransformerRows(), .. OptimizerRows(), .. SelectionRows()];
}
