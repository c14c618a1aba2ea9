/* /v2/: names, answers and errors, and the lists. */
#include "server/registry.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include "base/io.h"
#include "image/reference.h"

#define MOST_LISTED 1000

/* -- answers -- */

void registry_set_version(HttpReply *reply)
{
    http_set_header(reply, "Docker-Distribution-API-Version", "registry/2.0");
}

HttpReply registry_empty(unsigned status)
{
    HttpReply reply = {status, MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT)};
    registry_set_version(&reply);
    return reply;
}

HttpReply registry_json(unsigned status, const char *media_type, json_t *json)
{
    char *text = json_dumps(json, JSON_COMPACT);
    json_decref(json);
    char *copy = g_strdup(text);
    free(text);
    HttpReply reply = http_text(status, media_type, copy, strlen(copy));
    registry_set_version(&reply);
    return reply;
}

HttpReply registry_errors(unsigned status, json_t *errors)
{
    return registry_json(status, "application/json", json_pack("{s:o}", "errors", errors));
}

static json_t *error_item(const char *code, json_t *detail, const char *message)
{
    g_autofree char *text = g_utf8_make_valid(message, -1);
    return json_pack("{s:s, s:s, s:o}", "code", code, "message", text, "detail",
                     detail ? detail : json_null());
}

json_t *registry_error_item(const char *code, json_t *detail, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    g_autofree char *message = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    return error_item(code, detail, message);
}

HttpReply registry_error(unsigned status, const char *code, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    g_autofree char *message = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    return registry_errors(status, json_pack("[o]", error_item(code, NULL, message)));
}

static const char *code_of_status(unsigned status)
{
    switch (status) {
    case MHD_HTTP_BAD_REQUEST:
        return "NAME_INVALID";
    case MHD_HTTP_UNAUTHORIZED:
        return "UNAUTHORIZED";
    case MHD_HTTP_FORBIDDEN:
        return "DENIED";
    case MHD_HTTP_NOT_FOUND:
        return "NAME_UNKNOWN";
    case MHD_HTTP_METHOD_NOT_ALLOWED:
        return "UNSUPPORTED";
    case MHD_HTTP_CONTENT_TOO_LARGE:
        return "SIZE_INVALID";
    case MHD_HTTP_TOO_MANY_REQUESTS:
        return "TOOMANYREQUESTS";
    default:
        return "UNKNOWN";
    }
}

HttpReply registry_refusal(unsigned status, const char *message)
{
    HttpReply reply = registry_error(status, code_of_status(status), "%s", message);
    if (status == MHD_HTTP_UNAUTHORIZED)
        http_set_header(&reply, MHD_HTTP_HEADER_WWW_AUTHENTICATE, "Basic realm=\"waybill\"");
    return reply;
}

HttpReply registry_failed(const GError *error)
{
    bool full = (error->domain == IO_ERROR && (error->code == ENOSPC || error->code == EDQUOT)) ||
                g_error_matches(error, DB_ERROR, DB_ERROR_FULL);
    g_warning("%s", error->message); /* the client sees no path of the server's disk */
    if (full)
        return registry_error(MHD_HTTP_INSUFFICIENT_STORAGE, "UNKNOWN",
                              "the server's disk is full");
    if (db_error_passes(error))
        return http_again(registry_error(MHD_HTTP_SERVICE_UNAVAILABLE, "UNKNOWN", "%s",
                                         HTTP_STORE_AWAY),
                          1);
    return registry_error(MHD_HTTP_INTERNAL_SERVER_ERROR, "UNKNOWN",
                          "the server could not do this; its log says why");
}

HttpReply registry_no_digest(const char *where, const char *text)
{
    return registry_error(MHD_HTTP_BAD_REQUEST, "DIGEST_INVALID",
                          "%s is \"%.100s\"; expected sha256: and 64 lower-case hex digits", where,
                          text);
}

HttpReply registry_no_blob(const Repository *repository, const char *digest)
{
    return registry_errors(
        MHD_HTTP_NOT_FOUND,
        json_pack("[o]", registry_error_item("BLOB_UNKNOWN", json_pack("{s:s}", "digest", digest),
                                             "%s has no blob %s", repository->path, digest)));
}

