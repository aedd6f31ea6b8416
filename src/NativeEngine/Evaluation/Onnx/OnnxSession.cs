using System.Runtime.InteropServices;
using NativeEngine.Data;
using NativeEngine.Devices;
using NativeEngine.Formats;
using NativeEngine.Native;

namespace NativeEngine.Evaluation;

/// <summary>What executes an ONNX model.</summary>
public enum OnnxProvider
{
    /// <summary>The processor; every library has it.</summary>
    Cpu,
    /// <summary>CUDA, where the library was built with it.</summary>
    Cuda,
}

/// <summary>
/// A decoder in ONNX Runtime, for losses. The model has been checked (<see cref="OnnxModelFile"/>) and its inputs are understood before the
/// runtime sees it. Sequences of about the same length run together, padded on the right and masked. The provider that was asked for is
/// the one that runs, or there is an error; <see cref="Providers"/> is what the runtime's own profile says. Not thread-safe. Owns the
/// session, not the model file.
/// </summary>
public sealed unsafe class OnnxSession : ITokenLosses, IDisposable
{
    private const int Half = OnnxElement.Float16;

    private readonly OnnxRuntimeApi _api;
    private readonly OnnxDecoder _decoder;
    private readonly Device _device;
    private readonly string _path;
    private readonly nint[] _names;
    private readonly nint _logits = Marshal.StringToCoTaskMemUTF8("logits");
    private nint _env, _options, _session, _memory;
    private bool _profiling;

