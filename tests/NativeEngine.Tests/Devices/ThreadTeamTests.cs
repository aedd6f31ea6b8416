using NativeEngine.Devices.Cpu;

namespace NativeEngine.Tests.Devices;

public class ThreadTeamTests
{
    [Theory]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(16)]
    public void For_ManyJobs_RunsEveryIndexOnce(int size)
    {
        var random = new Random(7);
        int[] seen = new int[64];
        using var team = new ThreadTeam(size);
        for (int job = 1; job <= 4000; job++)
        {
            int count = random.Next(2, seen.Length);
            team.For(new CountJob(seen, random.Next(40)), count, 1 + random.Next(3));
            Assert.True(seen.Take(count).All(n => n == 1) && seen.Skip(count).All(n => n == 0), $"job {job} of {count}: {string.Join(' ', seen)}");
            Array.Clear(seen);
            // Between jobs the threads spin, give way, or have gone to sleep.
            if (job % 500 == 0)
            {
                Thread.Sleep(random.Next(30));
            }
            Thread.SpinWait(random.Next(200));
        }
    }

    [Fact]
    public void For_JobThatThrows_TellsAndServesTheNext()
    {
        int[] seen = new int[100];
        using var team = new ThreadTeam(4);
        for (int round = 0; round < 200; round++)
        {
            Assert.Equal("index 17", Assert.Throws<InvalidOperationException>(() => team.For(new ThrowingJob(17), 1000, 1)).Message);
            team.For(new CountJob(seen, 0), seen.Length, 1);
            Assert.All(seen, n => Assert.Equal(round + 1, n));
        }
    }

    [Fact]
    public void Dispose_ThreadsAtAnyPlace_EndsThem()
    {
        for (int i = 0; i < 60; i++)
        {
            var team = new ThreadTeam(5);
            if (i % 3 != 0)
            {
                team.For(new CountJob(new int[10], 0), 10, 1);
            }
            Thread.Sleep(i % 2 * 5);
            team.Dispose();
        }
    }

    private readonly struct CountJob(int[] seen, int pause) : IRangeJob
    {
        public void Run(long first, long last, int worker)
        {
            for (long i = first; i < last; i++)
            {
                Interlocked.Increment(ref seen[i]);
                Thread.SpinWait(pause);
            }
        }
    }

    private readonly struct ThrowingJob(long at) : IRangeJob
    {
        public void Run(long first, long last, int worker)
        {
            if (first <= at && at < last)
            {
                throw new InvalidOperationException($"index {at}");
            }
        }
    }
}
