#include "base/clock.h"
#include "store/pushed.h"

#define COLUMNS "m.digest, m.media_type, m.size, m.artifact_type, m.subject, m.annotations "

void pushed_manifest_free(PushedManifest *manifest)
{
    if (!manifest)
        return;
    g_free(manifest->digest);
    g_free(manifest->media_type);
    g_free(manifest->artifact_type);
    g_free(manifest->subject);
    g_free(manifest->annotations);
    g_free(manifest);
}

/* Of COLUMNS, the first of which is this one. */
static PushedManifest *manifest_of_row(DbRows *rows, int column)
{
    PushedManifest *manifest = g_new0(PushedManifest, 1);
    *manifest = (PushedManifest){.digest = g_strdup(db_text(rows, column)),
                                 .media_type = g_strdup(db_text(rows, column + 1)),
                                 .size = db_int(rows, column + 2),
                                 .artifact_type = g_strdup(db_text(rows, column + 3)),
                                 .subject = g_strdup(db_text(rows, column + 4)),
                                 .annotations = g_strdup(db_text(rows, column + 5))};
    return manifest;
}

bool pushed_manifest_set(Db *db, const char *project, const char *repository,
                         const PushedManifest *manifest, GError **error)
{
    return db_exec(db, error,
                   "INSERT INTO registry_manifests(project, repository, digest, media_type, size, "
                   "artifact_type, subject, annotations, pushed_at) VALUES ($1, $2, $3, $4, $5, "
                   "$6, $7, $8, $9) ON CONFLICT(project, repository, digest) DO UPDATE SET "
                   "media_type = excluded.media_type, artifact_type = excluded.artifact_type, "
                   "pushed_at = excluded.pushed_at",
                   "ssssisssi", project, repository, manifest->digest, manifest->media_type,
                   manifest->size, manifest->artifact_type, manifest->subject,
                   manifest->annotations, clock_now_ms()) &&
           db_exec(db, error,
                   "DELETE FROM registry_needs WHERE project = $1 AND repository = $2 AND "
                   "manifest = $3",
                   "sss", project, repository, manifest->digest);
}

bool pushed_manifest_need(Db *db, const char *project, const char *repository, const char *manifest,
                          const char *digest, int64_t size, GError **error)
{
    return db_exec(db, error,
                   "INSERT INTO registry_needs(project, repository, manifest, digest, size) "
                   "VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
                   "ssssi", project, repository, manifest, digest, size);
}

PushedManifest *pushed_manifest_load(Db *db, const char *project, const char *repository,
                                     const char *digest, GError **error)
{
    g_autoptr(DbRows) rows = db_query(db, error,
                                      "SELECT " COLUMNS "FROM registry_manifests m WHERE "
                                      "m.project = $1 AND m.repository = $2 AND m.digest = $3",
                                      "sss", project, repository, digest);
    return rows && db_next(rows, error) ? manifest_of_row(rows, 0) : NULL;
}

PushedManifest *pushed_tag_load(Db *db, const char *project, const char *repository,
                                const char *tag, GError **error)
{
    g_autoptr(DbRows) rows =
        db_query(db, error,
                 "SELECT " COLUMNS "FROM registry_tags t JOIN registry_manifests m ON m.project = "
                 "t.project AND m.repository = t.repository AND m.digest = t.manifest WHERE "
                 "t.project = $1 AND t.repository = $2 AND t.tag = $3",
                 "sss", project, repository, tag);
    return rows && db_next(rows, error) ? manifest_of_row(rows, 0) : NULL;
}

bool pushed_manifest_remove(Db *db, const char *project, const char *repository, const char *digest,
                            GError **error)
{
    return db_exec(db, error,
                   "DELETE FROM registry_manifests WHERE project = $1 AND repository = $2 AND "
                   "digest = $3",
                   "sss", project, repository, digest);
}

GPtrArray *pushed_referrers(Db *db, const char *project, const char *repository,
                            const char *subject, const char *artifact_type, const char *after,
                            int64_t limit, GError **error)
{
    GError *failure = NULL;
    g_autoptr(GPtrArray) referrers =
        g_ptr_array_new_with_free_func((GDestroyNotify)pushed_manifest_free);
    g_autoptr(DbRows) rows =
        db_query(db, &failure,
                 "SELECT " COLUMNS "FROM registry_manifests m WHERE m.project = $1 AND "
                 "m.repository = $2 AND m.subject = $3 AND ($4 IS NULL OR m.artifact_type = $4) "
                 "AND m.digest > $5 ORDER BY m.digest LIMIT $6",
                 "sssssi", project, repository, subject, artifact_type, after ? after : "", limit);
    while (rows && db_next(rows, &failure))
        g_ptr_array_add(referrers, manifest_of_row(rows, 0));
    if (failure)
        g_propagate_error(error, failure);
    return failure ? NULL : g_steal_pointer(&referrers);
}

bool pushed_each_tag(Db *db, PushedTagVisitor visit, gpointer data, GError **error)
{
    GError *failure = NULL;
    g_autoptr(DbRows) rows =
        db_query(db, &failure,
                 "SELECT t.project, t.repository, t.tag, " COLUMNS "FROM registry_tags t JOIN "
                 "registry_manifests m ON m.project = t.project AND m.repository = t.repository "
                 "AND m.digest = t.manifest ORDER BY 1, 2, 3",
                 "");
    while (rows && db_next(rows, &failure)) {
        g_autoptr(PushedManifest) manifest = manifest_of_row(rows, 3);
        visit(db_text(rows, 0), db_text(rows, 1), db_text(rows, 2), manifest, data);
    }
    if (failure)
        g_propagate_error(error, failure);
    return !failure;
}
