#include "store/pushed.h"

#include "base/clock.h"

/* -- blobs -- */

bool pushed_blob_add(Db *db, const char *project, const char *repository, const char *digest,
                     int64_t size, GError **error)
{
    return db_exec(db, error,
                   "INSERT INTO registry_blobs(project, repository, digest, size, pushed_at) "
                   "VALUES ($1, $2, $3, $4, $5) ON CONFLICT(project, repository, digest) DO UPDATE "
                   "SET pushed_at = excluded.pushed_at, size = excluded.size",
                   "sssii", project, repository, digest, size, clock_now_ms());
}

bool pushed_blob_has(Db *db, const char *project, const char *repository, const char *digest,
                     bool *has, GError **error)
{
    int64_t count;
    if (!db_query_int(db, &count, 0, error,
                      "SELECT count(*) FROM registry_blobs WHERE project = $1 AND repository = $2 "
                      "AND digest = $3",
                      "sss", project, repository, digest))
        return false;
    *has = count > 0;
    return true;
}

bool pushed_blob_remove(Db *db, const char *project, const char *repository, const char *digest,
                        GError **error)
{
    return db_exec(db, error,
                   "DELETE FROM registry_blobs WHERE project = $1 AND repository = $2 AND "
                   "digest = $3",
                   "sss", project, repository, digest);
}

char *pushed_blob_needed_by(Db *db, const char *project, const char *repository, const char *digest,
                            GError **error)
{
    g_autoptr(DbRows) rows =
        db_query(db, error,
                 "SELECT manifest FROM registry_needs WHERE project = $1 AND repository = $2 AND "
                 "digest = $3 LIMIT 1",
                 "sss", project, repository, digest);
    return rows && db_next(rows, error) ? g_strdup(db_text(rows, 0)) : NULL;
}

bool pushed_blobs_forget(Db *db, int64_t before, GError **error)
{
    return db_exec(db, error,
                   "DELETE FROM registry_blobs AS b WHERE pushed_at < $1 AND NOT EXISTS (SELECT 1 "
                   "FROM registry_needs n WHERE n.project = b.project AND n.repository = "
                   "b.repository AND n.digest = b.digest)",
                   "i", before);
}

/* -- tags -- */

bool pushed_tag_set(Db *db, const char *project, const char *repository, const char *tag,
                    const char *manifest, GError **error)
{
    return db_exec(db, error,
                   "INSERT INTO registry_tags(project, repository, tag, manifest, pushed_at) "
                   "VALUES ($1, $2, $3, $4, $5) ON CONFLICT(project, repository, tag) DO UPDATE "
                   "SET manifest = excluded.manifest, pushed_at = excluded.pushed_at",
                   "ssssi", project, repository, tag, manifest, clock_now_ms());
}

bool pushed_tag_remove(Db *db, const char *project, const char *repository, const char *tag,
                       GError **error)
{
    return db_exec(db, error,
                   "DELETE FROM registry_tags WHERE project = $1 AND repository = $2 AND tag = $3",
                   "sss", project, repository, tag);
}

bool pushed_tags_list(Db *db, const char *project, const char *repository, GPtrArray *tags,
                      GError **error)
{
    GError *failure = NULL;
    g_autoptr(DbRows) rows =
        db_query(db, &failure,
                 "SELECT tag FROM registry_tags WHERE project = $1 AND repository = $2", "ss",
                 project, repository);
    while (rows && db_next(rows, &failure))
        g_ptr_array_add(tags, g_strdup(db_text(rows, 0)));
    if (failure)
        g_propagate_error(error, failure);
    return !failure;
}

/* -- all of it -- */

bool pushed_repository_known(Db *db, const char *project, const char *repository, bool *known,
                             GError **error)
{
    int64_t found;
    if (!db_query_int(db, &found, 0, error,
                      "SELECT EXISTS (SELECT 1 FROM registry_manifests WHERE project = $1 AND "
                      "repository = $2) OR EXISTS (SELECT 1 FROM registry_blobs WHERE project = $1 "
                      "AND repository = $2)",
                      "ss", project, repository))
        return false;
    *known = found != 0;
    return true;
}

bool pushed_each_repository(Db *db, const char *project, PushedVisitor visit, gpointer data,
                            GError **error)
{
    GError *failure = NULL;
    g_autoptr(DbRows) rows =
        db_query(db, &failure,
                 "SELECT DISTINCT project, repository FROM registry_manifests WHERE $1 IS NULL OR "
                 "project = $1",
                 "s", project);
    while (rows && db_next(rows, &failure))
        visit(db_text(rows, 0), db_text(rows, 1), data);
    if (failure)
        g_propagate_error(error, failure);
    return !failure;
}

bool pushed_each_blob(Db *db, PushedBlobVisitor visit, gpointer data, GError **error)
{
    GError *failure = NULL;
    g_autoptr(DbRows) rows =
        db_query(db, &failure,
                 "SELECT project, repository, digest, size FROM registry_blobs UNION "
                 "SELECT project, repository, digest, size FROM registry_manifests UNION "
                 "SELECT project, repository, digest, size FROM registry_needs ORDER BY 1, 2, 3",
                 "");
    while (rows && db_next(rows, &failure))
        visit(db_text(rows, 0), db_text(rows, 1), db_text(rows, 2), db_int(rows, 3), data);
    if (failure)
        g_propagate_error(error, failure);
    return !failure;
}
