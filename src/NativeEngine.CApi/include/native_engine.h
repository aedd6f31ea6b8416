/*
 * NativeEngine: coreset selection, merging, evaluation and training of small language models, as a C library.
 *
 * This header is the whole documentation of the interface. It compiles as C99 and as C++98. docs/c-abi.md has a program to copy.
 *
 * CALLS        Every function that can fail returns an ne_status; 0 is NE_OK. On failure nothing has been written to outputs unless the function says
 *              otherwise, and ne_last_error() and ne_last_hint() have the sentence, for the calling thread. No exception, signal or exit crosses this interface.
 * HANDLES      An object is an opaque pointer that is never dereferenced: it carries a slot, a type and a generation. NULL, a freed handle, a handle of another
 *              type and an arbitrary number are NE_ERROR_HANDLE. Freeing NULL is NE_OK; freeing twice is NE_ERROR_HANDLE.
 * STRUCTS      Begin with their size. NE_INIT(&s) sets everything to zero and the size: zero is every member's default. A program compiled with an older header goes
 *              on working with a newer library; a member that an older library does not know must be zero (else NE_ERROR_ABI).
 * THREADS      Any function may be called from any thread. Calls on one device, and on everything made from it, wait for one another; calls on different devices run
 *              at the same time. A callback that calls back into the device that is running it gets NE_ERROR_BUSY. Freeing an object that a call on another thread
 *              is using takes effect when that call ends. After fork() the child may not use the library (NE_ERROR_STATE): start processes anew.
 * DETERMINISM  Results have the same bits for any number of threads and any register width, and are those of the nengine program.
 *
 * OWNERSHIP    what                          | who frees it                | how long it must live
 *              ------------------------------+-----------------------------+--------------------------------------------------------------
 *              handles (ne_..._open/_create) | you, ne_..._free            | parents may be freed before children: a device lives as long as its children
 *              options, strings, matrices    | you                         | until the call returns; everything needed later is copied
 *              output arrays                 | you allocate and free       | until the call returns
 *              ne_last_error, ne_last_hint   | the library                 | until the next failing call on the same thread
 *              ne_version, ne_status_name    | nobody (constants)          | for ever
 *              callbacks and their user      | you                         | progress: until the call returns; log: until replaced
 *
 * TEXT         is UTF-8 with a terminating zero. Text outputs take a buffer, its capacity in bytes, and a length that receives the bytes needed without the zero (NULL: not
 *              wanted). A buffer that is too small is NE_ERROR_BUFFER; a NULL buffer of capacity 0 asks for the length and is NE_OK.
 *
 * What cannot be checked: a pointer to memory that is not there, an array that is shorter than said, a callback that throws or jumps out.
 */
#ifndef NATIVE_ENGINE_H
#define NATIVE_ENGINE_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Version ------------------------------------------------------------------------------------------------------------------ */

/* The interface: the major number changes when a compiled program could break, the minor one when something is added. */
#define NE_ABI_MAJOR 1
#define NE_ABI_MINOR 1
#define NE_ABI_VERSION ((NE_ABI_MAJOR << 16) | NE_ABI_MINOR)

/* Sets a struct to its defaults. */
#define NE_INIT(s) (memset((s), 0, sizeof *(s)), (void)((s)->size = sizeof *(s)))

typedef int32_t ne_status;
enum {
    NE_OK = 0,
    NE_ERROR_ARGUMENT = 2,      /* the request is wrong: a budget of 0, an unknown word, NULL where something is needed */
    NE_ERROR_INPUT = 3,         /* a file is missing, malformed, or does not fit the others */
    NE_ERROR_WILL_NOT_FIT = 4,  /* needs more memory or disk than there is or than is allowed */
    NE_ERROR_DEVICE = 5,        /* a device that was asked for by name is absent or was lost */
    NE_ERROR_NUMERICAL = 6,     /* NaN or infinity where a finite number is required */
    NE_ERROR_VERIFICATION = 7,  /* a check came out negative */
    NE_ERROR_HANDLE = 8,        /* no such object: NULL, freed, of another type */
    NE_ERROR_BUSY = 9,          /* a callback called back into the device that runs it */
    NE_ERROR_CANCELLED = 10,    /* by ne_cancel_request or by a progress callback */
    NE_ERROR_ABI = 11,          /* library and header do not fit together */
    NE_ERROR_BUFFER = 12,       /* an output is too small */
    NE_ERROR_STATE = 13,        /* not possible now: after fork, training that is over */
    NE_ERROR_INTERNAL = 14      /* a defect of the library; please report the text */
};

