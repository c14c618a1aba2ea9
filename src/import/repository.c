#include "import/repository.h"

#include <string.h>

#include "base/digest.h"
#include "image/image_json.h"
#include "image/model_pack.h"
#include "image/reference.h"
#include "import/provenance.h"
#include "model/model.h"
#include "store/projects.h"

void repository_free(Repository *repository)
{
    if (!repository)
        return;
    g_free(repository->path);
    g_free(repository->project);
    g_free(repository->name);
    g_free(repository->model);
    g_free(repository);
}

/* -- names -- */

char *repository_project_part(const char *path)
{
    return g_strndup(path, strcspn(path, "/"));
}

/* The name of the list that is encoded as `part`. The caller frees it. */
static char *decode(const GPtrArray *names, const char *part)
{
    for (guint i = 0; i < names->len; i++) {
        g_autofree char *encoded = reference_encode_name(names->pdata[i]);
        if (strcmp(encoded, part) == 0)
            return g_strdup(names->pdata[i]);
    }
    return NULL;
}

/* NULL: none is encoded so, as far as one name tells. */
static char *plain_name(const char *part)
{
    g_autofree char *encoded = reference_encode_name(part);
    return strcmp(encoded, part) == 0 && !model_rule_name(part) ? g_strdup(part) : NULL;
}

static char *find_project(Db *db, const char *part, GError **error)
{
    char *plain = plain_name(part);
    if (plain)
        return plain;
    g_autoptr(GPtrArray) projects = projects_list(db, error);
    return projects ? decode(projects, part) : NULL;
}

/* *model NULL: none. */
static bool find_model(Db *db, const char *project, const char *part, char **model, GError **error)
{
    GError *failure = NULL;
    *model = strchr(part, '/') ? NULL : plain_name(part);
    if (*model || strchr(part, '/'))
        return true;
    g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(DbRows) rows =
        db_query(db, &failure,
                 "SELECT DISTINCT name FROM models WHERE project = $1 AND deleted_at IS NULL", "s",
                 project);
    while (rows && db_next(rows, &failure))
        g_ptr_array_add(names, g_strdup(db_text(rows, 0)));
    *model = decode(names, part);
    if (failure)
        g_propagate_error(error, failure);
    return !failure;
}

Repository *repository_find(Db *db, const char *path, GError **error)
{
    const char *slash = strchr(path, '/');
    if (!slash)
        return NULL;
    g_autoptr(Repository) repository = g_new0(Repository, 1);
    g_autofree char *part = repository_project_part(path);
    repository->path = g_strdup(path);
    repository->name = g_strdup(slash + 1);
    repository->project = find_project(db, part, error);
    if (!repository->project ||
        !find_model(db, repository->project, repository->name, &repository->model, error))
        return NULL;
    return g_steal_pointer(&repository);
}

/* -- images of models -- */

#define OF_MODEL                                                                               \
    "FROM models m JOIN attempts a ON a.model_id = m.id WHERE m.project = $1 AND m.name = $2 " \
    "AND m.deleted_at IS NULL AND a.image_digest IS NOT NULL AND a.outcome <> 'failed' "
/* As index.json has it. */
#define LISTED                                                                            \
    "AND a.attempt = (SELECT max(i.attempt) FROM attempts i WHERE i.model_id = m.id AND " \
    "i.image_digest IS NOT NULL AND i.outcome <> 'failed') "

/* What is said of an image of a model (store/artifacts.h), as a manifest. */
#define ARTIFACT_COLUMNS "a.artifact_digest, '" IMAGE_MEDIA_MANIFEST "', a.artifact_size "
#define PACK_COLUMNS     "a.pack_digest, '" IMAGE_MEDIA_MANIFEST "', a.pack_size "

