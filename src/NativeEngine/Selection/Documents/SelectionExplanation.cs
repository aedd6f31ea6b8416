using NativeEngine.Devices;

namespace NativeEngine.Selection;

/// <summary>What became of an example.</summary>
public enum ExampleFate
{
    /// <summary>Excluded before the selection.</summary>
    Dropped,
    /// <summary>Of a kept source, and trained.</summary>
    Kept,
    /// <summary>Of a kept source that exceeded the budget, and not trained.</summary>
    KeptSourceOverflow,
    /// <summary>Its source got as large a quota as it has candidates.</summary>
    TakenWhole,
    /// <summary>Its source got no quota.</summary>
    NoQuota,
    /// <summary>Picked by the greedy.</summary>
    Picked,
    /// <summary>A candidate that lost.</summary>
    Represented,
}

/// <summary>
/// Why an example was selected or was not, in distances d (for cosine the negative similarity) recomputed in double. Change is the exact change of
/// the objective of its source if the last pick were this example instead, or, for a pick, if it were left out.
/// </summary>
/// <param name="Index">The example.</param>
/// <param name="Fate">What became of it.</param>
/// <param name="Source">Its source; null when dropped.</param>
/// <param name="Reason">The reason it was dropped; else null.</param>
/// <param name="Owner">Who represents it; -1 where no one does.</param>
/// <param name="Distance">Distance to the owner.</param>
/// <param name="Place">Its place among the picks of its source, from 0; -1 where it has none.</param>
/// <param name="Represents">Examples it represents, itself included.</param>
/// <param name="Rival">The last pick of its source, which won when this example lost for the last time; -1 for others.</param>
/// <param name="Gain">Its gain when the rival was picked; for a pick the gain it had. Null where it is not defined.</param>
/// <param name="RivalGain">The rival's gain at that time.</param>
/// <param name="Change">Change of the objective, never above 0 when the greedy was exact and the example was represented.</param>
public sealed record SelectionExplanation(
    int Index, ExampleFate Fate, string? Source, string? Reason, int Owner, double Distance, int Place, int Represents, int Rival, double? Gain,
    double? RivalGain, double Change)
{
    /// <summary>
    /// Explains one example. Cost: two rows of distances, and the distances of the examples its rival (or itself) represents to all other picks.
    /// Errors: Usage for an index outside the pool; BadInput for features of another shape and for lists that do not fit together.
    /// </summary>
    /// <param name="document">The selection, taken at its word (<see cref="SelectionVerifier"/> checks it).</param>
    /// <param name="index">The example.</param>
    /// <param name="features">All features [n, dim] on a device; normalised in place when Adam was used.</param>
    /// <param name="normalizer">Adam's history as it was before the selection, or no normaliser.</param>
    public static SelectionExplanation Of(SelectionDocument document, int index, Tensor<float> features, IGradientNormalizer normalizer)
    {
        if (index < 0 || index >= document.N)
        {
            throw new EngineException(ErrorKind.Usage, $"the selection has no example {index}", $"give an index from 0 to {document.N - 1}");
        }
        if (features.Rows != document.N || features.RowLength != document.Dimension)
        {
            throw new EngineException(ErrorKind.BadInput, $"the selection is of {document.N} x {document.Dimension} features, these are {features.Shape}", "name the features that the selection was made from");
        }
        SelectionBookkeeping.Require(document);
        int group = document.Groups[index];
        if (group < 0)
        {
            string reason = document.Dropped.First(d => d.Index == index).Reason;
            return new(index, ExampleFate.Dropped, null, reason, -1, 0, -1, 0, -1, null, null, 0);
        }
        var source = document.Sources[group];
        int place = document.Indices.TakeWhile(i => i != index).Count(i => document.Groups[i] == group);
        bool selected = document.Indices.Contains(index);
        if (source.Kept || source.Selected == 0 || source.Selected == source.Size)
        {
            var fate = source.Kept ? (selected ? ExampleFate.Kept : ExampleFate.KeptSourceOverflow) : selected ? ExampleFate.TakenWhole : ExampleFate.NoQuota;
            return new(index, fate, source.Source, null, selected ? index : -1, 0, selected ? place : -1, selected ? 1 : 0, -1, null, null, 0);
        }
        if (!normalizer.IsIdentity)
        {
            normalizer.Normalize(features, document.Step, features);
        }
        return new Counterfactual(document, index, group, features).Explain(selected ? place : -1);
    }

    /// <summary>The source's picks without one of them, and what every example then has.</summary>
    private sealed class Counterfactual
    {
        private readonly SelectionDocument _document;
        private readonly int _index, _place, _out;
        private readonly int[] _members, _picks;
        private readonly VerifiedRows _rows;
        private readonly double _none;

        public Counterfactual(SelectionDocument document, int index, int group, Tensor<float> features)
        {
            (_document, _index) = (document, index);
            _members = [.. Enumerable.Range(0, document.N).Where(i => document.Groups[i] == group)];
            _picks = [.. document.Indices.Where(i => document.Groups[i] == group).Select(Row)];
            _rows = VerifiedRows.Of(document, features, _members);
            _place = Array.IndexOf(_picks, Row(index));
            _out = _place >= 0 ? _place : _picks.Length - 1;
            // A cosine below 0 counts as 0; distances never exceed C.
            _none = document.Metric == DistanceMetric.Cosine ? 0 : double.PositiveInfinity;
        }

        public SelectionExplanation Explain(int place)
        {
            int self = Row(_index), removed = _picks[_out], represents = 0;
            double change = 0, gain = 0, removedGain = 0;
            for (int r = 0; r < _members.Length; r++)
            {
                int owner = Row(_document.Owners[_members[r]]);
                double now = Math.Min(_none, _rows.Value(r, owner)), without = owner == removed ? Second(r) : now;
                double instead = place >= 0 ? without : Math.Min(without, _rows.Value(r, self));
                change += now - instead;
                gain += without - instead;
                removedGain += without - Math.Min(without, _rows.Value(r, removed));
                represents += owner == self ? 1 : 0;
            }
            int own = _document.Owners[_index];
            string source = _document.Sources[_document.Groups[_index]].Source;
            double distance = _rows.Value(self, Row(own));
            return place >= 0
                ? new(_index, ExampleFate.Picked, source, null, own, distance, place, represents, -1, GainOf(_index), null, change)
                : new(_index, ExampleFate.Represented, source, null, own, distance, -1, 0, _members[removed], Finite(gain), Finite(removedGain), change);
        }

        private static double? Finite(double value) => double.IsFinite(value) ? value : null;

        private double? GainOf(int index) => _document.Gains[_document.Indices.TakeWhile(i => i != index).Count()];

        private int Row(int example) => Array.BinarySearch(_members, example);

        private double Second(int row)
        {
            double nearest = _none;
            for (int t = 0; t < _picks.Length; t++)
            {
                nearest = t == _out ? nearest : Math.Min(nearest, _rows.Value(row, _picks[t]));
            }
            return nearest;
        }
    }
}
