/* The options that say what to import: shared by `import` and `check`. */
#pragma once

#include "command/command.h"

typedef struct {
    char *name, *version, *type, *runtime, *config, *child, *platform, *description;
    char *template, *infer_format, *job, *job_version;
    gboolean dereference, dynamic, no_cache, verify;
} RequestOptions;

/* clang-format off */
#define REQUEST_OPTIONS(options)                                                                                       \
    {"name", 0, 0, G_OPTION_ARG_FILENAME, &(options).name, "Name of the model (the source's)", "NAME"},                \
    {"version", 0, 0, G_OPTION_ARG_FILENAME, &(options).version, "Version (the newest if it failed, else the next)",   \
     "N.N.N"},                                                                                                         \
    {"type", 0, 0, G_OPTION_ARG_FILENAME, &(options).type, "Model type (as config.json says)", "TYPE"},                \
    {"runtime", 0, 0, G_OPTION_ARG_FILENAME, &(options).runtime, "Runtime (the first that serves the engine)", "NAME"}, \
    {"config", 0, 0, G_OPTION_ARG_FILENAME, &(options).config, "Use this config.json, not the package's", "FILE"},     \
    {"child", 0, 0, G_OPTION_ARG_FILENAME, &(options).child, "Model directory beneath SOURCE (model)", "DIR"},         \
    {"platform", 0, 0, G_OPTION_ARG_FILENAME, &(options).platform, "Platform (as image.platform says)", "OS/ARCH"},    \
    {"description", 0, 0, G_OPTION_ARG_FILENAME, &(options).description, "At most 100 characters", "TEXT"},            \
    {"template", 0, 0, G_OPTION_ARG_FILENAME, &(options).template, "Config of this template: SOURCE is the model itself", \
     "ID"},                                                                                                            \
    {"infer-format", 0, 0, G_OPTION_ARG_FILENAME, &(options).infer_format, "Its input and output mode (the first)",    \
     "MODE"},                                                                                                          \
    {"source-job-id", 0, 0, G_OPTION_ARG_FILENAME, &(options).job, "Training job that made the model", "ID"},          \
    {"source-job-version", 0, 0, G_OPTION_ARG_FILENAME, &(options).job_version, "Its version", "VERSION"},             \
    {"dereference", 0, 0, G_OPTION_ARG_NONE, &(options).dereference, "Follow links that leave the package", NULL},     \
    {"dynamic", 0, 0, G_OPTION_ARG_NONE, &(options).dynamic, "Load the model's files at start, not in the image", NULL}
/* Of `import` alone: what only a build needs. */
#define BUILD_OPTIONS(options)                                                                                         \
    {"no-cache", 0, 0, G_OPTION_ARG_NONE, &(options).no_cache, "Build the environment image anew", NULL},              \
    {"verify", 0, 0, G_OPTION_ARG_NONE, &(options).verify, "Run the image: it has to serve before it counts", NULL}
/* clang-format on */

/* The request, checked; or NULL: its faults were printed and *status set. */
ImportRequest *request_options_take(Session *session, RequestOptions *options, const char *source,
                                    int *status);
void request_options_clear(RequestOptions *options);

/* --dependencies FILE, - is standard input; NULL: it cannot be read, which was printed. The caller
 * frees it. */
char *request_read_dependencies(const char *file);
/* --config FILE into the request. False: it cannot be read, which was printed. */
bool request_read_config(ImportRequest *request, const char *file);
/* Of one that is made again. False: the request breaks its rules, which was printed (exit 2). Where
 * a training job's output lies is looked up, with --server it is there. */
bool request_is_sound(const Session *session, ImportRequest *request);
/* Faults of what the request itself brings (--config, --dependencies) are the request's: exit 2,
 * with the findings on standard error. -1: none. */
int request_config_check(Session *session, const ImportRequest *request);
