#include "server/http.h"

#include <errno.h>
#include <gio/gio.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/pause.h"
#include "config.h"
#include "server/connections.h"
#include "server/framing.h"
#include "server/signed.h"

#define POOL_BYTES   (5 << 10) /* of a connection: request line, headers, output */
#define REAP_MS      1000
#define SPARE_FILES  128 /* descriptors that are not connections */
#define MAX_OPEN     65536
#define STEADY_BYTES (64 << 10) /* a body of any size may be slow, but so much a minute comes */

struct HttpServer {
    Server *server;
    HttpOptions options;
    char *address;
    int listener;
    struct MHD_Daemon *daemon;
    Connections *connections;
    pthread_t reaper;
    bool reaping;
    _Atomic bool quiesced; /* looked at by the threads that accept */
    Pause pause;
};

/* -- a request -- */

static void *request_new(void *data, const char *uri, struct MHD_Connection *connection)
{
    HttpServer *http = data;
    HttpRequest *request = g_new0(HttpRequest, 1);
    g_autofree char *id = g_uuid_string_random();
    g_strlcpy(request->id, id, sizeof request->id);
    request->server = http->server;
    request->connection = connection;
    request->began = clock_monotonic_ms();
    request->target = target_parse(uri, &request->target_fault);
    if (http->options.error_prefix && g_str_has_prefix(uri, http->options.error_prefix))
        request->error = http->options.error;
    return request;
}

static void request_drop_state(HttpRequest *request)
{
    if (request->state)
        request->state_free(request->state);
    request->state = NULL;
}

static void request_free(void *data, struct MHD_Connection *connection, void **context,
                         enum MHD_RequestTerminationCode code)
{
    HttpServer *http = data;
    HttpRequest *request = *context;
    if (!request)
        return;
    request_drop_state(request);
    if (request->denied.response)
        MHD_destroy_response(request->denied.response);
    if (request->begun) {
        connections_set(connection, CONNECTION_IDLE);
        if (http->options.ended)
            http->options.ended(request);
    }
    if (request->body)
        g_byte_array_unref(request->body);
    digest_free(request->body_hash);
    g_free(request->rest);
    target_free(request->target);
    caller_free(request->caller);
    signed_request_free(request->signing);
    g_free(request);
    *context = NULL;
}

/* -- routing -- */

/* The segments that "{path...}" takes; length 0: the route has none. */
typedef struct {
    guint from, length;
    int argument;
} Rest;

static bool takes_rest(const char *segment, gsize length)
{
    return length > 5 && strncmp(segment + length - 4, "...}", 4) == 0;
}

/* Segments of the rest of a route's path; a slash at its end begins none. */
static guint count_segments(const char *path)
{
    guint count = 0;
    for (; *path; path++)
        count += *path == '/' && path[1];
    return count;
}

static bool rest_fits(Rest *rest, const char *behind, guint left)
{
    guint follow = count_segments(behind);
    rest->length = left > follow ? left - follow : 0;
    return rest->length > 0;
}

static bool route_fits(const HttpRoute *route, const Target *target, const char **arguments,
                       Rest *rest)
{
    const char *at = route->path;
    int count = 0;
    *rest = (Rest){0};
    for (guint i = 0; i < target->parts->len; i++) {
        const char *part = target->parts->pdata[i];
        if (*at != '/')
            return false;
        gsize length = strcspn(++at, "/");
        if (*at == '{' && takes_rest(at, length)) {
            *rest = (Rest){.from = i, .argument = count++};
            if (!rest_fits(rest, at + length, target->parts->len - i))
                return false;
            i += rest->length - 1;
        } else if (*at == '{') {
            arguments[count++] = part;
        } else if (strlen(part) != length || strncmp(at, part, length) != 0) {
            return false;
        }
        at += length;
    }
    return *at == '\0' || strcmp(at, "/") == 0;
}

static HttpReply not_allowed(const HttpRequest *request, const GString *allow)
{
    HttpReply reply =
        http_refuse(request, MHD_HTTP_METHOD_NOT_ALLOWED, "ModelArts.0104",
                    "%s is not possible here; allowed: %s", request->method, allow->str);
    http_set_header(&reply, MHD_HTTP_HEADER_ALLOW, allow->str);
    return reply;
}

