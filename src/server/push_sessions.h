/* Blobs as clients push them to the registry: what arrives goes to a file at once and is hashed on
 * its way, by whichever requests bring it.
 *
 * The file is the truth, and outlives the server (image/layout.h, DIR/partial/ID); what is kept of
 * a session in memory is the hash of what the file holds, so that nothing is read again at the end.
 * Where it does not fit the file, after a restart, the file is hashed from its beginning.
 *
 * A session has one writer: the newest. A client whose connection died comes back on another one
 * before the server has seen the first one's end; whatever still arrives there is dropped. Thread
 * safe; a writer is its request's own. Errors: IO_ERROR, EBUSY while the blob is being completed,
 * ECANCELED for a writer that another one replaced, or whose session was dropped. */
#pragma once

#include "image/layout.h"

typedef struct PushSessions PushSessions;
/* Borrows the layout. */
PushSessions *push_sessions_new(Layout *images);
void push_sessions_free(PushSessions *sessions);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PushSessions, push_sessions_free)

typedef struct PushWriter PushWriter;
/* Goes on with the session. id NULL: a blob that comes in one request and leaves nothing behind
 * when it breaks off. */
PushWriter *push_writer_open(PushSessions *sessions, const char *id, GError **error);
/* What arrived of a session stays. */
void push_writer_close(PushWriter *writer);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PushWriter, push_writer_close)
/* Bytes of the blob that are here. */
int64_t push_writer_size(const PushWriter *writer);
bool push_writer_write(PushWriter *writer, const void *data, size_t size, GError **error);

/* Ends it, for the newest writer: nobody else writes from here on. What arrived hashes to *found
 * (the caller frees it); when that is `digest` the blob is in its place, durable, and the session
 * is no more, when not everything that arrived is dropped. False: *error; what arrived stays. */
bool push_writer_commit(PushWriter *writer, const char *digest, char **found, GError **error);

/* Bytes that have arrived of a session. A writer whose client has gone may have some to read still:
 * it is waited for while they come, for a second at most. */
int64_t push_session_size(PushSessions *sessions, const char *id);
/* Ends the session and removes what has arrived. */
bool push_session_drop(PushSessions *sessions, const char *id, GError **error);
