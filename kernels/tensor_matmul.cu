// CUDA only (sm_80 and later), and not the default: C = op(A) op(B) with operands rounded to bfloat16 and sums in float32 on the tensor cores. Two
// launches round an operand into rows of k (transposing where it must), padded with zeros to whole tiles, so that the product needs no bounds but
// C's: 128 x 128 of C a group, eight warps of 64 x 32, sixteen by eight by sixteen a step (mma.sync), 32 columns of k in each of three
// buffers that cp.async fills ahead. The portable matmul on the rounded operands is its judge.
#define TENSOR_TILE 128
#define TENSOR_STEP 32
#define TENSOR_STAGES 3

typedef unsigned short u16;

// Rounds to nearest, ties to even; NaN stays NaN.
DEVICE u32 bf16_bits(float x)
{
    u32 u = AS_U32(x);
    return (u & 0x7FFFFFFFu) > 0x7F800000u ? (u >> 16) | 0x40u : (u + 0x7FFFu + ((u >> 16) & 1u)) >> 16;
}

// to[r, c] = x at row r, column c, 0 beyond, rows x columns padded. One of the strides of x is 1. A group has 32 x 64 of it.
KERNEL(tensor_round)(BUF(const float, x), i64 row_stride, i64 column_stride, i64 rows, i64 columns, BUF(u32, to), i64 padded_columns)
{
    SHARED float s[32 * 65];
    USE(const float, x);
    USE(u32, to);
    int t = LID();
    i64 r0 = (i64)GRP(1) * 32, c0 = (i64)GRP(0) * 64;
    for (int u = 0; u < 8; u++) {
        int at = u * THREADS + t, r = column_stride == 1 ? at / 64 : at % 32, c = column_stride == 1 ? at % 64 : at / 32;
        s[r * 65 + c] = r0 + r < rows && c0 + c < columns ? x[(r0 + r) * row_stride + (c0 + c) * column_stride] : 0.0f;
    }
    BARRIER();
    for (int u = 0; u < 4; u++) {
        int r = u * 8 + t / 32, c = 2 * (t % 32);
        to[((r0 + r) * padded_columns + c0 + c) / 2] = bf16_bits(s[r * 65 + c]) | (bf16_bits(s[r * 65 + c + 1]) << 16);
    }
}

// A row of a tile has 32 numbers in four pieces of sixteen bytes; pieces trade places by row so that eight rows of a piece lie in all banks.
DEVICE int tensor_place(int row, int piece)
{
    return row * 64 + ((piece ^ ((row >> 1) & 3)) << 4);
}

DEVICE void tensor_load(u32 shared, GLOBAL const u16* from, i64 k, i64 k0)
{
    int t = LID();
    UNROLL for (int u = 0; u < 2; u++) {
        int at = u * THREADS + t, row = at >> 2, piece = at & 3;
        GLOBAL const u16* source = from + row * k + k0 + piece * 8;
        asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" :: "r"(shared + tensor_place(row, piece)), "l"(source) : "memory");
    }
}

#define LDMATRIX4(r0, r1, r2, r3, address) \
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];" : "=r"(r0), "=r"(r1), "=r"(r2), "=r"(r3) : "r"(address) : "memory")

#define MMA(d, a, b0, b1) \
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};" \
        : "+f"((d)[0]), "+f"((d)[1]), "+f"((d)[2]), "+f"((d)[3]) : "r"((a)[0]), "r"((a)[1]), "r"((a)[2]), "r"((a)[3]), "r"(b0), "r"(b1))

