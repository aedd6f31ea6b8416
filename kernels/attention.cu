// Causal grouped-query attention over packed sequences without a T x T matrix. A group has 64 queries of one head and 128 columns of its output. Two
// passes over the keys: the largest score of each query, then weights and values; scores are made twice so that nothing is rescaled and every
// number has the bits of the CPU: a score is a chain over h, the sum of weights and the output are chains over keys, both ascending.
#define TILE_LD 68

// acc[4i + j] = sum over c of a[4 ty + i, c] b[4 tx + j, c] of two sets of up to 64 rows of h columns.
DEVICE void score_tile(
    GLOBAL const float* a, i64 a_stride, i64 a_rows, GLOBAL const float* b, i64 b_stride, i64 b_rows, int h, int aligned, SHARED_PTR float* as,
    SHARED_PTR float* bs, float* acc)
{
    int t = LID(), tx = SQUARE_X(t), ty = SQUARE_Y(t);
    UNROLL for (int i = 0; i < 16; i++) acc[i] = 0.0f;
    f4 x = fetch4(a, t >> 2, 4 * (t & 3), a_rows, h, a_stride, aligned), y = fetch4(b, t >> 2, 4 * (t & 3), b_rows, h, b_stride, aligned);
    for (int c = 0; c < h; c += 16) {
        int at = 4 * (t & 3) * TILE_LD + (t >> 2);
        BARRIER();
        as[at] = x.x; as[at + TILE_LD] = x.y; as[at + 2 * TILE_LD] = x.z; as[at + 3 * TILE_LD] = x.w;
        bs[at] = y.x; bs[at + TILE_LD] = y.y; bs[at + 2 * TILE_LD] = y.z; bs[at + 3 * TILE_LD] = y.w;
        BARRIER();
        if (c + 16 < h) {
            // The next columns are on their way while these are multiplied.
            x = fetch4(a, t >> 2, c + 16 + 4 * (t & 3), a_rows, h, a_stride, aligned);
            y = fetch4(b, t >> 2, c + 16 + 4 * (t & 3), b_rows, h, b_stride, aligned);
        }
        #pragma unroll 8
        for (int s = 0; s < 16; s++) {
            f4 v = SHARED4(as + s * TILE_LD + 4 * ty), w = SHARED4(bs + s * TILE_LD + 4 * tx);
            #define R(i, e) acc[4 * i] = FMA(e, w.x, acc[4 * i]); acc[4 * i + 1] = FMA(e, w.y, acc[4 * i + 1]); \
                acc[4 * i + 2] = FMA(e, w.z, acc[4 * i + 2]); acc[4 * i + 3] = FMA(e, w.w, acc[4 * i + 3]);
            R(0, v.x) R(1, v.y) R(2, v.z) R(3, v.w)
            #undef R
        }
    }
}

// ps[column j of the tile][row i] = the thread's 4 x 4 values.
DEVICE void store_tile(SHARED_PTR float* ps, const float* value)
{
    int t = LID(), tx = SQUARE_X(t), ty = SQUARE_Y(t);
    UNROLL for (int j = 0; j < 4; j++) {
        f4 v;
        v.x = value[j]; v.y = value[4 + j]; v.z = value[8 + j]; v.w = value[12 + j];
        SHARED4(ps + (4 * tx + j) * TILE_LD + 4 * ty) = v;
    }
}