    /// <summary>
    /// Hands a checked model to the runtime. <paramref name="device"/> turns logits into losses, with its threads, which the runtime uses as well.
    /// The first run is profiled when <paramref name="profile"/> says so, or, without a word, when a provider other than the processor may leave
    /// nodes to it. Errors: DeviceUnavailable without a library or with a provider it cannot use, BadInput for a model that is no decoder or that the runtime
    /// refuses, Usage when nobody knows the context length.
    /// </summary>
    public OnnxSession(OnnxModelFile model, OnnxRuntimeLibrary library, Device device, int threads, OnnxProvider provider = OnnxProvider.Cpu, int? contextLength = null,
        bool? profile = null)
    {
        _api = library.Require();
        _decoder = OnnxDecoder.Of(model);
        (_device, _path, Provider) = (device, model.Path, provider);
        int? known = _decoder.ContextLength(model);
        ContextLength = contextLength ?? known
            ?? throw new EngineException(ErrorKind.Usage, $"{model.Path}: the model does not say how long its context is", "give --context N");
        if (known is { } most && ContextLength > most)
        {
            throw new EngineException(ErrorKind.Usage, $"{model.Path}: a context of {ContextLength} tokens was asked for, the model has {most}", $"--context {most}");
        }
        _names = [.. _decoder.Inputs.Select(i => Marshal.StringToCoTaskMemUTF8(i.Value.Name))];
        try
        {
            Available = _api.AvailableProviders();
            _env = _api.CreateEnv();
            _options = _api.CreateSessionOptions();
            _api.SetThreads(_options, threads);
            // Threads that spin after their work would take the processor from the losses.
            _api.SetConfiguration(_options, "session.intra_op.allow_spinning", "0");
            if (provider == OnnxProvider.Cuda)
            {
                RequireCuda();
            }
            if (profile ?? provider != OnnxProvider.Cpu)
            {
                _api.EnableProfiling(_options, Path.Combine(Path.GetTempPath(), FormattableString.Invariant($"nengine-ort-{Environment.ProcessId}-{Environment.TickCount64}")));
                _profiling = true;
            }
            _session = model.ExternalFiles.Count > 0
                ? _api.CreateSession(_env, Path.GetFullPath(model.Path), _options)
                : _api.CreateSession(_env, model.Bytes, _options);
            _memory = _api.CreateCpuMemoryInfo();
        }
        catch (EngineException e) when (e.Kind == ErrorKind.BadInput)
        {
            Dispose();
            throw new EngineException(ErrorKind.BadInput, $"{model.Path}: {e.Message}", e.Hint, e);
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    public int ContextLength { get; }

    /// <summary>Tokens it knows; null when the model does not say.</summary>
    public int? VocabularySize => _decoder.VocabularySize;

    /// <summary>The provider that was asked for.</summary>
    public OnnxProvider Provider { get; }

    /// <summary>The providers the library was built with.</summary>
    public IReadOnlyList<string> Available { get; } = [];

    /// <summary>How many nodes each provider ran in the first run, from the runtime's profile; empty before, and where nothing was profiled.</summary>
    public IReadOnlyDictionary<string, int> Providers { get; private set; } = new Dictionary<string, int>();

    /// <summary>Most padded tokens of one run; a longer sequence runs alone.</summary>
    public int TokensPerRun { get; init; } = 4096;

    /// <summary>Most bytes of logits of one run; a sequence with more runs alone.</summary>
    public long LogitBytesPerRun { get; init; } = 256L << 20;

    /// <inheritdoc/>
    public float[] Losses(PackedBatch batch, CancellationToken cancellation = default)
    {
        RequireTokens(batch);
        var result = new float[batch.LabelCount];
        var first = new int[batch.SequenceCount];
        for (int s = 1; s < first.Length; s++)
        {
            first[s] = first[s - 1] + batch.LabelCounts[s - 1];
        }
        // Stable: the runs depend on the batch alone.
        int[] order = [.. Enumerable.Range(0, batch.SequenceCount).OrderBy(s => Length(batch, s))];
        long perToken = (VocabularySize ?? 1) * (long)sizeof(float);
        for (int at = 0; at < order.Length;)
        {
            cancellation.ThrowIfCancellationRequested();
            int count = 1;
            while (at + count < order.Length && count < (_decoder.FixedBatch ?? int.MaxValue)
                && (count + 1L) * Length(batch, order[at + count]) <= Math.Min(TokensPerRun, LogitBytesPerRun / perToken))
            {
                count++;
            }
            Run(batch, order.AsSpan(at, count), first, result, cancellation);
            at += count;
        }
        return result;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        EndProfile();
        _api.ReleaseMemoryInfo(_memory);
        _api.ReleaseSession(_session);
        _api.ReleaseSessionOptions(_options);
        _api.ReleaseEnv(_env);
        (_memory, _session, _options, _env) = (0, 0, 0, 0);
        for (int i = 0; i < _names.Length; i++)
        {
            Marshal.FreeCoTaskMem(_names[i]);
            _names[i] = 0;
        }
    }

    private static int Length(PackedBatch batch, int sequence) => batch.Offsets[sequence + 1] - batch.Offsets[sequence];

    private void RequireCuda()
    {
        if (!Available.Contains("CUDAExecutionProvider"))
        {
            throw new EngineException(ErrorKind.DeviceUnavailable, $"this ONNX Runtime has no CUDA provider, only {string.Join(", ", Available)}",
                "use --provider cpu, or name a GPU build with --ort-lib");
        }
        _api.AppendCuda(_options, 0);
    }

    private void RequireTokens(PackedBatch batch)
    {
        if (VocabularySize is { } vocabulary && batch.Tokens.Concat(batch.Targets).DefaultIfEmpty(0).Max() is var largest && largest >= vocabulary)
        {
            throw new EngineException(ErrorKind.BadInput, $"{_path}: the data has token {largest}, the model's vocabulary has {vocabulary} tokens",
                "use the tokenizer that belongs to the model (--tokenizer)");
        }
        if (batch.MaxSequenceLength > ContextLength)
        {
            throw new EngineException(ErrorKind.BadInput, $"{_path}: a sequence has {batch.MaxSequenceLength} tokens, the model's context is {ContextLength}");
        }
    }

    private void Run(PackedBatch batch, ReadOnlySpan<int> sequences, int[] first, float[] result, CancellationToken cancellation)
    {
        int rows = _decoder.FixedBatch ?? sequences.Length;
        int width = _decoder.FixedLength ?? 0;
        foreach (int s in sequences)
        {
            width = Math.Max(width, Length(batch, s));
        }
        var tokens = new long[rows * width];
        var mask = new long[rows * width];
        var positions = new long[rows * width];
        for (int r = 0; r < rows; r++)
        {
            int length = r < sequences.Length ? Length(batch, sequences[r]) : 1;
            for (int t = 0; t < width; t++)
            {
                int i = (r * width) + t;
                tokens[i] = r < sequences.Length && t < length ? batch.Tokens[batch.Offsets[sequences[r]] + t] : 0;
                mask[i] = t < length ? 1 : 0;
                positions[i] = Math.Min(t, length - 1);
            }
        }
        nint value = Feed(rows, width, tokens, mask, positions, cancellation);
        try
        {
            EndProfile();
            var (type, shape, data) = _api.Tensor(value);
            if (type is not (OnnxElement.Float or Half) || shape is not [var b, var t, var v] || b != rows || t != width || v is < 1 or > int.MaxValue)
            {
                throw new EngineException(ErrorKind.BadInput,
                    $"{_path}: the model gave {OnnxElement.Name(type)} {FormatErrors.Shape(shape)} for {rows} sequences of {width} tokens, expected logits [{rows}, {width}, vocabulary]");
            }
            Score(batch, sequences, first, result, type, data, width, (int)v);
        }
        finally
        {
            _api.ReleaseValue(value);
        }
    }

    private nint Feed(int rows, int width, long[] tokens, long[] mask, long[] positions, CancellationToken cancellation)
    {
        var values = new nint[_names.Length];
        var kept = new List<GCHandle>();
        nint runOptions = _api.CreateRunOptions();
        using var stop = cancellation.UnsafeRegister(_ => _api.Terminate(runOptions), null);
        try
        {
            for (int i = 0; i < values.Length; i++)
            {
                var (value, role) = (_decoder.Inputs[i].Value, _decoder.Inputs[i].Role);
                (Array data, long[] shape) = role switch
                {
                    OnnxInputRole.Tokens => (Integers(tokens, value.Type), [rows, width]),
                    OnnxInputRole.Mask => (Integers(mask, value.Type), [rows, width]),
                    OnnxInputRole.Positions => (Integers(positions, value.Type), [rows, width]),
                    OnnxInputRole.UseCache => (new byte[] { 0 }, [1]),
                    _ => ((Array)Array.Empty<float>(), new long[] { rows, value.Shape![1].Value!.Value, 0, value.Shape[3].Value!.Value }),
                };
                // An empty array has no address of its own; the runtime wants one all the same.
                long bytes = Buffer.ByteLength(data);
                var handle = GCHandle.Alloc(bytes == 0 ? new byte[16] : data, GCHandleType.Pinned);
                kept.Add(handle);
                values[i] = _api.CreateTensor(_memory, (void*)handle.AddrOfPinnedObject(), bytes, shape, value.Type);
            }
            return _api.Run(_session, runOptions, _names, values, _logits);
        }
        catch (EngineException e) when (cancellation.IsCancellationRequested)
        {
            throw new OperationCanceledException("stopped", e, cancellation);
        }
        catch (EngineException e)
        {
            throw new EngineException(e.Kind, $"{_path}: {e.Message}", e.Hint, e);
        }
        finally
        {
            stop.Dispose();
            _api.ReleaseRunOptions(runOptions);
            foreach (nint value in values)
            {
                _api.ReleaseValue(value);
            }
            kept.ForEach(handle => handle.Free());
        }
    }

    private static Array Integers(long[] values, int type) => type == OnnxElement.Int64 ? values : Array.ConvertAll(values, v => (int)v);

    private void Score(
        PackedBatch batch, ReadOnlySpan<int> sequences, int[] first, float[] result, int type, nint data, int width, int vocabulary)
    {
        const long ChunkFloats = 1 << 20;
        using var workspace = new Workspace(_device);
        int chunk = (int)Math.Max(1, ChunkFloats / vocabulary);
        var logits = workspace.Floats(chunk, vocabulary);
        var losses = workspace.Floats(chunk);
        using var targets = _device.Allocate<int>(chunk, MemoryUse.Data);
        var wide = new float[type == Half ? vocabulary : 0];
        var pending = new List<(int Result, int Target)>(chunk);
        for (int r = 0; r < sequences.Length; r++)
        {
            int s = sequences[r], next = first[s];
            for (int row = batch.Offsets[s]; row < batch.Offsets[s + 1]; row++)
            {
                if (batch.Targets[row] < 0)
                {
                    continue;
                }
                if (batch.Targets[row] >= vocabulary)
                {
                    throw new EngineException(ErrorKind.BadInput, $"{_path}: the data has token {batch.Targets[row]}, the model gives logits of {vocabulary} tokens",
                        "use the tokenizer that belongs to the model (--tokenizer)");
                }
                long offset = (((long)r * width) + (row - batch.Offsets[s])) * vocabulary;
                ReadOnlySpan<float> source;
                if (type == Half)
                {
                    HalfPrecision.WidenHalf(new ReadOnlySpan<ushort>((ushort*)data + offset, vocabulary), wide);
                    source = wide;
                }
                else
                {
                    source = new ReadOnlySpan<float>((float*)data + offset, vocabulary);
                }
                _device.Upload(source, logits.Slice(pending.Count, 1));
                pending.Add((next++, batch.Targets[row]));
                if (pending.Count == chunk)
                {
                    Flush();
                }
            }
        }
        Flush();

        void Flush()
        {
            if (pending.Count == 0)
            {
                return;
            }
            _device.Upload<int>(pending.Select(p => p.Target).ToArray(), targets.View.Slice(0, pending.Count));
            _device.Kernels.CrossEntropy(logits.Slice(0, pending.Count), targets.View.Slice(0, pending.Count), default, losses.Slice(0, pending.Count));
            var values = _device.Download(losses.Slice(0, pending.Count));
            for (int i = 0; i < values.Length; i++)
            {
                result[pending[i].Result] = values[i];
            }
            pending.Clear();
        }
    }

    // The profile of the first run says which provider ran each node; then it is closed and deleted.
    private void EndProfile()
    {
        if (!_profiling || _session == 0)
        {
            return;
        }
        _profiling = false;
        string file = _api.EndProfiling(_session);
        try
        {
            Providers = OnnxProfile.NodesByProvider(file);
        }
        finally
        {
            TemporaryName.DeleteQuietly(file);
        }
    }
}
