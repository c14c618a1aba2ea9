/* Open connections, and the end of those that drip: a client that sends a byte now and then
 * outlives libmicrohttpd's time limit, which each byte begins anew. */
#pragma once

#include <microhttpd.h>
#include <stdbool.h>

typedef struct Connections Connections;
/* How long a connection may be without a request that has a whole header, and how long the body of
 * one may take. */
Connections *connections_new(int header_seconds, int body_seconds);
void connections_free(Connections *connections);

/* libmicrohttpd's MHD_OPTION_NOTIFY_CONNECTION; the closure is the Connections. */
void connections_notify(void *closure, struct MHD_Connection *connection, void **socket_context,
                        enum MHD_ConnectionNotificationCode code);

typedef enum {
    CONNECTION_IDLE,   /* no request, or not all of its header yet */
    CONNECTION_BODY,   /* the header is there, the body is not */
    CONNECTION_STEADY, /* the same of a body of any size: a minute, anew with whatever is enough */
    CONNECTION_ANSWER, /* it is being answered, however long that takes */
} ConnectionState;
void connections_set(struct MHD_Connection *connection, ConnectionState state);

/* Connections that are not idle. */
int connections_busy(Connections *connections);
/* Shuts down whatever has been idle, or reading a body, for too long, or whose client went away in
 * the middle of a body. */
void connections_reap(Connections *connections);
