using System.Runtime.InteropServices;
using NativeEngine.Formats;
using NativeEngine.Model;
using NativeEngine.Native;
using NativeEngine.Tests.Support;

namespace NativeEngine.Tests.Evaluation.Onnx;

/// <summary>A model in ONNX Runtime without the evaluator around it: any output, with a cache.</summary>
internal sealed unsafe class RawSession : IDisposable
{
    private readonly OnnxRuntimeApi _api = OnnxRuntime.Library!.Require();
    private readonly nint _env, _options, _session, _memory;

    public RawSession(OnnxModelFile model)
    {
        _env = _api.CreateEnv();
        _options = _api.CreateSessionOptions();
        _api.SetThreads(_options, 1);
        _session = _api.CreateSession(_env, model.Bytes, _options);
        _memory = _api.CreateCpuMemoryInfo();
    }

    /// <summary>Logits of one sequence and every layer's keys and values, after those of <paramref name="past"/> tokens.</summary>
    public (float[] Logits, List<float[]> Present) Run(LlamaConfig config, long[] ids, int past, List<float[]> cache)
    {
        long[] mask = [.. Enumerable.Repeat(1L, past + ids.Length)], positions = [.. Enumerable.Range(past, ids.Length).Select(p => (long)p)];
        var inputs = new List<(string Name, Array Data, long[] Shape, int Type)>
        {
            ("input_ids", ids, [1, ids.Length], OnnxElement.Int64),
            ("attention_mask", mask, [1, mask.Length], OnnxElement.Int64),
            ("position_ids", positions, [1, ids.Length], OnnxElement.Int64),
        };
        string[] names = [.. Enumerable.Range(0, config.Layers).SelectMany(l => new[] { (l, true), (l, false) }).Select(p => $"{p.l}.{(p.Item2 ? "key" : "value")}")];
        for (int i = 0; i < names.Length; i++)
        {
            inputs.Add(($"past_key_values.{names[i]}", cache.Count > 0 ? cache[i] : Array.Empty<float>(), [1, config.KeyValueHeads, past, config.HeadSize], OnnxElement.Float));
        }
        return (Output("logits"), [.. names.Select(n => Output($"present.{n}"))]);

        float[] Output(string name)
        {
            nint runOptions = _api.CreateRunOptions(), outputName = Marshal.StringToCoTaskMemUTF8(name);
            var handles = inputs.Select(i => GCHandle.Alloc(Buffer.ByteLength(i.Data) == 0 ? new byte[16] : i.Data, GCHandleType.Pinned)).ToList();
            nint[] inputNames = [.. inputs.Select(i => Marshal.StringToCoTaskMemUTF8(i.Name))];
            nint[] values = [.. inputs.Zip(handles, (i, h) => _api.CreateTensor(_memory, (void*)h.AddrOfPinnedObject(), Buffer.ByteLength(i.Data), i.Shape, i.Type))];
            nint output = _api.Run(_session, runOptions, inputNames, values, outputName);
            var (type, shape, data) = _api.Tensor(output);
            Assert.Equal(OnnxElement.Float, type);
            float[] result = new ReadOnlySpan<float>((void*)data, (int)shape.Aggregate(1L, (a, b) => a * b)).ToArray();
            _api.ReleaseValue(output);
            _api.ReleaseRunOptions(runOptions);
            values.ToList().ForEach(_api.ReleaseValue);
            handles.ForEach(h => h.Free());
            inputNames.Append(outputName).ToList().ForEach(Marshal.FreeCoTaskMem);
            return result;
        }
    }

    public void Dispose()
    {
        _api.ReleaseMemoryInfo(_memory);
        _api.ReleaseSession(_session);
        _api.ReleaseSessionOptions(_options);
        _api.ReleaseEnv(_env);
    }
}
