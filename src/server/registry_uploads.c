/* /v2/NAME/blobs/uploads/: sessions, in which a blob comes in one request or in many
 * (distribution-spec, "Pushing blobs").
 *
 * Bytes go to the session's file as they arrive, in the connection's own thread; the next request
 * goes on behind them, however the one before ended. What completes a blob is done aside. */
#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "base/io.h"
#include "image/reference.h"
#include "server/registry_push.h"
#include "store/projects.h"
#include "store/pushes.h"

#define TOUCH_MS 60000
#define QUIET_MS 300000 /* a session that nobody wrote to for so long makes room for another */

/* -- sessions -- */

static HttpReply unknown(const char *id)
{
    return registry_error(MHD_HTTP_NOT_FOUND, "BLOB_UPLOAD_UNKNOWN", "there is no upload %.100s",
                          id);
}

/* Without a response: the repository has the session, which lives on. */
static HttpReply find_session(Service *service, const Repository *repository, const char *id)
{
    int64_t written_at;
    g_autoptr(GError) error = NULL;
    if (!push_find(service->db, id, repository->project, repository->name, &written_at, &error))
        return registry_failed(error);
    if (written_at < 0)
        return unknown(id);
    if (clock_now_ms() - written_at < TOUCH_MS)
        return HTTP_WAITS;
    g_autoptr(DbTransaction) transaction = service_transaction(service, &error);
    if (!transaction || !push_touch(service->db, id, &error) || !db_commit(service->db, &error))
        return registry_failed(error);
    return HTTP_WAITS;
}

static HttpReply too_many(int64_t most)
{
    return http_again(registry_error(MHD_HTTP_TOO_MANY_REQUESTS, "TOOMANYREQUESTS",
                                     "the project has %" PRId64 " uploads under way "
                                     "(upload.max_open)",
                                     most),
                      10);
}

/* Clients that were killed leave sessions behind, and never come back to most of them. *ended: the
 * one that made room. False: *error, or there is none. */
static bool make_room(const Push *push, Service *service, char **ended, GError **error)
{
    int64_t count, most = settings_int(push->server->settings, "upload.max_open");
    const char *project = push->repository->project;
    if (!pushes_count(service->db, project, &count, error))
        return false;
    if (count < most)
        return true;
    *ended = push_quietest(service->db, project, clock_now_ms() - QUIET_MS, error);
    return *ended && push_delete(service->db, *ended, error);
}

static HttpReply session_begin(Push *push, Service *service)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *ended = NULL;
    const Repository *repository = push->repository;
    HttpReply full = push_check_room(push, service, 0);
    if (full.response)
        return full;
    push->id = g_uuid_string_random();
    g_autoptr(DbTransaction) transaction = service_transaction(service, &error);
    if (transaction && !make_room(push, service, &ended, &error) && !error)
        return too_many(settings_int(push->server->settings, "upload.max_open"));
    if (error || !project_make(service->db, repository->project, &error) ||
        !push_insert(service->db, push->id, repository->project, repository->name,
                     push->caller->user, &error) ||
        !db_commit(service->db, &error))
        return registry_failed(error);
    if (ended && !push_session_drop(push->server->pushes, ended, &error))
        g_warning("an upload that made room stays until gc: %s", error->message);
    HttpReply reply = registry_empty(MHD_HTTP_ACCEPTED);
    push_set_place(&reply, repository, push->id, 0);
    return reply;
}

/* -- mounting -- */

/* Within a transaction. *has false with *error unset: the caller may not read it there, or it is
 * not there. */
static bool mount_find(const Push *push, Service *service, bool *has, GError **error)
{
    GError *failure = NULL;
    *has = false;
    if (!digest_is_valid(push->mount) || !reference_is_repository(push->from) ||
        !registry_may_see(push->caller, push->from))
        return true;
    g_autoptr(Repository) from = repository_find(service->db, push->from, &failure);
    if (from && !failure)
        repository_has_blob(service->db, from, push->mount, has, &failure);
    if (failure)
        g_propagate_error(error, failure);
    return !failure;
}

static bool mount_record(const Push *push, Service *service, bool *mounted, GError **error)
{
    const Repository *to = push->repository;
    g_autoptr(DbTransaction) transaction = service_transaction(service, error);
    if (!transaction || !mount_find(push, service, mounted, error))
        return false;
    int64_t size = *mounted ? layout_blob_size(service->images, push->mount) : -1;
    *mounted = size >= 0;
    return !*mounted ||
           (project_make(service->db, to->project, error) &&
            pushed_blob_add(service->db, to->project, to->name, push->mount, size, error) &&
            db_commit(service->db, error));
}

