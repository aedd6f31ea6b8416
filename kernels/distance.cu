// Distances of all pairs of two sets of rows [m,h] and [p,h]: L1 as sum a + sum b - 2 sum min(a, b), L2 from squared differences, cosine. A group makes
// 64 x 64 pairs, a thread 4 x 4 in registers. A pair's terms are added in ascending column, in float32 within chunks of 128 columns and in double
// over the chunks: the bits of the CPU. Where both sets are the same (symmetric) only half the squares are computed.
#define PAIR_CHUNK 128

#define TERM_L1(a, b, sum) (FMIN(a, b) + sum)
#define TERM_L2(a, b, sum) FMA(a - b, a - b, sum)
#define TERM_COSINE(a, b, sum) FMA(a, b, sum)

// Two sums of each row: L1 wants sum x and sum |x|, cosine 1 / sqrt(sum x^2). A group a row, a thread a chunk of it.
KERNEL(row_sums)(BUF(const float, x), BUF(double, firsts), BUF(double, seconds), i64 h, int cosine)
{
    SHARED double a[THREADS];
    SHARED double b[THREADS];
    USE(const float, x);
    USE(double, firsts);
    USE(double, seconds);
    int t = LID();
    i64 row = GRP(0), chunks = (h + PAIR_CHUNK - 1) / PAIR_CHUNK;
    double first = 0.0, second = 0.0;
    for (i64 c = 0; c < chunks; c += THREADS) {
        float sum = 0.0f, size = 0.0f;
        if (c + t < chunks) {
            i64 begin = (c + t) * PAIR_CHUNK, end = MIN_OF(begin + PAIR_CHUNK, h);
            for (i64 k = begin; k < end; k++) {
                float v = x[row * h + k];
                sum = cosine ? FMA(v, v, sum) : v + sum;
                size = size + FABS(v);
            }
        }
        a[t] = (double)sum;
        b[t] = (double)size;
        BARRIER();
        if (t == 0) {
            int have = (int)MIN_OF(chunks - c, THREADS);
            for (int i = 0; i < have; i++) {
                first += a[i];
                second += b[i];
            }
        }
        BARRIER();
    }
    if (t == 0) {
        firsts[row] = cosine ? 1.0 / SQRT_F64(first) : first;
        seconds[row] = second;
    }
}

#define PAIR_ROW(TERM, i, v) \
    acc[4 * i] = TERM(v, y.x, acc[4 * i]); \
    acc[4 * i + 1] = TERM(v, y.y, acc[4 * i + 1]); \
    acc[4 * i + 2] = TERM(v, y.z, acc[4 * i + 2]); \
    acc[4 * i + 3] = TERM(v, y.w, acc[4 * i + 3]);

#define PAIR_STORE(s, v) { SHARED_PTR float* at = s + 4 * (t & 3) * 68 + (t >> 2); at[0] = v.x; at[68] = v.y; at[136] = v.z; at[204] = v.w; }

// Row i of squares has down - i of them, from the diagonal on; the square of a linear number.
#define PAIR_SQUARE \
    i64 down = (m + 63) / 64, across = (p + 63) / 64, square = first_square + GRP(0), si, sj; \
    if (symmetric) { \
        si = 0; \
        i64 low = 0, high = down - 1; \
        while (low < high) { \
            i64 middle = (low + high + 1) / 2; \
            if (middle * down - middle * (middle - 1) / 2 <= square) low = middle; \
            else high = middle - 1; \
        } \
        si = low; \
        sj = si + square - (si * down - si * (si - 1) / 2); \
    } else { \
        si = square / across; \
        sj = square % across; \
    } \
    i64 row0 = si * 64, column0 = sj * 64;

#define PAIR_SUMS(TERM) \
    int t = LID(), tx = SQUARE_X(t), ty = SQUARE_Y(t); \
    PAIR_SQUARE \
    float acc[16]; \
    double total[16]; \
    UNROLL for (int i = 0; i < 16; i++) { acc[i] = 0.0f; total[i] = 0.0; } \
    if (t == 0) most[0] = 0; \
    f4 fa = fetch4(a, row0 + (t >> 2), 4 * (t & 3), m, h, h, aligned), fb = fetch4(b, column0 + (t >> 2), 4 * (t & 3), p, h, h, aligned); \
    for (i64 k0 = 0; k0 < h; k0 += 16) { \
        BARRIER(); \
        PAIR_STORE(as, fa) \
        PAIR_STORE(bs, fb) \
        BARRIER(); \
        if (k0 + 16 < h) { \
            FORGET(t); \
            fa = fetch4(a, row0 + (t >> 2), k0 + 16 + 4 * (t & 3), m, h, h, aligned); \
            fb = fetch4(b, column0 + (t >> 2), k0 + 16 + 4 * (t & 3), p, h, h, aligned); \
        } \
        _Pragma("unroll") \
        for (int s = 0; s < 16; s++) { \
            f4 x = SHARED4(as + s * 68 + 4 * ty), y = SHARED4(bs + s * 68 + 4 * tx); \
            PAIR_ROW(TERM, 0, x.x) PAIR_ROW(TERM, 1, x.y) PAIR_ROW(TERM, 2, x.z) PAIR_ROW(TERM, 3, x.w) \
        } \
        if ((k0 + 16) % PAIR_CHUNK == 0 || k0 + 16 >= h) { \
            UNROLL for (int i = 0; i < 16; i++) { total[i] += (double)acc[i]; acc[i] = 0.0f; } \
        } \
    }

