// Rows by index: the forward and the backward pass of an embedding, and the features of chosen rows and columns.

// y[i] = x[rows[i]]: a group copies a block of 256 columns of 4 rows.
KERNEL(gather_rows)(BUF(const float, x), BUF(const int, rows), BUF(float, y), i64 count, i64 columns, i64 bound, BUF(u32, status), int slot)
{
    USE(const float, x);
    USE(const int, rows);
    USE(float, y);
    USE(u32, status);
    i64 blocks = (columns + THREADS - 1) / THREADS, c = GRP(0) % blocks * THREADS + LID();
    UNROLL for (int u = 0; u < 4; u++) {
        i64 i = GRP(0) / blocks * 4 + u;
        if (i >= count || c >= columns) continue;
        i64 row = rows[i];
        if (row < 0 || row >= bound) {
            if (c == 0) REPORT_INDEX(status, slot, i);
            row = 0;
        }
        y[i * columns + c] = x[row * columns + c];
    }
}

// y[rows[i]] += x[i] in ascending i. A group per i: only the first of equal rows works, and takes the later ones in order.
KERNEL(scatter_add_rows)(BUF(const float, x), BUF(const int, rows), BUF(float, y), i64 count, i64 columns, i64 bound, BUF(u32, status), int slot)
{
    SHARED u32 earlier[1];
    SHARED u32 match[THREADS];
    USE(const float, x);
    USE(const int, rows);
    USE(float, y);
    USE(u32, status);
    int t = LID();
    i64 self = GRP(0), row = rows[self];
    if (t == 0) earlier[0] = 0;
    BARRIER();
    u32 found = 0;
    for (i64 i = t; i < self; i += THREADS) found |= rows[i] == row;
    if (found) ATOMIC_MAX(earlier, 1u);
    BARRIER();
    int leader = earlier[0] == 0;
    if (row < 0 || row >= bound) {
        if (t == 0) REPORT_INDEX(status, slot, self);
        leader = 0;
    }
    if (leader) {
        for (i64 first = self; first < count; first += THREADS) {
            match[t] = first + t < count && rows[first + t] == row;
            BARRIER();
            for (i64 c = t; c < columns; c += THREADS) {
                float sum = y[row * columns + c];
                for (int k = 0; k < THREADS; k++) {
                    if (match[k]) sum += x[(first + k) * columns + c];
                }
                y[row * columns + c] = sum;
            }
            BARRIER();
        }
    }
}

// y[i,j] = x[rows[i], columns[j]].
KERNEL(gather)(
    BUF(const float, x), BUF(const int, rows), BUF(const int, columns), BUF(float, y), i64 d, i64 count, i64 h, i64 bound, BUF(u32, status), int slot)
{
    USE(const float, x);
    USE(const int, rows);
    USE(const int, columns);
    USE(float, y);
    USE(u32, status);
    i64 blocks = (h + THREADS - 1) / THREADS, j = GRP(0) % blocks * THREADS + LID();
    if (j < h) {
        i64 column = columns[j];
        if (column < 0 || column >= d) {
            REPORT_INDEX(status, slot + 1, j);
            column = 0;
        }
        UNROLL for (int u = 0; u < 4; u++) {
            i64 i = GRP(0) / blocks * 4 + u;
            if (i >= count) break;
            i64 row = rows[i];
            if (row < 0 || row >= bound) {
                if (j == 0) REPORT_INDEX(status, slot, i);
                row = 0;
            }
            y[i * h + j] = x[row * d + column];
        }
    }
}
