#include "build/proxy.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"
#include "build/proxy_request.h"

#define CONNECTIONS 64
#define HEAD_MS     20000
#define CONNECT_MS  20000
#define IDLE_MS     120000
#define RELAY_BYTES 65536

struct Proxy {
    int listener, stop;
    GPtrArray *hosts;
    char *http_proxy, *https_proxy;
    char **no_proxy;
    pthread_t accepting;
    pthread_mutex_t lock;
    pthread_cond_t ended;
    int connections;
    char *blocked;
};

typedef struct {
    Proxy *proxy;
    int client;
} Connection;

/* -- waiting -- */

/* Whether fd is ready; false: the time is over, or the proxy ends. */
static bool wait_for(const Proxy *proxy, int fd, short events, int64_t until)
{
    struct pollfd polled[] = {{fd, events, 0}, {proxy->stop, POLLIN, 0}};
    int64_t left = until - clock_monotonic_ms();
    if (left <= 0)
        return false;
    int ready = poll(polled, 2, (int)left);
    return ready > 0 && !polled[1].revents;
}

static bool send_all(const Proxy *proxy, int fd, const char *bytes, size_t size)
{
    int64_t until = clock_monotonic_ms() + IDLE_MS;
    while (size > 0) {
        ssize_t sent = send(fd, bytes, size, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && errno != EAGAIN && errno != EINTR)
            return false;
        if (sent < 0 && !wait_for(proxy, fd, POLLOUT, until))
            return false;
        if (sent > 0) {
            bytes += sent;
            size -= (size_t)sent;
        }
    }
    return true;
}

static bool send_text(const Proxy *proxy, int fd, const char *text)
{
    return send_all(proxy, fd, text, strlen(text));
}

/* -- the way out -- */

static int connect_one(const Proxy *proxy, const struct addrinfo *address, int64_t until)
{
    int code = 0;
    socklen_t size = sizeof code;
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -1;
    if ((connect(fd, address->ai_addr, address->ai_addrlen) == 0 ||
         (errno == EINPROGRESS && wait_for(proxy, fd, POLLOUT, until))) &&
        getsockopt(fd, SOL_SOCKET, SO_ERROR, &code, &size) == 0 && code == 0)
        return fd;
    close(fd);
    return -1;
}

static int connect_to(const Proxy *proxy, const char *name, const char *port)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *addresses = NULL;
    int fd = -1;
    int64_t until = clock_monotonic_ms() + CONNECT_MS;
    if (getaddrinfo(name, port, &hints, &addresses) != 0)
        return -1;
    for (const struct addrinfo *at = addresses; at && fd < 0; at = at->ai_next)
        fd = connect_one(proxy, at, until);
    freeaddrinfo(addresses);
    return fd;
}

static bool is_direct(const Proxy *proxy, const char *name)
{
    for (int i = 0; proxy->no_proxy[i]; i++) {
        const char *row = g_strstrip(proxy->no_proxy[i]);
        if (strcmp(row, "*") == 0 || strcmp(row, name) == 0 ||
            (*row && g_str_has_suffix(name, row) &&
             (*row == '.' || name[strlen(name) - strlen(row) - 1] == '.')))
            return true;
    }
    return false;
}

/* A connection to the host, or to the proxy above. *head: what is sent first. */
static int open_way(const Proxy *proxy, const ProxyRequest *request, char **head, bool *above)
{
    const char *upper = request->connect ? proxy->https_proxy : proxy->http_proxy;
    *above = *upper && !is_direct(proxy, request->name);
    g_autoptr(GUri) uri = *above ? g_uri_parse(upper, G_URI_FLAGS_HAS_PASSWORD, NULL) : NULL;
    g_autofree char *user = uri && g_uri_get_userinfo(uri)
                                ? g_base64_encode((const guchar *)g_uri_get_userinfo(uri),
                                                  strlen(g_uri_get_userinfo(uri)))
                                : NULL;
    g_autofree char *login =
        user ? g_strdup_printf("Proxy-Authorization: Basic %s\r\n", user) : g_strdup("");
    if (request->connect)
        *head = g_strdup_printf("CONNECT %s HTTP/1.1\r\nHost: %s\r\n%s\r\n", request->host,
                                request->host, login);
    else
        *head = g_strdup_printf("%s %s HTTP/1.1\r\nHost: %s\r\n%s%sConnection: close\r\n\r\n",
                                request->method, *above ? request->url : request->path,
                                request->host, login, request->fields);
    if (!*above)
        return connect_to(proxy, request->name, request->port);
    g_autofree char *port =
        uri ? g_strdup_printf("%d", g_uri_get_port(uri) > 0 ? g_uri_get_port(uri) : 3128) : NULL;
    return uri && g_uri_get_host(uri) ? connect_to(proxy, g_uri_get_host(uri), port) : -1;
}

