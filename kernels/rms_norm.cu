// y = weight x / sqrt(mean(x^2) + epsilon) and its backward pass (Zhang and Sennrich 2019).

// A team of 64 threads a row, four rows a group.
KERNEL(rms_norm)(BUF(const float, x), BUF(const float, weight), float epsilon, BUF(float, y), BUF(float, inverse_rms), i64 rows, i64 columns)
{
    SHARED float s[THREADS];
    USE(const float, x);
    USE(const float, weight);
    USE(float, y);
    USE(float, inverse_rms);
    int lane = LID() & 63, team = LID() >> 6;
    i64 r = (i64)GRP(0) * 4 + team, at = r * columns;
    float scale = 1.0f / SQRT(dot64(x + at, x + at, r < rows ? columns : 0, lane, s + 64 * team) / (float)columns + epsilon);
    if (r < rows) {
        if (lane == 0) inverse_rms[r] = scale;
        for (i64 j = lane; j < columns; j += 64) y[at + j] = x[at + j] * scale * weight[j];
    }
}

// With g = dy weight: dx += s (g - x s^2 mean(g x)). A team of 32 threads a row, eight rows a group.
KERNEL(rms_norm_backward_input)(
    BUF(const float, dy), BUF(const float, x), BUF(const float, weight), BUF(const float, inverse_rms), BUF(float, dx), i64 rows, i64 columns)
{
    SHARED float s[THREADS];
    USE(const float, dy);
    USE(const float, x);
    USE(const float, weight);
    USE(const float, inverse_rms);
    USE(float, dx);
    int t = LID(), lane = t & 31;
    i64 r = (i64)GRP(0) * 8 + (t >> 5), at = r * columns, whole = columns / 32 * 32;
    float sum = 0.0f;
    if (r < rows) {
        UNROLL_4 for (i64 j = lane; j < whole; j += 32) sum = FMA(dy[at + j] * weight[j], x[at + j], sum);
    }
    s[t] = sum;
    BARRIER();
    if (lane < 16) s[t] += s[t + 16];
    BARRIER();
    sum = fold16(s + (t & ~31));
    if (r < rows) {
        for (i64 j = whole; j < columns; j++) sum = FMA(dy[at + j] * weight[j], x[at + j], sum);
        float scale = inverse_rms[r], pull = -(scale * scale * (sum / (float)columns));
        for (i64 j = lane; j < columns; j += 32) dx[at + j] = FMA(scale, FMA(pull, x[at + j], dy[at + j] * weight[j]), dx[at + j]);
    }
}

// dweight += sum over rows of dy x s, rows in ascending order. A group has 32 columns: all threads fetch 64 rows of them, 32 threads add.
KERNEL(rms_norm_backward_weight)(
    BUF(const float, dy), BUF(const float, x), BUF(const float, inverse_rms), BUF(float, dweight), i64 rows, i64 columns)
{
    SHARED float a[64 * 32];
    SHARED float b[64 * 32];
    USE(const float, dy);
    USE(const float, x);
    USE(const float, inverse_rms);
    USE(float, dweight);
    int t = LID(), lane = t & 31, line = t >> 5;
    i64 c = (i64)GRP(0) * 32 + lane;
    float sum = line == 0 && c < columns ? dweight[c] : 0.0f;
    for (i64 first = 0; first < rows; first += 64) {
        UNROLL for (int u = 0; u < 8; u++) {
            i64 r = first + line + 8 * u;
            if (r < rows && c < columns) {
                a[(line + 8 * u) * 32 + lane] = dy[r * columns + c];
                b[(line + 8 * u) * 32 + lane] = x[r * columns + c] * inverse_rms[r];
            }
        }
        BARRIER();
        if (line == 0 && c < columns) {
            int have = (int)MIN_OF(rows - first, 64);
            #pragma unroll 8
            for (int k = 0; k < have; k++) sum = FMA(a[k * 32 + lane], b[k * 32 + lane], sum);
        }
        BARRIER();
    }
    if (line == 0 && c < columns) dweight[c] = sum;
}
