using System.Text.Json;
using NativeEngine.Devices.Cpu;
using NativeEngine.Model;
using NativeEngine.Tests.Golden;
using NativeEngine.Training;

namespace NativeEngine.Tests.Training;

/// <summary>
/// Losses, gradients and updated parameters against PyTorch's autograd and optimisers. The judge computes in float64; PyTorch's own float32
/// differs from it by up to 1.1e-6 in a loss, 1.2e-6 in a gradient and 2.9e-7 in a parameter (tools/python/golden_training_step.py prints
/// these). The tolerances leave the engine, whose sums run in another order, a few times that.
/// </summary>
public sealed class GoldenTrainingStepTests
{
    // Losses are about 4: 20 units in the last place.
    private const double LossTolerance = 1e-5;

    // Of the tensor's largest gradient (0.1 to 2), because an element is a sum of terms of that size that may cancel.
    private const double GradientTolerance = 5e-6;

    // Parameters are about 1 (one unit in the last place: 1.2e-7) and move by up to 0.02 a step. Where a gradient cancels to about 1e-5, its
    // error of 1e-6 turns Adam's quotient m / sqrt(v) by 1e-5 or so over three steps, so 1e-7 to 1e-6 of parameter.
    private const double ParameterTolerance = 2e-6;

    public static TheoryData<string> Names => ["tied_gqa", "untied_mha", "lora"];

    [Fact]
    public void File_Cases_AreThoseTested() =>
        Assert.Equal(["tied_gqa", "untied_mha", "lora"], TrainingStepCase.All.Select(c => c.GetProperty("name").GetString()!));

