// Greedy facility location, wholly on the device: three launches a pick, nothing returns before the last. Gains stay exact: a pick changes best of
// some rows, and every column's gain loses what those rows no longer offer, max(s - old, 0) - max(s - new, 0). S is symmetric, so row i is column i;
// its values lie on a grid (see the similarity kernels) on which these double sums are exact in any order, and the order is fixed anyway.
#define CHANGE_ROWS 1024

// gains[j] = sum over i of max(S[j,i] - best[i], 0), 0 for taken ones when told so. A group a column, folded 128, 64, ..., 1.
KERNEL(facility_gains)(BUF(const float, similarity), BUF(const float, best), BUF(const int, taken), BUF(double, gains), i64 n, int skip_taken)
{
    SHARED double s[THREADS];
    USE(const float, similarity);
    USE(const float, best);
    USE(const int, taken);
    USE(double, gains);
    int t = LID();
    i64 j = GRP(0);
    double sum = 0.0;
    UNROLL_4 for (i64 i = t; i < n; i += THREADS) {
        double gain = (double)similarity[j * n + i] - (double)best[i];
        sum += gain > 0.0 ? gain : 0.0;
    }
    s[t] = sum;
    BARRIER();
    for (int half_size = THREADS / 2; half_size > 0; half_size >>= 1) {
        if (t < half_size) s[t] += s[t + half_size];
        BARRIER();
    }
    if (t == 0) gains[j] = skip_taken && taken[j] ? 0.0 : s[0];
}

// Takes the changes of the last pick off the gains and finds the largest of 256 columns: (gain, column), ties to the lowest column, taken ones not.
KERNEL(facility_best)(
    BUF(double, gains), BUF(const double, changes), i64 slices, BUF(const int, taken), BUF(double, block_gain), BUF(int, block_column), i64 n)
{
    SHARED double g[THREADS];
    SHARED int c[THREADS];
    USE(double, gains);
    USE(const double, changes);
    USE(const int, taken);
    USE(double, block_gain);
    USE(int, block_column);
    int t = LID();
    i64 j = (i64)GRP(0) * THREADS + t;
    double gain = -1.0;
    if (j < n) {
        double now = gains[j];
        for (i64 s = 0; s < slices; s++) now -= changes[s * n + j];
        gains[j] = now;
        gain = taken[j] ? -1.0 : now;
    }
    g[t] = gain;
    c[t] = (int)j;
    BARRIER();
    for (int half_size = THREADS / 2; half_size > 0; half_size >>= 1) {
        if (t < half_size && (g[t + half_size] > g[t] || (g[t + half_size] == g[t] && c[t + half_size] < c[t]))) {
            g[t] = g[t + half_size];
            c[t] = c[t + half_size];
        }
        BARRIER();
    }
    if (t == 0) {
        block_gain[GRP(0)] = g[0];
        block_column[GRP(0)] = c[0];
    }
}

