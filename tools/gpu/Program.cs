using System.Globalization;
using NativeEngine;
using NativeEngine.GpuCheck;

// gpu-check --device cuda|cuda:i|opencl:p.d [--output DIR] [--quick] [--only kernels]
CultureInfo.CurrentCulture = CultureInfo.InvariantCulture;
try
{
    var options = CheckOptions.Parse(args);
    return new Check(options).Run();
}
catch (EngineException error)
{
    Console.Error.WriteLine($"error: {error.Message}");
    if (error.Hint is not null)
    {
        Console.Error.WriteLine($"  hint: {error.Hint}");
    }
    return (int)error.Kind;
}