/* -- names -- */

bool registry_may_see(const Caller *caller, const char *path)
{
    g_autofree char *part = repository_project_part(path);
    g_autofree char *own = reference_encode_name(caller->project);
    return strcmp(caller->project, CALLER_EVERY_PROJECT) == 0 || strcmp(own, part) == 0;
}

static HttpReply unknown_name(const char *name)
{
    return registry_error(MHD_HTTP_NOT_FOUND, "NAME_UNKNOWN",
                          "there is no repository %s; expected PROJECT/REPOSITORY", name);
}

/* Where another registry keeps the images: that one. Without a response: they are here. */
static HttpReply check_place(const HttpRequest *request)
{
    const char *place = image_store_place(request->server->service->store);
    return place ? registry_error(MHD_HTTP_NOT_FOUND, "UNSUPPORTED",
                                  "images are kept in %s, and pulled and pushed there", place)
                 : HTTP_WAITS;
}

/* Another one's project is answered like one that is not there. */
HttpReply registry_check_name(const HttpRequest *request)
{
    const char *name = request->arguments[0];
    HttpReply elsewhere = check_place(request);
    if (elsewhere.response)
        return elsewhere;
    if (!reference_is_repository(name))
        return registry_error(
            MHD_HTTP_BAD_REQUEST, "NAME_INVALID",
            "the name is \"%.300s\"; expected lower-case letters and digits, with "
            "single '.', '_', '__' or '-' between them, and '/' between its "
            "parts, at most 255 bytes",
            name);
    if (!strchr(name, '/') || !registry_may_see(request->caller, name))
        return unknown_name(name);
    return HTTP_WAITS;
}

Repository *registry_find_repository(const HttpRequest *request, Service *service, HttpReply *reply)
{
    g_autoptr(GError) error = NULL;
    Repository *repository = repository_find(service->db, request->arguments[0], &error);
    if (!repository)
        *reply = error ? registry_failed(error) : unknown_name(request->arguments[0]);
    return repository;
}

/* -- work aside -- */

static void work_free(void *data)
{
    RegistryWork *work = data;
    repository_free(work->repository);
    caller_free(work->caller);
    g_free(work->request_id);
    g_free(work->reference);
    g_free(work->media_type);
    g_clear_pointer(&work->body, g_bytes_unref);
    if (work->reply.response)
        MHD_destroy_response(work->reply.response);
    g_free(work);
}

Service *registry_service(Server *server, const Caller *caller, const char *request_id,
                          GError **error)
{
    Service *service = server_service(server, error);
    if (!service)
        return NULL;
    g_free(service->credential);
    g_free(service->request_id);
    service->credential = g_strdup(caller->credential);
    service->request_id = g_strdup(request_id);
    return service;
}

static void work_run(gpointer data)
{
    RegistryWork *work = data;
    g_autoptr(GError) error = NULL;
    Service *service = registry_service(work->server, work->caller, work->request_id, &error);
    work->reply = service ? work->run(work, service) : registry_failed(error);
}

static RegistryWork *work_new(HttpRequest *request, Repository *repository)
{
    RegistryWork *work = g_new0(RegistryWork, 1);
    const Caller *caller = request->caller;
    *work =
        (RegistryWork){.server = request->server,
                       .repository = repository,
                       .caller = caller_new(caller->user, caller->project, caller->role,
                                            caller->credential),
                       .request_id = g_strdup(request->id),
                       .reference = g_strdup(request->arguments[1]),
                       .media_type = g_strdup(http_header(request, MHD_HTTP_HEADER_CONTENT_TYPE))};
    if (request->body)
        work->body = g_bytes_new(request->body->data, request->body->len);
    return work;
}

HttpReply registry_aside(HttpRequest *request,
                         HttpReply (*run)(RegistryWork *work, Service *service))
{
    HttpReply reply;
    gpointer done;
    if (aside_ended(request, &done, &reply)) {
        if (!done)
            return reply;
        reply = ((RegistryWork *)done)->reply;
        ((RegistryWork *)done)->reply = HTTP_WAITS;
        return reply;
    }
    Service *service = api_service(request, &reply);
    Repository *repository = service ? registry_find_repository(request, service, &reply) : NULL;
    if (!repository)
        return reply;
    RegistryWork *work = work_new(request, repository);
    work->run = run;
    return aside_begin(request->server->aside, request, work_run, work, work_free);
}

