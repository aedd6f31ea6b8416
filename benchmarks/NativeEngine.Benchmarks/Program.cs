using BenchmarkDotNet.Running;
using NativeEngine.Benchmarks.Goals;
using NativeEngine.Benchmarks.Micro;

// goals [options]: this project beside its peers, one table. Anything else: BenchmarkDotNet with its own options (--filter, --list, --job).
return args is ["goals", .. var options]
    ? GoalsCommand.Run(options)
    : BenchmarkSwitcher.FromAssembly(typeof(Program).Assembly).Run(args, new MicroConfig()).All(s => s.Reports.All(r => r.Success)) ? 0 : 1;
