/* What the server remembers of who asks: whether it is open, which tokens were used, how many were
 * refused. A request never waits for what is written of it: one thread does that now and then. */
#include <pthread.h>
#include <stdatomic.h>

#include "base/clock.h"
#include "base/pause.h"
#include "server/access.h"
#include "server/server.h"
#include "store/audit.h"

#define WRITE_MS     60000
#define MINUTE_MS    60000
#define MOST_REFUSED 60 /* rows a minute */
#define FORGET_MS    (INT64_C(24) * 3600 * 1000)

struct Access {
    Server *server;
    Proxies *proxies;
    bool has_tokens;      /* when it was made */
    _Atomic bool closed;  /* once it is, it stays so */
    pthread_mutex_t lock; /* of what follows */
    GHashTable *used;     /* token id -> ms, not written yet */
    int64_t minute;
    int refused; /* rows in that minute */
    Pause pause;
    pthread_t writer;
    bool writing;
};

/* -- the tokens' use -- */

void access_note_use(Access *access, const char *token_id)
{
    int64_t *when = g_new(int64_t, 1);
    *when = clock_now_ms();
    pthread_mutex_lock(&access->lock);
    g_hash_table_replace(access->used, g_strdup(token_id), when);
    pthread_mutex_unlock(&access->lock);
}

static GHashTable *used_new(void)
{
    return g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
}

static bool write_used(Db *db, GHashTable *used, GError **error)
{
    GHashTableIter rows;
    gpointer id, when;
    g_autoptr(DbTransaction) transaction = db_transaction(db, error);
    if (!transaction || !tokens_forget(db, clock_now_ms() - FORGET_MS, error))
        return false;
    g_hash_table_iter_init(&rows, used);
    while (g_hash_table_iter_next(&rows, &id, &when))
        if (!token_set_used(db, id, *(int64_t *)when, error))
            return false;
    return db_commit(db, error);
}

/* What cannot be written is forgotten: it says when a token was last of use, no more. */
static void access_write(Access *access, Service *service)
{
    g_autoptr(GError) error = NULL;
    pthread_mutex_lock(&access->lock);
    g_autoptr(GHashTable) used = access->used;
    access->used = used_new();
    pthread_mutex_unlock(&access->lock);
    if (g_hash_table_size(used) == 0)
        return;
    if (!service)
        service = server_service(access->server, &error);
    if (!service || !write_used(service->db, used, &error))
        g_warning("when tokens were used could not be written: %s", error->message);
}

static void *write_now_and_then(void *data)
{
    Access *access = data;
    while (!pause_wait(&access->pause, WRITE_MS))
        access_write(access, NULL);
    return NULL;
}

/* -- its life -- */

Access *access_new(Server *server, GError **error)
{
    g_autoptr(Access) access = g_new0(Access, 1);
    access->server = server;
    access->used = used_new();
    pthread_mutex_init(&access->lock, NULL);
    pause_init(&access->pause);
    if (!proxies_read(server->settings, &access->proxies, error) ||
        !tokens_exist(server->service->db, &access->has_tokens, error))
        return NULL;
    /* Behind a proxy, whoever comes past it without its header would be let in. */
    access->closed = access->has_tokens || access->proxies ||
                     !settings_bool(server->settings, "server.loopback_open");
    access->writing = pthread_create(&access->writer, NULL, write_now_and_then, access) == 0;
    return g_steal_pointer(&access);
}

void access_free(Access *access)
{
    if (!access)
        return;
    pause_end(&access->pause);
    if (access->writing)
        pthread_join(access->writer, NULL);
    access_write(access, access->server->service);
    proxies_free(access->proxies);
    g_hash_table_unref(access->used);
    pause_clear(&access->pause);
    pthread_mutex_destroy(&access->lock);
    g_free(access);
}

const Proxies *access_proxies(const Access *access)
{
    return access->proxies;
}

bool access_has_tokens(const Access *access)
{
    return access->has_tokens;
}

/* Another process may have made the first token: that is asked for each request as long as there is
 * none, which reads one index entry. A store that does not answer opens nothing. */
bool access_is_open(Access *access, bool *known)
{
    g_autoptr(GError) error = NULL;
    bool exist = true;
    if (known)
        *known = true;
    if (access->closed)
        return false;
    Service *service = server_service(access->server, &error);
    if (!service || !tokens_exist(service->db, &exist, &error)) {
        g_warning("whether there is a token could not be looked up: %s", error->message);
        if (known)
            *known = false;
        return false;
    }
    if (exist)
        access->closed = true;
    return !exist;
}

/* A store that does not answer ends nothing: that is no news of the token. What another list keeps
 * (access keys) or a proxy vouched for is not asked again. */
bool access_still_admits(const HttpRequest *request)
{
    g_autoptr(GError) error = NULL;
    TokenState state = TOKEN_GOOD;
    const char *credential = request->caller->credential;
    if (!credential)
        return access_is_open(request->server->access, NULL);
    if (!token_is_id(credential))
        return true;
    Service *service = server_service(request->server, &error);
    if (!service || !token_state_of(service->db, credential, clock_now_ms(), &state, &error))
        g_warning("a token could not be looked up: %s", error->message);
    return state == TOKEN_GOOD;
}

/* -- the audit list -- */

static bool may_record_refusal(Access *access)
{
    int64_t minute = clock_monotonic_ms() / MINUTE_MS;
    pthread_mutex_lock(&access->lock);
    if (access->minute != minute)
        access->refused = 0;
    access->minute = minute;
    bool may = access->refused++ < MOST_REFUSED;
    pthread_mutex_unlock(&access->lock);
    return may;
}

void access_audit_refusal(HttpRequest *request, const char *action)
{
    g_autoptr(GError) error = NULL;
    const AuditRow row = {.actor = "nobody",
                          .action = action,
                          .outcome = AUDIT_REFUSED,
                          .request_id = request->id};
    if (!may_record_refusal(request->server->access))
        return;
    Service *service = server_service(request->server, &error);
    if (!service || !audit_add(service->db, &row, &error))
        g_warning("%s could not be put into the audit list: %s", action, error->message);
}