static void route_take(HttpRequest *request, const HttpRoute *route, const char *const *arguments,
                       const Rest *rest)
{
    const GPtrArray *parts = request->target->parts;
    request->route = route;
    memcpy(request->arguments, arguments, sizeof request->arguments);
    if (!rest->length)
        return;
    GString *joined = g_string_new(parts->pdata[rest->from]);
    for (guint i = 1; i < rest->length; i++)
        g_string_append_printf(joined, "/%s", (const char *)parts->pdata[rest->from + i]);
    if (rest->from + rest->length == parts->len && g_str_has_suffix(request->target->path, "/"))
        g_string_append_c(joined, '/'); /* a name that is empty, not another one */
    request->arguments[rest->argument] = request->rest = g_string_free(joined, FALSE);
}

/* Sets the route, or answers why there is none. HEAD is GET without the body. */
static HttpReply request_route(HttpRequest *request, const HttpRoute *routes)
{
    if (!request->target)
        return http_refuse(request, MHD_HTTP_BAD_REQUEST, "ModelArts.0104", "%s",
                           request->target_fault);
    const char *method = strcmp(request->method, "HEAD") == 0 ? "GET" : request->method;
    g_autoptr(GString) allow = g_string_new(NULL);
    for (const HttpRoute *route = routes; route->method; route++) {
        const char *arguments[HTTP_MAX_ARGUMENTS] = {NULL};
        Rest rest;
        if (!route_fits(route, request->target, arguments, &rest))
            continue;
        if (strcmp(route->method, method) == 0) {
            route_take(request, route, arguments, &rest);
            return HTTP_WAITS;
        }
        g_string_append_printf(allow, "%s%s", allow->len ? ", " : "", route->method);
        if (strcmp(route->method, "GET") == 0)
            g_string_append(allow, ", HEAD");
    }
    return allow->len ? not_allowed(request, allow)
                      : http_refuse(request, MHD_HTTP_NOT_FOUND, "ModelArts.0104",
                                    "there is nothing at %s", request->target->path);
}

static HttpReply too_large(const HttpRequest *request)
{
    gsize limit = request->route->body_limit;
    return limit ? http_refuse(request, MHD_HTTP_CONTENT_TOO_LARGE, "ModelArts.0104",
                               "the body is larger than %" G_GSIZE_FORMAT " bytes", limit)
                 : http_refuse(request, MHD_HTTP_CONTENT_TOO_LARGE, "ModelArts.0104",
                               "this request takes no body");
}

static HttpReply check_length(const HttpRequest *request)
{
    const char *text = http_header(request, MHD_HTTP_HEADER_CONTENT_LENGTH);
    guint64 length;
    if (!text)
        return HTTP_WAITS;
    if (!g_ascii_string_to_unsigned(text, 10, 0, G_MAXINT64, &length, NULL))
        return http_refuse(request, MHD_HTTP_BAD_REQUEST, "ModelArts.0104",
                           "Content-Length is not a number");
    return !request->route->sink && length > request->route->body_limit ? too_large(request)
                                                                        : HTTP_WAITS;
}

/* -- the life of a request -- */

static enum MHD_Result reply_send(HttpRequest *request, HttpReply reply)
{
    if (!reply.response)
        return MHD_YES; /* it waits */
    request->status = reply.status;
    connections_set(request->connection, CONNECTION_ANSWER);
    MHD_add_response_header(reply.response, "X-Request-Id", request->id);
    MHD_add_response_header(reply.response, "X-Waybill-Version", WAYBILL_VERSION);
    enum MHD_Result queued = MHD_queue_response(request->connection, reply.status, reply.response);
    MHD_destroy_response(reply.response);
    if (request->target)
        target_shrink(request->target);
    return queued;
}

static enum MHD_Result request_begin(HttpServer *http, HttpRequest *request, const char *method,
                                     const char *version)
{
    request->begun = true;
    request->method = method;
    connections_set(request->connection, CONNECTION_BODY);
    HttpReply refusal = framing_check(request, version);
    if (!refusal.response)
        refusal = request_route(request, http->options.routes);
    if (!refusal.response && http->options.admit)
        refusal = http->options.admit(request);
    if (!refusal.response)
        refusal = check_length(request);
    if (!refusal.response && request->route->sink) {
        connections_set(request->connection, CONNECTION_STEADY);
        refusal = request->route->sink->begin(request);
    }
    return reply_send(request, refusal);
}

