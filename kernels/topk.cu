// The k largest of d non-negative floats, descending, ties to the lowest column. Radix selection of the k-th largest by 11 + 11 + 10 bits (histogram
// and bucket, three times), then a stable compaction (count, scan, write) and the rank of each of the k keys by counting. Non-negative floats sort
// as their bits do. State: [0] prefix, [1] mask, [2] number of words above it.
#define DIGITS 2048
#define SCAN_BLOCK 4096

// histogram[digit] += the words that match the prefix. Integer atomics: the order does not matter.
KERNEL(topk_histogram)(BUF(const u32, words), BUF(const u32, state), BUF(u32, histogram), i64 d, int shift, int digit_mask)
{
    SHARED u32 h[DIGITS];
    USE(const u32, words);
    USE(const u32, state);
    USE(u32, histogram);
    int t = LID();
    for (int i = t; i < DIGITS; i += THREADS) h[i] = 0;
    BARRIER();
    u32 prefix = state[0], mask = state[1];
    for (i64 i = (i64)GRP(0) * THREADS + t; i < d; i += (i64)NGRP(0) * THREADS) {
        u32 word = words[i];
        if ((word & mask) == prefix) ATOMIC_ADD(h + ((word >> shift) & (u32)digit_mask), 1u);
    }
    BARRIER();
    for (int i = t; i < DIGITS; i += THREADS) {
        u32 count = h[i];
        if (count) ATOMIC_ADD(histogram + i, count);
    }
}

// Finds the bucket of the k-th largest, moves the state on and clears the histogram. One group.
KERNEL(topk_bucket)(BUF(u32, state), BUF(u32, histogram), i64 k, int shift, int digit_mask)
{
    SHARED u32 h[DIGITS];
    SHARED u32 part[THREADS];
    USE(u32, state);
    USE(u32, histogram);
    int t = LID();
    u32 sum = 0;
    for (int i = 0; i < DIGITS / THREADS; i++) {
        int at = t * (DIGITS / THREADS) + i;
        u32 count = histogram[at];
        h[at] = count;
        sum += count;
        histogram[at] = 0;
    }
    part[t] = sum;
    BARRIER();
    if (t == 0) {
        u32 above = state[2];
        int p = THREADS - 1;
        while (p > 0 && above + part[p] < (u32)k) above += part[p--];
        int bucket = p * (DIGITS / THREADS) + DIGITS / THREADS - 1;
        while (bucket > 0 && above + h[bucket] < (u32)k) above += h[bucket--];
        state[0] |= (u32)bucket << shift;
        state[1] |= (u32)digit_mask << shift;
        state[2] = above;
    }
}

// counts[b] = words above the threshold in block b, counts[blocks + b] = words equal to it.
KERNEL(topk_count)(BUF(const u32, words), BUF(const u32, state), BUF(u32, counts), i64 d)
{
    SHARED u32 total[2];
    USE(const u32, words);
    USE(const u32, state);
    USE(u32, counts);
    int t = LID();
    if (t < 2) total[t] = 0;
    BARRIER();
    u32 threshold = state[0], above = 0, equal = 0;
    i64 first = (i64)GRP(0) * SCAN_BLOCK, last = MIN_OF(first + SCAN_BLOCK, d);
    for (i64 i = first + t; i < last; i += THREADS) {
        above += words[i] > threshold;
        equal += words[i] == threshold;
    }
    ATOMIC_ADD(total, above);
    ATOMIC_ADD(total + 1, equal);
    BARRIER();
    if (t < 2) counts[t * (i64)NGRP(0) + GRP(0)] = total[t];
}

// Exclusive sums over the blocks, of both counts. One group.
KERNEL(topk_scan)(BUF(u32, counts), i64 blocks)
{
    SHARED u32 s[2 * THREADS];
    USE(u32, counts);
    int t = LID();
    u32 above = 0, equal = 0;
    for (i64 first = 0; first < blocks; first += THREADS) {
        if (first + t < blocks) {
            s[t] = counts[first + t];
            s[THREADS + t] = counts[blocks + first + t];
        }
        BARRIER();
        if (t == 0) {
            int have = (int)MIN_OF(blocks - first, THREADS);
            for (int i = 0; i < have; i++) {
                u32 a = s[i], e = s[THREADS + i];
                s[i] = above;
                s[THREADS + i] = equal;
                above += a;
                equal += e;
            }
        }
        BARRIER();
        if (first + t < blocks) {
            counts[first + t] = s[t];
            counts[blocks + first + t] = s[THREADS + t];
        }
        BARRIER();
    }
}

// keys[] = (~bits, column) of the words above the threshold, then of the lowest columns equal to it, k in all.
KERNEL(topk_write)(BUF(const u32, words), BUF(const u32, state), BUF(const u32, counts), BUF(u64, keys), i64 d, i64 k)
{
    SHARED u32 a[THREADS];
    SHARED u32 e[THREADS];
    USE(const u32, words);
    USE(const u32, state);
    USE(const u32, counts);
    USE(u64, keys);
    int t = LID();
    u32 threshold = state[0], above = state[2];
    i64 blocks = NGRP(0), first = (i64)GRP(0) * SCAN_BLOCK + t * (SCAN_BLOCK / THREADS), last = MIN_OF(first + SCAN_BLOCK / THREADS, d);
    u32 mine_above = 0, mine_equal = 0;
    for (i64 i = first; i < last; i++) {
        mine_above += words[i] > threshold;
        mine_equal += words[i] == threshold;
    }
    a[t] = mine_above;
    e[t] = mine_equal;
    BARRIER();
    for (int step = 1; step < THREADS; step <<= 1) {
        u32 x = t >= step ? a[t - step] : 0, y = t >= step ? e[t - step] : 0;
        BARRIER();
        a[t] += x;
        e[t] += y;
        BARRIER();
    }
    u32 at_above = counts[GRP(0)] + a[t] - mine_above, at_equal = counts[blocks + GRP(0)] + e[t] - mine_equal;
    for (i64 i = first; i < last; i++) {
        u32 word = words[i];
        u64 key = ((u64)~word << 32) | (u32)i;
        if (word > threshold) keys[at_above++] = key;
        else if (word == threshold) {
            if (above + at_equal < (u32)k) keys[above + at_equal] = key;
            at_equal++;
        }
    }
}

// columns[rank of a key] = its column: the rank is the number of smaller keys.
KERNEL(topk_rank)(BUF(const u64, keys), BUF(int, columns), i64 k)
{
    SHARED u64 s[THREADS];
    USE(const u64, keys);
    USE(int, columns);
    int t = LID();
    i64 i = (i64)GRP(0) * THREADS + t, rank = 0;
    u64 key = i < k ? keys[i] : 0;
    for (i64 first = 0; first < k; first += THREADS) {
        if (first + t < k) s[t] = keys[first + t];
        BARRIER();
        int have = (int)MIN_OF(k - first, THREADS);
        for (int j = 0; j < have; j++) rank += s[j] < key;
        BARRIER();
    }
    if (i < k) columns[rank] = (int)(u32)key;
}
