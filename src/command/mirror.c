#include "command/mirror.h"

#include <inttypes.h>
#include <string.h>

#include "import/request.h"
#include "model/model.h"

#define PAGE_ITEMS 1000
#define DELETED    "&deleted=true"

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

static int64_t number_of(const json_t *object, const char *key)
{
    return json_integer_value(json_object_get(object, key));
}

static bool bad_answer(GError **error, const char *what)
{
    g_set_error(error, REMOTE_ERROR, REMOTE_ERROR_UNREACHABLE,
                "the server's answer has no %s: it is another program, or another version of it",
                what);
    return false;
}

/* -- rows -- */

/* The status tells the newest attempt's outcome, and whether an earlier one worked. */
static const char *outcome_of(const char *status, bool *was_imported)
{
    *was_imported = g_str_has_prefix(status, "building");
    if (strcmp(status, "published") == 0)
        return "imported";
    return g_str_has_suffix(status, "failed") ? "failed" : "running";
}

static bool write_attempts(Db *db, const json_t *item, GError **error)
{
    bool was_imported;
    const char *outcome = outcome_of(text_of(item, "model_status"), &was_imported);
    g_autoptr(ImportRequest) request = import_request_new();
    request->source = g_strdup(text_of(item, "source_location"));
    g_autofree char *text = import_request_to_json(request);
    const int64_t newest = number_of(item, "attempt");
    for (int64_t attempt = 1; attempt <= newest; attempt++)
        if (!db_exec(db, error,
                     "INSERT INTO attempts(model_id, attempt, request, outcome, created_at, size) "
                     "VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (model_id, attempt) DO UPDATE "
                     "SET outcome = excluded.outcome, size = excluded.size",
                     "sissii", text_of(item, "model_id"), attempt, text,
                     attempt == newest ? outcome
                     : was_imported    ? "imported"
                                       : "failed",
                     number_of(item, "create_at"), number_of(item, "model_size")))
            return false;
    return true;
}

/* Of an import by a template its engine. */
static const char *type_of(const json_t *item)
{
    const char *engine = json_string_value(json_object_get(item, "engine"));
    return engine ? engine : json_string_value(json_object_get(item, "model_type"));
}

static bool write_model(Db *db, const json_t *item, GError **error)
{
    const char *id = text_of(item, "model_id"), *project = text_of(item, "project");
    if (!*id || !*text_of(item, "model_status"))
        return bad_answer(error, "model");
    return db_exec(db, error,
                   "INSERT INTO projects(id, created_at) VALUES ($1, 0) ON CONFLICT DO NOTHING",
                   "s", project) &&
           db_exec(db, error,
                   "INSERT INTO models(id, project, name, version, version_number, type, "
                   "description, owner, created_at, attempt, deleted_at, deleted_by, last_seq, "
                   "last_time) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, nullif($11, 0), "
                   "$12, 0, 0) ON CONFLICT (id) DO UPDATE SET type = "
                   "excluded.type, description = excluded.description, attempt = excluded.attempt",
                   "ssssisssiiis", id, project, text_of(item, "model_name"),
                   text_of(item, "model_version"),
                   model_version_number(text_of(item, "model_version")), type_of(item),
                   text_of(item, "description"), text_of(item, "owner"),
                   number_of(item, "create_at"), number_of(item, "attempt"),
                   number_of(item, "deleted_at"),
                   json_string_value(json_object_get(item, "deleted_by"))) &&
           write_attempts(db, item, error);
}

static bool write_event(Db *db, const char *model_id, const json_t *event, GError **error)
{
    g_autofree char *text = json_dumps(event, JSON_COMPACT);
    const int64_t seq = number_of(event, "seq");
    if (seq < 1)
        return bad_answer(error, "seq");
    return db_exec(db, error,
                   "INSERT INTO events(model_id, seq, attempt, occur_time, event_type, reason, "
                   "stage, event) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING",
                   "siiissss", model_id, seq, number_of(event, "attempt"),
                   number_of(event, "occur_time"), text_of(event, "event_type"),
                   text_of(event, "reason"), text_of(event, "stage"), text) &&
           db_exec(db, error, "UPDATE models SET last_seq = max(last_seq, $2) WHERE id = $1", "si",
                   model_id, seq);
}

static bool write_events(Db *db, const char *model_id, const json_t *events, GError **error)
{
    size_t i;
    const json_t *event;
    json_array_foreach (events, i, event)
        if (!write_event(db, model_id, event, error))
            return false;
    return true;
}

/* What a bar shows. */
static void take_progress(Progress *progress, const json_t *details)
{
    const json_t *now = json_object_get(details, "progress");
    atomic_store(&progress->bytes_total, number_of(now, "bytes_total"));
    atomic_store(&progress->bytes_done, number_of(now, "bytes_done"));
}

