#include "import/scans.h"

#include <string.h>

#include "base/digest.h"
#include "import/pipeline.h"
#include "import/scan_events.h"
#include "scan/scan.h"

static char *key_of(const char *digest, const char *path)
{
    return path ? g_strdup_printf("%s %s", digest, scan_ending(path)) : g_strdup(digest);
}

/* NULL with *error unset: there is none. */
static json_t *reports_of(Db *db, const char *digest, const char *path, GError **error)
{
    g_autofree char *key = key_of(digest, path);
    g_autoptr(DbRows) rows =
        db_query(db, error, "SELECT reports FROM layer_scans WHERE digest = $1 AND rules = $2",
                 "si", key, (int64_t)SCAN_RULES);
    if (!rows || !db_next(rows, error))
        return NULL;
    return json_loads(db_text(rows, 0), 0, NULL);
}

bool scans_known(Db *db, const char *digest, const char *path, bool *known, GError **error)
{
    g_autofree char *key = key_of(digest, path);
    int64_t count = 0;
    bool done = db_query_int(db, &count, 0, error,
                             "SELECT count(*) FROM layer_scans WHERE digest = $1 AND rules = $2",
                             "si", key, (int64_t)SCAN_RULES);
    *known = done && count > 0;
    return done;
}

bool scans_remember(Db *db, const char *digest, const char *path, const json_t *reports,
                    GError **error)
{
    g_autofree char *key = key_of(digest, path);
    char *text = json_dumps(reports, JSON_COMPACT);
    bool done = db_exec(db, error,
                        "INSERT INTO layer_scans(digest, rules, reports) VALUES ($1, $2, $3) ON "
                        "CONFLICT (digest) DO UPDATE SET rules = excluded.rules, reports = "
                        "excluded.reports",
                        "sis", key, (int64_t)SCAN_RULES, text);
    free(text);
    return done;
}

bool scans_forget(Db *db, GError **error)
{
    return db_exec(db, error,
                   "DELETE FROM layer_scans WHERE NOT EXISTS (SELECT 1 FROM layers l WHERE "
                   "l.digest = substr(layer_scans.digest, 1, " G_STRINGIFY(DIGEST_LENGTH) "))",
                   "");
}

/* Of a dynamic model the blobs, which are all of its files; else the layers. */
static GPtrArray *rows_of_attempt(Db *db, const char *model_id, int attempt, GError **error)
{
    GPtrArray *blobs = blobs_of(db, model_id, attempt, error);
    if (!blobs || blobs->len > 0)
        return blobs;
    g_ptr_array_unref(blobs);
    return layers_of(db, model_id, attempt, error);
}

/* A blob's digest says nothing of the path that it had when it was looked at. */
static void set_path(json_t *reports, const char *path)
{
    size_t i;
    json_t *report;
    json_array_foreach (reports, i, report)
        json_object_set_new(report, "path", json_string(path));
}

/* What stands for the files of a layer, or a blob, of which nothing is known. */
static json_t *unseen_of(const LayerRow *row)
{
    return json_pack("{s:s, s:s, s:s}", "path", row->file ? row->file : "", "format", "pickle",
                     "unread", "what it holds is not known any more: import it again");
}

/* *unseen: of one of the layers nothing is known, which its report says. */
static json_t *reports_of_attempt(Import *import, int attempt, bool *unseen, GError **error)
{
    Db *db = import->service->db;
    g_autoptr(GError) failure = NULL;
    g_autoptr(GPtrArray) rows = rows_of_attempt(db, import->model->id, attempt, error);
    json_t *all = json_array();
    *unseen = false;
    for (guint i = 0; rows && !failure && i < rows->len; i++) {
        const LayerRow *row = rows->pdata[i];
        const bool blob = strcmp(row->origin, LAYER_ORIGIN_BLOB) == 0;
        if (!blob && strcmp(row->origin, "model") != 0)
            continue;
        json_auto_t *reports = reports_of(db, row->digest, blob ? row->file : NULL, &failure);
        if (reports && blob)
            set_path(reports, row->file);
        if (reports)
            json_array_extend(all, reports);
        else
            json_array_append_new(all, unseen_of(row));
        *unseen = *unseen || !reports;
    }
    if (failure)
        g_propagate_error(error, g_steal_pointer(&failure));
    else if (rows)
        return all;
    json_decref(all);
    return NULL;
}

bool scans_find(Import *import, int attempt, Findings *findings, GError **error)
{
    bool unseen;
    json_auto_t *reports = reports_of_attempt(import, attempt, &unseen, error);
    if (!reports)
        return false;
    scan_events_add(import->service->settings, import->package, reports, findings);
    return true;
}

bool scans_let_in(Import *import, int attempt, bool *let_in, GError **error)
{
    *let_in = true;
    if (strcmp(settings_text(import->service->settings, "check.pickle"), "deny") != 0)
        return true;
    bool unseen;
    g_autoptr(Findings) findings = findings_new();
    json_auto_t *reports = reports_of_attempt(import, attempt, &unseen, error);
    if (!reports)
        return false;
    scan_events_add(import->service->settings, import->package, reports, findings);
    *let_in = !unseen && !findings_fatal(findings);
    return true;
}
