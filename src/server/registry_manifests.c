/* /v2/NAME/manifests/REFERENCE: pulling, pushing and deleting images.
 *
 * A push is: the manifest's blob, durable; then, in one transaction, its row, what it needs, its
 * tag and the audit list; then index.json. All of it under the layout's lock, so that gc finds the
 * blob with its row or not at all, and nothing that the manifest needs goes meanwhile. */
#include <string.h>

#include "base/io.h"
#include "image/manifest_document.h"
#include "image/reference.h"
#include "server/registry.h"
#include "store/models.h"
#include "store/projects.h"

#define MOST_MISSING 100 /* that are named */

static HttpReply invalid(const char *why)
{
    return registry_error(MHD_HTTP_BAD_REQUEST, "MANIFEST_INVALID", "%s", why);
}

static HttpReply unknown(const Repository *repository, const char *reference)
{
    return registry_error(MHD_HTTP_NOT_FOUND, "MANIFEST_UNKNOWN", "%s has no manifest %s",
                          repository->path, reference);
}

/* Without a response: it is a tag, or the digest of one. */
static HttpReply check_reference(const char *reference)
{
    if (digest_is_valid(reference) || reference_is_tag(reference))
        return HTTP_WAITS;
    return strchr(reference, ':')
               ? registry_no_digest("the digest", reference)
               : registry_error(MHD_HTTP_BAD_REQUEST, "MANIFEST_INVALID",
                                "the tag is \"%.200s\"; expected 1 to 128 letters, digits, '_', "
                                "'.' and '-', with no '.' or '-' in front",
                                reference);
}

/* -- pulling -- */

HttpReply registry_manifest_get(HttpRequest *request)
{
    g_autoptr(GError) error = NULL;
    const char *reference = request->arguments[1];
    HttpReply reply = check_reference(reference);
    if (reply.response)
        return reply;
    Service *service = api_service(request, &reply);
    g_autoptr(Repository) repository =
        service ? registry_find_repository(request, service, &reply) : NULL;
    if (!repository)
        return reply;
    g_autoptr(PushedManifest) manifest =
        repository_manifest(service->db, repository, reference, &error);
    if (!manifest)
        return error ? registry_failed(error) : unknown(repository, reference);
    return registry_send_blob(request, service, manifest->digest, manifest->media_type);
}

/* -- what is a model's -- */

/* Without a response: no model has it. The name as the command line takes it. */
static HttpReply check_model(Service *service, const Repository *repository, const char *reference,
                             GError **error)
{
    g_autofree char *version = repository_model_version(service->db, repository, reference, error);
    bool is_default = strcmp(repository->project, PROJECT_DEFAULT) == 0;
    if (!version)
        return HTTP_WAITS;
    return registry_error(MHD_HTTP_FORBIDDEN, "DENIED",
                          "%s is version %s of the model %s, which no client changes: waybill "
                          "import makes another version, waybill delete %s:%s%s%s removes this one",
                          reference, version, repository->model, repository->model, version,
                          is_default ? "" : " --project ", is_default ? "" : repository->project);
}

/* -- pushing -- */

typedef struct {
    RegistryWork *work;
    Service *service;
    ManifestDocument *document;
    char *digest;
} Put;

static void put_clear(Put *put)
{
    manifest_document_free(put->document);
    g_free(put->digest);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Put, put_clear)

static bool has_need(const Put *put, const Descriptor *wanted, bool *has, GError **error)
{
    GError *failure = NULL;
    const Repository *repository = put->work->repository;
    Db *db = put->service->db;
    if (!put->document->is_index) {
        if (!repository_has_blob(db, repository, wanted->digest, has, error))
            return false;
    } else {
        g_autoptr(PushedManifest) manifest =
            repository_manifest(db, repository, wanted->digest, &failure);
        *has = manifest != NULL;
    }
    if (failure)
        g_propagate_error(error, failure);
    *has = *has && layout_has_blob(put->service->images, wanted->digest, wanted->size);
    return !failure;
}

