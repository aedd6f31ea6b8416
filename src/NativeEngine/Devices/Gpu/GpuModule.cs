namespace NativeEngine.Devices.Gpu;

/// <summary>The text that holds a kernel: PTX for CUDA, OpenCL C for OpenCL.</summary>
/// <param name="Name">Its file without folder: modules are loaded once a name.</param>
/// <param name="Text">What the driver compiles.</param>
internal sealed record GpuModule(string Name, string Text);
