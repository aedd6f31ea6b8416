/*
 * Misuse on purpose: abuse [SEQUENCES [SEED [THREADS]]], 100000, 1 and 4 unless given.
 *
 * Every thread makes its share of random call sequences on one table of handles that all of them open, use and free at any time. Handles are live, freed, of another type,
 * NULL or noise; sizes, enumerations, texts and pointers are wrong in every way that the interface promises to notice; callbacks cancel, call back and free what is running.
 * Whatever happens must be a status of the header with a text. A crash or a hang fails by itself; a number that is no status, a failure without a text and objects left over
 * are counted.
 */
#include "native_engine.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

enum { SLOTS = 64, STATUSES = 15, KINDS = 7, ROWS = 24, COLUMNS = 6 };

typedef struct worker {
    uint64_t random;
    int64_t sequences;
    int64_t counts[STATUSES];
    int64_t calls, odd;
    ne_selector current;    /* what a callback finds running */
    pthread_t thread;
} worker;

/* Handles as numbers, read and written by all threads without a lock. */
static uintptr_t table[KINDS][SLOTS];

/* A data file of three lines, whose fields are called body and topic. */
static char lines[] = "/tmp/ne-abuse-XXXXXX";

static uint32_t draw(worker *w, uint32_t below)
{
    w->random ^= w->random << 13;
    w->random ^= w->random >> 7;
    w->random ^= w->random << 17;
    return (uint32_t)((w->random >> 16) % below);
}

static int chance(worker *w, uint32_t one_in)
{
    return draw(w, one_in) == 0;
}

static ne_status note(worker *w, ne_status status)
{
    w->calls++;
    if (status < 0 || status >= STATUSES || status == 1 || status == NE_ERROR_INTERNAL) {
        if (w->odd++ < 5) {
            fprintf(stderr, "status %d: %s\n", (int)status, ne_last_error());
        }
        return status;
    }
    if (status != NE_OK && (ne_last_error()[0] == 0 || ne_status_name(status)[0] == 0)) {
        fprintf(stderr, "status %d without a text\n", (int)status);
        w->odd++;
    }
    w->counts[status]++;
    return status;
}

/* Mostly a handle of the kind, alive or not; sometimes one of another kind, NULL or noise. */
static void *handle(worker *w, int kind)
{
    switch (draw(w, 12)) {
    case 0:
        return NULL;
    case 1:
        return (void *)(uintptr_t)w->random;
    case 2:
        return (void *)__atomic_load_n(&table[draw(w, KINDS)][draw(w, SLOTS)], __ATOMIC_RELAXED);
    default:
        return (void *)__atomic_load_n(&table[kind][draw(w, SLOTS)], __ATOMIC_RELAXED);
    }
}

static void keep(worker *w, int kind, void *made)
{
    /* What lay there is freed, so that live objects stay few. */
    uintptr_t old = __atomic_exchange_n(&table[kind][draw(w, SLOTS)], (uintptr_t)made, __ATOMIC_RELAXED);
    ne_status status = NE_OK;
    switch (kind) {
    case 0: status = ne_cancel_free((ne_cancel)old); break;
    case 1: status = ne_device_free((ne_device)old); break;
    case 2: status = ne_selector_free((ne_selector)old); break;
    case 3: status = ne_stream_free((ne_stream)old); break;
    case 4: status = ne_model_free((ne_model)old); break;
    case 5: status = ne_data_free((ne_data)old); break;
    default: status = ne_trainer_free((ne_trainer)old); break;
    }
    note(w, status);
}

static int64_t odd_number(worker *w, int64_t usual)
{
    static const int64_t odd[] = {0, -1, 1, INT64_MIN, INT64_MAX, INT32_MAX, (int64_t)INT32_MAX + 1, -7, 1000000007};
    return chance(w, 12) ? odd[draw(w, 9)] : usual;
}

/* For members that only have to be in a range. */
static int32_t odd_choice(worker *w, int32_t choices)
{
    return chance(w, 20) ? (int32_t)odd_number(w, 99) : (int32_t)draw(w, (uint32_t)choices);
}

static const char *odd_text(worker *w, const char *usual)
{
    static const char *odd[] = {NULL, "", "none", "small", "mean:0.5", "0,1", "quantile:2", "\xff\xfe", "expected:", "-1", "/nonexistent/folder", "mean:9999999999999999999999999999999"};
    return chance(w, 5) ? odd[draw(w, 12)] : usual;
}

