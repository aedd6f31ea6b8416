using NativeEngine.Tests.Support;

namespace NativeEngine.Tests.Cli;

public sealed class DoctorTests
{
    [Fact]
    public void Doctor_Json_TellsDevicesThreadsMemoryAndTemporary()
    {
        var report = NEngine.Run("doctor", "--json").Expect(0).Json();
        var devices = report.GetProperty("devices").EnumerateArray().ToDictionary(device => device.GetProperty("name").GetString()!);
        Assert.True(devices["cpu"].GetProperty("available").GetBoolean());
        Assert.False(devices["cuda"].GetProperty("available").GetBoolean());
        Assert.True(report.GetProperty("threads").GetProperty("count").GetInt32() >= 1);
        Assert.True(report.GetProperty("memory").GetProperty("total_bytes").GetInt64() > 1 << 20);
        Assert.True(report.GetProperty("temporary").GetProperty("writable").GetBoolean());
    }

    [Fact]
    public void Doctor_Threads_ComeFromOptionThenSlurmThenOpenMp()
    {
        var env = new Dictionary<string, string?> { ["SLURM_CPUS_PER_TASK"] = "3", ["OMP_NUM_THREADS"] = "5,2" };
        Assert.Equal((7, "--threads"), Threads(env, "--threads", "7"));
        Assert.Equal((3, "SLURM_CPUS_PER_TASK"), Threads(env));
        env["SLURM_CPUS_PER_TASK"] = null;
        Assert.Equal((5, "OMP_NUM_THREADS"), Threads(env));
    }

    [Fact]
    public void Doctor_BadThreadVariable_IsPassedOverWithAWarning()
    {
        var env = new Dictionary<string, string?> { ["SLURM_CPUS_PER_TASK"] = "many", ["OMP_NUM_THREADS"] = "2" };
        var result = NEngine.Run(["doctor", "--json"], null, env).Expect(0);
        Assert.Equal("OMP_NUM_THREADS", result.Json().GetProperty("threads").GetProperty("source").GetString());
        Assert.Contains("SLURM_CPUS_PER_TASK='many'", result.StdErr, StringComparison.Ordinal);
    }

    [Fact]
    public void Doctor_ForcedSimd_IsShown()
    {
        var report = NEngine.Run(["doctor", "--json"], null, new Dictionary<string, string?> { ["NENGINE_SIMD"] = "scalar" }).Expect(0).Json();
        Assert.Equal("scalar", report.GetProperty("simd_forced").GetString());
        Assert.Contains("scalar", report.GetProperty("devices")[0].GetProperty("detail").GetString(), StringComparison.Ordinal);
    }

    [Fact]
    public void Doctor_UnknownForcedSimd_IsReportedNotFatal()
    {
        var report = NEngine.Run(["doctor", "--json"], null, new Dictionary<string, string?> { ["NENGINE_SIMD"] = "1024" }).Expect(0).Json();
        Assert.False(report.GetProperty("devices")[0].GetProperty("available").GetBoolean());
    }

    [Fact]
    public void Doctor_UnwritableTemporary_IsReported()
    {
        var env = new Dictionary<string, string?> { ["TMPDIR"] = "/no/such/folder" };
        var temporary = NEngine.Run(["doctor", "--json"], null, env).Expect(0).Json().GetProperty("temporary");
        Assert.Equal(OperatingSystem.IsWindows(), temporary.GetProperty("writable").GetBoolean());
    }

    [Fact]
    public void Doctor_Verbose_SaysWhatAutoChose()
    {
        Assert.Contains("auto chose cpu", NEngine.Run("doctor", "--verbose").Expect(0).StdErr, StringComparison.Ordinal);
        Assert.Empty(NEngine.Run("doctor").Expect(0).StdErr);
    }

    private static (int Count, string Source) Threads(Dictionary<string, string?> env, params string[] args)
    {
        var threads = NEngine.Run(["doctor", "--json", .. args], null, env).Expect(0).Json().GetProperty("threads");
        return (threads.GetProperty("count").GetInt32(), threads.GetProperty("source").GetString()!);
    }
}
