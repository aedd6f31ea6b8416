using NativeEngine.Formats;

namespace NativeEngine.Merging;

/// <summary>Two buffers of bytes: one is filled while the other is written to a file on its own thread.</summary>
internal sealed class WindowWriter(int elements)
{
    private readonly byte[][] _buffers = [new byte[4 * elements], new byte[4 * elements]];
    private Task? _writing;
    private int _turn;

    /// <summary>Bytes held.</summary>
    public long Bytes => _buffers.Sum(buffer => (long)buffer.Length);

    /// <summary>The buffer that is not being written, grown when a window needs more.</summary>
    public Memory<byte> Next(int bytes)
    {
        _turn = 1 - _turn;
        if (_buffers[_turn].Length < bytes)
        {
            _buffers[_turn] = new byte[bytes];
        }
        return _buffers[_turn].AsMemory(0, bytes);
    }

    /// <summary>Waits for the write before this one, then begins to write.</summary>
    public void Write(Memory<byte> bytes, TensorSink sink)
    {
        Wait();
        _writing = Task.Run(() => sink.WriteBytes(bytes.Span));
    }

    /// <summary>Waits for the last write; its failure is thrown here.</summary>
    public void Wait()
    {
        var task = _writing;
        _writing = null;
        task?.GetAwaiter().GetResult();
    }

    /// <summary>Disposing it waits for a write that a failure elsewhere left under way; that failure is the one to report.</summary>
    public IDisposable Until() => new End(this);

    private sealed class End(WindowWriter writer) : IDisposable
    {
        public void Dispose()
        {
            try
            {
                writer.Wait();
            }
            catch (Exception e) when (e is EngineException or IOException)
            {
            }
        }
    }
}