static uint64_t odd_size(worker *w, uint64_t usual)
{
    static const uint64_t odd[] = {0, 1, 7, 8, 12, UINT64_MAX, 5000};
    return chance(w, 40) ? odd[draw(w, 7)] : usual;
}

static int32_t misbehave(const char *work, int64_t done, int64_t total, void *user)
{
    worker *w = user;
    int64_t live, peak;
    ne_device device = handle(w, 1), made;
    (void)work;
    (void)done;
    (void)total;
    switch (draw(w, 6)) {
    case 0: return 1;
    case 1: note(w, ne_device_memory(device, &live, &peak)); break;
    case 2: note(w, ne_selector_set_step(w->current, 3)); break;
    case 3: note(w, ne_selector_free(chance(w, 2) ? w->current : handle(w, 2))); break;
    case 4:
        if (note(w, ne_device_open("cpu", NULL, &made)) == NE_OK) {
            keep(w, 1, made);
        }
        break;
    default: break;
    }
    return 0;
}

static ne_control *control(worker *w, ne_control *c)
{
    NE_INIT(c);
    c->size = odd_size(w, c->size);
    c->cancel = chance(w, 4) ? handle(w, 0) : NULL;
    c->progress = chance(w, 3) ? misbehave : NULL;
    c->user = w;
    return chance(w, 3) ? NULL : c;
}

static void matrix(worker *w, ne_matrix *m, const float *values)
{
    NE_INIT(m);
    m->size = odd_size(w, m->size);
    m->data = chance(w, 20) ? NULL : chance(w, 20) ? (const char *)values + 1 : (const char *)values;
    /* Sizes that fit the memory there is, or that no call may accept. */
    m->rows = chance(w, 20) ? -(int64_t)draw(w, 5) : 1 + draw(w, ROWS);
    m->columns = chance(w, 20) ? -(int64_t)draw(w, 3) : chance(w, 8) ? 1 + (int64_t)draw(w, COLUMNS) : COLUMNS;
    m->row_stride = chance(w, 10) ? (chance(w, 2) ? COLUMNS : INT64_MAX) : 0;
    if (m->row_stride == COLUMNS && m->columns > COLUMNS) {
        m->row_stride = 0;
    }
    m->type = chance(w, 30) ? 77 : chance(w, 10) ? NE_BF16 : NE_F32;
}

