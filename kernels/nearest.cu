// Lists of the nearest examples, kept up while blocks of distances pass. A group keeps one list; candidates that would enter are gathered 256 at a
// time and merged by rank: a key is (ordered bits of the distance, example), so every order of merging gives the same list. By columns the threads
// of a group read one word in each of 256 rows; the groups beside it read the rest of the same sectors, which the second-level cache still holds.

DEVICE u64 nearest_key(float distance, int example)
{
    u32 bits = AS_U32(distance + 0.0f); // -0 becomes 0
    return ((u64)(bits & 0x80000000u ? ~bits : bits | 0x80000000u) << 32) | (u32)example;
}

DEVICE float nearest_distance(u64 key)
{
    u32 bits = (u32)(key >> 32);
    return AS_F32(bits & 0x80000000u ? bits & 0x7FFFFFFFu : ~bits);
}

// scratch holds t keys a list, twice.
KERNEL(merge_nearest)(
    BUF(const float, distances), BUF(float, nearest), BUF(int, neighbours), BUF(u64, scratch), i64 rows, i64 columns, i64 t, i64 first_row,
    i64 first_column, int by_columns)
{
    SHARED u64 offered[THREADS];
    SHARED u32 count[1];
    USE(const float, distances);
    USE(float, nearest);
    USE(int, neighbours);
    USE(u64, scratch);
    int lane = LID();
    i64 list = GRP(0), candidates = by_columns ? rows : columns, self = by_columns ? first_column + list : first_row + list;
    i64 base = by_columns ? first_row : first_column, step = by_columns ? columns : 1, at = by_columns ? list : list * columns;
    GLOBAL u64* from = scratch + list * 2 * t;
    GLOBAL u64* to = from + t;
    for (i64 i = lane; i < t; i += THREADS) from[i] = nearest_key(nearest[list * t + i], neighbours[list * t + i]);
    if (lane == 0) count[0] = 0;
    BARRIER();
    for (i64 first = 0; first < candidates; first += THREADS) {
        u64 worst = from[t - 1];
        if (first + lane < candidates) {
            i64 example = base + first + lane;
            float distance = distances[at + (first + lane) * step];
            u64 key = nearest_key(distance, (int)example);
            if (distance == distance && key < worst && example != self) offered[ATOMIC_ADD(count, 1u)] = key;
        }
        BARRIER();
        int have = (int)count[0];
        if (have > 0) {
            for (i64 i = lane; i < t; i += THREADS) {
                u64 key = from[i];
                i64 rank = i;
                for (int j = 0; j < have; j++) rank += offered[j] < key;
                if (rank < t) to[rank] = key;
            }
            if (lane < have) {
                u64 key = offered[lane];
                i64 low = 0, high = t;
                while (low < high) {
                    i64 middle = (low + high) / 2;
                    if (from[middle] < key) low = middle + 1;
                    else high = middle;
                }
                for (int j = 0; j < have; j++) low += offered[j] < key;
                if (low < t) to[low] = key;
            }
            GLOBAL u64* other = from;
            from = to;
            to = other;
        }
        BARRIER();
        if (lane == 0) count[0] = 0;
        BARRIER();
    }
    for (i64 i = lane; i < t; i += THREADS) {
        nearest[list * t + i] = nearest_distance(from[i]);
        neighbours[list * t + i] = (int)(u32)from[i];
    }
}
