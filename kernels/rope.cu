// Rotates each head's halves in place: with p = positions[r], (a, b) = (x[j], x[j + half]) becomes (a cos - b sin, b cos + a sin); direction -1
// rotates back (Su et al. 2021). A thread per pair.

KERNEL(rope)(
    BUF(const int, positions), BUF(const float, cosines), BUF(const float, sines), BUF(float, x), i64 pairs, int heads, int half_size, float direction,
    i64 bound, BUF(u32, status), int slot)
{
    USE(const int, positions);
    USE(const float, cosines);
    USE(const float, sines);
    USE(float, x);
    USE(u32, status);
    i64 p = (i64)GRP(0) * THREADS + LID();
    if (p < pairs) {
        i64 j = p % half_size, head = p / half_size, r = head / heads, position = positions[r];
        if (position < 0 || position >= bound) {
            REPORT_INDEX(status, slot, r);
            position = 0;
        }
        float c = cosines[position * half_size + j], s = sines[position * half_size + j] * direction;
        i64 at = head * 2 * half_size + j;
        float low = x[at], high = x[at + half_size];
        x[at] = FMA(low, c, 0.0f - high * s);
        x[at + half_size] = FMA(high, c, low * s);
    }
}
