/* Stage `verify`, where it is asked for: the image is run, and has to serve, before it counts. */
#include <gio/gio.h>
#include <string.h>

#include "base/clock.h"
#include "base/io.h"
#include "build/trial.h"
#include "import/dynamic.h"
#include "import/pipeline.h"

#define SHOWN_LINES 20

bool verify_is_wanted(const Import *import)
{
    return import->request->verify || settings_bool(import->service->settings, "build.verify");
}

static Event *event_verify_failed(Trial *trial, TrialState state)
{
    g_autofree char *what = trial_words(trial, state);
    Event *event =
        event_with_kind(event_image_verify_failed(what), state == TRIAL_EXITED      ? "exited"
                                                         : state == TRIAL_UNHEALTHY ? "unhealthy"
                                                                                    : "silent");
    event_with_text(event, "what", what);
    json_t *lines = json_array();
    const GPtrArray *log = trial_log(trial);
    for (guint i = log->len > SHOWN_LINES ? log->len - SHOWN_LINES : 0; i < log->len; i++) {
        g_autofree char *text = event_text(log->pdata[i]);
        json_array_append_new(lines, json_string(text));
    }
    event_with_json(event, "error_lines", lines);
    if (log->len)
        event_with_text(event, "last_line", log->pdata[log->len - 1]);
    if (state == TRIAL_EXITED)
        event_with(event, "{s:i}", "exit_status", trial_exit_status(trial));
    const TrialAnswer *health = trial_health(trial);
    if (health->status)
        event_with(event, "{s:{s:s, s:i}}", "http", "method", "GET", "status", (int)health->status);
    if (health->status && health->body)
        event_with_text(event, "body", health->body);
    return event_with(event, "{s:i, s:s}", "seconds", trial_seconds(trial), "expected", "200");
}

static StageResult verify_failed(Import *import, GError *failure, GError **error)
{
    g_autoptr(GError) owned = failure;
    if (g_error_matches(failure, G_IO_ERROR, G_IO_ERROR_CANCELLED))
        return STAGE_STOPPED;
    if (g_error_matches(failure, SANDBOX_ERROR, SANDBOX_ERROR_RUNTIME) ||
        g_error_matches(failure, SANDBOX_ERROR, SANDBOX_ERROR_ROOT))
        return import_fail(import, "verify",
                           events_new(event_no_sandbox(import->service, failure), NULL), error);
    g_propagate_error(error, g_steal_pointer(&owned));
    return STAGE_ERROR;
}

Image *import_image(Import *import, GError **error)
{
    Service *service = import->service;
    g_autoptr(Attempt) attempt =
        attempt_load(service->db, import->model->id, import->job->attempt, error);
    if (!attempt)
        return NULL;
    json_auto_t *descriptor =
        json_pack("{s:s, s:s, s:I}", "mediaType", attempt->image_media_type, "digest",
                  attempt->image_digest, "size", (json_int_t)attempt->image_manifest_size);
    ImageRepository *images = import_images(import, error);
    return images ? image_read(image_repository_source(images), descriptor, NULL, NULL, error)
                  : NULL;
}

static bool log_ready(Import *import, Trial *trial, GError **error)
{
    Db *db = import->service->db;
    g_autofree char *text = g_strdup_printf("verified: it serves, %.1f s after it was started",
                                            (double)trial_ready_ms(trial) / 1000);
    g_autoptr(DbTransaction) transaction =
        service_transaction_of(import->service, import->model->id, error);
    return transaction &&
           build_log_append(db, import->model->id, import->job->attempt, "waybill", text, error) &&
           db_commit(db, error);
}

StageResult stage_verify(Import *import, GError **error)
{
    TrialState state;
    g_autoptr(GError) failure = NULL;
    g_autoptr(Image) image = import_image(import, error);
    if (!image)
        return STAGE_ERROR;
    autofd lock = layout_lock(import->service->images, false, &failure);
    if (lock < 0 || !images_bring(import->service, import_images(import, NULL), image, &failure))
        return verify_failed(import, g_steal_pointer(&failure), error);
    g_autoptr(GPtrArray) blobs =
        dynamic_bring(import->service, import_images(import, NULL), import->model->id,
                      image->manifest->digest, &failure);
    if (!blobs)
        return verify_failed(import, g_steal_pointer(&failure), error);
    const TrialSpec spec = {.settings = import->service->settings,
                            .data = import->service->data->path,
                            .images = import->service->images,
                            .image = image,
                            .blobs = blobs,
                            .progress = &import->service->progress};
    g_autoptr(Trial) trial = trial_new(&spec, &failure);
    if (!trial || !trial_wait(trial, &state, &failure))
        return verify_failed(import, g_steal_pointer(&failure), error);
    if (state != TRIAL_READY)
        return import_fail(import, "verify", events_new(event_verify_failed(trial, state), NULL),
                           error);
    if (!log_ready(import, trial, error))
        return STAGE_ERROR;
    return import_close(import, "verify",
                        json_pack("{s:I}", "ready_ms", (json_int_t)trial_ready_ms(trial)),
                        events_new(NULL, NULL), error);
}