/* Handshake: NE_OK when the library can serve a program compiled with this header, else NE_ERROR_ABI. Call ne_check_abi(NE_ABI_VERSION) first. */
ne_status ne_check_abi(uint32_t version);
uint32_t ne_abi_version(void);
const char *ne_version(void);

/* "NE_ERROR_INPUT"; "NE_ERROR_UNKNOWN" for a number that is no status. */
const char *ne_status_name(ne_status status);

/* The sentence of the last failed call on this thread, and what to do about it; "" when there is none. */
const char *ne_last_error(void);
const char *ne_last_hint(void);

/* JSON: {"version","abi","instructions" (what the library was compiled for), "simd" (register width in use), "processors","devices":[...]}. */
ne_status ne_describe(char *buffer, uint64_t capacity, uint64_t *length);

/* Objects that were made and not freed. */
int64_t ne_live_handles(void);

/* ---- Log, progress, cancellation ---------------------------------------------------------------------------------------------- */

enum { NE_LOG_WARNING = 1, NE_LOG_INFO = 2 };

/* Hears messages up to a level, on the thread whose call they belong to. One for the process; NULL: silence (the default). */
typedef void (*ne_log_fn)(int32_t level, const char *message, void *user);
ne_status ne_set_log(ne_log_fn callback, void *user, int32_t level);

typedef struct ne_cancel_s *ne_cancel;

/* A request for cancellation may come from any thread or from a callback; it stays until the object is freed. */
ne_status ne_cancel_create(ne_cancel *cancel);
ne_status ne_cancel_request(ne_cancel cancel);
ne_status ne_cancel_free(ne_cancel cancel);

/* Called between pieces of work, on the calling thread: a word for the work, done and total. Anything but 0 cancels. */
typedef int32_t (*ne_progress_fn)(const char *work, int64_t done, int64_t total, void *user);

/* What every long call takes; NULL: silent, not to be cancelled. */
typedef struct ne_control {
    uint64_t size;
    ne_cancel cancel;
    ne_progress_fn progress;
    void *user;
} ne_control;

/* ---- Devices ------------------------------------------------------------------------------------------------------------------ */

typedef struct ne_device_s *ne_device;

typedef struct ne_device_options {
    uint64_t size;
    int64_t memory_limit;   /* most bytes allocated on the device at a time; 0: no limit */
    int32_t threads;        /* 0: one for each processor this process may use */
    int32_t simd;           /* 0: the widest; 512, 256, 128, 1 (scalar). Results do not depend on it */
} ne_device_options;

/* Name: "auto" (also NULL), "cpu", "cuda[:i]", "opencl[:p.d]". Only auto chooses; a named device that cannot be used is NE_ERROR_DEVICE. */
ne_status ne_device_open(const char *name, const ne_device_options *options, ne_device *device);
ne_status ne_device_describe(ne_device device, char *buffer, uint64_t capacity, uint64_t *length);
ne_status ne_device_memory(ne_device device, int64_t *live_bytes, int64_t *peak_bytes);
ne_status ne_device_free(ne_device device);

/* ---- Coreset selection -------------------------------------------------------------------------------------------------------- */

