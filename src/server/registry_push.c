#include "server/registry_push.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "base/io.h"
#include "store/projects.h"
#include "store/pushes.h"

#define LOOK_BYTES ((int64_t)64 << 20) /* how often the free space is looked at */
#define TOUCH_MS   60000               /* how often a long transfer says that the upload lives */

static void push_free(void *data)
{
    Push *push = data;
    push_writer_close(push->writer); /* what arrived of a session stays */
    repository_free(push->repository);
    caller_free(push->caller);
    g_free(push->request_id);
    g_free(push->id);
    g_free(push->digest);
    g_free(push->mount);
    g_free(push->from);
    if (push->fault.response)
        MHD_destroy_response(push->fault.response);
    if (push->answer.response)
        MHD_destroy_response(push->answer.response);
    g_free(push);
}

Push *push_begin(HttpRequest *request, Service *service, HttpReply *reply)
{
    const Caller *caller = request->caller;
    Repository *repository = registry_find_repository(request, service, reply);
    if (!repository)
        return NULL;
    Push *push = g_new0(Push, 1);
    *push = (Push){.server = request->server,
                   .repository = repository,
                   .caller =
                       caller_new(caller->user, caller->project, caller->role, caller->credential),
                   .request_id = g_strdup(request->id),
                   .range = {0, -1},
                   .most = settings_bytes(request->server->settings, "upload.limit_gib"),
                   .touched = clock_monotonic_ms()};
    request->state = push;
    request->state_free = push_free;
    return push;
}

HttpReply push_take(HttpReply *reply)
{
    HttpReply taken = *reply;
    *reply = HTTP_WAITS;
    return taken;
}

/* -- answers -- */

void push_set_place(HttpReply *reply, const Repository *repository, const char *id, int64_t size)
{
    g_autofree char *location = g_strdup_printf("/v2/%s/blobs/uploads/%s", repository->path, id);
    g_autofree char *range = g_strdup_printf("0-%" PRId64, MAX(size - 1, 0));
    http_set_header(reply, MHD_HTTP_HEADER_LOCATION, location);
    http_set_header(reply, MHD_HTTP_HEADER_RANGE, range);
    http_set_header(reply, "Docker-Upload-UUID", id);
}

HttpReply push_created(const Repository *repository, const char *digest)
{
    HttpReply reply = registry_empty(MHD_HTTP_CREATED);
    g_autofree char *location = g_strdup_printf("/v2/%s/blobs/%s", repository->path, digest);
    http_set_header(&reply, MHD_HTTP_HEADER_LOCATION, location);
    http_set_header(&reply, "Docker-Content-Digest", digest);
    return reply;
}

HttpReply push_failed(const GError *error)
{
    if (error->domain == IO_ERROR && error->code == ECANCELED)
        return registry_error(MHD_HTTP_CONFLICT, "BLOB_UPLOAD_INVALID", "%s", error->message);
    if (error->domain != IO_ERROR || error->code != EBUSY)
        return registry_failed(error);
    return http_again(registry_error(MHD_HTTP_TOO_MANY_REQUESTS, "TOOMANYREQUESTS", "%s",
                                     error->message),
                      1);
}

static HttpReply too_large(const Push *push)
{
    return registry_error(MHD_HTTP_CONTENT_TOO_LARGE, "SIZE_INVALID",
                          "the blob would be larger than %s GiB (upload.limit_gib)",
                          settings_text(push->server->settings, "upload.limit_gib"));
}

static HttpReply wrong_place(const Push *push, int64_t size)
{
    HttpReply reply = registry_error(MHD_HTTP_RANGE_NOT_SATISFIABLE, "RANGE_INVALID",
                                     "the chunk begins at %" PRId64 ", but %" PRId64
                                     " bytes of the blob are here: go on there",
                                     push->range.from, size);
    push_set_place(&reply, push->repository, push->id, size);
    return reply;
}

HttpReply push_check_room(const Push *push, const Service *service, int64_t needed)
{
    g_autofree char *why = server_lacks_room(push->server, service, needed);
    return why ? registry_error(MHD_HTTP_INSUFFICIENT_STORAGE, "UNKNOWN", "%s", why) : HTTP_WAITS;
}

/* -- the beginning -- */

HttpReply push_read_digest(const HttpRequest *request, Push *push)
{
    const char *digest = http_query(request, "digest");
    if (!digest || !digest_is_valid(digest))
        return registry_no_digest("?digest=", digest ? digest : "");
    push->digest = g_strdup(digest);
    return HTTP_WAITS;
}

/* How long the body is; -1: it does not say. http.c has looked at the number. */
static int64_t body_length(const HttpRequest *request)
{
    const char *text = http_header(request, MHD_HTTP_HEADER_CONTENT_LENGTH);
    return text ? g_ascii_strtoll(text, NULL, 10) : -1;
}

static HttpReply read_range(const HttpRequest *request, Push *push)
{
    const char *text = http_header(request, MHD_HTTP_HEADER_CONTENT_RANGE);
    int64_t length = body_length(request);
    if (!text)
        return HTTP_WAITS;
    if (!byte_range_of_chunk(text, &push->range))
        return registry_error(MHD_HTTP_BAD_REQUEST, "BLOB_UPLOAD_INVALID",
                              "Content-Range is \"%.100s\"; expected A-B, such as 0-1023", text);
    if (length >= 0 && length != push->range.length)
        return registry_error(MHD_HTTP_BAD_REQUEST, "SIZE_INVALID",
                              "Content-Length is %" PRId64 ", but Content-Range says %" PRId64
                              " bytes",
                              length, push->range.length);
    return HTTP_WAITS;
}

