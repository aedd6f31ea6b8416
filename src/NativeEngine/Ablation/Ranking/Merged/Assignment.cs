namespace NativeEngine.Ablation.Ranking;

/// <summary>The linear assignment problem: shortest augmenting paths with potentials (Jonker and Volgenant 1987), n^3 at most.</summary>
public static class Assignment
{
    /// <summary>
    /// For each row the column it is matched with, all different, so that the sum of values [n, n] is largest. With values that are tied the
    /// identity is kept where it is as good.
    /// </summary>
    public static int[] Largest(double[,] value)
    {
        int n = value.GetLength(0);
        double[] rowPotential = new double[n + 1], columnPotential = new double[n + 1];
        int[] rowOf = new int[n + 1], way = new int[n + 1];
        for (int row = 1; row <= n; row++)
        {
            rowOf[0] = row;
            int column = 0;
            double[] least = new double[n + 1];
            Array.Fill(least, double.PositiveInfinity);
            bool[] used = new bool[n + 1];
            do
            {
                used[column] = true;
                int at = rowOf[column], next = 0;
                double step = double.PositiveInfinity;
                for (int c = 1; c <= n; c++)
                {
                    if (used[c])
                    {
                        continue;
                    }
                    double cost = -value[at - 1, c - 1] - rowPotential[at] - columnPotential[c];
                    if (cost < least[c])
                    {
                        (least[c], way[c]) = (cost, column);
                    }
                    // Among equals prefer the row's own column.
                    if (least[c] < step || (least[c] == step && c == row))
                    {
                        (step, next) = (least[c], c);
                    }
                }
                for (int c = 0; c <= n; c++)
                {
                    if (used[c])
                    {
                        rowPotential[rowOf[c]] += step;
                        columnPotential[c] -= step;
                    }
                    else
                    {
                        least[c] -= step;
                    }
                }
                column = next;
            }
            while (rowOf[column] != 0);
            while (column != 0)
            {
                int before = way[column];
                rowOf[column] = rowOf[before];
                column = before;
            }
        }
        var match = new int[n];
        for (int c = 1; c <= n; c++)
        {
            match[rowOf[c] - 1] = c - 1;
        }
        return match;
    }
}