static void open_one(worker *w)
{
    ne_control c;
    switch (draw(w, 5)) {
    case 0: {
        ne_cancel made;
        if (note(w, ne_cancel_create(chance(w, 20) ? NULL : &made)) == NE_OK) {
            keep(w, 0, made);
        }
        break;
    }
    case 1: {
        static const char *names[] = {"cpu", "auto", "cpu", NULL, "cuda:99", "opencl:9.9", "gpu", "\xc3\x28"};
        ne_device_options o;
        ne_device made;
        NE_INIT(&o);
        o.size = odd_size(w, o.size);
        o.threads = chance(w, 20) ? (int32_t)odd_number(w, -5) : 1 + (int32_t)draw(w, 3);
        if (o.threads > 8) {
            o.threads = -o.threads;
        }
        o.memory_limit = chance(w, 10) ? odd_number(w, 4096) : 0;
        o.simd = chance(w, 5) ? (chance(w, 2) ? 3 : 1) : 0;
        if (note(w, ne_device_open(names[draw(w, 8)], chance(w, 4) ? NULL : &o, chance(w, 30) ? NULL : &made)) == NE_OK) {
            keep(w, 1, made);
        }
        break;
    }
    case 2: {
        ne_select_options o;
        ne_selector made;
        NE_INIT(&o);
        o.size = odd_size(w, o.size);
        o.budget = odd_number(w, 1 + draw(w, ROWS));
        o.keep = odd_text(w, NULL);
        o.top = odd_number(w, draw(w, COLUMNS));
        o.max_memory = chance(w, 10) ? odd_number(w, 100) : 0;
        o.metric = odd_choice(w, 3);
        o.quota = odd_choice(w, 3);
        o.rounding = odd_choice(w, 2);
        o.overflow = odd_choice(w, 2);
        o.algorithm = odd_choice(w, 5);
        o.normalize = odd_choice(w, 4);
        o.parts = chance(w, 10) ? odd_choice(w, 3) : 0;
        o.beta1 = chance(w, 20) ? -1 : 0;
        if (note(w, ne_selector_create(handle(w, 1), chance(w, 20) ? NULL : &o, chance(w, 30) ? NULL : &made)) == NE_OK) {
            keep(w, 2, made);
        }
        break;
    }
    case 3: {
        ne_stream_options o;
        ne_stream made;
        NE_INIT(&o);
        o.size = odd_size(w, o.size);
        o.budget = odd_number(w, 1 + draw(w, 6));
        o.dimension = chance(w, 20) ? odd_number(w, 0) : COLUMNS;
        if (o.dimension > COLUMNS) {
            o.dimension = -1;
        }
        o.keep = odd_text(w, NULL);
        o.rows = chance(w, 10) ? odd_choice(w, 3) : 12 + (int32_t)draw(w, 8);
        if (o.rows > 100) {
            o.rows = -1;
        }
        o.metric = odd_choice(w, 3);
        o.quota = odd_choice(w, 3);
        if (note(w, ne_stream_create(handle(w, 1), chance(w, 20) ? NULL : &o, chance(w, 30) ? NULL : &made)) == NE_OK) {
            keep(w, 3, made);
        }
        break;
    }
    default: {
        /* Models take milliseconds, so they are rare. */
        ne_model_options o;
        ne_data_options d;
        ne_train_options t;
        ne_model model;
        ne_data data;
        ne_trainer trainer;
        static const char *texts[] = {"2 + 3", "5 1", "", "abc"};
        if (!chance(w, 40)) {
            break;
        }
        NE_INIT(&o);
        o.size = odd_size(w, o.size);
        o.trainable = (int32_t)draw(w, 2);
        o.lora_rank = chance(w, 4) ? odd_choice(w, 4) : 0;
        if (o.lora_rank > 8) {
            o.lora_rank = -1;
        }
        o.lora_targets = odd_text(w, NULL);
        if (note(w, ne_model_open(handle(w, 1), odd_text(w, "preset:0.2m"), &o, control(w, &c), &model)) == NE_OK) {
            keep(w, 4, model);
        }
        NE_INIT(&d);
        d.size = odd_size(w, d.size);
        d.text_field = odd_text(w, "body");
        d.prompt_field = odd_text(w, NULL);
        d.completion_field = odd_text(w, NULL);
        d.source_field = odd_text(w, "topic");
        d.id_field = chance(w, 2) ? NULL : odd_text(w, chance(w, 2) ? "body" : "topic");
        d.skip_bad_lines = (int32_t)draw(w, 2);
        d.purpose = odd_choice(w, 2);
        d.max_length = odd_number(w, 0);
        if (note(w, ne_data_from_texts(handle(w, 4), chance(w, 2) ? texts : NULL, chance(w, 10) ? NULL : texts, chance(w, 3) ? texts : NULL, chance(w, 10) ? -1 : 1 + (int64_t)draw(w, 4), &d,
                            control(w, &c), chance(w, 20) ? NULL : &data)) == NE_OK) {
            keep(w, 5, data);
        }
        if (note(w, ne_data_open(handle(w, 4), odd_text(w, lines), chance(w, 10) ? NULL : &d, control(w, &c), chance(w, 20) ? NULL : &data)) == NE_OK) {
            keep(w, 5, data);
        }
        NE_INIT(&t);
        t.size = odd_size(w, t.size);
        t.steps = odd_number(w, 3);
        t.pool = chance(w, 8) ? odd_number(w, 1) : 2;
        t.batch = chance(w, 8) ? odd_number(w, 1) : 1;
        t.keep = odd_text(w, NULL);
        t.selection = odd_choice(w, 4);
        t.optimizer = odd_choice(w, 3);
        t.learning_rate = chance(w, 10) ? -1 : 0;
        if (note(w, ne_trainer_create(handle(w, 4), handle(w, 5), chance(w, 20) ? NULL : &t, &trainer)) == NE_OK) {
            keep(w, 6, trainer);
        }
        break;
    }
    }
}

static void free_one(worker *w)
{
    /* A handle stays in the table after it was freed: the next calls meet it dead. */
    switch (draw(w, 14)) {
    case 0: case 1: note(w, ne_cancel_free(handle(w, 0))); break;
    case 2: note(w, ne_device_free(handle(w, 1))); break;
    case 3: case 4: case 5: note(w, ne_selector_free(handle(w, 2))); break;
    case 6: case 7: case 8: note(w, ne_stream_free(handle(w, 3))); break;
    case 9: note(w, ne_model_free(handle(w, 4))); break;
    case 10: note(w, ne_data_free(handle(w, 5))); break;
    case 11: note(w, ne_trainer_free(handle(w, 6))); break;
    default: break;
    }
}

