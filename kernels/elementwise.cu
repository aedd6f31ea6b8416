// Fill, copy, axpy, scale. 16 bytes a thread and step; memory-bound.

KERNEL(fill)(BUF(float, x), i64 n, float value, int aligned)
{
    USE(float, x);
    f4 v;
    v.x = value; v.y = value; v.z = value; v.w = value;
    EACH(n, aligned, GLOBAL4(x + i) = v;, x[i] = value;)
}

KERNEL(copy)(BUF(const float, x), BUF(float, y), i64 n, int aligned)
{
    USE(const float, x);
    USE(float, y);
    EACH(n, aligned, GLOBAL4(y + i) = GLOBAL4((GLOBAL float*)x + i);, y[i] = x[i];)
}

KERNEL(axpy)(BUF(const float, x), BUF(float, y), i64 n, float alpha, int aligned)
{
    USE(const float, x);
    USE(float, y);
    #define E(c) b.c = FMA(alpha, a.c, b.c);
    EACH(n, aligned,
        f4 a = GLOBAL4((GLOBAL float*)x + i); f4 b = GLOBAL4(y + i); ALL4(E) GLOBAL4(y + i) = b;,
        y[i] = FMA(alpha, x[i], y[i]);)
    #undef E
}

KERNEL(scale)(BUF(float, x), i64 n, float alpha, int aligned)
{
    USE(float, x);
    #define E(c) a.c = a.c * alpha;
    EACH(n, aligned, f4 a = GLOBAL4(x + i); ALL4(E) GLOBAL4(x + i) = a;, x[i] = x[i] * alpha;)
    #undef E
}

// x = value[0] - x: similarities from distances.
KERNEL(subtract_from)(BUF(const float, value), BUF(float, x), i64 n, int aligned)
{
    USE(const float, value);
    USE(float, x);
    float from = value[0];
    #define E(c) a.c = from - a.c;
    EACH(n, aligned, f4 a = GLOBAL4(x + i); ALL4(E) GLOBAL4(x + i) = a;, x[i] = from - x[i];)
    #undef E
}

// sums[b] = sum of x^2 over block b of 4,096 elements, in double: sixteen chains, folded in a fixed order, then the rest of the last block one by
// one. A group has sixteen blocks, a team of sixteen threads each.
KERNEL(sum_of_squares_blocks)(BUF(const float, x), i64 n, BUF(double, sums))
{
    SHARED double s[THREADS];
    USE(const float, x);
    USE(double, sums);
    int t = LID(), lane = t & 15;
    i64 block = (i64)GRP(0) * 16 + (t >> 4), first = block * 4096, count = MIN_OF(n - first, 4096);
    double sum = 0.0;
    #pragma unroll 8
    for (i64 i = lane; i < count / 16 * 16; i += 16) {
        double v = (double)x[first + i];
        sum += v * v;
    }
    s[t] = sum;
    BARRIER();
    if (lane == 0 && count > 0) {
        double four[4];
        UNROLL for (int q = 0; q < 4; q++) four[q] = (s[t + q] + s[t + 8 + q]) + (s[t + 4 + q] + s[t + 12 + q]);
        double rest = 0.0;
        for (i64 i = count / 16 * 16; i < count; i++) {
            double v = (double)x[first + i];
            rest += v * v;
        }
        sums[block] = (four[0] + four[2]) + (four[1] + four[3]) + rest;
    }
}

// result[0] = the sums in ascending order, rounded once. One group: 256 are fetched at a time, one thread adds.
KERNEL(sum_of_squares_total)(BUF(const double, sums), i64 count, BUF(float, result))
{
    SHARED double s[THREADS];
    USE(const double, sums);
    USE(float, result);
    int t = LID();
    double total = 0.0;
    for (i64 first = 0; first < count; first += THREADS) {
        if (first + t < count) s[t] = sums[first + t];
        BARRIER();
        if (t == 0) {
            int have = (int)MIN_OF(count - first, THREADS);
            #pragma unroll 8
            for (int i = 0; i < have; i++) total += s[i];
        }
        BARRIER();
    }
    if (t == 0) result[0] = (float)total;
}
