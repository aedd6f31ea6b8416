// Weighted merging of K parameter vectors packed one after the other: y[i] = sum over k of weights[k] x[k,i] in double, products and sums rounded
// one by one in ascending k from 0, then once to float. Reads 4K and writes 4 bytes an element. Stride is the distance of two vectors.

KERNEL(weighted_sum)(BUF(const float, x), BUF(const double, weights), BUF(float, y), i64 n, i64 stride, int vectors, int aligned)
{
    USE(const float, x);
    USE(const double, weights);
    USE(float, y);
    EACH(n, aligned,
        double a = 0.0; double b = 0.0; double c = 0.0; double d = 0.0;
        UNROLL_4 for (int k = 0; k < vectors; k++) {
            double w = weights[k];
            f4 v = GLOBAL4((GLOBAL float*)x + k * stride + i);
            a += w * v.x; b += w * v.y; c += w * v.z; d += w * v.w;
        }
        f4 r; r.x = (float)a; r.y = (float)b; r.z = (float)c; r.w = (float)d;
        GLOBAL4(y + i) = r;,
        double sum = 0.0;
        for (int k = 0; k < vectors; k++) sum += weights[k] * x[k * stride + i];
        y[i] = (float)sum;)
}
