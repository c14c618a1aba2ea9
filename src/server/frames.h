/* Server-sent events on a connection that follows the hub: one frame after another, a comment while
 * nothing happens, and the last one when the server stops or the reader's token is worth nothing
 * any more. What the frames are is each stream's own. */
#pragma once

#include "server/server.h"

typedef struct Frames Frames;
/* The beginning of a stream's own record. */
struct Frames {
    Server *server;
    const HttpRequest *request; /* who reads; there as long as the stream is read */
    HubFollower follower;
    int64_t seen; /* as the hub counts for this follower: up to it all was taken for sending */
    /* The next frame. NULL: there is none yet, or (*error) the stream cannot go on. */
    GBytes *(*next)(Frames *stream, GError **error);
    /* Frees the record with what is its own, when the hub was left. */
    void (*free)(Frames *stream);

    GBytes *sent; /* frames.c's: what is being sent */
    gsize at;     /* how much of it */
    int64_t beat; /* monotonic ms: when a comment is due */
    int64_t look; /* and when it is asked whether the reader still may */
    bool said_end;
};

/* The answer that is the stream; takes it over. The follower follows already, the rest is set but
 * what is frames.c's. */
HttpReply frames_reply(HttpRequest *request, Frames *stream);