// A is [m, k] and B [n, k] of bfloat16, padded to whole tiles; k a multiple of 32. Grid: tiles of C in bands of eight rows of them.
KERNEL(tensor_matmul)(BUF(const u16, a), BUF(const u16, b), BUF(float, c), i64 m, i64 n, i64 k, int accumulate)
{
    SHARED u32 tiles[TENSOR_STAGES * 2 * TENSOR_TILE * TENSOR_STEP / 2];
    USE(const u16, a);
    USE(const u16, b);
    USE(float, c);
    int t = LID(), lane = t & 31, warp = t >> 5, row_of_warp = (warp & 1) * 64, column_of_warp = (warp >> 1) * 32;
    i64 down = (m + TENSOR_TILE - 1) / TENSOR_TILE, across = (n + TENSOR_TILE - 1) / TENSOR_TILE;
    i64 band = GRP(0) / (8 * across), height = MIN_OF(down - 8 * band, 8), within = GRP(0) - band * 8 * across;
    i64 row0 = (8 * band + within % height) * TENSOR_TILE, column0 = within / height * TENSOR_TILE;
    const u16* a_tile = a + row0 * k;
    const u16* b_tile = b + column0 * k;
    u32 base = SHARED_ADDRESS(tiles);
    const u32 stage_bytes = 2 * TENSOR_TILE * TENSOR_STEP * 2, b_part = TENSOR_TILE * TENSOR_STEP * 2;
    float acc[4][4][4];
    UNROLL for (int i = 0; i < 4; i++) { UNROLL for (int j = 0; j < 4; j++) { UNROLL for (int q = 0; q < 4; q++) acc[i][j][q] = 0.0f; } }
    i64 steps = k / TENSOR_STEP;
    UNROLL for (int s = 0; s < TENSOR_STAGES - 1; s++) {
        if (s < steps) {
            tensor_load(base + s * stage_bytes, a_tile, k, s * TENSOR_STEP);
            tensor_load(base + s * stage_bytes + b_part, b_tile, k, s * TENSOR_STEP);
        }
        asm volatile("cp.async.commit_group;" ::: "memory");
    }
    int read = 0, write = TENSOR_STAGES - 1;
    for (i64 step = 0; step < steps; step++) {
        asm volatile("cp.async.wait_group %0;" :: "n"(TENSOR_STAGES - 2) : "memory");
        BARRIER();
        // The buffer that all threads have just left.
        if (step + TENSOR_STAGES - 1 < steps) {
            i64 k0 = (step + TENSOR_STAGES - 1) * TENSOR_STEP;
            tensor_load(base + write * stage_bytes, a_tile, k, k0);
            tensor_load(base + write * stage_bytes + b_part, b_tile, k, k0);
        }
        asm volatile("cp.async.commit_group;" ::: "memory");
        u32 at = base + read * stage_bytes;
        UNROLL for (int kk = 0; kk < 2; kk++) {
            u32 x[4][4], y[2][4];
            UNROLL for (int i = 0; i < 4; i++) {
                // Lanes 0-15 name the rows of the first eight columns, 16-31 those of the next.
                u32 place = at + tensor_place(row_of_warp + i * 16 + (lane & 15), 2 * kk + (lane >> 4));
                LDMATRIX4(x[i][0], x[i][1], x[i][2], x[i][3], place);
            }
            UNROLL for (int j = 0; j < 2; j++) {
                // Two times eight columns of C: their first and second halves of the sixteen k.
                u32 place = at + b_part + tensor_place(column_of_warp + j * 16 + (lane & 7) + ((lane >> 4) << 3), 2 * kk + ((lane >> 3) & 1));
                LDMATRIX4(y[j][0], y[j][1], y[j][2], y[j][3], place);
            }
            UNROLL for (int i = 0; i < 4; i++) {
                UNROLL for (int j = 0; j < 4; j++) MMA(acc[i][j], x[i], y[j >> 1][2 * (j & 1)], y[j >> 1][2 * (j & 1) + 1]);
            }
        }
        read = read + 1 == TENSOR_STAGES ? 0 : read + 1;
        write = write + 1 == TENSOR_STAGES ? 0 : write + 1;
    }
    UNROLL for (int i = 0; i < 4; i++) {
        UNROLL for (int j = 0; j < 4; j++) {
            UNROLL for (int q = 0; q < 4; q++) {
                i64 r = row0 + row_of_warp + i * 16 + (lane >> 2) + (q >> 1) * 8, col = column0 + column_of_warp + j * 8 + (lane & 3) * 2 + (q & 1);
                if (r < m && col < n) c[r * n + col] = accumulate ? c[r * n + col] + acc[i][j][q] : acc[i][j][q];
            }
        }
    }
}
