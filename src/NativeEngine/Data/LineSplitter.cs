namespace NativeEngine.Data;

/// <summary>
/// Splits a byte stream into lines at LF, without the LF and one CR before it, tolerating a UTF-8 byte order mark at the start.
/// A line longer than the limit is reported as too long, so memory stays bounded: when it has been skipped to its end, or at once where nobody wants the next (its end may never come).
/// </summary>
internal sealed class LineSplitter(Stream stream, int maxLineBytes, bool skips = true)
{
    private const int MostAtFirst = 1 << 16, LeastAtFirst = 1 << 10;

    // One byte more than there is, so that the end is seen without a larger buffer.
    private byte[] _buffer = new byte[stream.CanSeek ? (int)Math.Clamp(stream.Length - stream.Position + 1, LeastAtFirst, MostAtFirst) : MostAtFirst];
    private int _start;
    private int _end;
    private bool _atEnd;

    /// <summary>1-based number of the line read last.</summary>
    public long Line { get; private set; }

    /// <summary>Reads the next line; false at the end. The memory is valid until the next call.</summary>
    public bool TryRead(out ReadOnlyMemory<byte> line, out bool tooLong)
    {
        tooLong = false;
        int pending = 0;
        while (true)
        {
            int newline = _buffer.AsSpan(_start + pending, _end - _start - pending).IndexOf((byte)'\n');
            int stop = newline >= 0 ? _start + pending + newline : _end;
            if (newline >= 0 || (_atEnd && _end > _start) || (_atEnd && tooLong))
            {
                tooLong |= stop - _start > maxLineBytes;
                line = tooLong ? default : Trim(_buffer.AsMemory(_start, stop - _start));
                _start = newline >= 0 ? stop + 1 : stop;
                Line++;
                return true;
            }
            if (_atEnd)
            {
                line = default;
                return false;
            }
            if (_end - _start > maxLineBytes)
            {
                tooLong = true;
                _start = _end;
                if (!skips)
                {
                    line = default;
                    Line++;
                    return true;
                }
            }
            pending = _end - _start;
            Fill();
        }
    }

    private void Fill()
    {
        if (_start > 0)
        {
            _buffer.AsSpan(_start, _end - _start).CopyTo(_buffer);
            _end -= _start;
            _start = 0;
        }
        if (_end == _buffer.Length)
        {
            Array.Resize(ref _buffer, _buffer.Length * 2);
        }
        int read = stream.Read(_buffer, _end, _buffer.Length - _end);
        _atEnd = read == 0;
        _end += read;
    }

    private ReadOnlyMemory<byte> Trim(ReadOnlyMemory<byte> line)
    {
        if (Line == 0 && line.Span.StartsWith("\uFEFF"u8))
        {
            line = line[3..];
        }
        return line.Span.EndsWith("\r"u8) ? line[..^1] : line;
    }
}
