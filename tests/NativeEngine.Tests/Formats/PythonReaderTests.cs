using System.Text.Json;
using NativeEngine.Formats;
using NativeEngine.Tests.Model;
using NativeEngine.Tests.Support;

namespace NativeEngine.Tests.Formats;

/// <summary>What we save, read by tools/python/read_safetensors.py.</summary>
public sealed class PythonReaderTests
{
    [TheoryWithPython]
    [InlineData(DType.F32)]
    [InlineData(DType.BF16)]
    public void Read_SavedModelFolder_EveryTensorHasTheSavedBits(DType type)
    {
        using var folder = new TinyModelFolder(tied: false, type);
        string output = Python.Run("tools/python/read_safetensors.py", Path.Combine(folder.Path, "model.safetensors"), "--values");
        using var json = JsonDocument.Parse(output);
        var entries = folder.Parameters.Layout.Entries;
        Assert.Equal(entries.Select(e => e.Name).Order(), json.RootElement.EnumerateObject().Select(t => t.Name).Order());
        int changed = 0;
        foreach (var entry in entries)
        {
            var tensor = json.RootElement.GetProperty(entry.Name);
            Assert.Equal(type.ToString(), tensor.GetProperty("dtype").GetString());
            Assert.Equal(entry.Shape.ToString(), $"[{string.Join(" x ", tensor.GetProperty("shape").EnumerateArray())}]");
            float[] saved = folder.Device.Download(folder.Parameters.View(entry));
            uint[] read = [.. tensor.GetProperty("bits").EnumerateArray().Select(b => b.GetUInt32())];
            Assert.Equal(saved.Length, read.Length);
            for (int i = 0; i < saved.Length; i++)
            {
                uint bits = BitConverter.SingleToUInt32Bits(saved[i]);
                changed += read[i] == bits ? 0 : 1;
                // Rounding to nearest, ties to even, by the carry of an addition.
                Assert.Equal(type == DType.F32 ? bits : (bits + 0x7FFF + ((bits >> 16) & 1)) & 0xFFFF0000, read[i]);
            }
        }
        Assert.Equal(type == DType.BF16, changed > 0);
    }
}
