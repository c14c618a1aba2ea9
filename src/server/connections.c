#include "server/connections.h"

#include <glib.h>
#include <poll.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "base/clock.h"

#define STEADY_MS    (60 * 1000)
#define ABANDONED_MS 1000

struct Connections {
    pthread_mutex_t lock;
    GQueue open;
    int64_t header_ms, body_ms;
};

typedef struct {
    Connections *all;
    int fd;
    int64_t since;
    ConnectionState state;
    GList link;
} Open;

Connections *connections_new(int header_seconds, int body_seconds)
{
    Connections *connections = g_new0(Connections, 1);
    connections->header_ms = (int64_t)header_seconds * 1000;
    connections->body_ms = (int64_t)body_seconds * 1000;
    pthread_mutex_init(&connections->lock, NULL);
    return connections;
}

void connections_free(Connections *connections)
{
    if (!connections)
        return;
    g_assert(connections->open.length == 0);
    pthread_mutex_destroy(&connections->lock);
    g_free(connections);
}

void connections_notify(void *closure, struct MHD_Connection *connection, void **socket_context,
                        enum MHD_ConnectionNotificationCode code)
{
    Connections *connections = closure;
    Open *open = *socket_context;
    pthread_mutex_lock(&connections->lock);
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        *socket_context = open = g_new0(Open, 1);
        open->all = connections;
        open->fd =
            MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
        open->since = clock_monotonic_ms();
        open->link.data = open;
        g_queue_push_tail_link(&connections->open, &open->link);
    } else if (open) {
        g_queue_unlink(&connections->open, &open->link);
        g_free(open);
        *socket_context = NULL;
    }
    pthread_mutex_unlock(&connections->lock);
}

void connections_set(struct MHD_Connection *connection, ConnectionState state)
{
    Open *open =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
    pthread_mutex_lock(&open->all->lock);
    open->state = state;
    open->since = clock_monotonic_ms();
    pthread_mutex_unlock(&open->all->lock);
}

int connections_busy(Connections *connections)
{
    int busy = 0;
    pthread_mutex_lock(&connections->lock);
    for (GList *at = connections->open.head; at; at = at->next)
        busy += ((Open *)at->data)->state != CONNECTION_IDLE;
    pthread_mutex_unlock(&connections->lock);
    return busy;
}

/* Its client went away in the middle of a body. libmicrohttpd sees that itself, but not when the
 * end came together with the last bytes that were read: it waits for another event then, in vain.
 */
static bool is_abandoned(const Open *open, int64_t now)
{
    int unread = 0;
    struct pollfd look = {.fd = open->fd, .events = POLLRDHUP};
    bool is_body = open->state == CONNECTION_BODY || open->state == CONNECTION_STEADY;
    return is_body && now - open->since > ABANDONED_MS && poll(&look, 1, 0) == 1 &&
           ioctl(open->fd, FIONREAD, &unread) == 0 && unread == 0;
}

/* 0: there is none. */
static int64_t limit_of(const Connections *connections, ConnectionState state)
{
    switch (state) {
    case CONNECTION_IDLE:
        return connections->header_ms;
    case CONNECTION_BODY:
        return connections->body_ms;
    case CONNECTION_STEADY:
        return STEADY_MS;
    case CONNECTION_ANSWER:
        break;
    }
    return 0;
}

/* The descriptor stays libmicrohttpd's: it sees the end and closes it. */
void connections_reap(Connections *connections)
{
    int64_t now = clock_monotonic_ms();
    pthread_mutex_lock(&connections->lock);
    for (GList *at = connections->open.head; at; at = at->next) {
        const Open *open = at->data;
        const int64_t limit = limit_of(connections, open->state);
        if ((limit && now - open->since > limit) || is_abandoned(open, now))
            shutdown(open->fd, SHUT_RDWR);
    }
    pthread_mutex_unlock(&connections->lock);
}
