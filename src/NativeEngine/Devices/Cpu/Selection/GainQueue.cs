using System.Runtime.CompilerServices;

namespace NativeEngine.Devices.Cpu;

/// <summary>
/// A binary heap of rows by the last gain known of each, largest first, equal gains by lowest index; every entry knows at which pick its
/// gain was computed.
/// </summary>
internal sealed class GainQueue
{
    private int[] _heap = [], _round = [];
    private double[] _gain = [];
    private int _size, _count;

    /// <summary>A queue for <see cref="Reset"/>.</summary>
    public GainQueue()
    {
    }

    public GainQueue(ReadOnlySpan<double> gains) => Reset(gains);

    /// <summary>Starts anew with the gains of rows 0, 1, ..., in the memory there is.</summary>
    public void Reset(ReadOnlySpan<double> gains)
    {
        _size = _count = gains.Length;
        gains.CopyTo(GrownArray.Of(ref _gain, _count));
        GrownArray.Of(ref _heap, _count);
        GrownArray.Of(ref _round, _count).Clear();
        for (int i = 0; i < _count; i++)
        {
            _heap[i] = i;
        }
        for (int i = (_count / 2) - 1; i >= 0; i--)
        {
            SiftDown(i);
        }
    }

    public int Top => _heap[0];

    /// <summary>The row that is at the top when the top is gone or falls behind; the top itself if there is no other.</summary>
    public int Next => _count < 2 ? _heap[0] : _count == 2 || Before(_heap[1], _heap[2]) ? _heap[1] : _heap[2];

    public bool TopIsFresh(int round) => _round[_heap[0]] == round;

    public void RefreshTop(double gain, int round)
    {
        int top = _heap[0];
        _gain[top] = gain;
        _round[top] = round;
        SiftDown(0);
    }

    public (int Index, double Gain) Pop()
    {
        int top = _heap[0];
        _heap[0] = _heap[--_count];
        SiftDown(0);
        return (top, _gain[top]);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)] // compiled on this processor, also when published
    private void SiftDown(int at)
    {
        int item = _heap[at];
        while (true)
        {
            int child = (2 * at) + 1;
            if (child >= _count)
            {
                break;
            }
            if (child + 1 < _count && Before(_heap[child + 1], _heap[child]))
            {
                child++;
            }
            if (!Before(_heap[child], item))
            {
                break;
            }
            _heap[at] = _heap[child];
            at = child;
        }
        if (at < _size)
        {
            _heap[at] = item;
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private bool Before(int a, int b) => _gain[a] > _gain[b] || (_gain[a] == _gain[b] && a < b);
}
