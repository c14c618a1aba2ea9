#include "import/pipeline.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/io.h"
#include "event/timeline.h"
#include "import/store_events.h"
#include "import/upload.h"

bool import_is_image(const Import *import)
{
    const char *type = import->config && import->config->model_type ? import->config->model_type
                                                                    : import->request->type;
    return import_request_is_reference(import->request) || g_strcmp0(type, "Image") == 0;
}

GPtrArray *events_new(Event *first, ...)
{
    GPtrArray *events = g_ptr_array_new_with_free_func((GDestroyNotify)event_free);
    va_list more;
    va_start(more, first);
    for (Event *event = first; event; event = va_arg(more, Event *))
        g_ptr_array_add(events, event);
    va_end(more);
    return events;
}

static bool close_in_transaction(Import *import, const char *stage, const char *result,
                                 GPtrArray *events, GError **error)
{
    Db *db = import->service->db;
    g_autoptr(DbTransaction) transaction =
        service_transaction_of(import->service, import->model->id, error);
    if (!transaction)
        return false;
    for (guint i = 0; i < events->len; i++) {
        Event *event = events->pdata[i];
        if (i + 1 == events->len)
            event->duration_ms = clock_monotonic_ms() - import->began;
        if (!timeline_append(db, import->model->id, import->job->attempt, stage, event, NULL,
                             error))
            return false;
    }
    return stage_close(db, import->model->id, import->job->attempt, stage, result, error) &&
           upload_unbind(import, stage, error) && db_commit(db, error);
}

StageResult import_close(Import *import, const char *stage, json_t *result, GPtrArray *events,
                         GError **error)
{
    char *text = json_dumps(result, JSON_COMPACT | JSON_ENCODE_ANY);
    bool done = close_in_transaction(import, stage, text, events, error);
    free(text);
    json_decref(result);
    g_ptr_array_unref(events);
    if (!done)
        return STAGE_ERROR;
    service_committed(import->service);
    return STAGE_CLOSED;
}

static bool event_ends_import(const Event *event)
{
    return event_is_fatal(event) || event->reason == EVENT_ImportCancelled;
}

/* The cause is the first abnormal event, or where there is none the first hint that ends an import.
 * Its answer is ImportFailed's too. */
static Event *failed_event(const GPtrArray *events, const int64_t *seqs)
{
    Event *failed = event_import_failed();
    int64_t first_hint = 0;
    const Event *hint = NULL;
    failed->causes = json_array();
    for (guint i = 0; i < events->len; i++) {
        if (!event_ends_import(events->pdata[i]))
            continue;
        json_array_append_new(failed->causes, json_integer(seqs[i]));
        bool abnormal = event_row(events->pdata[i])->type == EVENT_TYPE_ABNORMAL;
        if (abnormal && !failed->cause) {
            failed->cause = seqs[i];
            failed->root = events->pdata[i];
        } else if (!abnormal && !first_hint) {
            first_hint = seqs[i];
            hint = events->pdata[i];
        }
    }
    if (!failed->cause) {
        failed->cause = first_hint;
        failed->root = hint;
    }
    return failed;
}

static bool append_build_status(Service *service, const char *model_id, int attempt,
                                const char *stage, const char *status, int64_t cause,
                                GError **error)
{
    if (!status)
        return true;
    g_autoptr(Event) event = event_image_build_status(status);
    event->cause = cause;
    return timeline_append(service->db, model_id, attempt, stage, event, NULL, error);
}

bool attempt_fail(Service *service, const char *model_id, int attempt, const char *stage,
                  const GPtrArray *events, const char *build_status, GError **error)
{
    Db *db = service->db;
    g_autofree int64_t *seqs = g_new0(int64_t, events->len);
    for (guint i = 0; i < events->len; i++) {
        Event *event = events->pdata[i];
        if (event->follows)
            event->cause = seqs[i - 1];
        if (!timeline_append(db, model_id, attempt, stage, event, &seqs[i], error))
            return false;
    }
    g_autoptr(Event) failed = failed_event(events, seqs);
    g_autoptr(Attempt) row = attempt_load(db, model_id, attempt, error);
    if (!row ||
        !append_build_status(service, model_id, attempt, stage, build_status, failed->cause, error))
        return false;
    int64_t took = clock_now_ms() - (row->started_at ? row->started_at : row->created_at);
    event_with(failed, "{s:s, s:i, s:I}", "stage", stage, "attempt", attempt, "duration_ms",
               (json_int_t)MAX(took, 0));
    return timeline_append(db, model_id, attempt, "finish", failed, NULL, error) &&
           attempt_end(db, model_id, attempt, "failed", error) &&
           db_exec(db, error,
                   "UPDATE jobs SET state = 'done' WHERE model_id = $1 AND attempt = $2 AND state "
                   "<> 'done' "
                   "AND kind <> 'env-build'",
                   "si", model_id, (int64_t)attempt);
}