// acc[4i + j] += sum over r of ps[r][4 ty + i] x[r, column + 4 tx + j], rows r < 64 ascending, sixteen of them in shared memory at a time.
DEVICE void weighted_rows(
    SHARED_PTR const float* ps, GLOBAL const float* x, i64 stride, i64 rows, int column, int h, int aligned, SHARED_PTR float* xs, float* acc)
{
    int t = LID(), tx = SQUARE_X(t), ty = SQUARE_Y(t);
    f4 y = fetch4(x, t >> 4, column + 4 * (t & 15), rows, h, stride, aligned);
    for (int r = 0; r < 64 && r < rows; r += 16) {
        BARRIER();
        SHARED4(xs + (t >> 4) * TILE_LD + 4 * (t & 15)) = y;
        BARRIER();
        if (r + 16 < 64) y = fetch4(x, r + 16 + (t >> 4), column + 4 * (t & 15), rows, h, stride, aligned);
        #pragma unroll 8
        for (int s = 0; s < 16; s++) {
            f4 v = SHARED4((SHARED_PTR float*)ps + (r + s) * TILE_LD + 4 * ty), w = SHARED4(xs + s * TILE_LD + 4 * tx);
            #define R(i, e) acc[4 * i] = FMA(e, w.x, acc[4 * i]); acc[4 * i + 1] = FMA(e, w.y, acc[4 * i + 1]); \
                acc[4 * i + 2] = FMA(e, w.z, acc[4 * i + 2]); acc[4 * i + 3] = FMA(e, w.w, acc[4 * i + 3]);
            R(0, v.x) R(1, v.y) R(2, v.z) R(3, v.w)
            #undef R
        }
    }
}

// The sequence whose tiles of 64 hold slot: those of sequence s begin at offsets[s] / 64 + s, which leaves room for every tile of the ones before.
DEVICE int sequence_of(GLOBAL const int* offsets, int sequences, int slot)
{
    int low = 0, high = sequences - 1;
    while (low < high) {
        int middle = (low + high + 1) / 2;
        if (offsets[middle] / 64 + middle <= slot) low = middle;
        else high = middle - 1;
    }
    return low;
}

// Records offsets that do not ascend within their rows, or more queries than keys. A thread a sequence.
KERNEL(attention_check)(
    BUF(const int, query_offsets), BUF(const int, key_offsets), int sequences, i64 query_rows, i64 key_rows, BUF(u32, status), int slot)
{
    USE(const int, query_offsets);
    USE(const int, key_offsets);
    USE(u32, status);
    int s = GRP(0) * THREADS + LID();
    if (s < sequences) {
        i64 q0 = query_offsets[s], q1 = query_offsets[s + 1], k0 = key_offsets[s], k1 = key_offsets[s + 1];
        if (q0 < 0 || q1 < q0 || q1 > query_rows || k0 < 0 || k1 < k0 || k1 > key_rows || q1 - q0 > k1 - k0) REPORT_INDEX(status, slot, s);
    }
}

