// loss[r] = logsumexp(logits[r]) - logits[r, target[r]]; then logits = weight (softmax - onehot). A row is cut into blocks of 1,024 logits that
// share a maximum; three launches: blocks, rows, gradient.
#define LOGIT_BLOCK 1024

// maxima and sums of e^(x - maximum) of every block. A team of sixteen threads a block, sixteen blocks a group.
KERNEL(cross_entropy_blocks)(BUF(const float, logits), BUF(float, maxima), BUF(float, sums), i64 rows, i64 classes)
{
    SHARED float s[THREADS];
    USE(const float, logits);
    USE(float, maxima);
    USE(float, sums);
    int t = LID(), lane = t & 15;
    i64 per_row = (classes + LOGIT_BLOCK - 1) / LOGIT_BLOCK, item = (i64)GRP(0) * 16 + (t >> 4), r = item / per_row, first = item % per_row * LOGIT_BLOCK;
    i64 count = r < rows ? MIN_OF(classes - first, LOGIT_BLOCK) : 0, at = r * classes + first;
    float most = LOWEST;
    UNROLL_4 for (i64 i = lane; i < count; i += 16) {
        float x = logits[at + i];
        most = x > most ? x : most;
    }
    s[t] = most;
    BARRIER();
    for (int l = 0; l < 16; l++) {
        float x = s[(t & ~15) + l];
        most = x > most ? x : most;
    }
    BARRIER();
    // The last sixteen are filled up with -infinity, which adds less than 1e-36 to a sum of at least 1.
    float sum = 0.0f;
    UNROLL_4 for (i64 i = lane; i < (count + 15) / 16 * 16; i += 16) sum += exp_f32((i < count ? logits[at + i] : NEGATIVE_INFINITY) - most);
    s[t] = sum;
    BARRIER();
    if (lane == 0 && r < rows) {
        maxima[item] = most;
        sums[item] = fold16(s + t);
    }
}

// The loss of a row, and the factor that makes e^(x - the block's maximum) a gradient (over the block's sum). A thread a row.
KERNEL(cross_entropy_rows)(
    BUF(const float, logits), BUF(const int, targets), BUF(const float, row_weights), int gradient, BUF(const float, maxima), BUF(float, sums),
    BUF(float, losses), i64 rows, i64 classes, BUF(u32, status), int slot)
{
    USE(const float, logits);
    USE(const int, targets);
    USE(const float, row_weights);
    USE(const float, maxima);
    USE(float, sums);
    USE(float, losses);
    USE(u32, status);
    i64 r = (i64)GRP(0) * THREADS + LID();
    if (r < rows) {
        i64 blocks = (classes + LOGIT_BLOCK - 1) / LOGIT_BLOCK, at = r * blocks, target = targets[r];
        if (target < 0 || target >= classes) {
            REPORT_INDEX(status, slot, r);
            target = 0;
        }
        float most = LOWEST, sum = 0.0f;
        for (i64 b = 0; b < blocks; b++) most = maxima[at + b] > most ? maxima[at + b] : most;
        for (i64 b = 0; b < blocks; b++) sum = FMA(sums[at + b], exp_f32(maxima[at + b] - most), sum);
        losses[r] = most - logits[r * classes + target] + log_f32(sum);
        if (gradient) {
            float weight = row_weights[r];
            for (i64 b = 0; b < blocks; b++) sums[at + b] = exp_f32(maxima[at + b] - most) / sum * weight;
        }
    }
}

// Four elements a thread, 256 apart.
KERNEL(cross_entropy_gradient)(
    BUF(float, logits), BUF(const int, targets), BUF(const float, row_weights), BUF(const float, maxima), BUF(const float, factors), i64 rows,
    i64 classes)
{
    USE(float, logits);
    USE(const int, targets);
    USE(const float, row_weights);
    USE(const float, maxima);
    USE(const float, factors);
    i64 blocks = (classes + LOGIT_BLOCK - 1) / LOGIT_BLOCK, r = GRP(0) / blocks, b = GRP(0) % blocks;
    float most = maxima[r * blocks + b], factor = factors[r * blocks + b], weight = row_weights[r];
    int target = targets[r];
    float x[4];
    UNROLL for (int u = 0; u < 4; u++) {
        i64 i = b * LOGIT_BLOCK + u * THREADS + LID();
        x[u] = i < classes ? logits[r * classes + i] : 0.0f;
    }
    UNROLL for (int u = 0; u < 4; u++) {
        i64 i = b * LOGIT_BLOCK + u * THREADS + LID();
        if (i < classes) {
            float y = exp_f32(x[u] - most) * factor;
            logits[r * classes + i] = i == target ? y - weight : y;
        }
    }
}
