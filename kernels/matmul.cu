// C = op(A) op(B), or C += op(A) op(B): every element is one chain of fused multiply-adds in ascending k, from 0 or from C, so any tiling and the CPU
// give the same bits. A group makes a square of C of 16 T by 16 T, a thread T by T of it in registers; sixteen steps of k lie in shared memory at a
// time, the next sixteen are fetched meanwhile. Operands are told by strides, one of the two of each being 1.

// One step of k: T values of A, T of B.
DEVICE void matmul_step(SHARED_PTR const float* a, SHARED_PTR const float* b, int tx, int ty, float* acc, const int T)
{
    float x[8], y[8];
    if (T == 2) {
        x[0] = a[2 * ty]; x[1] = a[2 * ty + 1];
        y[0] = b[2 * tx]; y[1] = b[2 * tx + 1];
    } else {
        f4 v = SHARED4((SHARED_PTR float*)a + 4 * ty), w = SHARED4((SHARED_PTR float*)b + 4 * tx);
        x[0] = v.x; x[1] = v.y; x[2] = v.z; x[3] = v.w;
        y[0] = w.x; y[1] = w.y; y[2] = w.z; y[3] = w.w;
        if (T == 8) {
            v = SHARED4((SHARED_PTR float*)a + 64 + 4 * ty);
            w = SHARED4((SHARED_PTR float*)b + 64 + 4 * tx);
            x[4] = v.x; x[5] = v.y; x[6] = v.z; x[7] = v.w;
            y[4] = w.x; y[5] = w.y; y[6] = w.z; y[7] = w.w;
        }
    }
    UNROLL for (int i = 0; i < T; i++) {
        UNROLL for (int j = 0; j < T; j++) acc[i * T + j] = FMA(x[i], y[j], acc[i * T + j]);
    }
}

// Where the i-th of a thread's T rows or columns lies: 4 by 4 squares, two of them 64 apart for T = 8.
DEVICE int matmul_place(int at, int i, const int T)
{
    return T == 2 ? 2 * at + i : (i >> 2) * 64 + 4 * at + (i & 3);
}

// Four elements of an operand: along k when k_stride is 1, else along its rows (columns of B).
DEVICE f4 matmul_fetch(GLOBAL const float* x, i64 row0, i64 k0, i64 rows, i64 k, i64 row_stride, i64 k_stride, int u, int aligned, const int T)
{
    return k_stride == 1
        ? fetch4(x, row0 + (u >> 2), k0 + 4 * (u & 3), rows, k, row_stride, aligned)
        : fetch4(x, k0 + u / (4 * T), row0 + 4 * (u % (4 * T)), k, rows, k_stride, aligned);
}

DEVICE void matmul_store(f4 v, SHARED_PTR float* s, i64 k_stride, int u, const int T)
{
    const int ld = 16 * T + 4;
    if (k_stride == 1) {
        SHARED_PTR float* at = s + 4 * (u & 3) * ld + (u >> 2);
        at[0] = v.x; at[ld] = v.y; at[2 * ld] = v.z; at[3 * ld] = v.w;
    } else SHARED4(s + u / (4 * T) * ld + 4 * (u % (4 * T))) = v;
}