static void use_one(worker *w, const float *values)
{
    int64_t indices[ROWS], weights[ROWS], owners[ROWS], step;
    double gains[ROWS];
    float state[COLUMNS];
    int32_t sources[ROWS];
    char text[64];
    uint64_t length;
    ne_control c;
    ne_matrix m;
    ne_selection r;
    int i;
    for (i = 0; i < ROWS; i++) {
        sources[i] = chance(w, 200) ? -1 : (int32_t)draw(w, 3);
    }
    NE_INIT(&r);
    r.size = odd_size(w, r.size);
    r.capacity = chance(w, 8) ? odd_number(w, 2) : ROWS;
    if (r.capacity > ROWS) {
        r.capacity = 0;
    }
    r.indices = chance(w, 10) ? NULL : indices;
    r.weights = chance(w, 3) ? NULL : weights;
    r.gains = chance(w, 3) ? NULL : gains;
    r.owners = chance(w, 3) ? owners : chance(w, 30) ? (int64_t *)((char *)owners + 4) : NULL;
    matrix(w, &m, values);
    switch (draw(w, 12)) {
    case 0: case 1: case 2: case 3:
        w->current = handle(w, 2);
        note(w, ne_select(w->current, chance(w, 40) ? NULL : &m, chance(w, 3) ? NULL : sources, control(w, &c), chance(w, 40) ? NULL : &r));
        break;
    case 4: case 5:
        note(w, ne_stream_add(handle(w, 3), chance(w, 40) ? NULL : &m, chance(w, 3) ? NULL : sources, control(w, &c)));
        break;
    case 6: {
        ne_stream_report report;
        NE_INIT(&report);
        report.size = odd_size(w, report.size);
        if (chance(w, 2)) {
            r.owners = NULL;
        }
        note(w, ne_stream_result(handle(w, 3), control(w, &c), chance(w, 40) ? NULL : &r, chance(w, 2) ? NULL : &report));
        break;
    }
    case 7:
        note(w, ne_cancel_request(chance(w, 4) ? handle(w, 0) : NULL));
        note(w, ne_selector_step(handle(w, 2), chance(w, 10) ? NULL : &step));
        note(w, ne_selector_set_step(handle(w, 2), odd_number(w, 5)));
        break;
    case 8:
        note(w, ne_selector_state(handle(w, 2), odd_text(w, "m"), chance(w, 20) ? NULL : state, chance(w, 10) ? -1 : COLUMNS));
        for (i = 0; i < COLUMNS; i++) {
            state[i] = chance(w, 50) ? -0.5f : 0.25f;
        }
        note(w, ne_selector_set_state(handle(w, 2), odd_text(w, "v"), chance(w, 20) ? NULL : state, chance(w, 10) ? 0 : 1 + (int64_t)draw(w, COLUMNS)));
        break;
    case 9: {
        const void *inputs[3];
        double factors[3] = {0.5, 1, -0.25};
        float sum[ROWS];
        inputs[0] = values;
        inputs[1] = chance(w, 30) ? NULL : values + 5;
        inputs[2] = chance(w, 30) ? (const char *)values + 1 : (const char *)(values + 3);
        factors[2] = chance(w, 20) ? -1.5 : factors[2];
        note(w, ne_merge_buffers(handle(w, 1), chance(w, 30) ? NULL : inputs, chance(w, 30) ? NULL : factors, chance(w, 20) ? 0 : 1 + (int64_t)draw(w, 3), odd_choice(w, 3),
                    chance(w, 20) ? -1 : ROWS, (int32_t)draw(w, 2), chance(w, 30) ? NULL : sum, odd_choice(w, 3), control(w, &c)));
        break;
    }
    case 10:
        note(w, ne_describe(text, chance(w, 2) ? sizeof text : 0, chance(w, 3) ? NULL : &length));
        note(w, ne_device_describe(handle(w, 1), chance(w, 5) ? NULL : text, chance(w, 3) ? 3 : sizeof text, &length));
        note(w, ne_check_abi(chance(w, 2) ? NE_ABI_VERSION : (uint32_t)w->random));
        break;
    default: {
        ne_model_info info;
        ne_data_info about;
        ne_loss loss;
        ne_feature_options o;
        ne_step_report report;
        NE_INIT(&info);
        NE_INIT(&about);
        NE_INIT(&loss);
        NE_INIT(&o);
        NE_INIT(&report);
        o.kind = odd_choice(w, 3);
        note(w, ne_model_describe(handle(w, 4), chance(w, 20) ? NULL : &info));
        note(w, ne_data_describe(handle(w, 5), chance(w, 20) ? NULL : &about));
        note(w, ne_data_source_name(handle(w, 5), odd_number(w, 0), text, sizeof text, NULL));
        note(w, ne_data_example_id(handle(w, 5), odd_number(w, 0), text, chance(w, 5) ? 2 : sizeof text, NULL));
        note(w, ne_feature_dimension(handle(w, 4), &o, &step));
        if (chance(w, 10)) {
            note(w, ne_evaluate(handle(w, 4), handle(w, 5), control(w, &c), &loss, NULL, 0));
            note(w, ne_trainer_step(handle(w, 6), control(w, &c), chance(w, 2) ? NULL : &report));
            note(w, ne_features(handle(w, 4), handle(w, 5), &o, control(w, &c), state, COLUMNS));
            note(w, ne_model_generate(handle(w, 4), odd_text(w, "12"), odd_choice(w, 4) < 0 ? -1 : 3, chance(w, 10) ? -1 : 0, 1, control(w, &c), text, sizeof text, NULL));
        }
        break;
    }
    }
}

