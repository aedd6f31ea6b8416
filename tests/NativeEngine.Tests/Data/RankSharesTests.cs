using NativeEngine.Data;
using NativeEngine.Tests.Golden;

namespace NativeEngine.Tests.Data;

public class RankSharesTests
{
    public static TheoryData<string> PoolIds => GoldenCases.Ids("pool_order");

    [Theory]
    [MemberData(nameof(PoolIds))]
    public void PoolIndexAndDeal_GoldenCase_MatchesExpected(string id)
    {
        var golden = GoldenCases.Get(id);
        int world = golden.Int("world"), perRank = golden.Int("per_rank");
        var expectedIndex = golden.Expected.GetProperty("pool_index").EnumerateArray().Select(GoldenCases.Ints).ToArray();
        var expectedShares = golden.Expected.GetProperty("slices_round_robin").EnumerateArray().Select(GoldenCases.Ints).ToArray();
        Assert.Equal(world, expectedIndex.Length);
        for (int rank = 0; rank < world; rank++)
        {
            Assert.Equal(expectedIndex[rank], Enumerable.Range(0, perRank).Select(i => RankShares.PoolIndex(rank, perRank, i)));
            Assert.Equal(expectedShares[rank], RankShares.Deal(golden.Ints("selected"), rank, world));
        }
    }

    [Fact]
    public void Deal_RankOutsideTheWorld_Refused()
    {
        Assert.Throws<ArgumentOutOfRangeException>(() => RankShares.Deal([9, 4, 7], 3, 3));
        Assert.Throws<ArgumentOutOfRangeException>(() => RankShares.PoolIndex(0, 4, 4));
    }
}
