#include "server/model_frames.h"

#include <inttypes.h>
#include <pthread.h>
#include <string.h>

#include "import/details.h"
#include "store/model_changes.h"

#define STEP_FRAMES 64
#define KEPT_FRAMES 64

typedef struct {
    int joined;
    int64_t from, to; /* every change after `from`, up to `to`, is in frames */
    GQueue frames;    /* ModelFrame, the newest last */
} Ring;

struct ModelFrames {
    pthread_mutex_t lock; /* of the rest */
    GHashTable *rings;    /* project -> Ring */
};

void model_frame_free(ModelFrame *frame)
{
    g_bytes_unref(frame->bytes);
    g_free(frame);
}

static void ring_free(Ring *ring)
{
    g_queue_clear_full(&ring->frames, (GDestroyNotify)model_frame_free);
    g_free(ring);
}

ModelFrames *model_frames_new(void)
{
    ModelFrames *frames = g_new0(ModelFrames, 1);
    pthread_mutex_init(&frames->lock, NULL);
    frames->rings =
        g_hash_table_new_full(g_str_hash, g_str_equal, g_free, (GDestroyNotify)ring_free);
    return frames;
}

void model_frames_free(ModelFrames *frames)
{
    if (!frames)
        return;
    g_hash_table_unref(frames->rings);
    pthread_mutex_destroy(&frames->lock);
    g_free(frames);
}

void model_frames_join(ModelFrames *frames, const char *project)
{
    pthread_mutex_lock(&frames->lock);
    Ring *ring = g_hash_table_lookup(frames->rings, project);
    if (!ring) {
        ring = g_new0(Ring, 1);
        g_hash_table_insert(frames->rings, g_strdup(project), ring);
    }
    ring->joined++;
    pthread_mutex_unlock(&frames->lock);
}

void model_frames_leave(ModelFrames *frames, const char *project)
{
    pthread_mutex_lock(&frames->lock);
    Ring *ring = g_hash_table_lookup(frames->rings, project);
    if (--ring->joined == 0)
        g_hash_table_remove(frames->rings, project);
    pthread_mutex_unlock(&frames->lock);
}

/* -- one change -- */

static json_t *change_json(const ModelChange *change)
{
    json_t *object = json_pack("{s:s, s:s, s:s}", "model_id", change->model_id, "model_name",
                               change->name, "model_version", change->version);
    if (!change->status)
        return object;
    json_t *rest = json_pack("{s:s?, s:s, s:s, s:I, s:i, s:I}", "model_type", change->type,
                             "model_status", change->status, "description", change->description,
                             "create_at", (json_int_t)change->created_at, "attempt",
                             change->attempt, "last_seq", (json_int_t)change->last_seq);
    json_object_update_new(object, rest);
    if (change->event)
        json_object_set_new(object, "last_event", event_essentials(change->event));
    return object;
}

static ModelFrame *frame_new(const ModelChange *change, const char *epoch)
{
    ModelFrame *frame = g_new(ModelFrame, 1);
    json_t *object = change_json(change);
    char *data = json_dumps(object, JSON_COMPACT);
    json_decref(object);
    char *text = g_strdup_printf("id: %s-%" PRId64 "\nevent: %s\ndata: %s\n\n", epoch,
                                 change->number, change->status ? "model" : "deleted", data);
    free(data);
    *frame = (ModelFrame){change->number, g_bytes_new_take(text, strlen(text))};
    return frame;
}

static ModelFrame *frame_copy(const ModelFrame *frame)
{
    ModelFrame *copy = g_new(ModelFrame, 1);
    *copy = (ModelFrame){frame->number, g_bytes_ref(frame->bytes)};
    return copy;
}

static GPtrArray *frames_read(Service *service, const char *project, const char *epoch,
                              int64_t after, int64_t known, GError **error)
{
    g_autoptr(GPtrArray) changes =
        model_changes_after(service->db, project, after, known, STEP_FRAMES, error);
    if (!changes)
        return NULL;
    GPtrArray *frames = g_ptr_array_new_with_free_func((GDestroyNotify)model_frame_free);
    for (guint i = 0; i < changes->len; i++)
        g_ptr_array_add(frames, frame_new(changes->pdata[i], epoch));
    return frames;
}

/* -- the ring; the lock is held -- */

static void ring_add(Ring *ring, const GPtrArray *frames)
{
    for (guint i = 0; i < frames->len; i++) {
        ModelFrame *frame = frame_copy(frames->pdata[i]);
        ring->to = frame->number;
        g_queue_push_tail(&ring->frames, frame);
    }
    while (ring->frames.length > KEPT_FRAMES) {
        ModelFrame *oldest = g_queue_pop_head(&ring->frames);
        ring->from = oldest->number;
        model_frame_free(oldest);
    }
}

static GPtrArray *ring_after(const Ring *ring, int64_t after)
{
    GPtrArray *frames = g_ptr_array_new_with_free_func((GDestroyNotify)model_frame_free);
    for (const GList *at = ring->frames.head; at; at = at->next)
        if (((const ModelFrame *)at->data)->number > after)
            g_ptr_array_add(frames, frame_copy(at->data));
    return frames;
}

/* Who is at its end reads on for all. */
static GPtrArray *ring_next(Ring *ring, Service *service, const char *project, const char *epoch,
                            int64_t after, GError **error)
{
    if (after < ring->to)
        return ring_after(ring, after);
    if (after > ring->to) { /* nobody has followed for a while */
        g_queue_clear_full(&ring->frames, (GDestroyNotify)model_frame_free);
        ring->from = ring->to = after;
    }
    GPtrArray *frames = frames_read(service, project, epoch, after, 0, error);
    if (frames)
        ring_add(ring, frames);
    return frames;
}

GPtrArray *model_frames_after(ModelFrames *frames, Service *service, const char *project,
                              const char *epoch, int64_t after, int64_t known, GError **error)
{
    GPtrArray *next = NULL;
    pthread_mutex_lock(&frames->lock);
    Ring *ring = g_hash_table_lookup(frames->rings, project);
    bool is_behind = after < known || after < ring->from;
    if (!is_behind)
        next = ring_next(ring, service, project, epoch, after, error);
    pthread_mutex_unlock(&frames->lock);
    return is_behind ? frames_read(service, project, epoch, after, known, error) : next;
}