static void relay(const Proxy *proxy, int client, int server)
{
    g_autofree char *buffer = g_malloc(RELAY_BYTES);
    struct pollfd polled[] = {{client, POLLIN, 0}, {server, POLLIN, 0}, {proxy->stop, POLLIN, 0}};
    while (poll(polled, 3, IDLE_MS) > 0 && !polled[2].revents) {
        for (int i = 0; i < 2; i++) {
            if (!polled[i].revents)
                continue;
            ssize_t got = recv(polled[i].fd, buffer, RELAY_BYTES, MSG_DONTWAIT);
            if (got < 0 && (errno == EAGAIN || errno == EINTR))
                continue;
            if (got <= 0 && i == 1)
                return; /* the answer is whole */
            if (got <= 0) {
                shutdown(server, SHUT_WR);
                polled[0].fd = -1;
            } else if (!send_all(proxy, polled[1 - i].fd >= 0 ? polled[1 - i].fd : client, buffer,
                                 (size_t)got)) {
                return;
            }
        }
    }
}

/* -- a connection -- */

static bool is_allowed(Proxy *proxy, const char *host)
{
    if (g_ptr_array_find_with_equal_func(proxy->hosts, host, g_str_equal, NULL))
        return true;
    pthread_mutex_lock(&proxy->lock);
    g_free(proxy->blocked);
    proxy->blocked = g_strdup(host);
    pthread_mutex_unlock(&proxy->lock);
    return false;
}

static void refuse(const Proxy *proxy, int client, const char *status, const char *text)
{
    g_autofree char *answer = g_strdup_printf(
        "HTTP/1.1 %s\r\nContent-Type: text/plain\r\nContent-Length: %zu\r\nConnection: "
        "close\r\n\r\n%s",
        status, strlen(text), text);
    send_text(proxy, client, answer);
}

static void forward(Proxy *proxy, int client, const ProxyRequest *request, const char *rest,
                    size_t rest_size)
{
    bool above;
    g_autofree char *head = NULL;
    autofd server = open_way(proxy, request, &head, &above);
    if (server < 0) {
        refuse(proxy, client, "502 Bad Gateway", "waybill: the host cannot be reached\n");
        return;
    }
    bool sent = request->connect && !above
                    ? send_text(proxy, client, "HTTP/1.1 200 Connection established\r\n\r\n")
                    : send_text(proxy, server, head);
    if (sent && (rest_size == 0 || send_all(proxy, server, rest, rest_size)))
        relay(proxy, client, server);
}

/* The head, NUL-terminated without its empty line; what follows it is *rest. NULL: none came. */
static char *read_head(const Proxy *proxy, int client, char **rest, size_t *rest_size)
{
    g_autofree char *buffer = g_malloc(PROXY_HEAD_BYTES + 1);
    size_t size = 0;
    int64_t until = clock_monotonic_ms() + HEAD_MS;
    while (size < PROXY_HEAD_BYTES && wait_for(proxy, client, POLLIN, until)) {
        ssize_t got = recv(client, buffer + size, PROXY_HEAD_BYTES - size, MSG_DONTWAIT);
        if (got <= 0)
            return NULL;
        size += (size_t)got;
        buffer[size] = '\0';
        char *end = strstr(buffer, "\r\n\r\n");
        if (!end)
            continue;
        *end = '\0';
        *rest = end + 4;
        *rest_size = size - (size_t)(*rest - buffer);
        return g_steal_pointer(&buffer);
    }
    return NULL;
}