// Grid: slots of query tiles, heads, blocks of 128 output columns.
KERNEL_OF_TWO(attention)(
    BUF(const float, q), BUF(const float, k), BUF(const float, v), BUF(const int, query_offsets), BUF(const int, key_offsets), BUF(float, output),
    BUF(float, log_sum_exp), int sequences, int heads, int heads_per_key, int h, float scale, int aligned, i64 query_rows, i64 key_rows)
{
    SHARED float as[16 * TILE_LD];
    SHARED float bs[16 * TILE_LD];
    SHARED float ps[64 * TILE_LD];
    SHARED float shifts[64];
    SHARED float sums[64];
    USE(const float, q);
    USE(const float, k);
    USE(const float, v);
    USE(const int, query_offsets);
    USE(const int, key_offsets);
    USE(float, output);
    USE(float, log_sum_exp);
    int t = LID(), tx = SQUARE_X(t), ty = SQUARE_Y(t), head = GRP(1), column = GRP(2) * 128;
    int sequence = sequence_of(query_offsets, sequences, GRP(0));
    i64 begin = query_offsets[sequence], length = query_offsets[sequence + 1] - begin, first_key = key_offsets[sequence];
    i64 key_count = key_offsets[sequence + 1] - first_key, earlier = key_count - length;
    i64 first_query = (i64)(GRP(0) - (int)(begin / 64) - sequence) * 64;
    if (first_query >= length || begin < 0 || begin + length > query_rows || earlier < 0 || first_key < 0 || first_key + key_count > key_rows) return;
    i64 row = (i64)heads * h, key_row = (i64)(heads / heads_per_key) * h;
    i64 queries = MIN_OF(length - first_query, 64), visible = earlier + first_query + 1, keys = visible + queries - 1;
    GLOBAL const float* q_tile = q + (begin + first_query) * row + (i64)head * h;
    GLOBAL const float* k_head = k + first_key * key_row + (i64)(head / heads_per_key) * h;
    GLOBAL const float* v_head = v + first_key * key_row + (i64)(head / heads_per_key) * h;
    float s[16], most[4];
    UNROLL for (int i = 0; i < 4; i++) most[i] = LOWEST;
    for (i64 key = 0; key < keys; key += 64) {
        score_tile(q_tile, row, queries, k_head + key * key_row, key_row, key_count - key, h, aligned, as, bs, s);
        UNROLL for (int i = 0; i < 4; i++) {
            UNROLL for (int j = 0; j < 4; j++) {
                if (key + 4 * tx + j < visible + 4 * ty + i && s[4 * i + j] > most[i]) most[i] = s[4 * i + j];
            }
        }
    }
    BARRIER();
    UNROLL for (int i = 0; i < 4; i++) ps[(4 * ty + i) * TILE_LD + tx] = most[i];
    BARRIER();
    if (t < 64) {
        float largest = LOWEST;
        UNROLL for (int i = 0; i < 16; i++) largest = ps[t * TILE_LD + i] > largest ? ps[t * TILE_LD + i] : largest;
        shifts[t] = largest * scale;
    }
    BARRIER();
    float sum = 0.0f, low[16], high[16], down[4];
    UNROLL for (int i = 0; i < 16; i++) { low[i] = 0.0f; high[i] = 0.0f; }
    UNROLL for (int i = 0; i < 4; i++) down[i] = 0.0f - shifts[4 * ty + i];
    for (i64 key = 0; key < keys; key += 64) {
        score_tile(q_tile, row, queries, k_head + key * key_row, key_row, key_count - key, h, aligned, as, bs, s);
        UNROLL for (int i = 0; i < 4; i++) {
            UNROLL for (int j = 0; j < 4; j++) {
                float e = exp_f32(FMA(s[4 * i + j], scale, down[i]));
                s[4 * i + j] = key + 4 * tx + j < visible + 4 * ty + i ? e : 0.0f;
            }
        }
        store_tile(ps, s);
        BARRIER();
        if (t < 64) {
            #pragma unroll 16
            for (int j = 0; j < 64; j++) sum += ps[j * TILE_LD + t];
        }
        weighted_rows(ps, v_head + key * key_row, key_row, key_count - key, column, h, aligned, as, low);
        if (column + 64 < h) weighted_rows(ps, v_head + key * key_row, key_row, key_count - key, column + 64, h, aligned, as, high);
    }
    if (t < 64) {
        sums[t] = sum;
        if (column == 0 && t < queries) log_sum_exp[(begin + first_query + t) * heads + head] = shifts[t] + log_f32(sum);
    }
    BARRIER();
    FORGET(tx);
    FORGET(ty);
    UNROLL for (int i = 0; i < 4; i++) {
        i64 r = 4 * ty + i;
        if (r < queries) {
            GLOBAL float* to = output + (begin + first_query + r) * row + (i64)head * h;
            UNROLL for (int j = 0; j < 4; j++) {
                int c = column + 4 * tx + j;
                if (c < h) to[c] = low[4 * i + j] / sums[r];
                if (c + 64 < h) to[c + 64] = high[4 * i + j] / sums[r];
            }
        }
    }
}

