/* Runs an image as an inference container, without a network, and talks to it: `waybill try`, and
 * the proof before an import counts.
 *
 * The container runs as the image says (user, command, environment, directory) with the limits of a
 * build, and is alone with its loopback. It is ready when GET /health answers 200. */
#pragma once

#include "base/settings.h"
#include "build/sandbox.h"
#include "image/image.h"

#define TRIAL_PORT 8080

typedef enum {
    TRIAL_READY,
    TRIAL_EXITED,    /* the container ended */
    TRIAL_UNHEALTHY, /* something listens, and /health does not answer 200 in time */
    TRIAL_SILENT,    /* nothing listened in time */
} TrialState;

typedef struct {
    const Settings *settings;
    const char *data; /* the data directory, absolute */
    Layout *images;
    const Image *image;
    /* Digests (char *) of blobs that the container finds as an OCI layout has them, where
     * WAYBILL_MODEL_SOURCE says; or NULL. */
    const GPtrArray *blobs;
    Progress *progress;
} TrialSpec;

typedef struct {
    char *method, *path, *body; /* body NULL: none */
} TrialRequest;

typedef struct {
    long status; /* of HTTP; 0: none came */
    char *body;  /* at most 16 MiB of it */
    gsize size;
    int64_t ms;
} TrialAnswer;
void trial_answer_clear(TrialAnswer *answer);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(TrialAnswer, trial_answer_clear)

typedef struct Trial Trial;
/* NULL: SANDBOX_ERROR, IMAGE_ERROR (a layer is missing or damaged, no command), IO_ERROR,
 * G_IO_ERROR_CANCELLED. */
Trial *trial_new(const TrialSpec *spec, GError **error);
void trial_free(Trial *trial);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Trial, trial_free)

/* Waits until it is ready, or will not be. False: as above. */
bool trial_wait(Trial *trial, TrialState *state, GError **error);
/* One request of a ready one. *answer: status 0 when it ended or was silent instead. */
bool trial_ask(Trial *trial, const TrialRequest *request, TrialAnswer *answer, GError **error);

int64_t trial_ready_ms(const Trial *trial);
/* Of TRIAL_EXITED. */
int trial_exit_status(const Trial *trial);
/* What /health answered last; status 0: nothing. */
const TrialAnswer *trial_health(const Trial *trial);
int trial_seconds(const Trial *trial); /* that were waited at most */
/* The container's last lines, at most 100 (of char *). The trial's own. */
GPtrArray *trial_log(Trial *trial);
/* "exited with status 3", "GET /health answered 500", "nothing listened on 8080 within 60 s". The
 * caller frees it. */
char *trial_words(const Trial *trial, TrialState state);