/* Whoever drips is cut, whoever is steady is not, however much there is to come. */
static void request_sink(HttpRequest *request, const char *data, size_t size)
{
    uint64_t before = request->body_bytes;
    request->body_bytes += size;
    if (before / STEADY_BYTES != request->body_bytes / STEADY_BYTES)
        connections_set(request->connection, CONNECTION_STEADY);
    if (!request->body_refused)
        request->body_refused = !request->route->sink->data(request, data, size);
}

/* Without a Content-Length only counting shows that a body is too large: the rest is dropped. */
static void request_take_body(HttpRequest *request, const char *data, size_t size)
{
    gsize have = request->body ? request->body->len : 0;
    if (request->body_hash)
        digest_update(request->body_hash, data, size);
    if (request->route->sink) {
        request_sink(request, data, size);
        return;
    }
    if (request->body_too_large || have + size > request->route->body_limit) {
        request->body_too_large = true;
        return;
    }
    if (!request->body)
        request->body = g_byte_array_new();
    g_byte_array_append(request->body, (const guint8 *)data, (guint)size);
}

void http_hash_body(HttpRequest *request)
{
    if (!request->body_hash)
        request->body_hash = digest_new();
}

char *http_body_digest(HttpRequest *request)
{
    return request->body_hash ? digest_finish(request->body_hash) : NULL;
}

static enum MHD_Result on_request(void *data, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *upload,
                                  size_t *upload_size, void **context)
{
    HttpServer *http = data;
    HttpRequest *request = *context;
    if (!request->begun)
        return request_begin(http, request, method, version);
    if (*upload_size) {
        signed_body_update(request, upload, *upload_size);
        request_take_body(request, upload, *upload_size);
        *upload_size = 0;
        return MHD_YES;
    }
    connections_set(connection, CONNECTION_ANSWER);
    HttpReply reply = request->body_too_large ? too_large(request) : signed_body_end(request);
    if (!reply.response) {
        reply = request->denied;
        request->denied = HTTP_WAITS;
    }
    return reply_send(request, reply.response ? reply : request->route->run(request));
}

/* -- listening -- */

static int listen_on(const struct addrinfo *address)
{
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int one = 1;
    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, address->ai_addr, address->ai_addrlen) == 0 && listen(fd, SOMAXCONN) == 0)
        return fd;
    int failed = errno;
    close(fd);
    errno = failed;
    return -1;
}

/* HOST:PORT; an IPv6 address stands in brackets. */
static bool split_address(const char *listen, char **host, char **port)
{
    const char *colon = strrchr(listen, ':');
    if (!colon || !colon[1] || colon == listen)
        return false;
    *port = g_strdup(colon + 1);
    *host = listen[0] == '[' && colon[-1] == ']'
                ? g_strndup(listen + 1, (gsize)(colon - listen - 2))
                : g_strndup(listen, (gsize)(colon - listen));
    return listen[0] == '[' || !strchr(*host, ':');
}

static bool is_loopback(const struct sockaddr *address)
{
    if (address->sa_family == AF_INET6)
        return IN6_IS_ADDR_LOOPBACK(
            &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr);
    const struct sockaddr_in *ip4 = (const void *)address;
    return address->sa_family == AF_INET && ntohl(ip4->sin_addr.s_addr) >> 24 == 127;
}

static bool http_listen(HttpServer *http, GError **error)
{
    g_autofree char *host = NULL, *port = NULL;
    struct addrinfo *found = NULL;
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
    const char *listen_at = http->options.listen;
    int unknown = EAI_NONAME;
    if (split_address(listen_at, &host, &port))
        unknown = getaddrinfo(host, port, &hints, &found);
    if (unknown) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                    "server.listen is %s; expected HOST:PORT (%s)", listen_at,
                    gai_strerror(unknown));
        return false;
    }
    *http->options.on_loopback = is_loopback(found->ai_addr);
    if (http->options.loopback_only && !*http->options.on_loopback) {
        g_set_error(
            error, G_IO_ERROR, G_IO_ERROR_PERMISSION_DENIED,
            "server.listen is %s: whoever reaches that address could import and delete, for "
            "no token exists",
            listen_at);
        freeaddrinfo(found);
        return false;
    }
    http->listener = listen_on(found);
    int failed = errno;
    freeaddrinfo(found);
    return http->listener >= 0 || io_fail(error, failed, "%s", listen_at);
}