// inner[row, head] = sum over c of dO O. A team of 64 threads each, four a group.
KERNEL(attention_inner)(BUF(const float, doutput), BUF(const float, output), BUF(float, inner), i64 count, int h)
{
    SHARED float s[THREADS];
    USE(const float, doutput);
    USE(const float, output);
    USE(float, inner);
    int team = LID() >> 6, lane = LID() & 63;
    i64 item = (i64)GRP(0) * 4 + team;
    float sum = dot64(doutput + item * h, output + item * h, item < count ? h : 0, lane, s + 64 * team);
    if (item < count && lane == 0) inner[item] = sum;
}

// dV = P^T dO and dK = dS^T Q of 64 keys and 64 columns: the query heads of a key-value head and their queries in ascending order. Grid: slots of key
// tiles, key-value heads, blocks of 64 columns. Needs equal query and key offsets.
KERNEL_OF_TWO(attention_backward_keys)(
    BUF(const float, doutput), BUF(const float, q), BUF(const float, k), BUF(const float, v), BUF(const float, log_sum_exp), BUF(const float, inner),
    BUF(const int, offsets), BUF(float, dk), BUF(float, dv), int sequences, int heads, int heads_per_key, int h, float scale, int values_only,
    int aligned, i64 rows)
{
    SHARED float as[16 * TILE_LD];
    SHARED float bs[16 * TILE_LD];
    SHARED float ps[64 * TILE_LD];
    USE(const float, doutput);
    USE(const float, q);
    USE(const float, k);
    USE(const float, v);
    USE(const float, log_sum_exp);
    USE(const float, inner);
    USE(const int, offsets);
    USE(float, dk);
    USE(float, dv);
    int t = LID(), tx = SQUARE_X(t), ty = SQUARE_Y(t), column = GRP(2) * 64;
    int sequence = sequence_of(offsets, sequences, GRP(0));
    i64 begin = offsets[sequence], length = offsets[sequence + 1] - begin, first_key = (i64)(GRP(0) - (int)(begin / 64) - sequence) * 64;
    if (first_key >= length || begin < 0 || begin + length > rows) return;
    i64 row = (i64)heads * h, key_row = (i64)(heads / heads_per_key) * h, key_at = (begin + first_key) * key_row + (i64)GRP(1) * h;
    float s[16], p[16], sum_k[16], sum_v[16];
    UNROLL for (int i = 0; i < 16; i++) { sum_k[i] = 0.0f; sum_v[i] = 0.0f; }
    for (int head = GRP(1) * heads_per_key; head < (GRP(1) + 1) * heads_per_key; head++) {
        for (i64 query = first_key; query < length; query += 64) {
            i64 at = (begin + query) * row + (i64)head * h, queries = length - query;
            score_tile(k + key_at, key_row, length - first_key, q + at, row, queries, h, aligned, as, bs, s);
            UNROLL for (int j = 0; j < 4; j++) {
                i64 r = 4 * tx + j;
                float down = r < queries ? 0.0f - log_sum_exp[(begin + query + r) * heads + head] : 0.0f;
                UNROLL for (int i = 0; i < 4; i++) {
                    float e = exp_f32(FMA(s[4 * i + j], scale, down));
                    p[4 * i + j] = r < queries && first_key + 4 * ty + i <= query + r ? e : 0.0f;
                }
            }
            store_tile(ps, p);
            weighted_rows(ps, doutput + at, row, queries, column, h, aligned, as, sum_v);
            if (!values_only) {
                score_tile(v + key_at, key_row, length - first_key, doutput + at, row, queries, h, aligned, as, bs, s);
                UNROLL for (int j = 0; j < 4; j++) {
                    i64 r = 4 * tx + j;
                    float own = r < queries ? inner[(begin + query + r) * heads + head] : 0.0f;
                    UNROLL for (int i = 0; i < 4; i++) p[4 * i + j] = p[4 * i + j] * scale * (s[4 * i + j] - own);
                }
                store_tile(ps, p);
                weighted_rows(ps, q + at, row, queries, column, h, aligned, as, sum_k);
            }
        }
    }
    FORGET(tx);
    FORGET(ty);
    UNROLL for (int i = 0; i < 4; i++) {
        if (first_key + 4 * ty + i < length) {
            UNROLL for (int j = 0; j < 4; j++) {
                int c = column + 4 * tx + j;
                if (c < h) {
                    dv[key_at + (4 * ty + i) * key_row + c] = sum_v[4 * i + j];
                    if (!values_only) dk[key_at + (4 * ty + i) * key_row + c] = sum_k[4 * i + j];
                }
            }
        }
    }
}

