#include "server/push_sessions.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "base/digest.h"
#include "base/io.h"

#define SETTLE_MS       1000
#define LOOK_MS         50
#define MOST_REMEMBERED 1024 /* sessions that nobody writes; more of them are hashed again */

typedef struct {
    char *id;             /* NULL: of one request */
    int writers;          /* under the sessions' lock */
    pthread_mutex_t lock; /* of what follows */
    BlobWriter *blob;     /* NULL while nobody writes */
    Digest *hash;         /* of the first `hashed` bytes; NULL: not known */
    int64_t hashed;
    uint64_t turn; /* the writer's who may write */
    bool ending, dropped;
} Session;

struct PushSessions {
    Layout *images;
    pthread_mutex_t lock;
    GHashTable *by_id;
};

struct PushWriter {
    PushSessions *sessions;
    Session *session;
    uint64_t turn;
};

static void session_free(void *data)
{
    Session *session = data;
    digest_free(session->hash);
    pthread_mutex_destroy(&session->lock);
    g_free(session->id);
    g_free(session);
}

PushSessions *push_sessions_new(Layout *images)
{
    PushSessions *sessions = g_new0(PushSessions, 1);
    sessions->images = images;
    pthread_mutex_init(&sessions->lock, NULL);
    sessions->by_id = g_hash_table_new(g_str_hash, g_str_equal);
    return sessions;
}

static gboolean forget_quiet(gpointer id G_GNUC_UNUSED, gpointer session,
                             gpointer data G_GNUC_UNUSED)
{
    if (((Session *)session)->writers)
        return FALSE;
    session_free(session);
    return TRUE;
}

void push_sessions_free(PushSessions *sessions)
{
    if (!sessions)
        return;
    g_hash_table_foreach_remove(sessions->by_id, forget_quiet, NULL);
    g_hash_table_unref(sessions->by_id);
    pthread_mutex_destroy(&sessions->lock);
    g_free(sessions);
}

/* -- opening and closing -- */

static Session *session_new(const char *id)
{
    Session *session = g_new0(Session, 1);
    session->id = g_strdup(id);
    session->hash = digest_new();
    pthread_mutex_init(&session->lock, NULL);
    return session;
}

/* Under the sessions' lock: one of that id, its own one of none. */
static Session *session_find(PushSessions *sessions, const char *id)
{
    Session *session = id ? g_hash_table_lookup(sessions->by_id, id) : NULL;
    if (session)
        return session;
    if (g_hash_table_size(sessions->by_id) >= MOST_REMEMBERED)
        g_hash_table_foreach_remove(sessions->by_id, forget_quiet, NULL);
    session = session_new(id);
    if (id)
        g_hash_table_insert(sessions->by_id, session->id, session);
    return session;
}

/* Under both locks. */
static bool session_open(const PushSessions *sessions, Session *session, GError **error)
{
    if (session->ending || session->dropped)
        return io_fail(error, EBUSY, "the upload is being completed");
    if (session->blob)
        return true;
    session->blob = session->id ? layout_resume_blob(sessions->images, session->id, error)
                                : layout_begin_blob(sessions->images, error);
    if (session->blob && session->hashed != blob_writer_size(session->blob))
        g_clear_pointer(&session->hash, digest_free);
    return session->blob != NULL;
}

/* Under the sessions' lock. */
static void session_forget(PushSessions *sessions, Session *session)
{
    if (session->id && g_hash_table_lookup(sessions->by_id, session->id) == session)
        g_hash_table_remove(sessions->by_id, session->id);
}

/* Under the sessions' lock, when nobody writes any more. */
static void session_close(PushSessions *sessions, Session *session)
{
    if (session->id && !session->dropped)
        g_clear_pointer(&session->blob, blob_writer_keep);
    else
        g_clear_pointer(&session->blob, blob_writer_abort);
    if (session->id && !session->dropped)
        return;
    session_forget(sessions, session);
    session_free(session);
}

PushWriter *push_writer_open(PushSessions *sessions, const char *id, GError **error)
{
    PushWriter *writer = NULL;
    pthread_mutex_lock(&sessions->lock);
    Session *session = session_find(sessions, id);
    session->writers++;
    pthread_mutex_lock(&session->lock);
    if (session_open(sessions, session, error)) {
        writer = g_new0(PushWriter, 1);
        *writer = (PushWriter){sessions, session, ++session->turn};
    }
    pthread_mutex_unlock(&session->lock);
    if (!writer && --session->writers == 0)
        session_close(sessions, session);
    pthread_mutex_unlock(&sessions->lock);
    return writer;
}