enum { NE_F32 = 0, NE_BF16 = 1, NE_F16 = 2, NE_F64 = 3 };
enum { NE_METRIC_L1 = 0, NE_METRIC_L2 = 1, NE_METRIC_COSINE = 2 };
enum { NE_QUOTA_PROPORTIONAL = 0, NE_QUOTA_BALANCED = 1, NE_QUOTA_NONE = 2 };
enum { NE_ROUNDING_FLOOR = 0, NE_ROUNDING_CEIL = 1 };
enum { NE_OVERFLOW_FIRST = 0, NE_OVERFLOW_RANDOM = 1 };
enum { NE_ALGORITHM_AUTO = 0, NE_ALGORITHM_EXACT = 1, NE_ALGORITHM_STOCHASTIC = 2, NE_ALGORITHM_PARTITIONED = 3, NE_ALGORITHM_SPARSE = 4 };
enum { NE_NORMALIZE_NONE = 0, NE_NORMALIZE_ADAM = 1, NE_NORMALIZE_MOMENTUM = 2, NE_NORMALIZE_LION = 3 };

/* Rows of features, one for each example. F32 rows without gaps are read where they lie on the cpu device; anything else is copied and converted. */
typedef struct ne_matrix {
    uint64_t size;
    const void *data;       /* aligned to an element */
    int64_t rows, columns;
    int64_t row_stride;     /* elements from one row to the next; 0: columns */
    int32_t type;           /* NE_F32... */
    int32_t reserved;       /* 0 */
} ne_matrix;

typedef struct ne_select_options {
    uint64_t size;
    int64_t budget;         /* examples to select, kept ones included; required */
    const char *keep;       /* sources kept whole: none (also NULL), small, mean:F, quantile:Q, expected:N, or ids like "0,3" */
    int64_t top;            /* most important columns kept for each source; 0: all */
    int64_t max_memory;     /* bytes the selection may take; 0: the memory of the machine */
    uint64_t seed;          /* of everything random. The nengine program's default is 1 */
    double beta1, beta2, epsilon; /* of the normaliser; 0: the optimiser's usual 0.9, 0.999 (Lion 0.99), 1e-8 */
    int32_t metric, quota, rounding, overflow, algorithm;
    int32_t normalize;      /* turn features into the optimiser's update before they are compared; has a history */
    int32_t parts;          /* of the partitioned algorithm; 0: as few as fit */
    int32_t neighbours;     /* of the sparse and stochastic algorithms; 0: by the budget */
} ne_select_options;

/* The result. You set the pointers you want (others NULL) and the capacity; the rest is written. */
typedef struct ne_selection {
    uint64_t size;
    int64_t capacity;       /* elements of indices, weights and gains; at least min(budget, rows) */
    int64_t *indices;       /* in training order: kept ones ascending, then for each source ascending its picks in greedy order */
    int64_t *weights;       /* examples that each stands for; 1 for kept ones */
    double *gains;          /* NaN for kept ones and sources taken whole */
    int64_t *owners;        /* for each of the rows the selected example that represents it, -1 for none; rows elements. ne_select only */
    int64_t count, kept, dropped;
    double objective, upper_bound, ratio; /* no selection with these quotas has an objective above upper_bound; ratio = objective / upper_bound */
    double milliseconds;
} ne_selection;

typedef struct ne_selector_s *ne_selector;

/* A selector has options and, with a normaliser, a history: m and v of the features' length, and the step (selections done). */
ne_status ne_selector_create(ne_device device, const ne_select_options *options, ne_selector *selector);

/* Selects from rows of features; sources has an id for each row (NULL: one source). Rows with NaN or infinity are dropped, not repaired. The history then takes in the
   mean of the picks, and the step grows by one. Nothing has changed after an error. */
ne_status ne_select(ne_selector selector, const ne_matrix *features, const int32_t *sources, const ne_control *control, ne_selection *result);

/* State in and out: the step; a history vector "m" or "v" of the given length (a history that is still empty is zeros); both as a safetensors file, which is the
   nengine program's --state and --save-state. Restoring "m" must come before "v". */
ne_status ne_selector_step(ne_selector selector, int64_t *step);
ne_status ne_selector_set_step(ne_selector selector, int64_t step);
ne_status ne_selector_state(ne_selector selector, const char *moment, float *values, int64_t length);
ne_status ne_selector_set_state(ne_selector selector, const char *moment, const float *values, int64_t length);
ne_status ne_selector_save(ne_selector selector, const char *path, int64_t dimension);
ne_status ne_selector_load(ne_selector selector, const char *path, int64_t dimension);
ne_status ne_selector_free(ne_selector selector);