// dQ = dS K of 64 queries and 64 columns, keys in ascending order. Grid: slots of query tiles, heads, blocks of 64 columns.
KERNEL_OF_TWO(attention_backward_queries)(
    BUF(const float, doutput), BUF(const float, q), BUF(const float, k), BUF(const float, v), BUF(const float, log_sum_exp), BUF(const float, inner),
    BUF(const int, offsets), BUF(float, dq), int sequences, int heads, int heads_per_key, int h, float scale, int aligned, i64 rows)
{
    SHARED float as[16 * TILE_LD];
    SHARED float bs[16 * TILE_LD];
    SHARED float ps[64 * TILE_LD];
    USE(const float, doutput);
    USE(const float, q);
    USE(const float, k);
    USE(const float, v);
    USE(const float, log_sum_exp);
    USE(const float, inner);
    USE(const int, offsets);
    USE(float, dq);
    int t = LID(), tx = SQUARE_X(t), ty = SQUARE_Y(t), head = GRP(1), column = GRP(2) * 64;
    int sequence = sequence_of(offsets, sequences, GRP(0));
    i64 begin = offsets[sequence], length = offsets[sequence + 1] - begin, first_query = (i64)(GRP(0) - (int)(begin / 64) - sequence) * 64;
    if (first_query >= length || begin < 0 || begin + length > rows) return;
    i64 row = (i64)heads * h, key_row = (i64)(heads / heads_per_key) * h, queries = length - first_query;
    i64 at = (begin + first_query) * row + (i64)head * h, key_head = begin * key_row + (i64)(head / heads_per_key) * h;
    float s[16], p[16], sum[16], down[4], own[4];
    UNROLL for (int i = 0; i < 16; i++) sum[i] = 0.0f;
    UNROLL for (int i = 0; i < 4; i++) {
        i64 r = 4 * ty + i;
        down[i] = r < queries ? 0.0f - log_sum_exp[(begin + first_query + r) * heads + head] : 0.0f;
        own[i] = r < queries ? inner[(begin + first_query + r) * heads + head] : 0.0f;
    }
    for (i64 key = 0; key <= first_query; key += 64) {
        i64 key_at = key_head + key * key_row;
        score_tile(q + at, row, queries, k + key_at, key_row, length - key, h, aligned, as, bs, p);
        score_tile(doutput + at, row, queries, v + key_at, key_row, length - key, h, aligned, as, bs, s);
        UNROLL for (int i = 0; i < 4; i++) {
            UNROLL for (int j = 0; j < 4; j++) {
                float e = exp_f32(FMA(p[4 * i + j], scale, down[i]));
                e = 4 * ty + i < queries && key + 4 * tx + j <= first_query + 4 * ty + i ? e : 0.0f;
                p[4 * i + j] = e * scale * (s[4 * i + j] - own[i]);
            }
        }
        store_tile(ps, p);
        weighted_rows(ps, k + key_at, key_row, length - key, column, h, aligned, as, sum);
    }
    FORGET(tx);
    FORGET(ty);
    UNROLL for (int i = 0; i < 4; i++) {
        if (4 * ty + i < queries) {
            UNROLL for (int j = 0; j < 4; j++) {
                int c = column + 4 * tx + j;
                if (c < h) dq[at + (4 * ty + i) * row + c] = sum[4 * i + j];
            }
        }
    }
}