DEVICE void matmul_tile(
    GLOBAL const float* a, i64 a_row, i64 a_k, GLOBAL const float* b, i64 b_column, i64 b_k, GLOBAL float* c, i64 m, i64 n, i64 k, int accumulate,
    int a_aligned, int b_aligned, i64 row0, i64 column0, SHARED_PTR float* as, SHARED_PTR float* bs, const int T)
{
    const int ld = 16 * T + 4, loads = T == 8 ? 2 : 1;
    int t = LID(), tx = SQUARE_X(t), ty = SQUARE_Y(t), loader = t < 64 * T;
    float acc[64];
    UNROLL for (int i = 0; i < T; i++) {
        UNROLL for (int j = 0; j < T; j++) {
            i64 r = row0 + matmul_place(ty, i, T), q = column0 + matmul_place(tx, j, T);
            acc[i * T + j] = accumulate && r < m && q < n ? c[r * n + q] : 0.0f;
        }
    }
    f4 x[2], y[2];
    UNROLL for (int u = 0; u < loads; u++) {
        if (loader) {
            x[u] = matmul_fetch(a, row0, 0, m, k, a_row, a_k, t + THREADS * u, a_aligned, T);
            y[u] = matmul_fetch(b, column0, 0, n, k, b_column, b_k, t + THREADS * u, b_aligned, T);
        }
    }
    for (i64 k0 = 0; k0 < k; k0 += 16) {
        BARRIER();
        UNROLL for (int u = 0; u < loads; u++) {
            if (loader) {
                matmul_store(x[u], as, a_k, t + THREADS * u, T);
                matmul_store(y[u], bs, b_k, t + THREADS * u, T);
            }
        }
        BARRIER();
        if (k0 + 16 < k) {
            FORGET(t);
            UNROLL for (int u = 0; u < loads; u++) {
                if (loader) {
                    x[u] = matmul_fetch(a, row0, k0 + 16, m, k, a_row, a_k, t + THREADS * u, a_aligned, T);
                    y[u] = matmul_fetch(b, column0, k0 + 16, n, k, b_column, b_k, t + THREADS * u, b_aligned, T);
                }
            }
        }
        if (k0 + 16 <= k) {
            #pragma unroll 4
            for (int s = 0; s < 16; s++) matmul_step(as + s * ld, bs + s * ld, tx, ty, acc, T);
        } else {
            #pragma unroll 1
            for (int s = 0; s < (int)(k - k0); s++) matmul_step(as + s * ld, bs + s * ld, tx, ty, acc, T);
        }
    }
    FORGET(tx);
    FORGET(ty);
    UNROLL for (int i = 0; i < T; i++) {
        UNROLL for (int j = 0; j < T; j++) {
            i64 r = row0 + matmul_place(ty, i, T), q = column0 + matmul_place(tx, j, T);
            if (r < m && q < n) c[r * n + q] = acc[i * T + j];
        }
    }
}

// Squares in bands of eight rows of them, column by column: neighbours in time share operands in the second-level cache.
#define MATMUL_BODY(T) \
    SHARED float as[16 * (16 * T + 4)]; \
    SHARED float bs[16 * (16 * T + 4)]; \
    USE(const float, a); \
    USE(const float, b); \
    USE(float, c); \
    i64 down = (m + 16 * T - 1) / (16 * T), across = (n + 16 * T - 1) / (16 * T); \
    i64 band = GRP(0) / (8 * across), height = MIN_OF(down - 8 * band, 8), within = GRP(0) - band * 8 * across; \
    matmul_tile( \
        a, a_row, a_k, b, b_column, b_k, c, m, n, k, accumulate, a_aligned, b_aligned, (8 * band + within % height) * (16 * T), \
        within / height * (16 * T), as, bs, T);

KERNEL(matmul_32)(
    BUF(const float, a), i64 a_row, i64 a_k, BUF(const float, b), i64 b_column, i64 b_k, BUF(float, c), i64 m, i64 n, i64 k, int accumulate,
    int a_aligned, int b_aligned)
{
    MATMUL_BODY(2)
}

KERNEL(matmul_64)(
    BUF(const float, a), i64 a_row, i64 a_k, BUF(const float, b), i64 b_column, i64 b_k, BUF(float, c), i64 m, i64 n, i64 k, int accumulate,
    int a_aligned, int b_aligned)
{
    MATMUL_BODY(4)
}

KERNEL_OF_TWO(matmul_128)(
    BUF(const float, a), i64 a_row, i64 a_k, BUF(const float, b), i64 b_column, i64 b_k, BUF(float, c), i64 m, i64 n, i64 k, int accumulate,
    int a_aligned, int b_aligned)
{
    MATMUL_BODY(8)
}

// C[s] = sum over rows r of segment s of a[r]^T b[r]. Grid: squares of a segment's C, segments.
KERNEL(segmented_matmul)(
    BUF(const float, a), BUF(const float, b), BUF(const int, offsets), BUF(float, c), i64 o, i64 i, i64 rows, i64 first_segment, int aligned,
    BUF(u32, status), int slot)
{
    SHARED float as[16 * 68];
    SHARED float bs[16 * 68];
    USE(const float, a);
    USE(const float, b);
    USE(const int, offsets);
    USE(float, c);
    USE(u32, status);
    i64 segment = first_segment + GRP(1), begin = offsets[segment], end = offsets[segment + 1], across = (i + 63) / 64;
    if (begin < 0 || end < begin || end > rows) {
        if (LID() == 0) REPORT_INDEX(status, slot, segment);
        begin = 0;
        end = 0;
    }
    matmul_tile(
        a + begin * o, 1, o, b + begin * i, 1, i, c + segment * o * i, o, i, end - begin, 0, aligned, aligned, GRP(0) / across * 64,
        GRP(0) % across * 64, as, bs, 4);
}
