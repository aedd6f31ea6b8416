// What happens to a feature [n,d] before rows are compared: finiteness, the optimiser's transform, and the history [d] it leaves.
#define HISTORY_ROWS 16

// finite[i] = 1 when every element of row i is finite. A group a row.
KERNEL(rows_finite)(BUF(const float, x), BUF(int, finite), i64 d)
{
    SHARED u32 bad[1];
    USE(const float, x);
    USE(int, finite);
    i64 row = GRP(0);
    if (LID() == 0) bad[0] = 0;
    BARRIER();
    u32 found = 0;
    UNROLL_4 for (i64 c = LID(); c < d; c += THREADS) found |= (AS_U32(x[row * d + c]) & 0x7F800000u) == 0x7F800000u;
    if (found) ATOMIC_MAX(bad, 1u);
    BARRIER();
    if (LID() == 0) finite[row] = bad[0] == 0;
}

// A thread keeps the history of four columns (aligned) or of one while sixteen rows pass. BODY makes f.c from f.c and the history q.c, w.c.
#define TRANSFORM(E) \
    i64 blocks = aligned ? (d / 4 + THREADS - 1) / THREADS : (d + THREADS - 1) / THREADS; \
    i64 c = (GRP(0) % blocks * THREADS + LID()) * (aligned ? 4 : 1), row = GRP(0) / blocks * HISTORY_ROWS, last = MIN_OF(row + HISTORY_ROWS, n); \
    if (c < d) { \
        f4 q; f4 w; q.x = 0.0f; q.y = 0.0f; q.z = 0.0f; q.w = 0.0f; w = q; \
        if (aligned) { \
            if (has_m) q = GLOBAL4((GLOBAL float*)m + c); \
            if (has_v) w = GLOBAL4((GLOBAL float*)v + c); \
            for (; row < last; row++) { \
                f4 f = GLOBAL4((GLOBAL float*)features + row * d + c); \
                ALL4(E) \
                GLOBAL4(normalized + row * d + c) = f; \
            } \
        } else { \
            if (has_m) q.x = m[c]; \
            if (has_v) w.x = v[c]; \
            for (; row < last; row++) { \
                f4 f; \
                f.x = features[row * d + c]; \
                E(x) \
                normalized[row * d + c] = f.x; \
            } \
        } \
    }

// u = (decay1 m + weight1 f) / (sqrt(decay2 v + weight2 f^2) + epsilon), the bias corrections already in the factors.
KERNEL(adam_normalize)(
    BUF(const float, features), BUF(const float, m), BUF(const float, v), BUF(float, normalized), i64 n, i64 d, float decay1, float weight1, float decay2,
    float weight2, float epsilon, int has_m, int has_v, int aligned)
{
    USE(const float, features);
    USE(const float, m);
    USE(const float, v);
    USE(float, normalized);
    #define E(c) f.c = FMA(decay1, q.c, weight1 * f.c) / (SQRT(FMA(decay2, w.c, weight2 * (f.c * f.c))) + epsilon);
    TRANSFORM(E)
    #undef E
}

// u = mu velocity + f.
KERNEL(momentum_normalize)(BUF(const float, features), BUF(const float, m), BUF(float, normalized), i64 n, i64 d, float mu, int has_m, int aligned)
{
    USE(const float, features);
    USE(const float, m);
    USE(float, normalized);
    GLOBAL const float* v = m;
    int has_v = 0;
    #define E(c) f.c = FMA(mu, q.c, f.c);
    TRANSFORM(E)
    #undef E
}

// u = sign(decay m + weight f).
KERNEL(lion_normalize)(
    BUF(const float, features), BUF(const float, m), BUF(float, normalized), i64 n, i64 d, float decay, float weight, int has_m, int aligned)
{
    USE(const float, features);
    USE(const float, m);
    USE(float, normalized);
    GLOBAL const float* v = m;
    int has_v = 0;
    #define E(c) { float u = FMA(decay, q.c, weight * f.c); f.c = u > 0.0f ? 1.0f : 0.0f > u ? -1.0f : 0.0f; }
    TRANSFORM(E)
    #undef E
}

// The listed rows of a column, added in the given order (of squares when squared), as a mean.
DEVICE float row_mean(GLOBAL const float* x, i64 d, GLOBAL const int* rows, i64 count, i64 column, int squared, i64 bound, GLOBAL u32* status, int slot)
{
    float sum = 0.0f;
    #pragma unroll 8
    for (i64 r = 0; r < count; r++) {
        i64 row = rows[r];
        if (row < 0 || row >= bound) {
            if (column == 0) REPORT_INDEX(status, slot, r);
            row = 0;
        }
        float value = x[row * d + column];
        sum = squared ? FMA(value, value, sum) : sum + value;
    }
    return sum / (float)count;
}

// moment = decay moment + weight mean over the rows of f (of f^2 when squared). A thread a column.
KERNEL(update_moment)(
    BUF(const float, features), BUF(const int, rows), BUF(float, moment), i64 d, i64 count, int squared, float decay, float weight, i64 bound,
    BUF(u32, status), int slot)
{
    USE(const float, features);
    USE(const int, rows);
    USE(float, moment);
    USE(u32, status);
    i64 c = (i64)GRP(0) * THREADS + LID();
    if (c < d) {
        float mean = row_mean(features, d, rows, count, c, squared, bound, status, slot);
        moment[c] = FMA(decay, moment[c], weight * mean);
    }
}

// importance[k] = | mean over the rows of u[row,k] |. A thread a column.
KERNEL(column_importance)(BUF(const float, u), BUF(const int, rows), BUF(float, importance), i64 d, i64 count, i64 bound, BUF(u32, status), int slot)
{
    USE(const float, u);
    USE(const int, rows);
    USE(float, importance);
    USE(u32, status);
    i64 c = (i64)GRP(0) * THREADS + LID();
    if (c < d) importance[c] = FABS(row_mean(u, d, rows, count, c, 0, bound, status, slot));
}
