/* Who waits for news of a model: streams, and requests with ?wait=.
 *
 * One thread sees every commit: this process's at once, and another's too where the store is on a
 * server, which tells of them; else within 200 ms. It reads what is new of the models that somebody
 * follows, once, and wakes their followers. A follower holds a connection that is suspended
 * meanwhile and costs no thread. What a follower has seen is a seq; since seq is dense, nothing is
 * lost or doubled however often it is woken. */
#pragma once

#include <microhttpd.h>

#include "import/service.h"

typedef struct Hub Hub;
/* Opens a connection to the store of its own. */
Hub *hub_new(const char *directory, const Settings *settings, GError **error);
/* Every follower is gone before. */
void hub_free(Hub *hub);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Hub, hub_free)

/* Calls that, in the hub's thread, whenever anybody committed something; NULL: no longer. */
void hub_tell_of_commits(Hub *hub, void (*seen)(gpointer data), gpointer data);
/* From any thread: something was committed in this process. */
void hub_wake(Hub *hub);
/* Wakes every follower for good: hub_wait no longer waits. */
void hub_close(Hub *hub);
bool hub_is_closed(Hub *hub);

typedef struct HubTopic HubTopic;
typedef struct {
    HubTopic *topic;
    struct MHD_Connection *connection;
    int64_t deadline; /* monotonic ms: woken then, whatever happens */
    bool waiting;
    bool wants_progress;    /* is woken by that too */
    unsigned progress_seen; /* the newest that was taken */
    GList link;
} HubFollower;

void hub_follow(Hub *hub, HubFollower *follower, struct MHD_Connection *connection,
                const char *model_id);
/* Follows all models of a project: what it has seen is the number of a change
 * (store/model_changes.h), which is not dense; hub_frame has none of them. */
void hub_follow_project(Hub *hub, HubFollower *follower, struct MHD_Connection *connection,
                        const char *project);
void hub_leave(Hub *hub, HubFollower *follower);

/* Suspends the connection until the model has an event after `seen` or the deadline has come.
 * False: it has one already, or the hub is closed: the connection goes on. Called by the
 * connection's own thread only. */
bool hub_wait(Hub *hub, HubFollower *follower, int64_t seen, int64_t deadline);

/* The model's progress as a frame without an id, when there is one that this follower has not taken
 * and it belongs behind the event `seen`; else NULL. Made every second while the import moves, for
 * all followers. A new reference. */
GBytes *hub_progress(Hub *hub, HubFollower *follower, int64_t seen);

/* Suspends the connection until the deadline; an event of the model wakes it too. */
void hub_sleep(Hub *hub, HubFollower *follower, int64_t deadline);

/* The event of that seq as a frame of a stream, when it is one of the newest; else NULL: the store
 * has it. A new reference. */
GBytes *hub_frame(Hub *hub, HubFollower *follower, int64_t seq);

/* Whether nothing is known of an event after `seen`: nobody needs to ask the store, the follower is
 * woken when there is one. */
bool hub_is_current(Hub *hub, HubFollower *follower, int64_t seen);

/* A frame of text/event-stream; the caller frees it. `data` is JSON on one line. */
GBytes *hub_frame_new(int64_t seq, const char *type, const char *data);

int hub_followers(Hub *hub);