// Every group finds the pick among the blocks; group b then compares rows b * 1,024 ... with it and lists those whose best changed, in order.
KERNEL(facility_represent)(
    BUF(const float, similarity), BUF(const double, block_gain), BUF(const int, block_column), i64 blocks, i64 pick_number, BUF(int, picks),
    BUF(double, gains_of_picks), BUF(int, taken), BUF(float, best), BUF(float, nearest), BUF(int, owners), BUF(int, changed), BUF(float, old_best),
    BUF(int, changed_counts), i64 n)
{
    SHARED double g[THREADS];
    SHARED int c[THREADS];
    SHARED u32 number[THREADS];
    USE(const float, similarity);
    USE(const double, block_gain);
    USE(const int, block_column);
    USE(int, picks);
    USE(double, gains_of_picks);
    USE(int, taken);
    USE(float, best);
    USE(float, nearest);
    USE(int, owners);
    USE(int, changed);
    USE(float, old_best);
    USE(int, changed_counts);
    int t = LID();
    double gain = -2.0;
    int column = 0;
    for (i64 b = t; b < blocks; b += THREADS) {
        if (block_gain[b] > gain) {
            gain = block_gain[b];
            column = block_column[b];
        }
    }
    g[t] = gain;
    c[t] = column;
    BARRIER();
    for (int half_size = THREADS / 2; half_size > 0; half_size >>= 1) {
        if (t < half_size && (g[t + half_size] > g[t] || (g[t + half_size] == g[t] && c[t + half_size] < c[t]))) {
            g[t] = g[t + half_size];
            c[t] = c[t + half_size];
        }
        BARRIER();
    }
    i64 pick = c[0];
    if (GRP(0) == 0 && t == 0) {
        double limit = pick_number > 0 ? gains_of_picks[pick_number - 1] : g[0];
        picks[pick_number] = (int)pick;
        gains_of_picks[pick_number] = g[0] < limit ? g[0] : limit;
        taken[pick] = 1;
    }
    i64 first = (i64)GRP(0) * CHANGE_ROWS + 4 * t;
    u32 mine = 0;
    float old[4];
    int changes[4];
    UNROLL for (int u = 0; u < 4; u++) {
        i64 i = first + u;
        changes[u] = 0;
        old[u] = 0.0f;
        if (i < n) {
            float value = similarity[pick * n + i];
            if (value > nearest[i]) {
                old[u] = best[i];
                float now = value > 0.0f ? value : 0.0f;
                nearest[i] = value;
                best[i] = now;
                owners[i] = (int)pick_number;
                changes[u] = now != old[u];
                mine += (u32)changes[u];
            }
        }
    }
    number[t] = mine;
    BARRIER();
    for (int step = 1; step < THREADS; step <<= 1) {
        u32 x = t >= step ? number[t - step] : 0;
        BARRIER();
        number[t] += x;
        BARRIER();
    }
    i64 at = (i64)GRP(0) * CHANGE_ROWS + number[t] - mine;
    UNROLL for (int u = 0; u < 4; u++) {
        if (changes[u]) {
            changed[at] = (int)(first + u);
            old_best[at] = old[u];
            at++;
        }
    }
    if (t == 0) changed_counts[GRP(0)] = (int)number[THREADS - 1];
}

// changes[slice, j] = what the changed rows of blocks slice, slice + slices, ... no longer offer column j. A thread a column.
KERNEL(facility_changes)(
    BUF(const float, similarity), BUF(const int, changed), BUF(const float, old_best), BUF(const int, changed_counts), i64 row_blocks,
    BUF(const float, best), BUF(double, changes), i64 n)
{
    USE(const float, similarity);
    USE(const int, changed);
    USE(const float, old_best);
    USE(const int, changed_counts);
    USE(const float, best);
    USE(double, changes);
    i64 j = (i64)GRP(0) * THREADS + LID();
    if (j < n) {
        double sum = 0.0;
        for (i64 b = GRP(1); b < row_blocks; b += NGRP(1)) {
            int count = changed_counts[b];
            #pragma unroll 4
            for (int e = 0; e < count; e++) {
                i64 i = changed[b * CHANGE_ROWS + e];
                double s = (double)similarity[i * n + j], before = s - (double)old_best[b * CHANGE_ROWS + e], after = s - (double)best[i];
                sum += (before > 0.0 ? before : 0.0) - (after > 0.0 ? after : 0.0);
            }
        }
        changes[GRP(1) * n + j] = sum;
    }
}

// A pick represents itself.
KERNEL(facility_own)(BUF(const int, picks), BUF(int, owners), i64 k)
{
    USE(const int, picks);
    USE(int, owners);
    i64 t = (i64)GRP(0) * THREADS + LID();
    if (t < k) owners[picks[t]] = (int)t;
}

// The start: nothing is represented, nothing taken.
KERNEL(facility_start)(BUF(float, best), BUF(float, nearest), BUF(int, owners), BUF(int, taken), i64 n)
{
    USE(float, best);
    USE(float, nearest);
    USE(int, owners);
    USE(int, taken);
    i64 i = (i64)GRP(0) * THREADS + LID();
    if (i < n) {
        best[i] = 0.0f;
        nearest[i] = NEGATIVE_INFINITY;
        owners[i] = -1;
        taken[i] = 0;
    }
}
