using NativeEngine.Selection;

namespace NativeEngine.CApi;

/// <summary>Where the caller wants a selection: checked before the work, filled after it.</summary>
internal sealed unsafe class SelectionOutput
{
    private readonly SelectionStruct* _to;
    private SelectionStruct _value;

    /// <param name="to">The caller's struct.</param>
    /// <param name="picks">Examples there may be.</param>
    /// <param name="rows">Elements of the owners; 0 where there are none.</param>
    public SelectionOutput(SelectionStruct* to, long picks, long rows)
    {
        Arguments.CheckOutput(to, "the result");
        _to = to;
        _value = Arguments.Read(to, "the result");
        Arguments.Aligned(_value.Indices, "indices");
        Arguments.Aligned(_value.Weights, "weights");
        Arguments.Aligned(_value.Gains, "gains");
        Arguments.Aligned(_value.Owners, "owners");
        bool wanted = _value.Indices is not null || _value.Weights is not null || _value.Gains is not null;
        if (wanted && _value.Capacity < picks)
        {
            throw new CallException(Status.Buffer, $"{picks} examples may be selected, the arrays have {_value.Capacity} elements", "give arrays of the budget");
        }
        if (_value.Owners is not null && rows == 0)
        {
            throw new CallException(Status.Argument, "a stream does not remember who represents each example", "leave owners NULL");
        }
    }

    public void Write(SelectionResult result)
    {
        Fill(result.Indices, result.Weights, result.Gains);
        if (_value.Owners is not null)
        {
            for (int i = 0; i < result.Owners.Count; i++)
            {
                _value.Owners[i] = result.Owners[i];
            }
        }
        (_value.Kept, _value.Dropped) = (result.Kept.Count, result.Dropped.Count);
        (_value.Objective, _value.UpperBound, _value.Ratio) = (result.Objective, result.Certificate?.UpperBound ?? double.NaN, result.Certificate?.Ratio ?? double.NaN);
        _value.Milliseconds = result.Timing.Total;
        Arguments.Write(_to, _value, "the result");
    }

    public void Write(StreamingResult result, double milliseconds)
    {
        Fill(result.Indices, result.Weights, result.Gains);
        (_value.Kept, _value.Dropped) = (result.Kept, result.Dropped);
        (_value.Objective, _value.UpperBound) = (result.Objective, result.UpperBound);
        _value.Ratio = result.UpperBound == 0 ? 1 : result.Objective / result.UpperBound;
        _value.Milliseconds = milliseconds;
        Arguments.Write(_to, _value, "the result");
    }

    private void Fill<T>(IReadOnlyList<T> indices, IReadOnlyList<T> weights, IReadOnlyList<double?> gains)
        where T : struct, System.Numerics.IBinaryInteger<T>
    {
        for (int i = 0; i < indices.Count; i++)
        {
            if (_value.Indices is not null)
            {
                _value.Indices[i] = long.CreateChecked(indices[i]);
            }
            if (_value.Weights is not null)
            {
                _value.Weights[i] = long.CreateChecked(weights[i]);
            }
            if (_value.Gains is not null)
            {
                _value.Gains[i] = gains[i] ?? double.NaN;
            }
        }
        _value.Count = indices.Count;
    }
}
