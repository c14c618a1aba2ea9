/* Work of a request that takes longer than it may hold a thread of the pool, which serves many
 * connections: one of a few threads does it, first come, first served, while the connection is
 * suspended. Then the handler is called again. */
#pragma once

#include "server/http.h"

typedef struct Aside Aside;
Aside *aside_new(GError **error);
/* Ends when what runs has ended; what waits goes on undone. Nothing is taken any more. */
void aside_stop(Aside *aside);
/* Stops where that was not done. */
void aside_free(Aside *aside);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Aside, aside_free)

/* Takes `data` over; it lives as long as the request. Called once a request, by its handler, which
 * answers what is returned: that it waits, or that there is no room for more. run is called by
 * another thread, and uses nothing of the request. */
HttpReply aside_begin(Aside *aside, HttpRequest *request, void (*run)(gpointer data), gpointer data,
                      GDestroyNotify data_free);
/* The same for a handler that has a state of its own, and lends `data` until it is called again. */
void aside_lend(Aside *aside, struct MHD_Connection *connection, void (*run)(gpointer data),
                gpointer data);
/* Whether the handler is called again: *data after run, NULL with *reply set when the server stops
 * before that. */
bool aside_ended(const HttpRequest *request, gpointer *data, HttpReply *reply);