void push_writer_close(PushWriter *writer)
{
    if (!writer)
        return;
    PushSessions *sessions = writer->sessions;
    pthread_mutex_lock(&sessions->lock);
    if (--writer->session->writers == 0)
        session_close(sessions, writer->session);
    pthread_mutex_unlock(&sessions->lock);
    g_free(writer);
}

/* -- writing -- */

int64_t push_writer_size(const PushWriter *writer)
{
    Session *session = writer->session;
    pthread_mutex_lock(&session->lock);
    int64_t size = session->blob ? blob_writer_size(session->blob) : 0;
    pthread_mutex_unlock(&session->lock);
    return size;
}

/* Under the session's lock. */
static bool may_write(const PushWriter *writer, GError **error)
{
    const Session *session = writer->session;
    if (session->turn == writer->turn && !session->ending && !session->dropped)
        return true;
    return io_fail(error, ECANCELED, "another request goes on with the upload");
}

bool push_writer_write(PushWriter *writer, const void *data, size_t size, GError **error)
{
    Session *session = writer->session;
    pthread_mutex_lock(&session->lock);
    bool written = may_write(writer, error);
    if (written) {
        written = blob_writer_write(session->blob, data, size, error);
        if (written && session->hash) {
            digest_update(session->hash, data, size);
            session->hashed += (int64_t)size;
        }
        /* Of what a full disk took in part no hash is known. */
        if (!written)
            g_clear_pointer(&session->hash, digest_free);
    }
    pthread_mutex_unlock(&session->lock);
    return written;
}

/* -- the end -- */

/* From here on the file is this writer's alone. NULL: *error. */
static BlobWriter *take_end(PushWriter *writer, Digest **hash, GError **error)
{
    BlobWriter *blob = NULL;
    Session *session = writer->session;
    pthread_mutex_lock(&session->lock);
    if (may_write(writer, error)) {
        session->ending = true;
        session->hashed = -1;
        *hash = g_steal_pointer(&session->hash);
        blob = g_steal_pointer(&session->blob);
    }
    pthread_mutex_unlock(&session->lock);
    return blob;
}

static void give_end_back(PushWriter *writer, bool ended)
{
    Session *session = writer->session;
    pthread_mutex_lock(&session->lock);
    session->dropped = session->dropped || ended;
    session->ending = false;
    pthread_mutex_unlock(&session->lock);
}

/* Takes the file over. Bytes of another digest go: nobody can tell which of them are wrong. */
static bool blob_end(BlobWriter *blob, bool stays, const char *digest, const char *found,
                     GError **error)
{
    bool existed;
    if (found && strcmp(found, digest) == 0)
        return blob_writer_commit(blob, digest, &existed, error);
    if (!found && stays)
        blob_writer_keep(blob);
    else
        blob_writer_abort(blob);
    return found != NULL;
}

bool push_writer_commit(PushWriter *writer, const char *digest, char **found, GError **error)
{
    g_autoptr(Digest) hash = NULL;
    *found = NULL;
    BlobWriter *blob = take_end(writer, &hash, error);
    if (!blob)
        return false;
    *found = hash ? digest_finish(hash) : blob_writer_digest(blob, error);
    bool done = blob_end(blob, writer->session->id != NULL, digest, *found, error);
    give_end_back(writer, done);
    if (!done)
        g_clear_pointer(found, g_free);
    return done;
}

static bool is_written(PushSessions *sessions, const char *id)
{
    pthread_mutex_lock(&sessions->lock);
    const Session *session = g_hash_table_lookup(sessions->by_id, id);
    bool written = session && session->writers > 0;
    pthread_mutex_unlock(&sessions->lock);
    return written;
}

int64_t push_session_size(PushSessions *sessions, const char *id)
{
    int64_t size = layout_partial_size(sessions->images, id);
    for (int waited = 0; waited < SETTLE_MS && is_written(sessions, id); waited += LOOK_MS) {
        g_usleep(LOOK_MS * 1000);
        int64_t now = layout_partial_size(sessions->images, id);
        if (now == size)
            break;
        size = now;
    }
    return layout_partial_size(sessions->images, id);
}

bool push_session_drop(PushSessions *sessions, const char *id, GError **error)
{
    bool done = true;
    pthread_mutex_lock(&sessions->lock);
    Session *session = g_hash_table_lookup(sessions->by_id, id);
    if (session && session->writers) {
        pthread_mutex_lock(&session->lock);
        session->dropped = true; /* its last writer removes the file */
        pthread_mutex_unlock(&session->lock);
    } else {
        if (session) {
            session_forget(sessions, session);
            session_free(session);
        }
        done = layout_remove_partial(sessions->images, id, false, NULL, NULL, error);
    }
    pthread_mutex_unlock(&sessions->lock);
    return done;
}