/* -- one model -- */

/* Behind the newest one that is there; a page at a time. */
static bool fetch_events(Service *service, Remote *remote, const char *model_id, int wait_seconds,
                         bool deleted, GError **error)
{
    g_autofree char *id = remote_escape(model_id);
    for (size_t count = PAGE_ITEMS; count == PAGE_ITEMS; wait_seconds = 0) {
        int64_t last;
        if (!db_query_int(service->db, &last, 0, error, "SELECT last_seq FROM models WHERE id = $1",
                          "s", model_id))
            return false;
        g_autofree char *path =
            remote_path(remote, "/models/%s/events?after=%" PRId64 "&limit=%d&wait=%d%s", id, last,
                        PAGE_ITEMS, wait_seconds, deleted ? DELETED : "");
        json_auto_t *page = remote_call(remote, "GET", path, NULL, error);
        const json_t *events = json_object_get(page, "events");
        if (!page || (!json_is_array(events) && !bad_answer(error, "events")))
            return false;
        count = json_array_size(events);
        g_autoptr(DbTransaction) transaction = db_transaction(service->db, error);
        if (!transaction || !write_events(service->db, model_id, events, error) ||
            !db_commit(service->db, error))
            return false;
    }
    return true;
}

static bool take_item(Service *service, const json_t *item, GError **error)
{
    g_autoptr(DbTransaction) transaction = db_transaction(service->db, error);
    return transaction && write_model(service->db, item, error) && db_commit(service->db, error);
}

bool mirror_update(Service *service, Remote *remote, const char *model_id, int wait_seconds,
                   GError **error)
{
    g_autofree char *id = remote_escape(model_id);
    g_autofree char *path = remote_path(remote, "/models/%s", id);
    if (wait_seconds && !fetch_events(service, remote, model_id, wait_seconds, false, error))
        return false;
    /* The model before its events: none is missed that precedes its end. */
    json_auto_t *details = remote_call(remote, "GET", path, NULL, error);
    take_progress(&service->progress, details);
    return details && take_item(service, details, error) &&
           fetch_events(service, remote, model_id, 0, false, error);
}

/* The list's first item of that name; NULL with *error unset: none. A new reference. */
static json_t *find_by_name(Remote *remote, const char *text, bool deleted, GError **error)
{
    const char *colon = strrchr(text, ':');
    g_autofree char *bare = colon ? g_strndup(text, (gsize)(colon - text)) : g_strdup(text);
    g_autofree char *name = remote_escape(bare);
    g_autofree char *version = remote_escape(colon ? colon + 1 : "");
    g_autofree char *path =
        remote_path(remote,
                    "/models?model_name=%s&exact_match=true&sort_by=model_version&limit=1%s%s%s",
                    name, colon ? "&model_version=" : "", version, deleted ? DELETED : "");
    json_auto_t *list = remote_call(remote, "GET", path, NULL, error);
    return json_incref(json_array_get(json_object_get(list, "models"), 0));
}

static json_t *find_by_id(Remote *remote, const char *text, GError **error)
{
    g_autoptr(GError) failure = NULL;
    if (!g_uuid_string_is_valid(text))
        return NULL;
    g_autofree char *path = remote_path(remote, "/models/%s", text);
    json_t *details = remote_call(remote, "GET", path, NULL, &failure);
    if (failure && !g_error_matches(failure, REMOTE_ERROR, REMOTE_ERROR_NOT_FOUND))
        g_propagate_error(error, g_steal_pointer(&failure));
    return details;
}

Model *mirror_model(Service *service, Remote *remote, const char *text, GError **error)
{
    GError *failure = NULL;
    json_auto_t *item = find_by_name(remote, text, false, &failure);
    if (!item && !failure)
        item = find_by_id(remote, text, &failure);
    if (failure)
        g_propagate_error(error, failure);
    if (!item)
        return NULL;
    const char *id = text_of(item, "model_id");
    return take_item(service, item, error) && mirror_update(service, remote, id, 0, error)
               ? model_load(service->db, id, error)
               : NULL;
}

Model *mirror_model_deleted(Service *service, Remote *remote, const char *text, GError **error)
{
    json_auto_t *item = find_by_name(remote, text, true, error);
    if (!item)
        return NULL;
    const char *id = text_of(item, "model_id");
    return take_item(service, item, error) && fetch_events(service, remote, id, 0, true, error)
               ? model_load(service->db, id, error)
               : NULL;
}

/* -- the list -- */

