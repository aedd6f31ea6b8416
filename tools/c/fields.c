/*
 * The names of a data file's fields, right and wrong: fields RENAMED.jsonl USUAL.jsonl
 *
 * The first has prompts q with completions a, texts body, sources topic and names uid; the second the usual names, and as its third line one that is no JSON.
 */
#include "native_engine.h"

#include <stdio.h>
#include <stdlib.h>

static int wrong;
static char logged[256];

static void hear(int32_t level, const char *message, void *user)
{
    (void)level;
    (void)user;
    strncpy(logged, message, sizeof logged - 1);
}

/* The status that is due, with these words in the sentence or the hint, and nothing of the program's options. */
static void due(const char *what, ne_status got, ne_status status, const char *words)
{
    const char *error = status == NE_OK ? "" : ne_last_error(), *hint = status == NE_OK ? "" : ne_last_hint();
    if (got != status || (strstr(error, words) == NULL && strstr(hint, words) == NULL) || strstr(error, "--") != NULL || strstr(hint, "--") != NULL) {
        fprintf(stderr, "%s: %s where %s was due: %s (%s)\n", what, ne_status_name(got), ne_status_name(status), got == NE_OK ? "" : ne_last_error(), got == NE_OK ? "" : ne_last_hint());
        wrong++;
    }
}

/* What was read has these numbers. */
static void has(const char *what, ne_data data, int64_t examples, int64_t sources, const char *first)
{
    ne_data_info info;
    char name[32] = "";
    NE_INIT(&info);
    if (ne_data_describe(data, &info) != NE_OK || info.examples != examples || info.sources != sources || ne_data_source_name(data, 0, name, sizeof name, NULL) != NE_OK
        || strcmp(name, first) != 0) {
        fprintf(stderr, "%s: %lld examples of %lld sources, the first %s\n", what, (long long)info.examples, (long long)info.sources, name);
        wrong++;
    }
    ne_data_free(data);
}

