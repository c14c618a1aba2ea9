#include "server/server.h"

#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "import/sources.h"
#include "server/api.h"
#include "server/registry.h"
#include "server/sign_in.h"
#include "store/leases.h"

#define PEM_BYTES (1 << 20)
#define STOP_MS   10000 /* how long running requests may take to end */

/* -- a thread's own connection to the store -- */

static pthread_key_t own_service;
static pthread_once_t own_service_once = PTHREAD_ONCE_INIT;

static void own_service_free(void *service)
{
    service_free(service);
}

static void own_service_init(void)
{
    pthread_key_create(&own_service, own_service_free);
}

Service *server_service(Server *server, GError **error)
{
    pthread_once(&own_service_once, own_service_init);
    Service *service = pthread_getspecific(own_service);
    if (service) {
        service->progress.stop = false; /* a cancel leaves its word behind */
        return service;
    }
    service = service_open(server->directory, false, server->settings, error);
    if (!service)
        return NULL;
    service->serves = true;
    service->asked_over = server_asked_over(server);
    service->committed = (void (*)(gpointer))hub_wake;
    service->committed_data = server->hub;
    pthread_setspecific(own_service, service);
    return service;
}

char *server_lacks_room(const Server *server, const Service *service, int64_t needed)
{
    int64_t least = settings_bytes(server->settings, "upload.min_free_gib");
    const int64_t of_store = settings_bytes(server->settings, "store.min_free_gib");
    const int64_t free_bytes = data_free_bytes(service->data);
    const char *setting = of_store > least ? "store.min_free_gib" : "upload.min_free_gib";
    least = MAX(least, of_store);
    if (free_bytes - needed >= least)
        return NULL;
    return g_strdup_printf("the server's disk has no room: %" PRId64 " bytes are free, %" PRId64
                           " more are to come, and %" PRId64 " stay free (%s)",
                           free_bytes, needed, least, setting);
}

static void request_ended(const HttpRequest *request)
{
    request_log(&request->server->requests, request);
}

/* -- start and stop -- */

static bool take_presence(Server *server, GError **error)
{
    g_autoptr(GError) failure = NULL;
    server->presence = presence_take(server->service->data, &failure);
    if (server->presence >= 0)
        return true;
    if (failure)
        g_propagate_error(error, g_steal_pointer(&failure));
    else
        g_set_error(error, DB_ERROR, DB_ERROR_BUSY, "%s: a server runs on this data directory",
                    server->directory);
    return false;
}

/* The file that the setting names, as text. NULL with *error unset: it names none. */
static char *read_pem(const Settings *settings, const char *key, GError **error)
{
    const char *file = settings_text(settings, key);
    g_autoptr(GBytes) bytes = *file ? io_read_file(AT_FDCWD, file, PEM_BYTES, error) : NULL;
    if (!bytes) {
        if (*file)
            g_prefix_error(error, "%s: ", key);
        return NULL;
    }
    gsize size;
    const char *text = g_bytes_get_data(bytes, &size);
    return g_strndup(text, size);
}

static int seconds(const Server *server, const char *key)
{
    return (int)settings_int(server->settings, key);
}

static bool start_http(Server *server, const char *listen, GError **error)
{
    GError *failure = NULL;
    g_autofree char *cert = read_pem(server->settings, "server.tls_cert", &failure);
    g_autofree char *key = failure ? NULL : read_pem(server->settings, "server.tls_key", &failure);
    if (!failure && !cert != !key)
        g_set_error(&failure, SETTINGS_ERROR, 0,
                    "server.tls_cert and server.tls_key belong together: %s is not set",
                    cert ? "server.tls_key" : "server.tls_cert");
    if (failure) {
        g_propagate_error(error, failure);
        return false;
    }
    const HttpOptions options = {.listen = listen,
                                 .tls_cert = cert,
                                 .tls_key = key,
                                 .on_loopback = &server->loopback,
                                 .loopback_only = !access_has_tokens(server->access),
                                 .header_seconds = seconds(server, "server.header_seconds"),
                                 .body_seconds = seconds(server, "server.body_seconds"),
                                 .silent_seconds = seconds(server, "server.silent_seconds"),
                                 .threads = (int)sysconf(_SC_NPROCESSORS_ONLN),
                                 .routes = API_ROUTES,
                                 .error_prefix = "/v2/",
                                 .error = registry_refusal,
                                 .admit = access_admit,
                                 .ended = request_ended};
    server->http = http_start(server, &options, error);
    return server->http != NULL;
}