/* -- lists -- */

bool registry_page(const HttpRequest *request, int64_t most, int64_t *count, HttpReply *reply)
{
    guint64 number = (guint64)most;
    const char *text = http_query(request, "n");
    bool good = !text || g_ascii_string_to_unsigned(text, 10, 0, G_MAXINT64, &number, NULL);
    *count = MIN((int64_t)number, most);
    if (!good)
        *reply = registry_error(MHD_HTTP_BAD_REQUEST, "PAGINATION_NUMBER_INVALID",
                                "n is \"%s\"; expected a whole number", text);
    return good;
}

void registry_set_next(HttpReply *reply, const HttpRequest *request, int64_t count,
                       const char *last)
{
    const char *type = http_query(request, "artifactType");
    g_autofree char *behind = g_uri_escape_string(last, NULL, FALSE);
    g_autofree char *wanted = type ? g_uri_escape_string(type, NULL, FALSE) : NULL;
    g_autofree char *link =
        g_strdup_printf("<%s?n=%" PRId64 "&last=%s%s%s>; rel=\"next\"", request->target->path,
                        count, behind, wanted ? "&artifactType=" : "", wanted ? wanted : "");
    http_set_header(reply, MHD_HTTP_HEADER_LINK, link);
}

/* {KEY: the texts behind ?last=, at most ?n=}, sorted as they are. */
static HttpReply list_reply(const HttpRequest *request, const GPtrArray *texts, json_t *answer,
                            const char *key)
{
    int64_t count;
    HttpReply reply;
    json_t *page = json_array();
    const char *last = http_query(request, "last"), *shown = NULL;
    json_object_set_new(answer, key, page);
    if (!registry_page(request, MAX(texts->len, MOST_LISTED), &count, &reply)) {
        json_decref(answer);
        return reply;
    }
    guint i = 0;
    while (last && i < texts->len && repository_compare(&texts->pdata[i], &last) <= 0)
        i++;
    for (; i < texts->len && (int64_t)json_array_size(page) < count; i++) {
        shown = texts->pdata[i];
        json_array_append_new(page, json_string(shown));
    }
    reply = registry_json(MHD_HTTP_OK, "application/json", answer);
    if (shown && i < texts->len)
        registry_set_next(&reply, request, count, shown);
    return reply;
}

HttpReply registry_version(HttpRequest *request)
{
    HttpReply elsewhere = check_place(request);
    return elsewhere.response ? elsewhere
                              : registry_json(MHD_HTTP_OK, "application/json", json_object());
}

HttpReply registry_tags(HttpRequest *request)
{
    HttpReply reply;
    g_autoptr(GError) error = NULL;
    Service *service = api_service(request, &reply);
    g_autoptr(Repository) repository =
        service ? registry_find_repository(request, service, &reply) : NULL;
    if (!repository)
        return reply;
    g_autoptr(GPtrArray) tags = repository_tags(service->db, repository, &error);
    if (!tags)
        return registry_failed(error);
    bool known = tags->len > 0;
    if (!known && !pushed_repository_known(service->db, repository->project, repository->name,
                                           &known, &error))
        return registry_failed(error);
    return known ? list_reply(request, tags, json_pack("{s:s}", "name", repository->path), "tags")
                 : unknown_name(repository->path);
}

HttpReply registry_catalog(HttpRequest *request)
{
    HttpReply reply;
    g_autoptr(GError) error = NULL;
    const char *project = request->caller->project;
    Service *service = api_service(request, &reply);
    if (!service)
        return reply;
    HttpReply elsewhere = check_place(request);
    if (elsewhere.response)
        return elsewhere;
    bool all = strcmp(project, CALLER_EVERY_PROJECT) == 0;
    g_autoptr(GPtrArray) paths = repositories_list(service->db, all ? NULL : project, &error);
    return paths ? list_reply(request, paths, json_object(), "repositories")
                 : registry_failed(error);
}
