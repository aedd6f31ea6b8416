namespace NativeEngine.Selection;

/// <summary>What a selection needs, before it starts.</summary>
public static class SelectionMemory
{
    /// <summary>
    /// Device bytes at the peak: the features, their normalised copy, and for the largest source that competes its gathered columns, its n x n
    /// similarities and a few vectors.
    /// </summary>
    /// <param name="plan">The plan.</param>
    /// <param name="dimension">Elements of a feature.</param>
    /// <param name="normalized">Whether a normaliser with a history is used.</param>
    public static long PeakBytes(SelectionPlan plan, long dimension, bool normalized)
    {
        long features = plan.Candidates.Count * dimension * sizeof(float);
        long columns = plan.Options.Top == 0 ? dimension : Math.Min(plan.Options.Top, dimension);
        long largest = 0;
        bool greedy = false;
        foreach (var group in plan.Groups.Where(g => !g.Kept && g.Budget > 0 && g.Budget < g.Members.Count))
        {
            long n = group.Members.Count;
            bool inPlace = columns == dimension && n == plan.Candidates.Count;
            largest = Math.Max(largest, (n * n * sizeof(float)) + (inPlace ? 0 : n * columns * sizeof(float)) + (n * 32));
            greedy = true;
        }
        long history = normalized ? 2 * dimension * sizeof(float) : 0;
        return features + (normalized && greedy ? features : 0) + history + largest;
    }
}
