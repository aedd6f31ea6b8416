/*
 * A tour of the C interface: example [FEATURES.npy BUDGET [SOURCES.txt]]
 *
 *   cc -std=c99 tools/c/example.c -I artifacts/capi/include -L artifacts/capi/lib -lnative_engine -Wl,-rpath,artifacts/capi/lib -o example
 *
 * With a file it selects from it and prints the picks as nengine select does; without one it selects from made-up features. With "tour" in place of the file it goes
 * through the rest: streaming, merging, a model, its features and losses, and a few steps of training.
 */
#include "native_engine.h"

#include <stdio.h>
#include <stdlib.h>

/* One line for every call that can fail: the status by name, the sentence, and what to do. */
#define TRY(call)                                                                                                \
    do {                                                                                                         \
        ne_status status_ = (call);                                                                              \
        if (status_ != NE_OK) {                                                                                  \
            fprintf(stderr, "%s\n  %s: %s\n  %s\n", #call, ne_status_name(status_), ne_last_error(), ne_last_hint()); \
            exit(status_);                                                                                       \
        }                                                                                                        \
    } while (0)

/* A two-dimensional little-endian float32 array in C order, which is what NumPy writes for such an array. */
static float *read_npy(const char *path, int64_t *rows, int64_t *columns)
{
    unsigned char start[10];
    char header[4096];
    size_t length;
    long long n = 0, d = 0;
    float *values;
    FILE *file = fopen(path, "rb");
    if (file == NULL || fread(start, 1, 10, file) != 10 || memcmp(start, "\x93NUMPY\x01", 7) != 0) {
        fprintf(stderr, "%s is no NumPy file of version 1\n", path);
        exit(3);
    }
    length = start[8] | (size_t)start[9] << 8;
    if (length >= sizeof header || fread(header, 1, length, file) != length) {
        fprintf(stderr, "%s ends within its header\n", path);
        exit(3);
    }
    header[length] = 0;
    if (strstr(header, "'<f4'") == NULL || strstr(header, "False") == NULL || strstr(header, "'shape': (") == NULL
        || sscanf(strstr(header, "'shape': (") + 10, "%lld, %lld", &n, &d) != 2 || n < 1 || d < 1) {
        fprintf(stderr, "%s is not a float32 matrix in C order\n", path);
        exit(3);
    }
    values = malloc((size_t)n * (size_t)d * sizeof *values);
    if (values == NULL || fread(values, sizeof *values, (size_t)(n * d), file) != (size_t)(n * d)) {
        fprintf(stderr, "%s ends early\n", path);
        exit(3);
    }
    fclose(file);
    *rows = n;
    *columns = d;
    return values;
}

static int32_t *read_sources(const char *path, int64_t rows)
{
    int32_t *sources = malloc((size_t)rows * sizeof *sources);
    FILE *file = fopen(path, "r");
    int64_t i;
    for (i = 0; file != NULL && sources != NULL && i < rows && fscanf(file, "%d", &sources[i]) == 1; i++) {
    }
    if (file == NULL || sources == NULL || i < rows) {
        fprintf(stderr, "%s does not give a number for each of %lld rows\n", path, (long long)rows);
        exit(3);
    }
    fclose(file);
    return sources;
}

static float *make_features(int64_t rows, int64_t columns, int32_t *sources)
{
    float *values = malloc((size_t)(rows * columns) * sizeof *values);
    uint32_t state = 12345;
    int64_t i;
    for (i = 0; values != NULL && i < rows * columns; i++) {
        state = state * 1664525u + 1013904223u;
        values[i] = (float)(state >> 8) / 16777216.0f + (float)(i / columns % 5);
    }
    for (i = 0; i < rows; i++) {
        sources[i] = (int32_t)(i % 3);
    }
    return values;
}

static void print_selection(const ne_selection *s)
{
    int64_t i;
    printf("{\"indices\":[");
    for (i = 0; i < s->count; i++) {
        printf("%s%lld", i ? "," : "", (long long)s->indices[i]);
    }
    printf("],\"weights\":[");
    for (i = 0; i < s->count; i++) {
        printf("%s%lld", i ? "," : "", (long long)s->weights[i]);
    }
    printf("],\"objective\":%.17g,\"ratio\":%.17g}\n", s->objective, s->ratio);
}

static void select_rows(ne_device device, const float *features, int64_t rows, int64_t columns, const int32_t *sources, int64_t budget)
{
    ne_select_options options;
    ne_selector selector;
    ne_matrix matrix;
    ne_selection result;
    NE_INIT(&options);
    options.budget = budget;
    options.seed = 1;
    TRY(ne_selector_create(device, &options, &selector));
    NE_INIT(&matrix);
    matrix.data = features;
    matrix.rows = rows;
    matrix.columns = columns;
    NE_INIT(&result);
    result.capacity = budget;
    result.indices = malloc((size_t)budget * sizeof *result.indices);
    result.weights = malloc((size_t)budget * sizeof *result.weights);
    TRY(ne_select(selector, &matrix, sources, NULL, &result));
    print_selection(&result);
    free(result.indices);
    free(result.weights);
    TRY(ne_selector_free(selector));
}

/* The same examples in chunks of seven, with a buffer that must be reduced on the way. */
static void stream_rows(ne_device device, const float *features, int64_t rows, int64_t columns, const int32_t *sources, int64_t budget)
{
    ne_stream_options options;
    ne_stream stream;
    ne_selection result;
    ne_stream_report report;
    int64_t first;
    NE_INIT(&options);
    options.budget = budget;
    options.dimension = columns;
    options.rows = (int32_t)(4 * budget);
    TRY(ne_stream_create(device, &options, &stream));
    for (first = 0; first < rows; first += 7) {
        ne_matrix chunk;
        NE_INIT(&chunk);
        chunk.data = features + first * columns;
        chunk.rows = rows - first < 7 ? rows - first : 7;
        chunk.columns = columns;
        TRY(ne_stream_add(stream, &chunk, sources + first, NULL));
    }
    NE_INIT(&result);
    NE_INIT(&report);
    result.capacity = budget;
    result.indices = malloc((size_t)budget * sizeof *result.indices);
    TRY(ne_stream_result(stream, NULL, &result, &report));
    printf("stream: %lld of %lld selected after %lld reductions; the distances to them sum to at most %g\n", (long long)result.count, (long long)report.seen,
        (long long)report.reductions, report.cost + report.displacement);
    free(result.indices);
    TRY(ne_stream_free(stream));
}

static int32_t on_progress(const char *work, int64_t done, int64_t total, void *user)
{
    int64_t *calls = user;
    (void)work;
    (void)done;
    (void)total;
    ++*calls;
    return 0;
}

static void train_model(ne_device device)
{
    ne_model_options model_options;
    ne_data_options data_options;
    ne_train_options train_options;
    ne_feature_options feature_options;
    ne_control control;
    ne_model model;
    ne_data training, held_out;
    ne_trainer trainer;
    ne_loss loss;
    int64_t calls = 0, dimension, step;
    const char *prompts[] = {"What is 2 + 3?", "Sort: 3 1 2"}, *completions[] = {"5", "1 2 3"}, *sources[] = {"sums", "sorting"};
    float *features;

    NE_INIT(&control);
    control.progress = on_progress;
    control.user = &calls;
    NE_INIT(&model_options);
    model_options.trainable = 1;
    model_options.seed = 1;
    TRY(ne_model_open(device, "preset:0.2m", &model_options, &control, &model));
    NE_INIT(&data_options);
    TRY(ne_data_open(model, "builtin", &data_options, &control, &training));
    data_options.purpose = NE_FOR_EVALUATION;
    TRY(ne_data_from_texts(model, prompts, completions, sources, 2, &data_options, NULL, &held_out));

    NE_INIT(&feature_options);
    TRY(ne_feature_dimension(model, &feature_options, &dimension));
    features = malloc((size_t)(2 * dimension) * sizeof *features);
    TRY(ne_features(model, held_out, &feature_options, &control, features, 2 * dimension));
    printf("features: 2 x %lld\n", (long long)dimension);
    free(features);

    NE_INIT(&train_options);
    train_options.steps = 3;
    train_options.pool = 32;
    train_options.batch = 16;
    train_options.seed = 1;
    TRY(ne_trainer_create(model, training, &train_options, &trainer));
    for (step = 0; step < train_options.steps; step++) {
        ne_step_report report;
        NE_INIT(&report);
        TRY(ne_trainer_step(trainer, &control, &report));
        printf("step %lld: loss %.4f, %lld examples, %lld kept\n", (long long)report.step, report.loss, (long long)report.examples, (long long)report.kept);
    }
    NE_INIT(&loss);
    TRY(ne_evaluate(model, held_out, &control, &loss, NULL, 0));
    printf("held out: loss %.4f over %lld tokens; %s\n", loss.mean_loss, (long long)loss.tokens, calls > 0 ? "progress was heard" : "no progress was heard");
    TRY(ne_trainer_free(trainer));
    TRY(ne_data_free(held_out));
    TRY(ne_data_free(training));
    TRY(ne_model_free(model));
}

static void merge_vectors(ne_device device)
{
    float a[] = {1, 2, 3}, b[] = {5, 6, 7}, sum[3];
    const void *inputs[2];
    double weights[] = {1, 3};
    inputs[0] = a;
    inputs[1] = b;
    TRY(ne_merge_buffers(device, inputs, weights, 2, NE_F32, 3, 1, sum, NE_F32, NULL));
    printf("merged: %g %g %g\n", sum[0], sum[1], sum[2]);
}

int main(int argc, char **argv)
{
    int tour = argc == 2 && strcmp(argv[1], "tour") == 0;
    int64_t rows = 128, columns = 64, budget = 16;
    int32_t made_sources[128], *sources = made_sources;
    float *features;
    ne_device_options options;
    ne_device device;
    if (argc == 2 && !tour) {
        fprintf(stderr, "usage: example [FEATURES.npy BUDGET [SOURCES.txt]] | tour\n");
        return NE_ERROR_ARGUMENT;
    }
    TRY(ne_check_abi(NE_ABI_VERSION));
    NE_INIT(&options);
    TRY(ne_device_open("cpu", &options, &device));
    if (argc > 2) {
        features = read_npy(argv[1], &rows, &columns);
        budget = atoll(argv[2]);
        sources = argc > 3 ? read_sources(argv[3], rows) : NULL;
    } else {
        features = make_features(rows, columns, sources);
    }
    select_rows(device, features, rows, columns, sources, budget);
    if (tour) {
        char text[512];
        TRY(ne_describe(text, sizeof text, NULL));
        printf("%s\n", text);
        stream_rows(device, features, rows, columns, sources, budget);
        merge_vectors(device);
        train_model(device);
    }
    free(features);
    if (argc > 3) {
        free(sources);
    }
    TRY(ne_device_free(device));
    if (ne_live_handles() != 0) {
        fprintf(stderr, "%lld objects were not freed\n", (long long)ne_live_handles());
        return 1;
    }
    return 0;
}