/* All that is missing, not the first. */
static HttpReply check_needs(const Put *put, GError **error)
{
    json_auto_t *missing = json_array();
    const GPtrArray *needs = put->document->needs;
    for (guint i = 0; i < needs->len && json_array_size(missing) < MOST_MISSING; i++) {
        bool has;
        const Descriptor *wanted = needs->pdata[i];
        if (!has_need(put, wanted, &has, error))
            return HTTP_WAITS;
        if (!has)
            json_array_append_new(missing,
                                  registry_error_item("MANIFEST_BLOB_UNKNOWN",
                                                      json_pack("{s:s}", "digest", wanted->digest),
                                                      "%s has no %s %s of %" G_GINT64_FORMAT
                                                      " bytes",
                                                      put->work->repository->path,
                                                      put->document->is_index ? "manifest" : "blob",
                                                      wanted->digest, wanted->size));
    }
    return json_array_size(missing) ? registry_errors(MHD_HTTP_NOT_FOUND, g_steal_pointer(&missing))
                                    : HTTP_WAITS;
}

static bool put_rows(const Put *put, GError **error)
{
    Db *db = put->service->db;
    const RegistryWork *work = put->work;
    const Repository *repository = work->repository;
    const char *project = repository->project, *name = repository->name;
    const ManifestDocument *document = put->document;
    const PushedManifest row = {.digest = put->digest,
                                .media_type = document->media_type,
                                .size = (int64_t)g_bytes_get_size(work->body),
                                .artifact_type = document->artifact_type,
                                .subject = document->subject,
                                .annotations = document->subject ? document->annotations : NULL};
    bool tagged = strcmp(work->reference, put->digest) != 0;
    g_autofree char *object =
        g_strconcat(repository->path, tagged ? ":" : "@", work->reference, NULL);
    if (!project_make(db, project, error) || !pushed_manifest_set(db, project, name, &row, error))
        return false;
    for (guint i = 0; i < document->needs->len; i++) {
        const Descriptor *wanted = document->needs->pdata[i];
        if (!pushed_manifest_need(db, project, name, put->digest, wanted->digest, wanted->size,
                                  error))
            return false;
    }
    return (!tagged || pushed_tag_set(db, project, name, work->reference, put->digest, error)) &&
           service_audit(put->service, work->caller->user, project, "image.push", object, error);
}

/* Without a response and without *error: the rows are there. */
static HttpReply put_record(const Put *put, GError **error)
{
    Service *service = put->service;
    const RegistryWork *work = put->work;
    g_autoptr(DbTransaction) transaction = service_transaction(service, error);
    if (!transaction)
        return HTTP_WAITS;
    GError *failure = NULL;
    HttpReply refusal = HTTP_WAITS;
    if (reference_is_tag(work->reference))
        refusal = check_model(service, work->repository, work->reference, &failure);
    if (!refusal.response && !failure)
        refusal = check_needs(put, &failure);
    if (!refusal.response && !failure && put_rows(put, &failure))
        db_commit(service->db, &failure);
    if (failure)
        g_propagate_error(error, failure);
    return refusal;
}

static HttpReply put_store(const Put *put, GError **error)
{
    gsize size;
    Service *service = put->service;
    const void *content = g_bytes_get_data(put->work->body, &size);
    autofd lock = layout_lock(service->images, false, error);
    if (lock < 0)
        return HTTP_WAITS;
    GError *failure = NULL;
    HttpReply refusal = check_needs(put, &failure); /* before anything is written */
    if (!refusal.response && !failure && service_has_room(service, &failure)) {
        g_autofree char *stored = layout_put(service->images, content, size, &failure);
        if (stored)
            refusal = put_record(put, &failure);
    }
    if (!refusal.response && !failure)
        service_write_index(service, &failure);
    if (failure)
        g_propagate_error(error, failure);
    return refusal;
}

