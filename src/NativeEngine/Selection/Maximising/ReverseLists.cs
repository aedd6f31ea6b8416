namespace NativeEngine.Selection;

/// <summary>For every row the rows that have it in their list of neighbours, with the distance: what a pick improves.</summary>
internal sealed class ReverseLists
{
    private readonly long[] _start;
    private readonly int[] _rows;
    private readonly float[] _distances;

    private ReverseLists(long[] start, int[] rows, float[] distances) => (_start, _rows, _distances) = (start, rows, distances);

    /// <summary>Bytes for n lists of t.</summary>
    public static long Bytes(long n, long t) => (n * t * 8) + (n * 8);

    public static ReverseLists Of(NeighbourGraph graph)
    {
        var start = new long[graph.Count + 2];
        foreach (int j in graph.Neighbours)
        {
            start[j + 2]++;
        }
        for (int j = 2; j < start.Length; j++)
        {
            start[j] += start[j - 1];
        }
        var rows = new int[graph.Neighbours.Length];
        var distances = new float[rows.Length];
        for (int i = 0; i < graph.Count; i++)
        {
            for (long e = (long)i * graph.Width; e < ((long)i + 1) * graph.Width; e++)
            {
                long at = start[graph.Neighbours[e] + 1]++;
                (rows[at], distances[at]) = (i, graph.Distances[e]);
            }
        }
        return new ReverseLists(start, rows, distances);
    }

    /// <summary>What row j would gain: itself first, then the rows that know it, in ascending order, in double.</summary>
    public double Gain(int j, float[] current, float[] self)
    {
        double sum = Math.Max(0, (double)current[j] - self[j]);
        for (long e = _start[j]; e < _start[j + 1]; e++)
        {
            sum += Math.Max(0, (double)current[_rows[e]] - _distances[e]);
        }
        return sum;
    }

    /// <summary>Takes row j: every row is as near as its nearest pick.</summary>
    public void Lower(int j, float[] current, float[] self)
    {
        current[j] = Math.Min(current[j], self[j]);
        for (long e = _start[j]; e < _start[j + 1]; e++)
        {
            current[_rows[e]] = Math.Min(current[_rows[e]], _distances[e]);
        }
    }
}
