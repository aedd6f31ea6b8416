/*
 * Does memory grow? soak [CALLS [ROWS [COLUMNS]]]: 100000 selections of 128 x 64 unless given, with a history, a stream and handles made and freed in between. Prints the resident
 * memory of every tenth of the run; more than 2 MiB of growth after the first fifth is a failure.
 */
#include "native_engine.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static long resident_kilobytes(void)
{
    char line[256];
    long kilobytes = -1;
    FILE *file = fopen("/proc/self/status", "r");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        if (strncmp(line, "VmRSS:", 6) == 0) {
            kilobytes = atol(line + 6);
        }
    }
    if (file != NULL) {
        fclose(file);
    }
    return kilobytes;
}

static void must(ne_status status)
{
    if (status != NE_OK) {
        fprintf(stderr, "%s: %s\n", ne_status_name(status), ne_last_error());
        exit(status);
    }
}

int main(int argc, char **argv)
{
    long calls = argc > 1 ? atol(argv[1]) : 100000, call, first = 0, last = 0;
    int64_t rows = argc > 2 ? atol(argv[2]) : 128, columns = argc > 3 ? atol(argv[3]) : 64, i;
    float *features = malloc((size_t)(rows * columns) * sizeof *features);
    int32_t *sources = malloc((size_t)rows * sizeof *sources);
    int64_t *indices = malloc((size_t)rows * sizeof *indices);
    uint32_t state = 1;
    ne_device device;
    ne_selector selector;
    ne_select_options options;
    clock_t start = clock();
    must(ne_check_abi(NE_ABI_VERSION));
    must(ne_device_open("cpu", NULL, &device));
    NE_INIT(&options);
    options.budget = rows / 2;
    options.normalize = NE_NORMALIZE_ADAM;
    options.keep = "small";
    must(ne_selector_create(device, &options, &selector));
    for (call = 1; call <= calls; call++) {
        ne_matrix matrix;
        ne_selection result;
        for (i = 0; i < rows * columns; i++) {
            state = state * 1664525u + 1013904223u;
            features[i] = (float)(state >> 8) / 16777216.0f;
        }
        for (i = 0; i < rows; i++) {
            sources[i] = (int32_t)(i * i % 5);
        }
        NE_INIT(&matrix);
        matrix.data = features;
        matrix.rows = rows;
        matrix.columns = columns;
        NE_INIT(&result);
        result.capacity = rows;
        result.indices = indices;
        must(ne_select(selector, &matrix, sources, NULL, &result));
        if (call % 100 == 0) {
            ne_device other;
            ne_stream stream;
            ne_stream_options stream_options;
            ne_selector failed;
            NE_INIT(&stream_options);
            stream_options.budget = 8;
            stream_options.dimension = columns;
            stream_options.rows = 32;
            must(ne_device_open("cpu", NULL, &other));
            must(ne_stream_create(other, &stream_options, &stream));
            must(ne_stream_add(stream, &matrix, sources, NULL));
            must(ne_stream_result(stream, NULL, &result, NULL));
            options.budget = -1;
            if (ne_selector_create(other, &options, &failed) != NE_ERROR_ARGUMENT) {
                fprintf(stderr, "a budget of -1 was accepted\n");
                return 1;
            }
            must(ne_device_free(other));
            must(ne_stream_free(stream));
        }
        if (calls < 10 || call % (calls / 10) == 0) {
            last = resident_kilobytes();
            first = call <= calls / 5 ? last : first;
            printf("%8ld calls: %ld kB\n", call, last);
        }
    }
    must(ne_selector_free(selector));
    must(ne_device_free(device));
    printf("%.1f us a call of processor time; %ld kB grown; %lld objects left\n", (double)(clock() - start) * 1e6 / CLOCKS_PER_SEC / (double)calls, last - first, (long long)ne_live_handles());
    free(features);
    free(sources);
    free(indices);
    return last - first > 2048 || ne_live_handles() != 0;
}