/* The newest event; and of a failed model the one that explains it. */
static bool write_last(Db *db, const json_t *item, GError **error)
{
    const char *id = text_of(item, "model_id");
    const json_t *failure = json_object_get(item, "failure");
    json_auto_t *last = json_deep_copy(json_object_get(item, "last_event"));
    if (!json_is_object(last))
        return true;
    if (!failure)
        return write_event(db, id, last, error);
    json_auto_t *cause = json_pack("{s:I, s:s, s:s}", "seq", number_of(failure, "seq"),
                                   "event_info", text_of(failure, "event_info"), "event_info_cn",
                                   text_of(failure, "event_info_cn"));
    json_object_set_new(last, "cause", json_integer(number_of(failure, "seq")));
    return write_event(db, id, last, error) && write_event(db, id, cause, error);
}

static bool take_page(Service *service, const json_t *models, GHashTable *items, GError **error)
{
    size_t i;
    json_t *item;
    g_autoptr(DbTransaction) transaction = db_transaction(service->db, error);
    if (!transaction)
        return false;
    json_array_foreach (models, i, item) {
        if (!write_model(service->db, item, error) || !write_last(service->db, item, error))
            return false;
        g_hash_table_replace(items, g_strdup(text_of(item, "model_id")), json_incref(item));
    }
    return db_commit(service->db, error);
}

static void json_free(gpointer value)
{
    json_decref(value);
}

bool mirror_list(Service *service, Remote *remote, const char *name_part, bool deleted,
                 GHashTable **items, GError **error)
{
    g_autofree char *name = remote_escape(name_part ? name_part : "");
    *items = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, json_free);
    for (size_t offset = 0, count = PAGE_ITEMS; count == PAGE_ITEMS; offset += count) {
        g_autofree char *path =
            remote_path(remote, "/models?model_name=%s&offset=%zu&limit=%d&order=asc%s", name,
                        offset, PAGE_ITEMS, deleted ? DELETED : "");
        json_auto_t *page = remote_call(remote, "GET", path, NULL, error);
        const json_t *models = json_object_get(page, "models");
        if (!page || (!json_is_array(models) && !bad_answer(error, "models")) ||
            !take_page(service, models, *items, error))
            return false;
        count = json_array_size(models);
    }
    return true;
}

/* -- the build log -- */

/* "2026-11-22T19:44:54.751Z  TEXT" */
static bool write_line(Db *db, const char *model_id, int attempt, const char *line, GError **error)
{
    const char *text = strstr(line, "Z  ");
    g_autofree char *stamp = text ? g_strndup(line, (gsize)(text + 1 - line)) : NULL;
    g_autoptr(GDateTime) time = stamp ? g_date_time_new_from_iso8601(stamp, NULL) : NULL;
    if (!time)
        return bad_answer(error, "log");
    int64_t ms = g_date_time_to_unix(time) * 1000 + g_date_time_get_microsecond(time) / 1000;
    return db_exec(db, error,
                   "INSERT INTO build_log(model_id, attempt, line, time, stream, text) SELECT $1, "
                   "$2, coalesce(max(line), 0) + 1, $3, '', $4 FROM build_log WHERE model_id = $1 "
                   "AND attempt = $2",
                   "siis", model_id, (int64_t)attempt, ms, text + 3);
}

/* Whole lines only: the rest comes with the next look. */
static bool take_log(Service *service, const char *model_id, int attempt, const char *text,
                     gsize length, GError **error)
{
    g_autoptr(DbTransaction) transaction = db_transaction(service->db, error);
    g_autofree char *copy = g_strndup(text, length);
    g_auto(GStrv) lines = g_strsplit(copy, "\n", -1);
    for (char **line = lines; transaction && *line; line++)
        if (**line && !write_line(service->db, model_id, attempt, *line, error))
            return false;
    return transaction && db_commit(service->db, error);
}

bool mirror_log(Service *service, Remote *remote, const char *model_id, int attempt,
                int64_t *offset, GError **error)
{
    g_auto(RemoteAnswer) answer = {0};
    g_autofree char *id = remote_escape(model_id);
    g_autofree char *path = remote_path(remote, "/models/%s/log?attempt=%d", id, attempt);
    g_autofree char *range = g_strdup_printf("Range: bytes=%" PRId64 "-", *offset);
    const char *const headers[] = {range, NULL};
    if (!remote_ask(remote, "GET", path, *offset ? headers : NULL, &answer, error))
        return false;
    if (answer.status == 416) /* there is no more */
        return true;
    if (answer.status >= 400) {
        remote_answer_error(remote, &answer, error);
        return false;
    }
    gsize length = answer.body->len;
    const char *text = (const char *)answer.body->data;
    while (length && text[length - 1] != '\n')
        length--;
    *offset += (int64_t)length;
    return !length || take_log(service, model_id, attempt, text, length, error);
}
