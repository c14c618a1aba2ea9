/* bench-get ADDRESS CONNECTIONS SECONDS PATHS SEED: asks for paths of that file at random, over so
 * many connections that are kept alive, each as soon as its last answer is whole. Prints how many
 * answers there were, the seconds, and the bytes of their bodies. Anything but 200 ends it. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client.h"

#define HEAD_BYTES  4096
#define BLOCK_BYTES (256 << 10)
#define PATH_BYTES  128

typedef struct {
    int fd;
    bool in_body;
    size_t head_length;
    size_t left; /* of the body */
    char head[HEAD_BYTES + 1];
} Connection;

typedef struct {
    const char *address;
    char (*paths)[PATH_BYTES];
    size_t path_count;
    uint64_t random;
    uint64_t answers, bytes;
} Load;

/* xorshift64: the same order of paths for each peer. */
static uint64_t load_random(Load *load)
{
    load->random ^= load->random << 13;
    load->random ^= load->random >> 7;
    load->random ^= load->random << 17;
    return load->random;
}

static void load_ask(Load *load, Connection *connection)
{
    const char *path = load->paths[load_random(load) % load->path_count];
    connection->in_body = false;
    connection->head_length = 0;
    client_send_get(connection->fd, load->address, path);
}

static void fail(const char *what, const char *text)
{
    fprintf(stderr, "bench-get: %s\n%s\n", what, text);
    exit(1);
}

/* Takes of the bytes what belongs to the head; returns how many. */
static size_t take_head(Connection *connection, const char *bytes, size_t length)
{
    size_t had = connection->head_length, room = HEAD_BYTES - had;
    size_t take = length < room ? length : room;
    memcpy(connection->head + had, bytes, take);
    connection->head_length += take;
    connection->head[connection->head_length] = '\0';
    const char *end = strstr(connection->head, "\r\n\r\n");
    if (!end && connection->head_length == HEAD_BYTES)
        fail("a head without an end", connection->head);
    if (!end)
        return take;
    if (strncmp(connection->head, "HTTP/1.1 200", 12) != 0)
        fail("not 200", connection->head);
    const char *field = strcasestr(connection->head, "\r\nContent-Length:");
    if (!field || field > end)
        fail("no Content-Length", connection->head);
    connection->left = strtoul(field + strlen("\r\nContent-Length:"), NULL, 10);
    connection->in_body = true;
    return (size_t)(end + 4 - connection->head) - had;
}

static void take(Load *load, Connection *connection, const char *bytes, size_t length)
{
    while (length) {
        if (!connection->in_body) {
            size_t head = take_head(connection, bytes, length);
            load->bytes += connection->in_body ? connection->left : 0;
            bytes += head;
            length -= head;
            continue;
        }
        if (length > connection->left)
            fail("more than was asked for", "");
        connection->left -= length;
        length = 0;
    }
    if (connection->in_body && !connection->left) {
        load->answers++;
        load_ask(load, connection);
    }
}

static void load_run(Load *load, Connection *connections, int count, double seconds)
{
    static char block[BLOCK_BYTES];
    struct epoll_event ready[64];
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    for (int i = 0; i < count; i++) {
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = &connections[i]};
        connections[i].fd = client_connect(load->address);
        epoll_ctl(epoll, EPOLL_CTL_ADD, connections[i].fd, &event);
        load_ask(load, &connections[i]);
    }
    int64_t began = client_now_ns(), end = began + (int64_t)(seconds * 1e9), now = began;
    for (; now < end; now = client_now_ns()) {
        int found = epoll_wait(epoll, ready, 64, 1000);
        for (int i = 0; i < found; i++) {
            Connection *connection = ready[i].data.ptr;
            ssize_t length = recv(connection->fd, block, sizeof block, 0);
            if (length <= 0)
                client_die("a connection ended");
            take(load, connection, block, (size_t)length);
        }
    }
    printf("%llu %.6f %llu\n", (unsigned long long)load->answers, (double)(now - began) / 1e9,
           (unsigned long long)load->bytes);
    close(epoll);
}

static void load_read_paths(Load *load, const char *name)
{
    FILE *file = fopen(name, "r");
    size_t room = 0;
    if (!file)
        client_die(name);
    for (;; load->path_count++) {
        if (load->path_count == room) {
            room = room ? 2 * room : 1024;
            load->paths = realloc(load->paths, room * PATH_BYTES);
        }
        char *path = load->paths ? load->paths[load->path_count] : NULL;
        if (!path)
            client_die("memory");
        if (!fgets(path, PATH_BYTES, file))
            break;
        path[strcspn(path, "\n")] = '\0';
    }
    fclose(file);
    if (!load->path_count)
        fail("no path", name);
}

int main(int argc, char **argv)
{
    if (argc != 6) {
        fprintf(stderr, "usage: bench-get ADDRESS CONNECTIONS SECONDS PATHS SEED\n");
        return 2;
    }
    int count = atoi(argv[2]);
    Load load = {.address = argv[1], .random = 0x9e3779b97f4a7c15u ^ strtoul(argv[5], NULL, 10)};
    client_lift_limit();
    load_read_paths(&load, argv[4]);
    Connection *connections = calloc((size_t)count, sizeof *connections);
    if (!connections)
        client_die("memory");
    load_run(&load, connections, count, atof(argv[3]));
    free(connections);
    free(load.paths);
    return 0;
}