/* ---- Streaming selection ------------------------------------------------------------------------------------------------------ */

/* One pass over examples that do not fit in memory. At most M rows are stored, M the most that max_memory holds (12 M d + 8 M^2 + 96 M bytes and 8 MiB; at most 16384).
   When M are there, greedy facility location halves them, each medoid taking over the weight of its cluster. The result does not depend on the chunks; before the first
   reduction it is that of ne_select, exact. Afterwards the distances moved are counted: see ne_stream_report. */
typedef struct ne_stream_options {
    uint64_t size;
    int64_t budget;         /* required */
    int64_t dimension;      /* columns of the features; required */
    const char *keep;       /* as in ne_select_options */
    int64_t max_memory;     /* the dial; 0: 1 GiB */
    uint64_t seed;
    int32_t rows;           /* M, where the dial shall not decide */
    int32_t metric, quota, rounding;
} ne_stream_options;

typedef struct ne_stream_report {
    uint64_t size;
    int64_t seen, dropped, capacity, reductions;
    double cost;            /* sum of the distances from the stored rows, times their weights, to their picks */
    double displacement;    /* E: the sum over all examples of the distance to the selected set is within E of cost; NaN for cosine */
} ne_stream_report;

typedef struct ne_stream_s *ne_stream;
ne_status ne_stream_create(ne_device device, const ne_stream_options *options, ne_stream *stream);

/* Takes the next rows; sources as in ne_select (ids from 0). When cancelled, the first `seen` examples have been taken (ne_stream_result tells how many). */
ne_status ne_stream_add(ne_stream stream, const ne_matrix *features, const int32_t *sources, const ne_control *control);

/* The selection of what came so far; indices count from 0 in order of arrival. The stream may go on. report may be NULL. */
ne_status ne_stream_result(ne_stream stream, const ne_control *control, ne_selection *result, ne_stream_report *report);
ne_status ne_stream_free(ne_stream stream);

/* ---- Merging ------------------------------------------------------------------------------------------------------------------ */

typedef struct ne_merge_options {
    uint64_t size;
    int64_t shard_bytes;    /* of tensors in one file; 0: 5 GB */
    uint64_t seed;          /* the nengine program's default is 1 */
    int32_t threads;        /* 0: one for each processor */
    int32_t reserved;
} ne_merge_options;

typedef struct ne_merge_report {
    uint64_t size;
    int64_t tensors, parameters, bytes_read, bytes_written, peak_bytes;
    double seconds;
} ne_merge_report;

/* Models on disk into a new folder, which appears only when it is complete: a recipe in mergekit's YAML, or sum w_i theta_i / sum w_i. report may be NULL. */
ne_status ne_merge_recipe(const char *recipe, const char *output, const ne_merge_options *options, const ne_control *control, ne_merge_report *report);
ne_status ne_merge_linear(const char *const *folders, const double *weights, int64_t count, const char *output, const ne_merge_options *options,
    const ne_control *control, ne_merge_report *report);

/* Vectors in memory: output = sum w_k inputs[k], divided by sum w_k when normalize is not 0, added in double, rounded once. Types NE_F32 and NE_BF16. The output may be
   one of the inputs. Unspecified after an error. The device must be the cpu. */
ne_status ne_merge_buffers(ne_device device, const void *const *inputs, const double *weights, int64_t count, int32_t type, int64_t length, int32_t normalize,
    void *output, int32_t output_type, const ne_control *control);

/* ---- Models and data ---------------------------------------------------------------------------------------------------------- */

typedef struct ne_model_s *ne_model;

typedef struct ne_model_options {
    uint64_t size;
    const char *tokenizer;  /* of a preset: a folder, or "bytes" (also NULL) */
    const char *adapter;    /* folder of a LoRA adapter to put on the model; not together with trainable */
    const char *lora_targets; /* some of q,k,v,o,gate,up,down; NULL: "q,k,v,o" */
    uint64_t seed;          /* of fresh weights. The nengine program's default is 1 */
    double lora_alpha;      /* 0: twice the rank */
    int32_t trainable;      /* 1: with gradients, for ne_trainer_create */
    int32_t lora_rank;      /* train an adapter of this rank in place of the weights; 0: the weights */
} ne_model_options;

