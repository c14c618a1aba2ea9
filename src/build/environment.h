/* Builds an environment: a base image and dependencies become one layer.
 *
 * Unpack the base's layers, mount, install in the sandbox, pack what was changed. Fails in three
 * ways: an event (the dependencies' fault: 39, 12), SANDBOX_ERROR (31, or a crash: 40), and what
 * the disk or the layout refuse. */
#pragma once

#include "build/failure.h"
#include "build/pack.h"
#include "image/image.h"

typedef struct {
    const Settings *settings;
    const char *data; /* the data directory, absolute */
    Layout *images;
    const Image *base;
    const char *base_reference;
    const GPtrArray *dependencies; /* of Dependency */
    const GPtrArray *model_layers; /* of char *: digests, for the wheels */
    const PackageSources *sources;
    Progress *progress;
    /* The build log: one line; and the moment to write down what came. stream: "waybill", "stdout",
     * "stderr". */
    void (*line)(gpointer log, const char *stream, const char *text);
    void (*flush)(gpointer log);
    int64_t (*line_number)(gpointer log); /* of the newest line */
    gpointer log;
} EnvironmentSpec;

typedef struct {
    PackedLayer layer; /* all zeros: nothing was changed */
    json_t *packages;  /* [{installer, name, version}] */
    Event *event;      /* why it failed; NULL: it did not */
    bool timed_out;
    int64_t unpack_ms, install_ms, pack_ms;
    int lock; /* layout_lock: gc must not find the layer before the row that keeps it; -1: none */
} EnvironmentResult;
#define ENVIRONMENT_RESULT_NONE ((EnvironmentResult){.lock = -1})
void environment_result_clear(EnvironmentResult *result);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(EnvironmentResult, environment_result_clear)

/* False with *error, G_IO_ERROR_CANCELLED: progress->stop. True: it is built, or result->event says
 * why it cannot be. */
bool environment_build(const EnvironmentSpec *spec, EnvironmentResult *result, GError **error);

/* Where sandboxes lie, beneath the data directory. The caller frees it. */
char *environment_scratch(const char *data);
