using NativeEngine.Devices;
using NativeEngine.Devices.Gpu;

namespace NativeEngine.Profiling;

/// <summary>
/// What a GPU can do at most, measured on it with its own events: bandwidth of reading, filling, copying and updating arrays of growing size, and
/// peaks of arithmetic by kernels that do nothing else (kernels/roofs.cu). Each figure is the best of several samples.
/// </summary>
internal static class GpuRoofs
{
    /// <summary>Terms that one thread of a roof kernel computes in a round.</summary>
    private const int TermsPerRound = 64;

    // Enough for every processor of a large card at full occupancy, a few times over; and for a device that takes long for those already.
    private const int Groups = 4096, FewGroups = 64, Threads = GpuKernels.Threads;

    private const long Smallest = 4 << 20, Largest = 1L << 30;

    /// <summary>Measures in about a second on a card; takes a quarter of what may be used, at most 2 GiB.</summary>
    public static MachineRoofs Measure(GpuDevice device, bool quick, CancellationToken cancellation)
    {
        long room = (Math.Min(device.TotalMemory, device.MemoryLimit) - device.Memory.LiveBytes) / 8;
        long largest = Math.Max(Smallest, Math.Min(quick ? Largest / 16 : Largest, room));
        double length = quick ? 3e-4 : 2e-3;
        int samples = quick ? 5 : 9;
        using var x = device.Allocate<float>(largest / sizeof(float), MemoryUse.Data);
        using var y = device.Allocate<float>(largest / sizeof(float), MemoryUse.Data);
        var points = new List<BandwidthPoint>();
        for (long bytes = Smallest; bytes <= largest; bytes *= 4)
        {
            cancellation.ThrowIfCancellationRequested();
            long n = bytes / sizeof(float);
            var (a, b) = (x.View.Slice(0, n), y.View.Slice(0, n));
            double read = bytes / Best(() => Read(device, a, b));
            double write = bytes / Best(() => device.Kernels.Fill(1, a));
            double copy = 2 * bytes / Best(() => device.Kernels.Copy(a, b));
            double update = Math.Max(3 * bytes / Best(() => device.Kernels.Axpy(0, a, b)), 2 * bytes / Best(() => device.Kernels.Scale(1, a)));
            points.Add(new BandwidthPoint(2 * bytes, read, write, copy, update));
            if (2 * bytes / copy > 20 * length)
            {
                // So long a copy shows all there is.
                break;
            }
        }
        device.Kernels.Fill(1, x.View);
        return new MachineRoofs
        {
            Threads = 1,
            Width = "",
            Device = device.Description,
            Caches = [],
            Bandwidths = points,
            FusedMultiplyAdd = 2 * Terms("roof_fma"),
            MinimumAddTerms = Terms("roof_min_add"),
            SubtractMultiplyAdd = 3 * Terms("roof_sub_fma"),
        };

        double Best(Action launch)
        {
            launch();
            double once = Sample(device, launch, 1);
            int times = (int)Math.Clamp(length / Math.Max(once, 1e-7), 1, 1000);
            double best = double.PositiveInfinity;
            for (int i = 0; i < samples; i++)
            {
                best = Math.Min(best, Sample(device, launch, times));
            }
            return best;
        }

        double Terms(string kernel)
        {
            cancellation.ThrowIfCancellationRequested();
            var function = device.Driver.Function(kernel);
            // Rounds so that a launch is long beside its start: found by doubling, since a card does a thousand times what a CPU does.
            int rounds = 4, groups = FewGroups;
            Launch();
            groups = Sample(device, Launch, 1) < length ? Groups : FewGroups;
            while (rounds < 1 << 14 && Sample(device, Launch, 1) < length)
            {
                rounds *= 2;
            }
            return (double)groups * Threads * TermsPerRound * rounds / Best(Launch);

            void Launch() => Compute(device, function, x.View, groups, rounds);
        }
    }

    private static void Compute(GpuDevice device, GpuFunction function, Tensor<float> x, int groups, int rounds) => device.Driver.Launch(
        function, groups, 1, 1, Threads, [GpuArgument.Buffer(x.Buffer.Handle, 0), GpuArgument.Of(rounds), GpuArgument.Of(1f), GpuArgument.Of(0f)]);

    private static void Read(GpuDevice device, Tensor<float> x, Tensor<float> sums) => device.Driver.Launch(
        device.Driver.Function("roof_read"), Groups, 1, 1, Threads,
        [GpuArgument.Buffer(x.Buffer.Handle, 0), GpuArgument.Of(x.Length), GpuArgument.Buffer(sums.Buffer.Handle, 0)]);

    private static double Sample(GpuDevice device, Action launch, int times)
    {
        int from = device.Mark();
        for (int i = 0; i < times; i++)
        {
            launch();
        }
        double seconds = device.Seconds(from, device.Mark());
        device.ForgetMarks();
        return seconds / times;
    }
}