static void http_name(HttpServer *http)
{
    struct sockaddr_storage bound;
    socklen_t length = sizeof bound;
    char host[NI_MAXHOST], port[NI_MAXSERV];
    getsockname(http->listener, (struct sockaddr *)&bound, &length);
    getnameinfo((struct sockaddr *)&bound, length, host, sizeof host, port, sizeof port,
                NI_NUMERICHOST | NI_NUMERICSERV);
    const char *scheme = http->options.tls_cert ? "https" : "http";
    http->address = g_strdup_printf(bound.ss_family == AF_INET6 ? "%s://[%s]:%s" : "%s://%s:%s",
                                    scheme, host, port);
}

/* As many as the hard limit lets. */
static unsigned connection_limit(void)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) != 0)
        return 1024 - SPARE_FILES;
    files.rlim_cur = MIN(files.rlim_max, MAX_OPEN);
    setrlimit(RLIMIT_NOFILE, &files);
    return files.rlim_cur > 2 * SPARE_FILES ? (unsigned)files.rlim_cur - SPARE_FILES : SPARE_FILES;
}

static void *reap(void *data)
{
    HttpServer *http = data;
    while (!pause_wait(&http->pause, REAP_MS))
        connections_reap(http->connections);
    return NULL;
}

/* MHD_quiesce_daemon is not used: it takes the listener out of the threads' epoll sets while they
 * may do the same, and panics when it comes second. */
static enum MHD_Result on_connection(void *data, const struct sockaddr *address, socklen_t length)
{
    const HttpServer *http = data;
    return http->quiesced ? MHD_NO : MHD_YES;
}

static bool http_run(HttpServer *http, GError **error)
{
    unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME;
    struct MHD_OptionItem tls[] = {{MHD_OPTION_HTTPS_MEM_CERT, 0, (void *)http->options.tls_cert},
                                   {MHD_OPTION_HTTPS_MEM_KEY, 0, (void *)http->options.tls_key},
                                   {MHD_OPTION_END, 0, NULL}};
    if (http->options.tls_cert)
        flags |= MHD_USE_TLS;
    else
        tls[0].option = MHD_OPTION_END;
    http->daemon =
        MHD_start_daemon(flags, 0, on_connection, http, on_request, http, MHD_OPTION_LISTEN_SOCKET,
                         http->listener, MHD_OPTION_THREAD_POOL_SIZE,
                         (unsigned)http->options.threads, MHD_OPTION_CONNECTION_LIMIT,
                         connection_limit(), MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)POOL_BYTES,
                         MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)http->options.silent_seconds,
                         MHD_OPTION_URI_LOG_CALLBACK, request_new, http,
                         MHD_OPTION_NOTIFY_COMPLETED, request_free, http,
                         MHD_OPTION_NOTIFY_CONNECTION, connections_notify, http->connections,
                         MHD_OPTION_ARRAY, tls, MHD_OPTION_END);
    if (!http->daemon)
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_FAILED, "the HTTP server did not start%s",
                    http->options.tls_cert ? ": look at server.tls_cert and server.tls_key" : "");
    return http->daemon != NULL;
}

HttpServer *http_start(Server *server, const HttpOptions *options, GError **error)
{
    g_autoptr(HttpServer) http = g_new0(HttpServer, 1);
    http->server = server;
    http->options = *options;
    http->connections = connections_new(options->header_seconds, options->body_seconds);
    http->listener = -1;
    pause_init(&http->pause);
    if (!http_listen(http, error))
        return NULL;
    http_name(http);
    if (!http_run(http, error))
        return NULL;
    http->reaping = pthread_create(&http->reaper, NULL, reap, http) == 0;
    return g_steal_pointer(&http);
}

const char *http_address(const HttpServer *http)
{
    return http->address;
}

void http_quiesce(HttpServer *http)
{
    http->quiesced = true;
}

int http_busy(HttpServer *http)
{
    return connections_busy(http->connections);
}

void http_stop(HttpServer *http)
{
    if (!http)
        return;
    pause_end(&http->pause);
    if (http->reaping)
        pthread_join(http->reaper, NULL);
    if (http->daemon)
        MHD_stop_daemon(http->daemon); /* which closes the listener, once its threads have ended */
    else
        io_close(&http->listener);
    connections_free(http->connections);
    pause_clear(&http->pause);
    g_free(http->address);
    g_free(http);
}
