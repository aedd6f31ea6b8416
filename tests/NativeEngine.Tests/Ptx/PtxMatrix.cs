using System.Globalization;
using System.Runtime.Intrinsics;

namespace NativeEngine.Tests.Ptx;

/// <summary>
/// The instructions of tensor cores: mma.sync (m16n8k16, bfloat16), ldmatrix and cp.async. A copy lands when its group is waited for; until then its
/// destination counts as never written, so that a missing wait shows.
/// </summary>
internal static unsafe class PtxMatrix
{
    public static bool TryDecode(ref PtxInstruction i, string[] op, string[] o, PtxKernel kernel)
    {
        switch (op[0])
        {
            case "cp" when op[1] == "async" && op[2] == "cg" && o[2] == "16":
                (i.A, i.Immediate) = kernel.Address(o[0]);
                (i.B, long offset) = kernel.Address(o[1]);
                i.Target = (int)offset;
                i.Run = &CopyAsync;
                return true;
            case "cp" when op[1] == "async" && op[2] == "commit_group":
                i.Run = &Commit;
                return true;
            case "cp" when op[1] == "async" && op[2] == "wait_group":
                i.Immediate = int.Parse(o[0], CultureInfo.InvariantCulture);
                i.Run = &Wait;
                return true;
            case "ldmatrix" when string.Join('.', op) == "ldmatrix.sync.aligned.m8n8.x4.shared.b16":
                i.More = Registers(kernel, o[0]);
                (i.A, i.Immediate) = kernel.Address(o[1]);
                i.Run = &LoadMatrix;
                return true;
            case "mma" when string.Join('.', op) == "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32":
                i.More = [.. Registers(kernel, o[0]), .. Registers(kernel, o[1]), .. Registers(kernel, o[2]), .. Registers(kernel, o[3])];
                i.Run = &Multiply;
                return true;
            default:
                return false;
        }
    }

    private static int[] Registers(PtxKernel kernel, string group) =>
        [.. group.Trim('{', '}').Split(',', StringSplitOptions.TrimEntries).Select(name => kernel.Read(name, "b32"))];

    private static long SharedAddress(PtxWarp w, in PtxInstruction i, int lane) => ((uint*)(w.Registers + i.A))[lane] + i.Immediate;

    private static void CopyAsync(PtxWarp w, in PtxInstruction i, uint mask)
    {
        (long First, long Last) block = default;
        for (int l = 0; l < 32; l++)
        {
            if ((mask >> l & 1) == 0)
            {
                continue;
            }
            long to = SharedAddress(w, i, l), from = ((long*)(w.Registers + i.B))[l] + i.Target;
            _ = PtxMemoryAccess.SharedAt(w, to, 16, l);
            var data = Vector128.Load(PtxMemoryAccess.GlobalAt(w, from, 16, l, ref block));
            PtxMemoryAccess.MarkWrite(w, to, 16, l, (uint)(w.FirstThread + l));
            for (long word = to / 4; word < (to / 4) + 4; word++)
            {
                w.Group.Written[word] = 0;
            }
            w.Copies.Add((l, to, data));
        }
    }

    private static void Commit(PtxWarp w, in PtxInstruction i, uint mask)
    {
        RequireAll(w, mask);
        w.CopyGroups.Add(w.Copies);
        w.Copies = [];
    }

    private static void Wait(PtxWarp w, in PtxInstruction i, uint mask)
    {
        RequireAll(w, mask);
        for (; w.CopyGroups.Count > i.Immediate; w.CopyGroups.RemoveAt(0))
        {
            foreach (var (lane, to, data) in w.CopyGroups[0])
            {
                PtxMemoryAccess.MarkWrite(w, to, 16, lane, (uint)(w.FirstThread + lane));
                data.Store(w.Group.Shared + to);
            }
        }
    }

    /// <summary>Four 8 x 8 matrices: lane l names row l % 8 of matrix l / 8, and gets the pair l % 4 of row l / 4 of each.</summary>
    private static void LoadMatrix(PtxWarp w, in PtxInstruction i, uint mask)
    {
        RequireAll(w, mask);
        for (int l = 0; l < 32; l++)
        {
            long address = SharedAddress(w, i, l);
            uint* row = (uint*)PtxMemoryAccess.SharedAt(w, address, 16, l);
            PtxMemoryAccess.MarkRead(w, address, 16, l, several: true);
            for (int pair = 0; pair < 4; pair++)
            {
                ((uint*)(w.Registers + i.More![l / 8]))[(4 * (l % 8)) + pair] = row[pair];
            }
        }
    }

    /// <summary>D [16,8] = A [16,16] B [16,8] + C, each sum in double and rounded once: the hardware's order is its own.</summary>
    private static void Multiply(PtxWarp w, in PtxInstruction i, uint mask)
    {
        RequireAll(w, mask);
        float* a = stackalloc float[16 * 16], b = stackalloc float[16 * 8];
        for (int l = 0; l < 32; l++)
        {
            int group = l / 4, pair = 2 * (l % 4);
            for (int r = 0; r < 4; r++)
            {
                Put(((uint*)(w.Registers + i.More![4 + r]))[l], a + ((group + (8 * (r % 2))) * 16) + pair + (8 * (r / 2)), 1);
            }
            for (int r = 0; r < 2; r++)
            {
                Put(((uint*)(w.Registers + i.More![8 + r]))[l], b + ((pair + (8 * r)) * 8) + group, 8);
            }
        }
        float* d = stackalloc float[32 * 4];
        for (int l = 0; l < 32; l++)
        {
            for (int r = 0; r < 4; r++)
            {
                int row = (l / 4) + (8 * (r / 2)), column = (2 * (l % 4)) + (r % 2);
                double sum = ((float*)(w.Registers + i.More![10 + r]))[l];
                for (int k = 0; k < 16; k++)
                {
                    sum += (double)a[(row * 16) + k] * b[(k * 8) + column];
                }
                d[(4 * l) + r] = (float)sum;
            }
        }
        for (int l = 0; l < 32; l++)
        {
            for (int r = 0; r < 4; r++)
            {
                ((float*)(w.Registers + i.More![r]))[l] = d[(4 * l) + r];
            }
        }
    }

    private static void Put(uint two, float* to, int step)
    {
        to[0] = BitConverter.UInt32BitsToSingle(two << 16);
        to[step] = BitConverter.UInt32BitsToSingle(two & 0xFFFF0000);
    }

    private static void RequireAll(PtxWarp w, uint mask)
    {
        if (mask != uint.MaxValue)
        {
            throw w.Fault("an instruction of the whole warp runs on a part of it");
        }
    }
}