static void *work(void *argument)
{
    worker *w = argument;
    float *values = malloc(2 * ROWS * COLUMNS * sizeof *values);
    int64_t s;
    int i;
    for (i = 0; i < 2 * ROWS * COLUMNS; i++) {
        values[i] = (float)draw(w, 1000) / 100 - 5;
    }
    values[7] = chance(w, 2) ? 0.0f / (values[7] - values[7]) : values[7];
    for (s = 0; s < w->sequences; s++) {
        int calls = 1 + (int)draw(w, 6);
        for (i = 0; i < calls; i++) {
            switch (draw(w, 6)) {
            case 0: case 1: open_one(w); break;
            case 2: free_one(w); break;
            default: use_one(w, values); break;
            }
        }
    }
    free(values);
    return NULL;
}

int main(int argc, char **argv)
{
    int64_t sequences = argc > 1 ? atoll(argv[1]) : 100000, calls = 0, odd = 0, total[STATUSES] = {0};
    uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
    int threads = argc > 3 ? atoi(argv[3]) : 4, t, s, k;
    worker *workers = calloc((size_t)threads, sizeof *workers);
    FILE *file = fdopen(mkstemp(lines), "w");
    if (file == NULL || fputs("{\"body\":\"one\",\"topic\":1}\n{\"body\":\"two\",\"topic\":2}\n{\"body\":3}\n", file) < 0 || fclose(file) != 0) {
        fprintf(stderr, "no temporary file\n");
        return 1;
    }
    for (t = 0; t < threads; t++) {
        workers[t].random = (seed + 1) * 0x9E3779B97F4A7C15u + (uint64_t)t * 0xD1B54A32D192ED03u;
        workers[t].sequences = sequences / threads + (t < sequences % threads);
        if (pthread_create(&workers[t].thread, NULL, work, &workers[t]) != 0) {
            fprintf(stderr, "no thread\n");
            return 1;
        }
    }
    for (t = 0; t < threads; t++) {
        pthread_join(workers[t].thread, NULL);
        calls += workers[t].calls;
        odd += workers[t].odd;
        for (s = 0; s < STATUSES; s++) {
            total[s] += workers[t].counts[s];
        }
    }
    for (k = KINDS - 1; k >= 0; k--) {
        for (s = 0; s < SLOTS; s++) {
            switch (k) {
            case 0: ne_cancel_free((ne_cancel)table[k][s]); break;
            case 1: ne_device_free((ne_device)table[k][s]); break;
            case 2: ne_selector_free((ne_selector)table[k][s]); break;
            case 3: ne_stream_free((ne_stream)table[k][s]); break;
            case 4: ne_model_free((ne_model)table[k][s]); break;
            case 5: ne_data_free((ne_data)table[k][s]); break;
            default: ne_trainer_free((ne_trainer)table[k][s]); break;
            }
        }
    }
    free(workers);
    remove(lines);
    printf("%lld sequences, %lld calls on %d threads\n", (long long)sequences, (long long)calls, threads);
    for (s = 0; s < STATUSES; s++) {
        if (total[s] > 0) {
            printf("  %-24s %lld\n", ne_status_name(s), (long long)total[s]);
        }
    }
    printf("%lld answers that were no answer, %lld objects left over\n", (long long)odd, (long long)ne_live_handles());
    return odd == 0 && ne_live_handles() == 0 ? 0 : 1;
}