/* What cannot be mounted is sent, as if that had been asked for. */
static HttpReply mount_answer(Push *push)
{
    bool mounted = false;
    g_autoptr(GError) error = NULL;
    Service *service = registry_service(push->server, push->caller, push->request_id, &error);
    autofd lock = service ? layout_lock(service->images, false, &error) : -1;
    if (lock < 0 || !mount_record(push, service, &mounted, &error))
        return registry_failed(error);
    return mounted ? push_created(push->repository, push->mount) : session_begin(push, service);
}

static void mount_work(gpointer data)
{
    Push *push = data;
    push->answer = mount_answer(push);
}

/* -- POST -- */

static HttpReply start_begin(HttpRequest *request)
{
    HttpReply reply;
    Service *service = api_service(request, &reply);
    Push *push = service ? push_begin(request, service, &reply) : NULL;
    if (!push)
        return reply;
    push->mount = g_strdup(http_query(request, "mount"));
    push->from = g_strdup(http_query(request, "from"));
    if (push->mount || !http_query(request, "digest"))
        return HTTP_WAITS;
    reply = push_read_digest(request, push);
    return reply.response ? reply : push_open(request, push, service);
}

HttpReply registry_upload_start(HttpRequest *request)
{
    HttpReply reply;
    Push *push = request->state;
    if (push->writer)
        return push_complete(request);
    if (push->aside)
        return push_take(&push->answer);
    if (push->mount && push->from) {
        push->aside = true;
        aside_lend(push->server->aside, request->connection, mount_work, push);
        return HTTP_WAITS;
    }
    Service *service = api_service(request, &reply);
    return service ? session_begin(push, service) : reply;
}

/* -- PATCH and PUT -- */

static HttpReply session_open(HttpRequest *request, bool completes)
{
    HttpReply reply;
    Service *service = api_service(request, &reply);
    Push *push = service ? push_begin(request, service, &reply) : NULL;
    if (!push)
        return reply;
    push->id = g_strdup(request->arguments[1]);
    reply = find_session(service, push->repository, push->id);
    if (!reply.response && completes)
        reply = push_read_digest(request, push);
    return reply.response ? reply : push_open(request, push, service);
}

static HttpReply patch_begin(HttpRequest *request)
{
    return session_open(request, false);
}

static HttpReply put_begin(HttpRequest *request)
{
    return session_open(request, true);
}

HttpReply registry_upload_patch(HttpRequest *request)
{
    Push *push = request->state;
    if (push->fault.response)
        return push_take(&push->fault);
    int64_t size = push_writer_size(push->writer);
    bool is_short = push->range.length >= 0 && size < push->range.from + push->range.length;
    HttpReply reply = is_short ? registry_error(MHD_HTTP_BAD_REQUEST, "SIZE_INVALID",
                                                "the body is shorter than Content-Range says")
                               : registry_empty(MHD_HTTP_ACCEPTED);
    push_set_place(&reply, push->repository, push->id, size);
    return reply;
}

HttpReply registry_upload_put(HttpRequest *request)
{
    return push_complete(request);
}

const HttpSink REGISTRY_START_SINK = {start_begin, push_data};
const HttpSink REGISTRY_PATCH_SINK = {patch_begin, push_data};
const HttpSink REGISTRY_PUT_SINK = {put_begin, push_data};

/* -- looking at it, and ending it -- */

static HttpReply session_look(RegistryWork *work, Service *service)
{
    const char *id = work->reference;
    HttpReply reply = find_session(service, work->repository, id);
    if (reply.response)
        return reply;
    reply = registry_empty(MHD_HTTP_NO_CONTENT);
    push_set_place(&reply, work->repository, id, push_session_size(work->server->pushes, id));
    return reply;
}

HttpReply registry_upload_get(HttpRequest *request)
{
    return registry_aside(request, session_look);
}

static HttpReply session_delete(RegistryWork *work, Service *service)
{
    int64_t written_at;
    g_autoptr(GError) error = NULL;
    const Repository *repository = work->repository;
    g_autoptr(DbTransaction) transaction = service_transaction(service, &error);
    if (!transaction || !push_find(service->db, work->reference, repository->project,
                                   repository->name, &written_at, &error))
        return registry_failed(error);
    if (written_at < 0)
        return unknown(work->reference);
    if (!push_delete(service->db, work->reference, &error) || !db_commit(service->db, &error))
        return registry_failed(error);
    if (!push_session_drop(work->server->pushes, work->reference, &error))
        g_warning("an upload that was cancelled stays until gc: %s", error->message);
    return registry_empty(MHD_HTTP_NO_CONTENT);
}

HttpReply registry_upload_delete(HttpRequest *request)
{
    return registry_aside(request, session_delete);
}