Server *server_start(const ServerOptions *options, GError **error)
{
    g_autoptr(Server) server = g_new0(Server, 1);
    server->settings = options->settings;
    server->directory = g_strdup(options->directory);
    server->presence = -1;
    server->logins = login_limit_new();
    server->requests.json = options->log_json;
    g_autofree char *fault = sources_fault(options->settings);
    if (fault) {
        g_set_error(error, SETTINGS_ERROR, 0, "sources.allow has \"%s\"; expected " SOURCES_RULE,
                    fault);
        return NULL;
    }
    server->service = service_open(options->directory, true, options->settings, error);
    if (!server->service || !service_check_key(server->service, error) ||
        !take_presence(server, error))
        return NULL;
    server->pushes = push_sessions_new(server->service->images);
    server->progress = progress_cache_new();
    server->model_frames = model_frames_new();
    server->hub = hub_new(options->directory, options->settings, error);
    server->access = server->hub ? access_new(server, error) : NULL;
    if (!server->access)
        return NULL;
    const WorkersOptions workers = {.directory = options->directory,
                                    .settings = options->settings,
                                    .count = options->workers,
                                    .committed = (void (*)(gpointer))hub_wake,
                                    .committed_data = server->hub};
    server->workers = workers_start(&workers, error);
    /* What another node took on is this one's to do too. */
    if (server->workers && db_engine(server->service->db) == DB_POSTGRES)
        hub_tell_of_commits(server->hub, (void (*)(gpointer))workers_wake, server->workers);
    server->aside = server->workers ? aside_new(error) : NULL;
    if (!server->aside || !start_http(server, options->listen, error))
        return NULL;
    const KeeperOptions keeper = {options->directory, options->settings, .of_store = true};
    server->keeper = keeper_start(&keeper, error);
    return server->keeper ? g_steal_pointer(&server) : NULL;
}

const char *server_address(const Server *server)
{
    return http_address(server->http);
}

/* Behind a proxy, others than this machine's users ask. */
const char *server_asked_over(const Server *server)
{
    bool proxied = server->access && access_proxies(server->access);
    return server->loopback && !proxied ? ASKED_OVER_LOOPBACK : ASKED_OVER_NETWORK;
}

bool server_is_exposed(const Server *server)
{
    return !server->loopback;
}

char *server_first_sign_in(Server *server, const char *user, GError **error)
{
    bool begun;
    Service *service = server->service;
    if (!tokens_begun(service->db, &begun, error) || begun)
        return NULL;
    g_autoptr(DbTransaction) transaction = db_transaction(service->db, error);
    if (!transaction)
        return NULL;
    g_autofree char *path =
        sign_in_link_make(service, user, user, CALLER_EVERY_PROJECT, ROLE_ADMIN, error);
    return path && db_commit(service->db, error) ? g_steal_pointer(&path) : NULL;
}

void server_stop(Server *server)
{
    if (!server)
        return;
    if (server->http)
        http_quiesce(server->http);
    if (server->workers)
        workers_stop(server->workers);
    if (server->hub)
        hub_close(server->hub);
    aside_stop(server->aside);
    for (int waited = 0; server->http && http_busy(server->http) && waited < STOP_MS; waited += 10)
        g_usleep(10000);
    keeper_stop(server->keeper);
    http_stop(server->http);
    access_free(server->access);
    if (server->hub)
        hub_tell_of_commits(server->hub, NULL, NULL);
    hub_free(server->hub);
    login_limit_free(server->logins);
    workers_free(server->workers);
    aside_free(server->aside);
    push_sessions_free(server->pushes);
    progress_cache_free(server->progress);
    model_frames_free(server->model_frames);
    io_close(&server->presence);
    service_free(server->service);
    g_free(server->directory);
    g_free(server);
}
