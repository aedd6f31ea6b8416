// Standard normal values, a pure function of (seed, stream, i): Philox4x32-10 (Salmon et al., SC 2011) and Box and Muller's pairs. A thread per
// block of four values.

// Sine and cosine of 2 pi t for t in [0, 1]. Error below 2e-7.
DEVICE f4 sincos_turns(float t)
{
    float quarter = RINT(t * 4.0f);
    float x = FMA(quarter, -0.25f, t) * 6.28318530718f, z = x * x;
    float s = FMA(z, -1.9515295891e-4f, 8.3321608736e-3f);
    s = FMA(FMA(s, z, -1.6666654611e-1f), z * x, x);
    float c = FMA(z, 2.443315711809948e-5f, -1.388731625493765e-3f);
    c = FMA(FMA(c, z, 4.166664568298827e-2f), z * z, FMA(-0.5f, z, 1.0f));
    float from_odd = FABS(FABS(quarter - 2.0f) - 1.0f);
    f4 result;
    result.x = (0.5f > from_odd ? c : s) * (FABS(quarter - 2.5f) > 0.75f ? 1.0f : -1.0f);
    result.y = (0.5f > from_odd ? s : c) * (FABS(quarter - 1.5f) > 0.75f ? 1.0f : -1.0f);
    result.z = 0.0f;
    result.w = 0.0f;
    return result;
}

KERNEL(gaussian)(BUF(float, x), i64 n, i64 seed, int purpose, int stream)
{
    USE(float, x);
    i64 block = (i64)GRP(0) * THREADS + LID();
    if (block * 4 < n) {
        u32 c0 = (u32)block, c1 = (u32)((u64)block >> 32), c2 = (u32)purpose, c3 = (u32)stream;
        u32 k0 = (u32)seed, k1 = (u32)((u64)seed >> 32);
        for (int round = 0; round < 10; round++) {
            u32 h0 = MUL_HI_U32(0xD2511F53u, c0), l0 = 0xD2511F53u * c0, h1 = MUL_HI_U32(0xCD9E8D57u, c2), l1 = 0xCD9E8D57u * c2;
            c0 = h1 ^ c1 ^ k0;
            c1 = l1;
            c2 = h0 ^ c3 ^ k1;
            c3 = l0;
            k0 += 0x9E3779B9u;
            k1 += 0xBB67AE85u;
        }
        float unit = 1.0f / 16777216.0f;
        float r0 = SQRT(-2.0f * log_f32((float)((int)(c0 >> 8) + 1) * unit)), r1 = SQRT(-2.0f * log_f32((float)((int)(c2 >> 8) + 1) * unit));
        f4 first = sincos_turns((float)(int)(c1 >> 8) * unit), second = sincos_turns((float)(int)(c3 >> 8) * unit);
        i64 i = 4 * block;
        x[i] = r0 * first.y;
        if (i + 1 < n) x[i + 1] = r0 * first.x;
        if (i + 2 < n) x[i + 2] = r1 * second.y;
        if (i + 3 < n) x[i + 3] = r1 * second.x;
    }
}
