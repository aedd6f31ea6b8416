using NativeEngine.Cli;

namespace NativeEngine.Tests.Cli;

public sealed class RanksTests
{
    [Theory]
    [InlineData("OMPI_COMM_WORLD_SIZE", "4", 4)]
    [InlineData("PMI_SIZE", "2", 2)]
    [InlineData("SLURM_STEP_NUM_TASKS", "3", 3)]
    [InlineData("SLURM_STEP_NUM_TASKS", "1", 1)]
    [InlineData("SLURM_NTASKS", "8", 1)]
    [InlineData("PMI_SIZE", "many", 1)]
    public void Started_VariablesOfLaunchers_SayHowManyProcesses(string name, string value, int expected)
    {
        Assert.Equal(expected, Ranks.Started(n => n == name ? value : null, out string variable));
        Assert.Equal(expected > 1 ? name : "", variable);
    }
}
