using NativeEngine.Formats;

namespace NativeEngine.Tests.Formats;

public class HalfPrecisionTests
{
    private static readonly ushort[] _all = [.. Enumerable.Range(0, 65536).Select(i => (ushort)i)];

    [Fact]
    public void WidenHalf_EveryValue_EqualsTheRuntimesHalf()
    {
        var widened = new float[65536];
        HalfPrecision.WidenHalf(_all, widened);
        for (int i = 0; i < 65536; i++)
        {
            var half = BitConverter.UInt16BitsToHalf((ushort)i);
            if (Half.IsNaN(half))
            {
                Assert.True(float.IsNaN(widened[i]), $"{i:x4}");
            }
            else
            {
                Assert.Equal(BitConverter.SingleToInt32Bits((float)half), BitConverter.SingleToInt32Bits(widened[i]));
            }
        }
    }

    [Fact]
    public void BFloat16_EveryValue_WidensExactlyAndComesBack()
    {
        var widened = new float[65536];
        var back = new ushort[65536];
        HalfPrecision.WidenBFloat16(_all, widened);
        HalfPrecision.NarrowToBFloat16(widened, back);
        for (int i = 0; i < 65536; i++)
        {
            Assert.Equal((uint)i << 16, BitConverter.SingleToUInt32Bits(widened[i]));
            bool isSignallingNaN = float.IsNaN(widened[i]) && (i & 0x40) == 0;
            Assert.Equal(isSignallingNaN ? i | 0x40 : i, back[i]);
        }
    }

    [Theory]
    [InlineData(0x3F808000u, 0x3F80)]
    [InlineData(0x3F808001u, 0x3F81)]
    [InlineData(0x3F818000u, 0x3F82)]
    [InlineData(0x3F807FFFu, 0x3F80)]
    [InlineData(0x00008000u, 0x0000)]
    [InlineData(0x00018000u, 0x0002)]
    [InlineData(0x7F7FFFFFu, 0x7F80)]
    [InlineData(0xFF7FFFFFu, 0xFF80)]
    [InlineData(0x7F800000u, 0x7F80)]
    [InlineData(0x7F800001u, 0x7FC0)]
    [InlineData(0xFFFFFFFFu, 0xFFFF)]
    [InlineData(0x80000000u, 0x8000)]
    public void ToBFloat16_TiesOverflowAndNaN_RoundToNearestEven(uint bits, int expected)
        => Assert.Equal(expected, HalfPrecision.ToBFloat16(BitConverter.UInt32BitsToSingle(bits)));

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(15)]
    [InlineData(16)]
    [InlineData(31)]
    [InlineData(32)]
    [InlineData(33)]
    [InlineData(443)]
    public void NarrowToBFloat16_AnyLength_EqualsNearestInDouble(int count)
    {
        var random = new CounterRandom(5, RandomPurpose.Test);
        float[] source = [.. Enumerable.Range(0, count).Select(i => (float)(random.Normal((ulong)i) * Math.Pow(2, random.Below((ulong)(i + 1000), 200) - 100)))];
        var target = new ushort[count + 1];
        target[count] = 0xBEEF;
        HalfPrecision.NarrowToBFloat16(source, target.AsSpan(0, count));
        Assert.Equal(0xBEEF, target[count]);
        for (int i = 0; i < count; i++)
        {
            Assert.Equal(Nearest(source[i]), target[i]);
        }
    }

    [Fact]
    public void Convert_DifferentLengths_Throws()
        => Assert.Throws<ArgumentException>(() => HalfPrecision.WidenHalf(new ushort[3], new float[4]));

    // The two neighbours compared in double; an even last bit wins a tie.
    private static ushort Nearest(float value)
    {
        uint bits = BitConverter.SingleToUInt32Bits(value);
        ushort below = (ushort)(bits >> 16), above = (ushort)(below + 1);
        double down = Math.Abs((double)value - HalfPrecision.FromBFloat16(below));
        double up = Math.Abs((double)value - HalfPrecision.FromBFloat16(above));
        return down < up || (down == up && below % 2 == 0) ? below : above;
    }
}