static HttpReply put_answer(const Put *put)
{
    const RegistryWork *work = put->work;
    g_autofree char *location =
        g_strdup_printf("/v2/%s/manifests/%s", work->repository->path, put->digest);
    HttpReply reply = registry_empty(MHD_HTTP_CREATED);
    http_set_header(&reply, MHD_HTTP_HEADER_LOCATION, location);
    http_set_header(&reply, "Docker-Content-Digest", put->digest);
    if (put->document->subject)
        http_set_header(&reply, "OCI-Subject", put->document->subject);
    return reply;
}

static HttpReply manifest_put(RegistryWork *work, Service *service)
{
    gsize size;
    g_autoptr(GError) error = NULL;
    g_auto(Put) put = {.work = work, .service = service};
    if (!work->body)
        return invalid("there is no body");
    const void *content = g_bytes_get_data(work->body, &size);
    put.digest = digest_of(content, size);
    if (digest_is_valid(work->reference) && strcmp(work->reference, put.digest) != 0)
        return registry_error(MHD_HTTP_BAD_REQUEST, "DIGEST_INVALID",
                              "the body hashes to %s, not to %s", put.digest, work->reference);
    put.document = manifest_document_read(work->body, work->media_type, &error);
    if (!put.document)
        return invalid(error->message);
    HttpReply refusal = put_store(&put, &error);
    if (error)
        return registry_failed(error);
    return refusal.response ? refusal : put_answer(&put);
}

HttpReply registry_manifest_put(HttpRequest *request)
{
    HttpReply refusal = check_reference(request->arguments[1]);
    return refusal.response ? refusal : registry_aside(request, manifest_put);
}

/* -- deleting -- */

static bool remove_rows(const RegistryWork *work, Db *db, GError **error)
{
    const Repository *repository = work->repository;
    return digest_is_valid(work->reference)
               ? pushed_manifest_remove(db, repository->project, repository->name, work->reference,
                                        error)
               : pushed_tag_remove(db, repository->project, repository->name, work->reference,
                                   error);
}

/* What was pushed under a digest goes, though a model's image should have the same; of a tag that a
 * model has, too, the model's is meant. */
static HttpReply check_delete(const RegistryWork *work, Service *service, GError **error)
{
    const Repository *repository = work->repository;
    bool is_digest = digest_is_valid(work->reference);
    g_autoptr(PushedManifest) pushed =
        is_digest ? pushed_manifest_load(service->db, repository->project, repository->name,
                                         work->reference, error)
                  : pushed_tag_load(service->db, repository->project, repository->name,
                                    work->reference, error);
    if (*error || (pushed && is_digest))
        return HTTP_WAITS;
    HttpReply refusal = check_model(service, repository, work->reference, error);
    if (refusal.response || *error || pushed)
        return refusal;
    return unknown(repository, work->reference);
}

static HttpReply manifest_delete(RegistryWork *work, Service *service)
{
    g_autoptr(GError) error = NULL;
    const Repository *repository = work->repository;
    g_autofree char *object =
        g_strconcat(repository->path, digest_is_valid(work->reference) ? "@" : ":", work->reference,
                    NULL);
    g_autoptr(DbTransaction) transaction = service_transaction(service, &error);
    HttpReply refusal = transaction ? check_delete(work, service, &error) : HTTP_WAITS;
    if (refusal.response)
        return refusal;
    if (error || !remove_rows(work, service->db, &error) ||
        !service_audit(service, work->caller->user, repository->project, "image.delete", object,
                       &error) ||
        !db_commit(service->db, &error) || !service_write_index(service, &error))
        return registry_failed(error);
    return registry_empty(MHD_HTTP_ACCEPTED);
}

HttpReply registry_manifest_delete(HttpRequest *request)
{
    HttpReply refusal = check_reference(request->arguments[1]);
    return refusal.response ? refusal : registry_aside(request, manifest_delete);
}
