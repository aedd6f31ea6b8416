namespace NativeEngine;

/// <summary>Arrays that are kept from one use to the next and grow when they must.</summary>
internal static class GrownArray
{
    /// <summary>The first count elements, with whatever they hold; an array that is too short is replaced by one at least half as large again.</summary>
    public static Span<T> Of<T>(ref T[] array, int count)
    {
        if (array.Length < count)
        {
            array = new T[Math.Max(count, array.Length * 3 / 2)];
        }
        return array.AsSpan(0, count);
    }
}