static void serve(Proxy *proxy, int client)
{
    char *rest;
    size_t rest_size;
    g_auto(ProxyRequest) request = {0};
    g_autofree char *head = read_head(proxy, client, &rest, &rest_size);
    if (!head)
        return;
    if (!proxy_request_parse(head, &request))
        refuse(proxy, client, "400 Bad Request", "waybill: no request for a proxy\n");
    else if (!is_allowed(proxy, request.host))
        refuse(proxy, client, "403 Forbidden",
               "waybill: builds reach package indexes and mirrors only\n");
    else
        forward(proxy, client, &request, rest, rest_size);
}

static void *connection_run(void *data)
{
    Connection *connection = data;
    Proxy *proxy = connection->proxy;
    serve(proxy, connection->client);
    close(connection->client);
    g_free(connection);
    pthread_mutex_lock(&proxy->lock);
    proxy->connections--;
    pthread_cond_broadcast(&proxy->ended);
    pthread_mutex_unlock(&proxy->lock);
    return NULL;
}

static void begin(Proxy *proxy, int client)
{
    pthread_t thread;
    pthread_attr_t attributes;
    Connection *connection = g_new0(Connection, 1);
    connection->proxy = proxy;
    connection->client = client;
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_mutex_lock(&proxy->lock);
    bool room = proxy->connections < CONNECTIONS;
    bool begun = room && pthread_create(&thread, &attributes, connection_run, connection) == 0;
    proxy->connections += begun;
    pthread_mutex_unlock(&proxy->lock);
    pthread_attr_destroy(&attributes);
    if (!begun) {
        close(client);
        g_free(connection);
    }
}

static void *accept_run(void *data)
{
    Proxy *proxy = data;
    while (wait_for(proxy, proxy->listener, POLLIN, G_MAXINT64 / 2)) {
        int client = accept4(proxy->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (client >= 0)
            begin(proxy, client);
    }
    return NULL;
}

Proxy *proxy_new(const ProxySpec *spec, GError **error)
{
    Proxy *proxy = g_new0(Proxy, 1);
    proxy->listener = spec->listener;
    proxy->stop = eventfd(0, EFD_CLOEXEC);
    proxy->hosts = g_ptr_array_new_with_free_func(g_free);
    for (guint i = 0; i < spec->hosts->len; i++)
        g_ptr_array_add(proxy->hosts, g_strdup(spec->hosts->pdata[i]));
    proxy->http_proxy = g_strdup(spec->http_proxy);
    proxy->https_proxy = g_strdup(spec->https_proxy);
    proxy->no_proxy = g_strsplit(spec->no_proxy, ",", -1);
    pthread_mutex_init(&proxy->lock, NULL);
    pthread_cond_init(&proxy->ended, NULL);
    fcntl(proxy->listener, F_SETFL, O_NONBLOCK);
    int code = pthread_create(&proxy->accepting, NULL, accept_run, proxy);
    if (code == 0)
        return proxy;
    io_fail(error, code, "the proxy's thread");
    proxy->accepting = pthread_self();
    proxy_free(proxy);
    return NULL;
}

void proxy_free(Proxy *proxy)
{
    if (!proxy)
        return;
    const uint64_t one = 1;
    if (write(proxy->stop, &one, sizeof one) == sizeof one &&
        !pthread_equal(proxy->accepting, pthread_self()))
        pthread_join(proxy->accepting, NULL);
    pthread_mutex_lock(&proxy->lock);
    while (proxy->connections > 0)
        pthread_cond_wait(&proxy->ended, &proxy->lock);
    pthread_mutex_unlock(&proxy->lock);
    pthread_mutex_destroy(&proxy->lock);
    pthread_cond_destroy(&proxy->ended);
    close(proxy->stop);
    g_ptr_array_unref(proxy->hosts);
    g_free(proxy->http_proxy);
    g_free(proxy->https_proxy);
    g_strfreev(proxy->no_proxy);
    g_free(proxy->blocked);
    g_free(proxy);
}

char *proxy_blocked(Proxy *proxy)
{
    pthread_mutex_lock(&proxy->lock);
    char *blocked = g_strdup(proxy->blocked);
    pthread_mutex_unlock(&proxy->lock);
    return blocked;
}