HttpReply push_open(const HttpRequest *request, Push *push, const Service *service)
{
    g_autoptr(GError) error = NULL;
    HttpReply refusal = read_range(request, push);
    if (refusal.response)
        return refusal;
    push->writer = push_writer_open(push->server->pushes, push->id, &error);
    if (!push->writer)
        return push_failed(error);
    int64_t size = push_writer_size(push->writer), length = MAX(body_length(request), 0);
    push->looked = size;
    if (push->range.length >= 0 && push->range.from != size)
        return push->id ? wrong_place(push, size)
                        : registry_error(MHD_HTTP_BAD_REQUEST, "BLOB_UPLOAD_INVALID",
                                         "a blob in one request begins at 0");
    if (length > push->most || size > push->most - length)
        return too_large(push);
    return push_check_room(push, service, length);
}

/* -- the body -- */

static void push_touch_row(const Push *push, Service *service)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(DbTransaction) transaction = service_transaction(service, &error);
    if (!transaction || !push_touch(service->db, push->id, &error) ||
        !db_commit(service->db, &error))
        g_warning("an upload: %s", error->message);
}

/* Now and then: whether there is room still, and that the upload is in use. */
static HttpReply push_look(Push *push, int64_t size)
{
    g_autoptr(GError) error = NULL;
    bool is_time = push->id && clock_monotonic_ms() - push->touched >= TOUCH_MS;
    bool is_far = size - push->looked >= LOOK_BYTES;
    if (!is_time && !is_far)
        return HTTP_WAITS;
    Service *service = server_service(push->server, &error);
    if (!service)
        return registry_failed(error);
    if (is_time) {
        push->touched = clock_monotonic_ms();
        push_touch_row(push, service);
    }
    push->looked = is_far ? size : push->looked;
    return is_far ? push_check_room(push, service, 0) : HTTP_WAITS;
}

bool push_data(HttpRequest *request, const void *data, size_t size)
{
    Push *push = request->state;
    g_autoptr(GError) error = NULL;
    if (!push->writer)
        return false; /* POST without ?digest=: nothing of a body is meant */
    int64_t reaches = push_writer_size(push->writer) + (int64_t)size;
    if (push->range.length >= 0 && reaches > push->range.from + push->range.length)
        push->fault = registry_error(MHD_HTTP_BAD_REQUEST, "SIZE_INVALID",
                                     "the body is longer than Content-Range says");
    else if (reaches > push->most)
        push->fault = too_large(push);
    else if (!push_writer_write(push->writer, data, size, &error))
        push->fault = push_failed(error);
    else
        push->fault = push_look(push, reaches);
    return !push->fault.response;
}

/* -- the end -- */

static HttpReply other_digest(const Push *push, const char *found)
{
    return registry_error(MHD_HTTP_BAD_REQUEST, "DIGEST_INVALID",
                          "the blob hashes to %s, not to %s: it was dropped", found, push->digest);
}

/* The session ends with the row of the blob, or with nothing. */
static bool push_record(const Push *push, Service *service, int64_t size, GError **error)
{
    const Repository *repository = push->repository;
    g_autoptr(DbTransaction) transaction = service_transaction(service, error);
    if (!transaction || (push->id && !push_delete(service->db, push->id, error)))
        return false;
    if (size >= 0 && (!project_make(service->db, repository->project, error) ||
                      !pushed_blob_add(service->db, repository->project, repository->name,
                                       push->digest, size, error)))
        return false;
    return db_commit(service->db, error);
}

/* Under the layout's lock: gc finds the blob with its row, or neither. */
static HttpReply push_publish(Push *push)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *found = NULL;
    Service *service = registry_service(push->server, push->caller, push->request_id, &error);
    autofd lock = service ? layout_lock(service->images, false, &error) : -1;
    int64_t size = push_writer_size(push->writer);
    if (lock < 0 || !push_writer_commit(push->writer, push->digest, &found, &error))
        return push_failed(error);
    bool good = strcmp(found, push->digest) == 0;
    if (!push_record(push, service, good ? size : -1, &error))
        return registry_failed(error);
    return good ? push_created(push->repository, push->digest) : other_digest(push, found);
}

static void push_work(gpointer data)
{
    Push *push = data;
    push->answer = push_publish(push);
}

HttpReply push_complete(HttpRequest *request)
{
    Push *push = request->state;
    if (push->fault.response)
        return push_take(&push->fault);
    if (push->aside)
        return push_take(&push->answer);
    int64_t size = push_writer_size(push->writer);
    if (push->range.length >= 0 && size != push->range.from + push->range.length)
        return registry_error(MHD_HTTP_BAD_REQUEST, "SIZE_INVALID",
                              "the body is shorter than Content-Range says");
    push->aside = true;
    aside_lend(push->server->aside, request->connection, push_work, push);
    return HTTP_WAITS;
}