int main(int argc, char **argv)
{
    struct {
        ne_data_options options;
        uint64_t future;
    } newer;
    ne_data_options options;
    ne_device device;
    ne_model model;
    ne_data data;
    char name[8] = "body", text[16];
    const char *ids[] = {"s/1", "2", "\xc3\xa9"};
    uint64_t length;
    int i;
    if (argc != 3 || ne_device_open("cpu", NULL, &device) != NE_OK || ne_model_open(device, "preset:0.2m", NULL, NULL, &model) != NE_OK) {
        fprintf(stderr, "usage: fields RENAMED.jsonl USUAL.jsonl; %s\n", ne_last_error());
        return 2;
    }

    NE_INIT(&options);
    due("no names", ne_data_open(model, argv[1], &options, NULL, &data), NE_ERROR_INPUT, "prompt_field q completion_field a");
    options.text_field = name;
    due("texts only", ne_data_open(model, argv[1], &options, NULL, &data), NE_ERROR_INPUT, "renamed.jsonl:1: it has neither \"prompt\" with \"completion\" nor \"body\"");
    options.prompt_field = "q";
    due("half of a pair", ne_data_open(model, argv[1], &options, NULL, &data), NE_ERROR_INPUT, "it has \"q\" without \"completion\"");
    options.completion_field = "a";
    due("no sources", ne_data_open(model, argv[1], &options, NULL, &data), NE_OK, "");
    has("no sources", data, 3, 1, "default");
    ne_set_log(hear, NULL, NE_LOG_WARNING);
    options.source_field = "topik";
    due("a source's name mistyped", ne_data_open(model, argv[1], &options, NULL, &data), NE_OK, "");
    has("a source's name mistyped", data, 3, 1, "default");
    if (strstr(logged, "no line has the field \"topik\"") == NULL) {
        fprintf(stderr, "logged: %s\n", logged);
        wrong++;
    }
    logged[0] = 0;
    options.source_field = "topic";
    due("all names", ne_data_open(model, argv[1], &options, NULL, &data), NE_OK, "");
    strcpy(name, "?");
    has("all names", data, 3, 2, "sums");
    wrong += logged[0] != 0;

    /* Names of examples. */
    due("no names of examples", ne_data_open(model, argv[1], &options, NULL, &data), NE_ERROR_INPUT, "renamed.jsonl:2: it has neither");
    options.text_field = "body";
    due("no names of examples", ne_data_open(model, argv[1], &options, NULL, &data), NE_OK, "");
    due("none to tell", ne_data_example_id(data, 0, text, sizeof text, &length), NE_ERROR_ARGUMENT, "id_field");
    ne_data_free(data);
    options.id_field = "topic";
    due("a name twice", ne_data_open(model, argv[1], &options, NULL, &data), NE_ERROR_INPUT, "renamed.jsonl:3: it has the name \"sums\" of line 1");
    due("and what to do", ne_data_open(model, argv[1], &options, NULL, &data), NE_ERROR_INPUT, "name a field with id_field whose values differ");
    options.id_field = "nowhere";
    due("no such names", ne_data_open(model, argv[1], &options, NULL, &data), NE_ERROR_INPUT, "it lacks the field \"nowhere\", which id_field names");
    options.id_field = "uid";
    due("names", ne_data_open(model, argv[1], &options, NULL, &data), NE_OK, "");
    for (i = 0; i < 3; i++) {
        due("a name", ne_data_example_id(data, i, text, sizeof text, &length), NE_OK, "");
        if (strcmp(text, ids[i]) != 0 || length != strlen(ids[i])) {
            fprintf(stderr, "example %d has the name %s\n", i, text);
            wrong++;
        }
    }
    due("a name's length", ne_data_example_id(data, 0, NULL, 0, &length), NE_OK, "");
    due("no room", ne_data_example_id(data, 0, text, 3, NULL), NE_ERROR_BUFFER, "3 bytes");
    due("no example", ne_data_example_id(data, 3, text, sizeof text, NULL), NE_ERROR_ARGUMENT, "the example is 3; it may be 0 to 2");
    has("names", data, 3, 2, "sums");
    due("freed", ne_data_example_id(data, 0, text, sizeof text, NULL), NE_ERROR_HANDLE, "");
    due("the built-in mixture has no fields", ne_data_open(model, "builtin", &options, NULL, &data), NE_OK, "");
    due("free", ne_data_free(data), NE_OK, "");
    NE_INIT(&options);
    due("a bad line", ne_data_open(model, argv[2], &options, NULL, &data), NE_ERROR_INPUT, "skip_bad_lines = 1");

    options.text_field = "";
    due("an empty name", ne_data_open(model, argv[1], &options, NULL, &data), NE_ERROR_ARGUMENT, "text_field is an empty name");
    options.text_field = NULL;
    options.source_field = "\xff";
    due("not UTF-8", ne_data_open(model, argv[1], &options, NULL, &data), NE_ERROR_ARGUMENT, "source_field is not UTF-8 text");

    /* A program compiled with ABI 1.0 has no such members: what lies behind its struct is its own. */
    memset(&options, 0x5a, sizeof options);
    options.size = offsetof(ne_data_options, text_field);
    options.max_length = 0;
    options.purpose = options.loss_on_all = options.reserved = 0;
    options.skip_bad_lines = 1;
    due("an older program", ne_data_open(model, argv[2], &options, NULL, &data), NE_OK, "");
    has("an older program", data, 2, 2, "sums");

    /* And one compiled with a newer header may know members that this library does not. */
    memset(&newer, 0, sizeof newer);
    newer.options.size = sizeof newer;
    newer.options.skip_bad_lines = 1;
    newer.options.id_field = "text";
    due("a left out line has no name", ne_data_open(model, argv[2], &newer.options, NULL, &data), NE_OK, "");
    due("a left out line has no name", ne_data_example_id(data, 0, text, sizeof text, NULL), NE_OK, "");
    has("a left out line has no name", data, 1, 1, "words");
    newer.options.id_field = NULL;
    due("a newer program", ne_data_open(model, argv[2], &newer.options, NULL, &data), NE_OK, "");
    has("a newer program", data, 2, 2, "sums");
    newer.future = 1;
    due("a newer program's member", ne_data_open(model, argv[2], &newer.options, NULL, &data), NE_ERROR_ABI, "ABI 1.1");

    ne_model_free(model);
    ne_device_free(device);
    if (wrong == 0 && ne_live_handles() == 0) {
        puts("all as said");
    }
    return wrong != 0 || ne_live_handles() != 0;
}
