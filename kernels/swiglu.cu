// y = silu(gate) up, silu(x) = x / (1 + e^-x), and its backward pass (Shazeer 2020). Destinations may be sources.

DEVICE float swiglu_value(float gate, float up)
{
    return gate * sigmoid_f32(gate) * up;
}

KERNEL(swiglu)(BUF(const float, gate), BUF(const float, up), BUF(float, y), i64 n, int aligned)
{
    USE(const float, gate);
    USE(const float, up);
    USE(float, y);
    #define E(c) a.c = swiglu_value(a.c, b.c);
    EACH(n, aligned,
        f4 a = GLOBAL4((GLOBAL float*)gate + i); f4 b = GLOBAL4((GLOBAL float*)up + i); ALL4(E) GLOBAL4(y + i) = a;,
        y[i] = swiglu_value(gate[i], up[i]);)
    #undef E
}

// silu'(x) = s + x s (1 - s) with s = 1 / (1 + e^-x).
KERNEL(swiglu_backward)(
    BUF(const float, dy), BUF(const float, gate), BUF(const float, up), BUF(float, dgate), BUF(float, dup), i64 n, int aligned)
{
    USE(const float, dy);
    USE(const float, gate);
    USE(const float, up);
    USE(float, dgate);
    USE(float, dup);
    #define E(c) { float s = sigmoid_f32(g.c); float silu = g.c * s; g.c = d.c * u.c * FMA(silu, 1.0f - s, s); u.c = d.c * silu; }
    EACH(n, aligned,
        f4 d = GLOBAL4((GLOBAL float*)dy + i); f4 g = GLOBAL4((GLOBAL float*)gate + i); f4 u = GLOBAL4((GLOBAL float*)up + i);
        ALL4(E) GLOBAL4(dgate + i) = g; GLOBAL4(dup + i) = u;,
        f4 d; f4 g; f4 u; d.x = dy[i]; g.x = gate[i]; u.x = up[i]; E(x) dgate[i] = g.x; dup[i] = u.x;)
    #undef E
}
