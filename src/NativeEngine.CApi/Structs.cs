namespace NativeEngine.CApi;

// The structs of include/native_engine.h, member by member. Each begins with its size.
#pragma warning disable CS0649 // written by the caller
internal unsafe struct ControlStruct
{
    public ulong Size;
    public nint Cancel;
    public delegate* unmanaged[Cdecl]<byte*, long, long, void*, int> Progress;
    public void* User;
}

internal struct DeviceOptionsStruct
{
    public ulong Size;
    public long MemoryLimit;
    public int Threads, Simd;
}

internal unsafe struct MatrixStruct
{
    public ulong Size;
    public void* Data;
    public long Rows, Columns, RowStride;
    public int Type, Reserved;
}

internal unsafe struct SelectOptionsStruct
{
    public ulong Size;
    public long Budget;
    public byte* Keep;
    public long Top, MaxMemory;
    public ulong Seed;
    public double Beta1, Beta2, Epsilon;
    public int Metric, Quota, Rounding, Overflow, Algorithm, Normalize, Parts, Neighbours;
}

internal unsafe struct SelectionStruct
{
    public ulong Size;
    public long Capacity;
    public long* Indices;
    public long* Weights;
    public double* Gains;
    public long* Owners;
    public long Count, Kept, Dropped;
    public double Objective, UpperBound, Ratio, Milliseconds;
}

internal unsafe struct StreamOptionsStruct
{
    public ulong Size;
    public long Budget, Dimension;
    public byte* Keep;
    public long MaxMemory;
    public ulong Seed;
    public int Rows, Metric, Quota, Rounding;
}

internal struct StreamReportStruct
{
    public ulong Size;
    public long Seen, Dropped, Capacity, Reductions;
    public double Cost, Displacement;
}

internal struct MergeOptionsStruct
{
    public ulong Size;
    public long ShardBytes;
    public ulong Seed;
    public int Threads, Reserved;
}

internal struct MergeReportStruct
{
    public ulong Size;
    public long Tensors, Parameters, BytesRead, BytesWritten, PeakBytes;
    public double Seconds;
}

internal unsafe struct ModelOptionsStruct
{
    public ulong Size;
    public byte* Tokenizer;
    public byte* Adapter;
    public byte* LoraTargets;
    public ulong Seed;
    public double LoraAlpha;
    public int Trainable, LoraRank;
}

internal struct ModelInfoStruct
{
    public ulong Size;
    public long Parameters, Vocabulary, Hidden, Layers, Heads, Context;
}

internal unsafe struct DataOptionsStruct
{
    public ulong Size;
    public long MaxLength;
    public int Purpose, LossOnAll, SkipBadLines, Reserved;
    public byte* TextField;
    public byte* PromptField;
    public byte* CompletionField;
    public byte* SourceField;
    public byte* IdField;
}

internal struct DataInfoStruct
{
    public ulong Size;
    public long Examples, Read, LeftOut, Truncated, Tokens, LabelTokens, Sources;
}

internal struct FeatureOptionsStruct
{
    public ulong Size;
    public ulong Seed;
    public double Radius;
    public int Kind, Directions;
}

internal struct LossStruct
{
    public ulong Size;
    public long Examples, Tokens;
    public double MeanLoss, Perplexity, BitsPerByte, CompletionLoss;
}

internal unsafe struct TrainOptionsStruct
{
    public ulong Size;
    public long Steps, Pool, Batch;
    public byte* Keep;
    public ulong Seed;
    public double LearningRate, Warmup, ClipNorm, WeightDecay, Beta1, Beta2;
    public long Top;
    public int Selection, Optimizer, Schedule, Feature, Directions, Metric, Quota, Rounding, Overflow, RawFeatures, ClusterWeights, MicroBatchTokens, CheckpointActivations, Reserved;
}

internal struct StepReportStruct
{
    public ulong Size;
    public long Step, Examples, Kept, Tokens, LabelTokens;
    public double Loss, LearningRate, GradientNorm, Objective, SelectionSeconds, Seconds;
}
#pragma warning restore CS0649