/* Name: a Hugging Face folder of a Llama model, or "preset:NAME" (0.2m ... 124m) with fresh weights. */
ne_status ne_model_open(ne_device device, const char *name, const ne_model_options *options, const ne_control *control, ne_model *model);

typedef struct ne_model_info {
    uint64_t size;
    int64_t parameters, vocabulary, hidden, layers, heads, context;
} ne_model_info;
ne_status ne_model_describe(ne_model model, ne_model_info *info);

/* Writes a Hugging Face folder, atomically. type: NE_F32 or NE_BF16. With lora_rank the adapter is written beside and merged into the weights, which ends the training. */
ne_status ne_model_save(ne_model model, const char *folder, int32_t type, const ne_control *control);
ne_status ne_model_free(ne_model model);

/* Continues a prompt; temperature 0 takes the most likely token. The text is the prompt and what was added. */
ne_status ne_model_generate(ne_model model, const char *prompt, int32_t max_tokens, double temperature, uint64_t seed, const ne_control *control,
    char *buffer, uint64_t capacity, uint64_t *length);

enum { NE_FOR_TRAINING = 0, NE_FOR_EVALUATION = 1 };

typedef struct ne_data_options {
    uint64_t size;
    int64_t max_length;     /* longest example in tokens; 0: the model's context */
    int32_t purpose;        /* NE_FOR_TRAINING: loss on completions, end-of-text appended. NE_FOR_EVALUATION: every token after the first is scored */
    int32_t loss_on_all;    /* 1: training's loss covers prompts too */
    int32_t skip_bad_lines; /* 1: leave out and log, 0: the first one is an error */
    int32_t reserved;
    /* Since 1.1. Names of a JSONL file's fields; NULL: those of nengine train. The built-in mixture and texts in memory have none */
    const char *text_field; /* a plain text; NULL: "text" */
    const char *prompt_field, *completion_field; /* NULL: "prompt" and "completion". A line that has both is taken by them, whatever its text_field */
    const char *source_field; /* a string or a number; NULL: "source". A file none of whose lines has it is one source, "default", and the log warns of a name that was given */
    const char *id_field;   /* an example's own name, a string or a number, in every line another: for ne_data_example_id; NULL: none is read */
} ne_data_options;

typedef struct ne_data_s *ne_data;

/* Examples tokenised with the model's tokenizer; the model may be freed afterwards. From a JSONL file (.gz is read), "builtin" (the generated mixture), or texts in memory:
   prompts (or NULL, or NULL entries: plain texts), completions, and sources (or NULL: "default"). */
ne_status ne_data_open(ne_model model, const char *path, const ne_data_options *options, const ne_control *control, ne_data *data);
ne_status ne_data_from_texts(ne_model model, const char *const *prompts, const char *const *completions, const char *const *sources, int64_t count,
    const ne_data_options *options, const ne_control *control, ne_data *data);

typedef struct ne_data_info {
    uint64_t size;
    int64_t examples, read, left_out, truncated, tokens, label_tokens, sources;
} ne_data_info;
ne_status ne_data_describe(ne_data data, ne_data_info *info);
ne_status ne_data_source_name(ne_data data, int64_t source, char *buffer, uint64_t capacity, uint64_t *length);

/* The own name of an example (since 1.1), where id_field said which field has it; else NE_ERROR_ARGUMENT. */
ne_status ne_data_example_id(ne_data data, int64_t example, char *buffer, uint64_t capacity, uint64_t *length);

/* The source of each example, and which of the examples read it is; either may be NULL. */
ne_status ne_data_rows(ne_data data, int32_t *sources, int64_t *read_index, int64_t capacity);
ne_status ne_data_free(ne_data data);

/* ---- Features and evaluation -------------------------------------------------------------------------------------------------- */

enum { NE_FEATURE_GRADIENT = 0, NE_FEATURE_ZEROTH_ORDER = 1, NE_FEATURE_HIDDEN = 2 };