// FINISH makes value from sum = total[..] of rows r and q. The largest of a group goes to largest[0] as the bits of a non-negative float.
#define PAIR_FINISH(FINISH) \
    u32 mine = 0; \
    FORGET(tx); \
    FORGET(ty); \
    UNROLL for (int i = 0; i < 4; i++) { \
        UNROLL for (int j = 0; j < 4; j++) { \
            i64 r = row0 + 4 * ty + i, q = column0 + 4 * tx + j; \
            if (r < m && q < p && !(symmetric && r > q)) { \
                double sum = total[4 * i + j]; \
                float value; \
                FINISH \
                distances[r * p + q] = value; \
                if (symmetric && r != q) distances[q * p + r] = value; \
                if (value > 0.0f) mine = MAX_OF(mine, AS_U32(value)); \
            } \
        } \
    } \
    if (mine) ATOMIC_MAX(most, mine); \
    BARRIER(); \
    if (t == 0 && most[0]) ATOMIC_MAX(largest, most[0]);

#define PAIR_ARGUMENTS \
    BUF(const float, a), BUF(const float, b), BUF(const double, a_firsts), BUF(const double, a_seconds), BUF(const double, b_firsts), \
    BUF(const double, b_seconds), BUF(float, distances), BUF(u32, largest), i64 m, i64 p, i64 h, i64 first_square, int symmetric, int aligned

#define PAIR_USES \
    USE(const float, a); \
    USE(const float, b); \
    USE(const double, a_firsts); \
    USE(const double, a_seconds); \
    USE(const double, b_firsts); \
    USE(const double, b_seconds); \
    USE(float, distances); \
    USE(u32, largest);

// NaN marks a pair whose distance is below 1/16 of the rows' norms, where the subtraction would lose more than four bits: l1_careful does it anew.
KERNEL(distance_l1)(PAIR_ARGUMENTS)
{
    SHARED float as[16 * 68];
    SHARED float bs[16 * 68];
    SHARED u32 most[1];
    PAIR_USES
    PAIR_SUMS(TERM_L1)
    PAIR_FINISH(
        double distance = a_firsts[r] + b_firsts[q] - (sum + sum);
        int kept = distance >= 0.0625 * (a_seconds[r] + b_seconds[q]);
        value = kept ? (float)distance : symmetric && r == q ? 0.0f : QUIET_NAN;)
}

KERNEL(distance_l2)(PAIR_ARGUMENTS)
{
    SHARED float as[16 * 68];
    SHARED float bs[16 * 68];
    SHARED u32 most[1];
    PAIR_USES
    PAIR_SUMS(TERM_L2)
    PAIR_FINISH(value = (float)SQRT_F64(sum);)
}

// On a grid of 2^-24; firsts are 1 / norm, infinite for a zero row, whose products are NaN and become 0.
KERNEL(distance_cosine)(PAIR_ARGUMENTS)
{
    SHARED float as[16 * 68];
    SHARED float bs[16 * 68];
    SHARED u32 most[1];
    PAIR_USES
    PAIR_SUMS(TERM_COSINE)
    PAIR_FINISH(
        double cosine = sum * a_firsts[r] * b_firsts[q];
        cosine = cosine == cosine ? cosine : 0.0;
        cosine = cosine < -1.0 ? -1.0 : cosine > 1.0 ? 1.0 : cosine;
        value = (float)(RINT_F64(cosine * 16777216.0) * (1.0 / 16777216.0));)
}

// Sum |a - b| for the pairs that distance_l1 marked, by teams of sixteen threads: sixteen chains, folded every 2,048 columns, in double over them. A
// group looks at 1,024 pairs.
KERNEL(l1_careful)(BUF(const float, a), BUF(const float, b), BUF(float, distances), BUF(u32, largest), i64 m, i64 p, i64 h, int symmetric)
{
    SHARED u32 listed[1024];
    SHARED float s[THREADS];
    SHARED u32 count[1];
    USE(const float, a);
    USE(const float, b);
    USE(float, distances);
    USE(u32, largest);
    int t = LID(), lane = t & 15;
    i64 first = (i64)GRP(0) * 1024;
    if (t == 0) count[0] = 0;
    BARRIER();
    UNROLL for (int u = 0; u < 4; u++) {
        i64 at = first + u * THREADS + t;
        if (at < m * p && !(symmetric && at / p > at % p)) {
            float value = distances[at];
            if (value != value) listed[ATOMIC_ADD(count, 1u)] = u * THREADS + t;
        }
    }
    BARRIER();
    int have = (int)count[0];
    for (int e = 0; e < have; e += 16) {
        int mine = e + (t >> 4) < have;
        i64 at = first + (mine ? listed[e + (t >> 4)] : 0), i = at / p, j = at % p;
        double total = 0.0;
        for (i64 block = 0; block < h; block += 16 * PAIR_CHUNK) {
            float sum = 0.0f;
            i64 end = mine ? MIN_OF(block + 16 * PAIR_CHUNK, h) : 0;
            for (i64 k = block + lane; k < end; k += 16) sum = sum + FABS(a[i * h + k] - b[j * h + k]);
            s[t] = sum;
            BARRIER();
            total += (double)fold16(s + (t & ~15));
            BARRIER();
        }
        if (mine && lane == 0) {
            float value = (float)total;
            distances[at] = value;
            if (symmetric) distances[j * p + i] = value;
            if (value > 0.0f) ATOMIC_MAX(largest, AS_U32(value));
        }
    }
}