bool attempt_cancel(Service *service, const char *model_id, int attempt, const char *stage,
                    const char *actor, const char *build_status, GError **error)
{
    Event *cancelled = event_import_cancelled(actor);
    cancelled->actor = g_strdup(actor);
    event_with(cancelled, "{s:s}", "actor", actor);
    g_autoptr(GPtrArray) events = events_new(cancelled, NULL);
    return attempt_fail(service, model_id, attempt, stage, events, build_status, error);
}

static bool fail_in_transaction(Import *import, const char *stage, const GPtrArray *events,
                                GError **error)
{
    g_autoptr(DbTransaction) transaction =
        service_transaction_of(import->service, import->model->id, error);
    return transaction &&
           attempt_fail(import->service, import->model->id, import->job->attempt, stage, events,
                        NULL, error) &&
           db_commit(import->service->db, error);
}

ImageRepository *import_images(Import *import, GError **error)
{
    const Model *model = import->model;
    if (!import->images)
        import->images = service_repository(import->service, model->project, model->name, error);
    return import->images;
}

/* The end of an attempt has to be written whatever the disk and the store are like at the moment: a
 * full disk gives the reserve up, a busy store is waited for. */
StageResult import_fail(Import *import, const char *stage, GPtrArray *events, GError **error)
{
    g_autoptr(GPtrArray) owned = events;
    for (int tries = 0;; tries++) {
        g_autoptr(GError) failure = NULL;
        if (fail_in_transaction(import, stage, owned, &failure)) {
            service_committed(import->service);
            return STAGE_FAILED;
        }
        if (tries >= 5 || !error_is_full_disk(failure)) {
            import->unwritten = true;
            g_propagate_error(error, g_steal_pointer(&failure));
            return STAGE_ERROR;
        }
        data_release_reserve(import->service->data);
    }
}

bool error_is_full_disk(const GError *error)
{
    return g_error_matches(error, DB_ERROR, DB_ERROR_FULL) ||
           g_error_matches(error, IO_ERROR, ENOSPC) || g_error_matches(error, IO_ERROR, EDQUOT);
}

static const char *error_kind(const GError *error)
{
    if (error_is_full_disk(error))
        return "disk_full";
    if (error->domain == IMAGE_ERROR || error->domain == DB_ERROR)
        return "store_lost";
    return error->domain == IO_ERROR ? "io" : "internal";
}

Event *event_of_error(Service *service, const GError *error, int64_t needed)
{
    Event *refused = store_event(service, error);
    if (refused)
        return refused;
    g_autofree char *incident = g_strdup_printf("%08x", g_random_int());
    const char *kind = error_kind(error);
    Event *event = event_with_kind(event_image_build_system_error(), kind);
    event_with_text(event, "incident", incident);
    event_with_text(event, "error",
                    error->domain == IO_ERROR ? g_strerror(error->code) : error->message);
    if (error->domain == IO_ERROR)
        event_with(event, "{s:i}", "errno", error->code);
    if (strcmp(kind, "disk_full") == 0) {
        if (!data_make_reserve(service->data))
            needed += DATA_RESERVE_BYTES + DATA_ROOM_BYTES;
        event_with(event, "{s:I, s:s}", "free", (json_int_t)data_free_bytes(service->data),
                   "volume", "data directory");
        if (needed > 0)
            event_with(event, "{s:I}", "needed", (json_int_t)needed);
    }
    g_printerr("waybill: incident %s: %s\n", incident, error->message);
    return event;
}

static bool file_is_listed(DbRows *rows, const Package *package)
{
    const PackageFile *file = package_find(package, db_text(rows, 0));
    return file && file->identity.size == db_int(rows, 1) &&
           (int64_t)file->identity.device == db_int(rows, 2) &&
           (int64_t)file->identity.inode == db_int(rows, 3) &&
           file->identity.mtime_ns == db_int(rows, 4) && file->identity.ctime_ns == db_int(rows, 5);
}

bool import_changed_files(Import *import, int attempt, int64_t *count, char **first, GError **error)
{
    *count = 0;
    *first = NULL;
    g_autoptr(DbRows) rows =
        db_query(import->service->db, error,
                 "SELECT path, size, device, inode, mtime_ns, ctime_ns FROM files "
                 "WHERE model_id = $1 AND attempt = $2 ORDER BY path",
                 "si", import->model->id, (int64_t)attempt);
    GError *failure = NULL;
    int64_t same = 0;
    while (rows && db_next(rows, &failure)) {
        if (file_is_listed(rows, import->package)) {
            same++;
            continue;
        }
        ++*count;
        if (!*first)
            *first = package_path_in_source(import->package->child, db_text(rows, 0));
    }
    if (failure)
        g_propagate_error(error, failure);
    if (!rows || failure)
        return false;
    /* What was listed then and differs or is gone, and what is new. */
    int64_t listed = same + *count, now = import->package->files->len;
    if (now > listed)
        *count += now - listed;
    return true;
}
