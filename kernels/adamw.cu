// Optimisers: one pass over gradient, parameter and state. The gradient used is gradient * gradient_scale[0]. Constants come from the host, where
// they are made in double.

// scale = min(1, maximum / (sqrt(sum) + 1e-6)).
KERNEL(clip_scale)(BUF(const float, sum), float maximum, BUF(float, scale))
{
    USE(const float, sum);
    USE(float, scale);
    if (GRP(0) == 0 && LID() == 0) {
        float value = maximum / (SQRT(sum[0]) + 1e-6f);
        scale[0] = value > 1.0f ? 1.0f : value;
    }
}

// m = b1 m + (1-b1) g, v = b2 v + (1-b2) g^2, p = p decay - rate m / (sqrt(v unbias2) + epsilon) (Loshchilov and Hutter 2019).
KERNEL(adamw)(
    BUF(const float, gradient), BUF(const float, gradient_scale), BUF(float, parameter), BUF(float, m), BUF(float, v), i64 n, float beta1, float rest1,
    float beta2, float rest2, float decay, float rate, float unbias2, float epsilon, int aligned)
{
    USE(const float, gradient);
    USE(const float, gradient_scale);
    USE(float, parameter);
    USE(float, m);
    USE(float, v);
    float factor = gradient_scale[0];
    #define E(c) { \
        float g = a.c * factor; \
        float first = FMA(beta1, q.c, rest1 * g); \
        float second = FMA(beta2, w.c, rest2 * g * g); \
        float step = rate * first / (SQRT(second * unbias2) + epsilon); \
        q.c = first; w.c = second; p.c = FMA(p.c, decay, 0.0f - step); }
    EACH(n, aligned,
        f4 a = GLOBAL4((GLOBAL float*)gradient + i); f4 p = GLOBAL4(parameter + i); f4 q = GLOBAL4(m + i); f4 w = GLOBAL4(v + i);
        ALL4(E) GLOBAL4(m + i) = q; GLOBAL4(v + i) = w; GLOBAL4(parameter + i) = p;,
        f4 a; f4 p; f4 q; f4 w; a.x = gradient[i]; p.x = parameter[i]; q.x = m[i]; w.x = v[i];
        E(x) m[i] = q.x; v[i] = w.x; parameter[i] = p.x;)
    #undef E
}

// velocity = mu velocity + g, p = p decay - rate velocity.
KERNEL(momentum)(
    BUF(const float, gradient), BUF(const float, gradient_scale), BUF(float, parameter), BUF(float, velocity), i64 n, float mu, float decay, float rate,
    int aligned)
{
    USE(const float, gradient);
    USE(const float, gradient_scale);
    USE(float, parameter);
    USE(float, velocity);
    float factor = gradient_scale[0];
    #define E(c) { q.c = FMA(mu, q.c, a.c * factor); p.c = FMA(p.c, decay, 0.0f - rate * q.c); }
    EACH(n, aligned,
        f4 a = GLOBAL4((GLOBAL float*)gradient + i); f4 p = GLOBAL4(parameter + i); f4 q = GLOBAL4(velocity + i);
        ALL4(E) GLOBAL4(velocity + i) = q; GLOBAL4(parameter + i) = p;,
        f4 a; f4 p; f4 q; a.x = gradient[i]; p.x = parameter[i]; q.x = velocity[i]; E(x) velocity[i] = q.x; parameter[i] = p.x;)
    #undef E
}

// p = p decay - rate sign(b1 m + (1-b1) g), m = b2 m + (1-b2) g; sign(0) = 0, NaN stays (Chen et al. 2023).
KERNEL(lion)(
    BUF(const float, gradient), BUF(const float, gradient_scale), BUF(float, parameter), BUF(float, m), i64 n, float beta1, float rest1, float beta2,
    float rest2, float decay, float rate, int aligned)
{
    USE(const float, gradient);
    USE(const float, gradient_scale);
    USE(float, parameter);
    USE(float, m);
    float factor = gradient_scale[0];
    #define E(c) { \
        float g = a.c * factor; \
        float direction = FMA(beta1, q.c, rest1 * g); \
        float sign = direction > 0.0f ? 1.0f : 0.0f > direction ? -1.0f : direction; \
        p.c = FMA(p.c, decay, 0.0f - rate * sign); q.c = FMA(beta2, q.c, rest2 * g); }
    EACH(n, aligned,
        f4 a = GLOBAL4((GLOBAL float*)gradient + i); f4 p = GLOBAL4(parameter + i); f4 q = GLOBAL4(m + i);
        ALL4(E) GLOBAL4(m + i) = q; GLOBAL4(parameter + i) = p;,
        f4 a; f4 p; f4 q; a.x = gradient[i]; p.x = parameter[i]; q.x = m[i]; E(x) m[i] = q.x; parameter[i] = p.x;)
    #undef E
}