typedef struct ne_feature_options {
    uint64_t size;
    uint64_t seed;          /* of the random directions. The nengine program's default is 1 */
    double radius;          /* of the zeroth-order estimate; 0: 1e-3 */
    int32_t kind;
    int32_t directions;     /* 0: 1 */
} ne_feature_options;

ne_status ne_feature_dimension(ne_model model, const ne_feature_options *options, int64_t *dimension);

/* One row for each example, [examples, dimension], row by row: capacity in elements. On an error part of it may have been written. */
ne_status ne_features(ne_model model, ne_data data, const ne_feature_options *options, const ne_control *control, float *features, int64_t capacity);

typedef struct ne_loss {
    uint64_t size;
    int64_t examples, tokens;
    double mean_loss;       /* natural logarithm, a token; NaN without tokens */
    double perplexity, bits_per_byte, completion_loss;
} ne_loss;

/* Losses over all examples and, where sources is not NULL, of each source: capacity elements, each with its size set, in the order of the data's source ids. */
ne_status ne_evaluate(ne_model model, ne_data data, const ne_control *control, ne_loss *total, ne_loss *sources, int64_t capacity);

/* ---- Training ----------------------------------------------------------------------------------------------------------------- */

enum { NE_SELECTION_COLM = 0, NE_SELECTION_FULL = 1, NE_SELECTION_RANDOM = 2, NE_SELECTION_COMPOSITION = 3 };
enum { NE_OPTIMIZER_ADAMW = 0, NE_OPTIMIZER_SGD = 1, NE_OPTIMIZER_LION = 2 };
enum { NE_SCHEDULE_COSINE = 0, NE_SCHEDULE_LINEAR = 1, NE_SCHEDULE_CONSTANT = 2 };

/* The defaults are those of nengine train. */
typedef struct ne_train_options {
    uint64_t size;
    int64_t steps;          /* of the whole run: the schedule needs them; required */
    int64_t pool, batch;    /* examples drawn and trained a step; 0: 128 and 64 */
    const char *keep;       /* NULL: "small" */
    uint64_t seed;          /* of data order and random choices. The nengine program's default is 1 */
    double learning_rate;   /* 0: 1e-3 */
    double warmup;          /* share of the steps; 0: 0.03, negative: none */
    double clip_norm;       /* 0: 1, negative: none */
    double weight_decay, beta1, beta2; /* 0: none, 0.9, 0.999 */
    int64_t top;            /* columns kept in the selection; 0: 512, negative: all */
    int32_t selection, optimizer, schedule;
    int32_t feature, directions;
    int32_t metric, quota, rounding, overflow;
    int32_t raw_features;   /* 1: compare features as they are */
    int32_t cluster_weights; /* 1: weight each example's loss by the examples it stands for */
    int32_t micro_batch_tokens, checkpoint_activations;
    int32_t reserved;
} ne_train_options;

typedef struct ne_step_report {
    uint64_t size;
    int64_t step;           /* from 1 */
    int64_t examples, kept, tokens, label_tokens;
    double loss, learning_rate, gradient_norm;
    double objective;       /* of the selection, or NaN */
    double selection_seconds, seconds;
} ne_step_report;

typedef struct ne_trainer_s *ne_trainer;

/* The model must have been opened with trainable = 1. */
ne_status ne_trainer_create(ne_model model, ne_data data, const ne_train_options *options, ne_trainer *trainer);

/* One optimizer step: draws a pool, selects the mini-batch, trains it. NE_ERROR_STATE after the last step. report may be NULL. */
ne_status ne_trainer_step(ne_trainer trainer, const ne_control *control, ne_step_report *report);

/* A checkpoint in a folder of the run (parameters, optimiser, history, data position), and back to the newest valid one: the steps that follow have the same bits as if
   nothing had happened. steps receives the steps done; 0 when there is no checkpoint. */
ne_status ne_trainer_save(ne_trainer trainer, const char *folder);
ne_status ne_trainer_resume(ne_trainer trainer, const char *folder, int64_t *steps);
ne_status ne_trainer_free(ne_trainer trainer);

#ifdef __cplusplus
}
#endif

#endif