static PushedManifest *manifest_of_model(Db *db, const Repository *repository,
                                         const char *reference, GError **error)
{
    static const char COLUMNS[] =
        "SELECT a.image_digest, a.image_media_type, a.image_manifest_size ";
    const bool is_digest = strchr(reference, ':') != NULL;
    g_autofree char *sql =
        is_digest
            ? g_strconcat(COLUMNS,
                          OF_MODEL
                          "AND a.image_digest = $3 UNION ALL SELECT " ARTIFACT_COLUMNS OF_MODEL
                          "AND a.artifact_digest = $3 UNION ALL SELECT " PACK_COLUMNS OF_MODEL
                          "AND a.pack_digest = $3",
                          NULL)
            : g_strconcat(COLUMNS, OF_MODEL LISTED "AND m.version = $3", NULL);
    g_autoptr(DbRows) rows =
        db_query(db, error, sql, "sss", repository->project, repository->model, reference);
    if (!rows || !db_next(rows, error))
        return NULL;
    PushedManifest *manifest = g_new0(PushedManifest, 1);
    manifest->digest = g_strdup(db_text(rows, 0));
    manifest->media_type = g_strdup(db_text(rows, 1));
    manifest->size = db_int(rows, 2);
    return manifest;
}

char *repository_model_version(Db *db, const Repository *repository, const char *reference,
                               GError **error)
{
    if (!repository->model)
        return NULL;
    g_autoptr(DbRows) rows = db_query(db, error,
                                      "SELECT m.version " OF_MODEL LISTED
                                      "AND (m.version = $3 OR a.image_digest = $3) LIMIT 1",
                                      "sss", repository->project, repository->model, reference);
    return rows && db_next(rows, error) ? g_strdup(db_text(rows, 0)) : NULL;
}

/* Of every attempt that is not swept yet: whoever began to pull an image goes on while the next
 * one takes its place. */
static bool models_have_blob(Db *db, const Repository *repository, const char *digest, bool *has,
                             GError **error)
{
    int64_t count;
    if (!db_query_int(db, &count, 0, error,
                      "SELECT EXISTS (SELECT 1 FROM models m JOIN layers l ON l.model_id = m.id "
                      "WHERE m.project = $1 AND m.name = $2 AND m.deleted_at IS NULL AND "
                      "l.digest = $3) OR EXISTS (SELECT 1 " OF_MODEL "AND a.config_digest = $3) "
                      "OR EXISTS (SELECT 1 FROM models m JOIN artifact_blobs b ON b.model_id = "
                      "m.id WHERE m.project = $1 AND m.name = $2 AND m.deleted_at IS NULL AND "
                      "b.digest = $3)",
                      "sss", repository->project, repository->model, digest))
        return false;
    *has = count != 0;
    return true;
}

/* -- both -- */

PushedManifest *repository_manifest(Db *db, const Repository *repository, const char *reference,
                                    GError **error)
{
    GError *failure = NULL;
    PushedManifest *manifest =
        repository->model ? manifest_of_model(db, repository, reference, &failure) : NULL;
    if (!manifest && !failure)
        manifest =
            strchr(reference, ':')
                ? pushed_manifest_load(db, repository->project, repository->name, reference,
                                       &failure)
                : pushed_tag_load(db, repository->project, repository->name, reference, &failure);
    if (failure)
        g_propagate_error(error, failure);
    return manifest;
}

bool repository_has_blob(Db *db, const Repository *repository, const char *digest, bool *has,
                         GError **error)
{
    if (!pushed_blob_has(db, repository->project, repository->name, digest, has, error))
        return false;
    return *has || !repository->model || models_have_blob(db, repository, digest, has, error);
}

static bool add_found(DbRows *rows, const char *type, GPtrArray *referrers, GError **error)
{
    GError *failure = NULL;
    while (rows && db_next(rows, &failure)) {
        PushedManifest *manifest = g_new0(PushedManifest, 1);
        manifest->digest = g_strdup(db_text(rows, 0));
        manifest->media_type = g_strdup(db_text(rows, 1));
        manifest->size = db_int(rows, 2);
        manifest->artifact_type = g_strdup(type);
        g_ptr_array_add(referrers, manifest);
    }
    if (failure)
        g_propagate_error(error, failure);
    return rows && !failure;
}

