namespace NativeEngine.Tests.Ptx;

/// <summary>Chooses the method of an instruction. What clang does not emit for our kernels is not supported and says so.</summary>
internal readonly unsafe struct PtxDecoder(PtxKernel kernel)
{
    public void Decode(ref PtxInstruction i, string[] op, string[] o)
    {
        string type = op[^1];
        switch (op[0])
        {
            case "ld" when op[1] == "param":
                i.D = kernel.Register(o[0]);
                i.A = kernel.Parameter(o[1].Trim('[', ']'));
                i.Run = (PtxKernel.WidthOf(type) == 8, IsWide(o[0]), type[0]) switch
                {
                    (true, _, _) => &PtxLanes.Unary64<Copy64>,
                    (_, true, 's') => &PtxLanes.Lane1<int, long, ExtendS32>,
                    (_, true, _) => &PtxLanes.Lane1<uint, ulong, ExtendU32>,
                    _ => &PtxLanes.Unary32<Copy32>,
                };
                return;
            case "ld" or "st" or "atom" or "red":
                Memory(ref i, op, o, type);
                return;
            case "mov" when o[0][0] == '{' || o[1][0] == '{':
                Pack(ref i, o, type);
                return;
            case "cvta":
                Operands(ref i, o, "b64");
                i.Immediate = op[1] == "shared" ? PtxGroup.SharedWindow : op[1] == "to" && op[2] == "shared" ? -PtxGroup.SharedWindow : 0;
                i.Run = &PtxLanes.AddImmediate64;
                return;
            case "setp":
                i.D = kernel.Register(o[0]);
                (i.A, i.B) = (kernel.Read(o[1], type), kernel.Read(o[2], type));
                i.Run = Compare(op[1], type);
                return;
            case "selp":
                (i.D, i.A, i.B, i.C) = (kernel.Register(o[0]), kernel.Read(o[1], type), kernel.Read(o[2], type), kernel.Register(o[3]));
                i.Run = PtxKernel.WidthOf(type) == 8 ? &PtxLanes.Select64 : &PtxLanes.Select32;
                return;
            case "cvt":
                i.D = kernel.Register(o[0]);
                i.A = kernel.Read(o[1], type);
                i.Run = Convert(op);
                return;
            case "bar" or "membar" or "fence" or "griddepcontrol":
                i.Run = &PtxLanes.Nothing;
                return;
        }
        if (type == "pred")
        {
            (i.D, i.A) = (kernel.Register(o[0]), kernel.Read(o[1], type));
            i.B = o.Length > 2 ? kernel.Register(o[2]) : i.A;
            i.Run = op[0] switch
            {
                "and" => &PtxLanes.Predicate<PredicateAnd>,
                "or" => &PtxLanes.Predicate<PredicateOr>,
                "xor" => &PtxLanes.Predicate<PredicateXor>,
                "not" => &PtxLanes.Predicate<PredicateNot>,
                "mov" => &PtxLanes.Predicate<PredicateCopy>,
                _ => throw new NotSupportedException(string.Join('.', op)),
            };
            return;
        }
        if (PtxMatrix.TryDecode(ref i, op, o, kernel))
        {
            return;
        }
        Operands(ref i, o, type);
        if (op[0] is "mul" or "mad" && op[1] == "wide")
        {
            // Sources have half the width of the result.
            i.C = o.Length > 3 ? kernel.Read(o[3], "b64") : -1;
        }
        if (op[0] is "shl" or "shr")
        {
            i.B = kernel.Read(o[2], "u32");
        }
        i.Run = Arithmetic(op, type);
    }

    private void Operands(ref PtxInstruction i, string[] o, string type)
    {
        i.D = kernel.Register(o[0]);
        i.A = kernel.Read(o[1], type);
        i.B = o.Length > 2 ? kernel.Read(o[2], type) : -1;
        i.C = o.Length > 3 ? kernel.Read(o[3], type) : -1;
    }

    private static delegate*<PtxWarp, in PtxInstruction, uint, void> Arithmetic(string[] op, string type)
    {
        string form = op[0] is "mul" or "mad" && type[0] is not 'f' ? $"{op[0]}.{op[1]}" : op[0];
        if (form is "shl" or "shr")
        {
            return (form, type) switch
            {
                ("shl", "b32") => &PtxLanes.Binary32<ShiftLeft32>,
                ("shl", "b16") => &PtxLanes.Binary32<ShiftLeft16>,
                ("shr", "u32" or "b32" or "u16" or "b16") => &PtxLanes.Binary32<ShiftRight32>,
                ("shr", "s32") => &PtxLanes.Binary32<ShiftRightSigned32>,
                ("shl", "b64") => &PtxLanes.Shift64<ShiftLeft64>,
                ("shr", "u64" or "b64") => &PtxLanes.Shift64<ShiftRight64>,
                ("shr", "s64") => &PtxLanes.Shift64<ShiftRightSigned64>,
                _ => throw new NotSupportedException(string.Join('.', op)),
            };
        }
        return (form, type) switch
        {
            ("mov", "f32" or "b32" or "u32" or "s32" or "b16" or "u16" or "s16") => &PtxLanes.Unary32<Copy32>,
            ("mov", "f64" or "b64" or "u64" or "s64") => &PtxLanes.Unary64<Copy64>,
            ("add", "f32") => &PtxLanes.Binary32<AddF32>,
            ("sub", "f32") => &PtxLanes.Binary32<SubtractF32>,
            ("mul", "f32") => &PtxLanes.Binary32<MultiplyF32>,
            ("div", "f32") => &PtxLanes.Binary32<DivideF32>,
            ("min", "f32") => &PtxLanes.Binary32<MinimumF32>,
            ("max", "f32") => &PtxLanes.Binary32<MaximumF32>,
            ("fma", "f32") => &PtxLanes.Ternary32<FmaF32>,
            ("neg", "f32") => &PtxLanes.Unary32<NegateF32>,
            ("abs", "f32") => &PtxLanes.Unary32<AbsF32>,
            ("sqrt", "f32") => &PtxLanes.Unary32<SqrtF32>,
            ("rcp", "f32") => &PtxLanes.Unary32<ReciprocalF32>,
            ("add", "f64") => &PtxLanes.Binary64<AddF64>,
            ("sub", "f64") => &PtxLanes.Binary64<SubtractF64>,
            ("mul", "f64") => &PtxLanes.Binary64<MultiplyF64>,
            ("div", "f64") => &PtxLanes.Binary64<DivideF64>,
            ("min", "f64") => &PtxLanes.Binary64<MinimumF64>,
            ("max", "f64") => &PtxLanes.Binary64<MaximumF64>,
            ("fma", "f64") => &PtxLanes.Ternary64<FmaF64>,
            ("neg", "f64") => &PtxLanes.Unary64<NegateF64>,
            ("abs", "f64") => &PtxLanes.Unary64<AbsF64>,
            ("sqrt", "f64") => &PtxLanes.Unary64<SqrtF64>,
            ("rcp", "f64") => &PtxLanes.Unary64<ReciprocalF64>,
            ("add", "s32" or "u32") => &PtxLanes.Binary32<Add32>,
            ("sub", "s32" or "u32") => &PtxLanes.Binary32<Subtract32>,
            ("mul.lo", "s32" or "u32") => &PtxLanes.Binary32<Multiply32>,
            ("mad.lo", "s32" or "u32") => &PtxLanes.Ternary32<MultiplyAdd32>,
            ("mul.hi", "u32") => &PtxLanes.Lane2<uint, uint, uint, MultiplyHighU32>,
            ("mul.hi", "s32") => &PtxLanes.Lane2<int, int, int, MultiplyHighS32>,
            ("mul.wide", "u32") => &PtxLanes.Lane2<uint, uint, ulong, WideU32>,
            ("mul.wide", "s32") => &PtxLanes.Lane2<int, int, long, WideS32>,
            ("mul.wide", "u16") => &PtxLanes.Lane2<uint, uint, uint, WideU16>,
            ("mad.wide", "u32") => &PtxLanes.Lane3<uint, uint, ulong, ulong, WideAddU32>,
            ("mad.wide", "s32") => &PtxLanes.Lane3<int, int, long, long, WideAddS32>,
            ("div", "u32") => &PtxLanes.Lane2<uint, uint, uint, DivideU32>,
            ("div", "s32") => &PtxLanes.Lane2<int, int, int, DivideS32>,
            ("rem", "u32") => &PtxLanes.Lane2<uint, uint, uint, RemainderU32>,
            ("rem", "s32") => &PtxLanes.Lane2<int, int, int, RemainderS32>,
            ("div", "u64") => &PtxLanes.Lane2<ulong, ulong, ulong, DivideU64>,
            ("div", "s64") => &PtxLanes.Lane2<long, long, long, DivideS64>,
            ("rem", "u64") => &PtxLanes.Lane2<ulong, ulong, ulong, RemainderU64>,
            ("rem", "s64") => &PtxLanes.Lane2<long, long, long, RemainderS64>,
            ("min", "s32") => &PtxLanes.Binary32<MinimumS32>,
            ("max", "s32") => &PtxLanes.Binary32<MaximumS32>,
            ("min", "u32") => &PtxLanes.Binary32<MinimumU32>,
            ("max", "u32") => &PtxLanes.Binary32<MaximumU32>,
            ("neg", "s32") => &PtxLanes.Unary32<Negate32>,
            ("abs", "s32") => &PtxLanes.Unary32<Abs32>,
            ("and", "b32" or "b16") => &PtxLanes.Binary32<And32>,
            ("or", "b32" or "b16") => &PtxLanes.Binary32<Or32>,
            ("xor", "b32" or "b16") => &PtxLanes.Binary32<Xor32>,
            ("not", "b32") => &PtxLanes.Unary32<Not32>,
            ("bfe", "u32") => &PtxLanes.Lane3<uint, uint, uint, uint, ExtractU32>,
            ("add", "s64" or "u64") => &PtxLanes.Binary64<Add64>,
            ("sub", "s64" or "u64") => &PtxLanes.Binary64<Subtract64>,
            ("mul.lo", "s64" or "u64") => &PtxLanes.Binary64<Multiply64>,
            ("mad.lo", "s64" or "u64") => &PtxLanes.Ternary64<MultiplyAdd64>,
            ("min", "s64") => &PtxLanes.Binary64<MinimumS64>,
            ("max", "s64") => &PtxLanes.Binary64<MaximumS64>,
            ("neg", "s64") => &PtxLanes.Unary64<Negate64>,
            ("and", "b64") => &PtxLanes.Binary64<And64>,
            ("or", "b64") => &PtxLanes.Binary64<Or64>,
            ("xor", "b64") => &PtxLanes.Binary64<Xor64>,
            ("not", "b64") => &PtxLanes.Unary64<Not64>,
            _ => throw new NotSupportedException(string.Join('.', op)),
        };
    }

    private static delegate*<PtxWarp, in PtxInstruction, uint, void> Compare(string comparison, string type) => (type, comparison) switch
    {
        ("f32", "lt") => &PtxLanes.Compare32<LessF32>,
        ("f32", "le") => &PtxLanes.Compare32<LessEqualF32>,
        ("f32", "gt") => &PtxLanes.Compare32<GreaterF32>,
        ("f32", "ge") => &PtxLanes.Compare32<GreaterEqualF32>,
        ("f32", "eq") => &PtxLanes.Compare32<EqualF32>,
        ("f32", "neu") => &PtxLanes.Compare32<Opposite32<EqualF32>>,
        ("f32", "ltu") => &PtxLanes.Compare32<Opposite32<GreaterEqualF32>>,
        ("f32", "leu") => &PtxLanes.Compare32<Opposite32<GreaterF32>>,
        ("f32", "gtu") => &PtxLanes.Compare32<Opposite32<LessEqualF32>>,
        ("f32", "geu") => &PtxLanes.Compare32<Opposite32<LessF32>>,
        ("f32", "num") => &PtxLanes.Compare32<NumbersF32>,
        ("f32", "nan") => &PtxLanes.Compare32<Opposite32<NumbersF32>>,
        ("f64", "lt") => &PtxLanes.Compare64<LessF64>,
        ("f64", "le") => &PtxLanes.Compare64<LessEqualF64>,
        ("f64", "gt") => &PtxLanes.Compare64<GreaterF64>,
        ("f64", "ge") => &PtxLanes.Compare64<GreaterEqualF64>,
        ("f64", "eq") => &PtxLanes.Compare64<EqualF64>,
        ("f64", "neu") => &PtxLanes.Compare64<Opposite64<EqualF64>>,
        ("f64", "ltu") => &PtxLanes.Compare64<Opposite64<GreaterEqualF64>>,
        ("f64", "leu") => &PtxLanes.Compare64<Opposite64<GreaterF64>>,
        ("f64", "gtu") => &PtxLanes.Compare64<Opposite64<LessEqualF64>>,
        ("f64", "geu") => &PtxLanes.Compare64<Opposite64<LessF64>>,
        ("f64", "num") => &PtxLanes.Compare64<NumbersF64>,
        ("f64", "nan") => &PtxLanes.Compare64<Opposite64<NumbersF64>>,
        ("s32" or "u32" or "b32" or "s16" or "u16" or "b16", "eq") => &PtxLanes.Compare32<Equal32>,
        ("s32" or "u32" or "b32" or "s16" or "u16" or "b16", "ne") => &PtxLanes.Compare32<Opposite32<Equal32>>,
        ("s32", "lt") => &PtxLanes.Compare32<LessS32>,
        ("s32", "ge") => &PtxLanes.Compare32<Opposite32<LessS32>>,
        ("s32", "gt") => &PtxLanes.Compare32<GreaterS32>,
        ("s32", "le") => &PtxLanes.Compare32<Opposite32<GreaterS32>>,
        ("u32" or "u16", "lt" or "lo") => &PtxLanes.Compare32<LessU32>,
        ("u32" or "u16", "ge" or "hs") => &PtxLanes.Compare32<Opposite32<LessU32>>,
        ("u32" or "u16", "gt" or "hi") => &PtxLanes.Compare32<GreaterU32>,
        ("u32" or "u16", "le" or "ls") => &PtxLanes.Compare32<Opposite32<GreaterU32>>,
        ("s64" or "u64" or "b64", "eq") => &PtxLanes.Compare64<Equal64>,
        ("s64" or "u64" or "b64", "ne") => &PtxLanes.Compare64<Opposite64<Equal64>>,
        ("s64", "lt") => &PtxLanes.Compare64<LessS64>,
        ("s64", "ge") => &PtxLanes.Compare64<Opposite64<LessS64>>,
        ("s64", "gt") => &PtxLanes.Compare64<GreaterS64>,
        ("s64", "le") => &PtxLanes.Compare64<Opposite64<GreaterS64>>,
        ("u64", "lt" or "lo") => &PtxLanes.Compare64<LessU64>,
        ("u64", "ge" or "hs") => &PtxLanes.Compare64<Opposite64<LessU64>>,
        ("u64", "gt" or "hi") => &PtxLanes.Compare64<GreaterU64>,
        ("u64", "le" or "ls") => &PtxLanes.Compare64<Opposite64<GreaterU64>>,
        _ => throw new NotSupportedException($"setp.{comparison}.{type}"),
    };

    private static delegate*<PtxWarp, in PtxInstruction, uint, void> Convert(string[] op) => string.Join('.', op[1..]) switch
    {
        "u32.u64" or "s32.s64" or "u32.s64" => &PtxLanes.Lane1<ulong, uint, Truncate>,
        "u64.u32" or "s64.u32" => &PtxLanes.Lane1<uint, ulong, ExtendU32>,
        "s64.s32" or "u64.s32" => &PtxLanes.Lane1<int, long, ExtendS32>,
        "u16.u32" or "u32.u16" or "s16.s32" => &PtxLanes.Lane1<uint, uint, ExtendU16>,
        "s32.s16" => &PtxLanes.Lane1<uint, int, ExtendS16>,
        "u64.u16" => &PtxLanes.Lane1<uint, ulong, ExtendU16To64>,
        "u16.u64" => &PtxLanes.Lane1<ulong, uint, TruncateTo16>,
        "rni.f32.f32" => &PtxLanes.Unary32<RoundF32>,
        "rni.f64.f64" => &PtxLanes.Unary64<RoundF64>,
        "rzi.s32.f32" => &PtxLanes.Lane1<float, int, ToS32>,
        "rzi.u32.f32" => &PtxLanes.Lane1<float, uint, ToU32>,
        "rn.f32.s32" => &PtxLanes.Lane1<int, float, FromS32>,
        "rn.f32.u32" => &PtxLanes.Lane1<uint, float, FromU32>,
        "rn.f32.s64" => &PtxLanes.Lane1<long, float, FromS64>,
        "rn.f32.u64" => &PtxLanes.Lane1<ulong, float, FromU64>,
        "rn.f64.s32" => &PtxLanes.Lane1<int, double, DoubleFromS32>,
        "rn.f64.s64" => &PtxLanes.Lane1<long, double, DoubleFromS64>,
        "f64.f32" => &PtxLanes.Lane1<float, double, Widen>,
        "rn.f32.f64" => &PtxLanes.Lane1<double, float, Round>,
        _ => throw new NotSupportedException(string.Join('.', op)),
    };

    private void Memory(ref PtxInstruction i, string[] op, string[] o, string type)
    {
        i.Space = op.Contains("shared") ? PtxSpace.Shared : op.Contains("global") ? PtxSpace.Global : PtxSpace.Generic;
        i.Size = type switch { "u8" or "s8" or "b8" => 1, "u16" or "s16" or "b16" => 2, _ => (byte)(PtxKernel.WidthOf(type) == 8 ? 8 : 4) };
        i.Count = (byte)(op.Contains("v4") ? 4 : op.Contains("v2") ? 2 : 1);
        i.Signed = type[0] == 's';
        if (op.Contains("local"))
        {
            throw new NotSupportedException("local memory: unroll loops over private arrays");
        }
        if (op[0] is "atom" or "red")
        {
            bool returns = op[0] == "atom";
            i.D = returns ? kernel.Register(o[0]) : -1;
            (i.A, i.Immediate) = kernel.Address(o[returns ? 1 : 0]);
            i.B = kernel.Read(o[returns ? 2 : 1], type);
            i.Run = (op[^2], type) switch
            {
                ("add", "u32" or "s32") => &PtxMemoryAccess.Atomic<AtomicAdd>,
                ("max", "u32") => &PtxMemoryAccess.Atomic<AtomicMaximum>,
                ("min", "u32") => &PtxMemoryAccess.Atomic<AtomicMinimum>,
                _ => throw new NotSupportedException(string.Join('.', op)),
            };
            return;
        }
        bool load = op[0] == "ld";
        (i.A, i.Immediate) = kernel.Address(o[load ? 1 : 0]);
        string[] names = o[load ? 0 : 1].Trim('{', '}').Split(',', StringSplitOptions.TrimEntries);
        var registers = new int[4];
        for (int r = 0; r < names.Length; r++)
        {
            registers[r] = load ? kernel.Register(names[r]) : kernel.Read(names[r], type);
        }
        (i.D, i.B, i.C, i.E) = (registers[0], registers[1], registers[2], registers[3]);
        i.Wide = IsWide(names[0]);
        i.Run = load ? &PtxMemoryAccess.Load : &PtxMemoryAccess.Store;
    }

    private void Pack(ref PtxInstruction i, string[] o, string type)
    {
        bool unpack = o[0][0] == '{';
        string[] parts = o[unpack ? 0 : 1].Trim('{', '}').Split(',', StringSplitOptions.TrimEntries);
        (i.B, i.C) = (Part(kernel, parts[0], unpack), Part(kernel, parts[1], unpack));
        if (unpack)
        {
            i.A = kernel.Read(o[1], type);
            i.Run = type == "b64" ? &PtxLanes.Unpack64 : &PtxLanes.Unpack32;
        }
        else
        {
            i.D = kernel.Register(o[0]);
            i.Run = type == "b64" ? &PtxLanes.Pack64 : &PtxLanes.Pack32;
        }
    }

    private static bool IsWide(string register) => register is ['%', _, 'd', ..];

    private static int Part(PtxKernel kernel, string name, bool write) =>
        name == "tmp" ? -1 : write ? kernel.Register(name) : kernel.Read(name, "b32");
}