    [Theory]
    [InlineData("tied_gqa", false)]
    [InlineData("tied_gqa", true)]
    [InlineData("untied_mha", false)]
    [InlineData("untied_mha", true)]
    [InlineData("lora", false)]
    [InlineData("lora", true)]
    public void LossAndGradient_EveryLossAndTensor_MatchesAutograd(string name, bool checkpoint)
    {
        using var device = new CpuDevice(threads: 2);
        using var golden = new TrainingStepCase(name, device);
        float[] losses = golden.LossAndGradient(checkpoint), expected = GoldenCases.Floats(golden.Json.GetProperty("losses"));
        Assert.Equal(15, expected.Length);
        Close(expected, losses, LossTolerance, "losses");
        ForEachTensor(golden.Json.GetProperty("gradients"), golden.Gradients, (tensor, want, got) =>
        {
            double largest = want.Max(Math.Abs);
            Assert.True(largest > 1e-3, $"{tensor}: the expected gradient is at most {largest}, too small to show anything");
            Close(want, got, GradientTolerance * largest, tensor);
        });
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Step_AdamW_MatchesTorchAfterOneAndThreeSteps(string name)
    {
        using var device = new CpuDevice(threads: 2);
        using var golden = new TrainingStepCase(name, device);
        var options = golden.Json.GetProperty("adamw");
        float[] baseBefore = golden.BaseWeights, before = device.Download(golden.Trained.Flat);
        using var optimizer = Optimizer.Create(golden.Trained, new OptimizerOptions(
            OptimizerKind.AdamW, Number(options, "beta1"), Number(options, "beta2"), Number(options, "eps"), Number(options, "weight_decay")));
        var schedule = Schedule(golden.Json.GetProperty("schedule"));
        double[] norms = GoldenCases.Doubles(options.GetProperty("norms"));
        Assert.Equal(3, norms.Length);
        for (int step = 0; step < norms.Length; step++)
        {
            double norm = golden.Step(optimizer, schedule.At(step), options.GetProperty("max_norm").GetDouble());
            Assert.Equal(norms[step], norm, 2e-5 * norms[step]);
            if (step is 0 or 2)
            {
                var after = options.GetProperty(step == 0 ? "after_1" : "after_3");
                ForEachTensor(after, golden.Trained, (tensor, want, got) => Close(want, got, ParameterTolerance, $"{tensor} after step {step + 1}"));
            }
        }
        Assert.True(before.Zip(device.Download(golden.Trained.Flat), (a, b) => Math.Abs(a - b)).Max() > 0.01, "the parameters hardly moved");
        if (golden.IsAdapter)
        {
            Assert.Equal(baseBefore, golden.BaseWeights);
        }
    }

    [Fact]
    public void Step_AdamW_CasesShowClippingBothActiveAndInactive()
    {
        var clipped = TrainingStepCase.All.Select(c => c.GetProperty("adamw"))
            .SelectMany(a => GoldenCases.Doubles(a.GetProperty("norms")).Select(n => n > a.GetProperty("max_norm").GetDouble())).ToArray();
        Assert.Contains(true, clipped);
        Assert.Contains(false, clipped);
    }

    [Fact]
    public void Step_Sgd_MatchesTorchAfterTwoSteps() => TwoSteps("sgd", OptimizerKind.Sgd, options => new OptimizerOptions(
        OptimizerKind.Sgd, Number(options, "momentum"), WeightDecay: Number(options, "weight_decay")));

    [Fact]
    public void Step_Lion_MatchesTheFormulaAfterTwoSteps() => TwoSteps("lion", OptimizerKind.Lion, options =>
    {
        // A sign is beyond doubt where what it is taken of is well above the gradients' error; the file lists where it is not.
        Assert.Empty(options.GetProperty("doubtful").EnumerateObject());
        return new OptimizerOptions(OptimizerKind.Lion, Number(options, "beta1"), Number(options, "beta2"), WeightDecay: Number(options, "weight_decay"));
    });

    [Theory]
    [MemberData(nameof(Names))]
    public void Schedule_WarmupAndCosine_MatchesEveryRate(string name)
    {
        var json = TrainingStepCase.All.Single(c => c.GetProperty("name").GetString() == name).GetProperty("schedule");
        double[] rates = GoldenCases.Doubles(json.GetProperty("rates"));
        var schedule = Schedule(json);
        Assert.Equal(schedule.Steps, rates.Length);
        Assert.True(rates.Distinct().Count() >= 3);
        for (int step = 0; step < rates.Length; step++)
        {
            Assert.Equal(rates[step], schedule.At(step), 1e-15);
        }
    }

    private static void TwoSteps(string kind, OptimizerKind expected, Func<JsonElement, OptimizerOptions> create)
    {
        using var device = new CpuDevice(threads: 2);
        using var golden = new TrainingStepCase("untied_mha", device);
        var json = golden.Json.GetProperty(kind);
        using var optimizer = Optimizer.Create(golden.Trained, create(json));
        Assert.Equal(expected, optimizer.Options.Kind);
        double[] rates = GoldenCases.Doubles(json.GetProperty("lr"));
        Assert.Equal(2, rates.Length);
        foreach (double rate in rates)
        {
            golden.Step(optimizer, rate, maximumNorm: null);
        }
        ForEachTensor(json.GetProperty("after_2"), golden.Trained, (tensor, want, got) => Close(want, got, ParameterTolerance, tensor));
    }

    private static LearningRateSchedule Schedule(JsonElement json) => new(
        json.GetProperty("peak").GetDouble(), json.GetProperty("steps").GetInt32(), json.GetProperty("warmup").GetInt32(), ScheduleShape.Cosine,
        json.GetProperty("floor").GetDouble());

    private static float Number(JsonElement json, string name) => (float)json.GetProperty(name).GetDouble();

    private static void ForEachTensor(JsonElement expected, ParameterSet set, Action<string, float[], float[]> compare)
    {
        Assert.Equal(set.Layout.Entries.Select(e => e.Name).Order(), expected.EnumerateObject().Select(t => t.Name).Order());
        foreach (var entry in set.Layout.Entries)
        {
            compare(entry.Name, GoldenCases.Floats(expected.GetProperty(entry.Name)), set.Device.Download(set.View(entry)));
        }
    }

    private static void Close(float[] expected, float[] actual, double tolerance, string what)
    {
        Assert.Equal(expected.Length, actual.Length);
        for (int i = 0; i < expected.Length; i++)
        {
            Assert.True(Math.Abs((double)expected[i] - actual[i]) <= tolerance, $"{what}[{i}] is {actual[i]:R}, expected {expected[i]:R} within {tolerance:G3}");
        }
    }
}
