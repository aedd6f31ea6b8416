// What a device can do at most: kernels that do nothing else, for the profiler. A thread has eight independent chains in registers, so that
// neither latency nor memory bounds it; 64 terms a round. Launched on arrays of ones with a = 1 and b = 0, which no compiler can know.

#define EIGHT(E) E(0) E(1) E(2) E(3) E(4) E(5) E(6) E(7)
#define ROUND(E) EIGHT(E) EIGHT(E) EIGHT(E) EIGHT(E) EIGHT(E) EIGHT(E) EIGHT(E) EIGHT(E)
#define CHAINS(E) \
    USE(float, x); \
    i64 at = (i64)GRP(0) * THREADS + LID(); \
    float s0 = x[at], s1 = s0 + b, s2 = s1 + b, s3 = s2 + b, s4 = s3 + b, s5 = s4 + b, s6 = s5 + b, s7 = s6 + b; \
    for (int r = 0; r < rounds; r++) { ROUND(E) } \
    x[at] = (((s0 + s1) + (s2 + s3)) + ((s4 + s5) + (s6 + s7))) * (0.125f * a);

KERNEL(roof_fma)(BUF(float, x), int rounds, float a, float b)
{
    #define E(i) s##i = FMA(s##i, a, b);
    CHAINS(E)
    #undef E
}

KERNEL(roof_min_add)(BUF(float, x), int rounds, float a, float b)
{
    #define E(i) s##i = FMIN(s##i, b) + s##i;
    CHAINS(E)
    #undef E
}

KERNEL(roof_sub_fma)(BUF(float, x), int rounds, float a, float b)
{
    #define E(i) s##i = s##i - b; s##i = FMA(s##i, s##i, b);
    CHAINS(E)
    #undef E
}

// Sums of x, so that every element is read; 16 bytes a thread and step.
KERNEL(roof_read)(BUF(float, x), i64 n, BUF(float, sums))
{
    USE(float, x);
    USE(float, sums);
    i64 at = (i64)GRP(0) * THREADS + LID(), step = (i64)NGRP(0) * THREADS;
    float a = 0.0f, b = 0.0f, c = 0.0f, d = 0.0f;
    for (i64 i = at; 4 * i + 4 <= n; i += step) {
        f4 v = GLOBAL4(x + 4 * i);
        a += v.x; b += v.y; c += v.z; d += v.w;
    }
    if (4 * at < n) sums[at] = (a + b) + (c + d);
}
