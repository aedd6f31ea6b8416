namespace NativeEngine.Devices;

/// <summary>The extents of a tensor of rank 0 to 4, row-major: the last extent is contiguous. Extents are 64-bit.</summary>
public readonly record struct Shape
{
    private readonly long _d0, _d1, _d2, _d3;

    /// <summary>A shape from its extents. Errors: more than four extents, a negative extent, a product over 2^63 - 1.</summary>
    public Shape(params ReadOnlySpan<long> extents)
    {
        if (extents.Length > 4)
        {
            throw new ArgumentException($"a shape has at most 4 extents, got {extents.Length}", nameof(extents));
        }
        Rank = extents.Length;
        Count = 1;
        foreach (long extent in extents)
        {
            ArgumentOutOfRangeException.ThrowIfNegative(extent, nameof(extents));
            Count = checked(Count * extent);
        }
        _d0 = extents.Length > 0 ? extents[0] : 1;
        _d1 = extents.Length > 1 ? extents[1] : 1;
        _d2 = extents.Length > 2 ? extents[2] : 1;
        _d3 = extents.Length > 3 ? extents[3] : 1;
    }

    /// <summary>The number of extents.</summary>
    public int Rank { get; }

    /// <summary>The product of the extents: the number of elements.</summary>
    public long Count { get; }

    /// <summary>The extent of an axis; 1 past the rank.</summary>
    public long this[int axis] => axis switch { 0 => _d0, 1 => _d1, 2 => _d2, 3 => _d3, _ => 1 };

    /// <summary>The shape with its first extent replaced.</summary>
    public Shape WithRows(long rows) => Rank switch
    {
        <= 1 => new Shape(rows),
        2 => new Shape(rows, _d1),
        3 => new Shape(rows, _d1, _d2),
        _ => new Shape(rows, _d1, _d2, _d3),
    };

    /// <summary>Written as [2 x 3 x 4].</summary>
    public override string ToString() => Rank switch
    {
        0 => "[]",
        1 => $"[{_d0}]",
        2 => $"[{_d0} x {_d1}]",
        3 => $"[{_d0} x {_d1} x {_d2}]",
        _ => $"[{_d0} x {_d1} x {_d2} x {_d3}]",
    };
}
