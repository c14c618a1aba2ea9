/* /v2/NAME/blobs/DIGEST: pulling and deleting. A blob goes from its file to the socket in the
 * kernel (sendfile), whole or the part that Range asks for; what it hashes to is the client's to
 * look at, and `waybill verify`'s. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/io.h"
#include "server/byte_range.h"
#include "server/registry.h"

#define CACHE_CONTROL "private, max-age=31536000, immutable" /* of what a digest names */

/* -- pulling -- */

static void set_blob_headers(HttpReply *reply, const char *digest, const char *tag)
{
    http_set_header(reply, "Docker-Content-Digest", digest);
    http_set_header(reply, MHD_HTTP_HEADER_ETAG, tag);
    http_set_header(reply, "X-Content-Type-Options", "nosniff");
}

static HttpReply outside(int64_t size)
{
    const ByteRange nothing = {0};
    HttpReply reply = registry_error(MHD_HTTP_RANGE_NOT_SATISFIABLE, "RANGE_INVALID",
                                     "the blob has %" G_GINT64_FORMAT " bytes", size);
    byte_range_set(&reply, BYTE_RANGE_OUTSIDE, &nothing, size);
    return reply;
}

/* Takes the descriptor over. */
static HttpReply send_file(const HttpRequest *request, int fd, int64_t size, const char *tag)
{
    ByteRange range;
    const char *condition = http_header(request, MHD_HTTP_HEADER_IF_RANGE);
    bool counts = !condition || strcmp(condition, tag) == 0;
    ByteRangeKind kind =
        byte_range_read(counts ? http_header(request, MHD_HTTP_HEADER_RANGE) : NULL, size, &range);
    if (kind == BYTE_RANGE_OUTSIDE) {
        io_close(&fd);
        return outside(size);
    }
    HttpReply reply = {kind == BYTE_RANGE_PART ? MHD_HTTP_PARTIAL_CONTENT : MHD_HTTP_OK,
                       MHD_create_response_from_fd_at_offset64((uint64_t)range.length, fd,
                                                               (uint64_t)range.from)};
    registry_set_version(&reply);
    byte_range_set(&reply, kind, &range, size);
    return reply;
}

HttpReply registry_send_blob(const HttpRequest *request, const Service *service, const char *digest,
                             const char *media_type)
{
    struct stat about;
    g_autoptr(GError) error = NULL;
    g_autofree char *tag = g_strdup_printf("\"%s\"", digest);
    const char *known = http_header(request, MHD_HTTP_HEADER_IF_NONE_MATCH);
    autofd fd = layout_open_blob(service->images, digest, &error);
    if (fd < 0 && g_error_matches(error, IMAGE_ERROR, IMAGE_ERROR_NO_BLOB)) {
        g_warning("%s: waybill verify says what it is of", error->message);
        return registry_error(MHD_HTTP_NOT_FOUND, "BLOB_UNKNOWN", "the store has lost %s", digest);
    }
    if (fd < 0)
        return registry_failed(error);
    if (fstat(fd, &about) < 0) {
        io_fail(&error, errno, "%s", digest);
        return registry_failed(error);
    }
    HttpReply reply = known && strstr(known, tag)
                          ? registry_empty(MHD_HTTP_NOT_MODIFIED)
                          : send_file(request, io_steal_fd(&fd), about.st_size, tag);
    if (reply.status == MHD_HTTP_RANGE_NOT_SATISFIABLE)
        return reply;
    set_blob_headers(&reply, digest, tag);
    http_set_header(&reply, MHD_HTTP_HEADER_CONTENT_TYPE, media_type);
    return reply;
}

HttpReply registry_blob_get(HttpRequest *request)
{
    HttpReply reply;
    bool has;
    g_autoptr(GError) error = NULL;
    const char *digest = request->arguments[1];
    if (!digest_is_valid(digest))
        return registry_no_digest("the digest", digest);
    Service *service = api_service(request, &reply);
    g_autoptr(Repository) repository =
        service ? registry_find_repository(request, service, &reply) : NULL;
    if (!repository)
        return reply;
    if (!repository_has_blob(service->db, repository, digest, &has, &error))
        return registry_failed(error);
    if (!has)
        return registry_no_blob(repository, digest);
    reply = registry_send_blob(request, service, digest, "application/octet-stream");
    if (reply.status < MHD_HTTP_BAD_REQUEST)
        http_set_header(&reply, MHD_HTTP_HEADER_CACHE_CONTROL, CACHE_CONTROL);
    return reply;
}

/* -- deleting -- */

/* In a transaction. Without a response: it may go. */
static HttpReply check_delete(const Repository *repository, const Service *service,
                              const char *digest, GError **error)
{
    bool has, pushed;
    GError *failure = NULL;
    if (!repository_has_blob(service->db, repository, digest, &has, error) ||
        !pushed_blob_has(service->db, repository->project, repository->name, digest, &pushed,
                         error))
        return HTTP_WAITS;
    if (!has)
        return registry_no_blob(repository, digest);
    if (!pushed)
        return registry_error(MHD_HTTP_FORBIDDEN, "DENIED",
                              "the blob is of an image of the model %s: waybill delete removes the "
                              "model's versions",
                              repository->model);
    g_autofree char *manifest =
        pushed_blob_needed_by(service->db, repository->project, repository->name, digest, &failure);
    if (failure)
        g_propagate_error(error, failure);
    return manifest
               ? registry_error(MHD_HTTP_METHOD_NOT_ALLOWED, "UNSUPPORTED",
                                "manifest %s needs the blob: delete the manifest first", manifest)
               : HTTP_WAITS;
}

static HttpReply blob_delete(RegistryWork *work, Service *service)
{
    g_autoptr(GError) error = NULL;
    const Repository *repository = work->repository;
    g_autofree char *object = g_strdup_printf("%s@%s", repository->path, work->reference);
    g_autoptr(DbTransaction) transaction = service_transaction(service, &error);
    HttpReply refusal =
        transaction ? check_delete(repository, service, work->reference, &error) : HTTP_WAITS;
    if (refusal.response)
        return refusal;
    if (error ||
        !pushed_blob_remove(service->db, repository->project, repository->name, work->reference,
                            &error) ||
        !service_audit(service, work->caller->user, repository->project, "blob.delete", object,
                       &error) ||
        !db_commit(service->db, &error))
        return registry_failed(error);
    return registry_empty(MHD_HTTP_ACCEPTED);
}

HttpReply registry_blob_delete(HttpRequest *request)
{
    const char *digest = request->arguments[1];
    return digest_is_valid(digest) ? registry_aside(request, blob_delete)
                                   : registry_no_digest("the digest", digest);
}