/* Adds what is said of the listed image of a model, in no order. */
static bool add_artifacts(Db *db, const Repository *repository, const char *subject,
                          const char *artifact_type, GPtrArray *referrers, GError **error)
{
    static const struct {
        const char *type, *sql;
    } KINDS[] = {{PROVENANCE_ARTIFACT, "SELECT " ARTIFACT_COLUMNS OF_MODEL LISTED
                                       "AND a.image_digest = $3 AND a.artifact_digest IS NOT NULL"},
                 {MODEL_PACK_ARTIFACT, "SELECT " PACK_COLUMNS OF_MODEL LISTED
                                       "AND a.image_digest = $3 AND a.pack_digest IS NOT NULL"}};
    for (size_t i = 0; repository->model && i < G_N_ELEMENTS(KINDS); i++) {
        if (artifact_type && strcmp(artifact_type, KINDS[i].type) != 0)
            continue;
        g_autoptr(DbRows) rows = db_query(db, error, KINDS[i].sql, "sss", repository->project,
                                          repository->model, subject);
        if (!add_found(rows, KINDS[i].type, referrers, error))
            return false;
    }
    return true;
}

static gint compare_manifests(gconstpointer a, gconstpointer b)
{
    const PushedManifest *left = *(PushedManifest *const *)a, *right = *(PushedManifest *const *)b;
    return strcmp(left->digest, right->digest);
}

GPtrArray *repository_referrers(Db *db, const Repository *repository, const char *subject,
                                const char *artifact_type, const char *after, int64_t limit,
                                GError **error)
{
    g_autoptr(GPtrArray) referrers = pushed_referrers(db, repository->project, repository->name,
                                                      subject, artifact_type, after, limit, error);
    if (!referrers || !add_artifacts(db, repository, subject, artifact_type, referrers, error))
        return NULL;
    for (guint i = referrers->len; i-- > 0;)
        if (after && strcmp(((PushedManifest *)referrers->pdata[i])->digest, after) <= 0)
            g_ptr_array_remove_index(referrers, i);
    g_ptr_array_sort(referrers, compare_manifests);
    if (referrers->len > (guint64)limit)
        g_ptr_array_set_size(referrers, (int)limit);
    return g_steal_pointer(&referrers);
}

int repository_compare(gconstpointer a, gconstpointer b)
{
    const char *left = *(const char *const *)a, *right = *(const char *const *)b;
    int order = g_ascii_strcasecmp(left, right);
    return order ? order : strcmp(left, right);
}

/* Sorts, and keeps one of each. */
static GPtrArray *distinct(GPtrArray *texts)
{
    GPtrArray *once = g_ptr_array_new_with_free_func(g_free);
    g_ptr_array_sort(texts, repository_compare);
    for (guint i = 0; i < texts->len; i++)
        if (i == 0 || strcmp(texts->pdata[i - 1], texts->pdata[i]) != 0)
            g_ptr_array_add(once, g_strdup(texts->pdata[i]));
    return once;
}

GPtrArray *repository_tags(Db *db, const Repository *repository, GError **error)
{
    GError *failure = NULL;
    g_autoptr(GPtrArray) tags = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(DbRows) rows = repository->model
                                 ? db_query(db, &failure, "SELECT m.version " OF_MODEL LISTED, "ss",
                                            repository->project, repository->model)
                                 : NULL;
    while (rows && db_next(rows, &failure))
        g_ptr_array_add(tags, g_strdup(db_text(rows, 0)));
    if (failure) {
        g_propagate_error(error, failure);
        return NULL;
    }
    return pushed_tags_list(db, repository->project, repository->name, tags, error) ? distinct(tags)
                                                                                    : NULL;
}

static void add_path(const char *project, const char *repository, gpointer data)
{
    g_autofree char *part = reference_encode_name(project);
    g_ptr_array_add(data, g_strdup_printf("%s/%s", part, repository));
}

GPtrArray *repositories_list(Db *db, const char *project, GError **error)
{
    GError *failure = NULL;
    g_autoptr(GPtrArray) paths = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(DbRows) rows =
        db_query(db, &failure,
                 "SELECT DISTINCT m.project, m.name FROM models m JOIN attempts a ON a.model_id = "
                 "m.id WHERE m.deleted_at IS NULL AND a.image_digest IS NOT NULL AND a.outcome <> "
                 "'failed' AND ($1 IS NULL OR m.project = $1)",
                 "s", project);
    while (rows && db_next(rows, &failure)) {
        g_autofree char *name = reference_encode_name(db_text(rows, 1));
        add_path(db_text(rows, 0), name, paths);
    }
    if (failure) {
        g_propagate_error(error, failure);
        return NULL;
    }
    return pushed_each_repository(db, project, add_path, paths, error) ? distinct(paths) : NULL;
}
