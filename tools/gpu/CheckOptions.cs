namespace NativeEngine.GpuCheck;

/// <summary>What the check is asked for.</summary>
/// <param name="Device">cuda, cuda:i, opencl or opencl:p.d.</param>
/// <param name="Output">The folder that receives a folder named after the card; null for benchmarks/results.</param>
/// <param name="Quick">Small sizes: proves the way, measures nothing worth keeping.</param>
/// <param name="KernelsOnly">Only the kernels: what compute-sanitizer runs.</param>
internal sealed record CheckOptions(string Device, string Output, bool Quick, bool KernelsOnly)
{
    private const string Usage = "gpu-check [--device cuda|cuda:I|opencl:P.D] [--output DIR] [--quick] [--only kernels]";

    public static CheckOptions Parse(string[] args)
    {
        var options = new CheckOptions("cuda", Path.Combine("benchmarks", "results"), false, false);
        for (int i = 0; i < args.Length; i++)
        {
            options = args[i] switch
            {
                "--device" when i + 1 < args.Length => options with { Device = args[++i] },
                "--output" when i + 1 < args.Length => options with { Output = args[++i] },
                "--quick" => options with { Quick = true },
                "--only" when i + 1 < args.Length && args[i + 1] == "kernels" => options with { KernelsOnly = ++i > 0 },
                _ => throw new EngineException(ErrorKind.Usage, $"'{args[i]}' is not understood or lacks its value", Usage),
            };
        }
        return options;
    }
}
