#include "server/hub.h"

#include <gio/gio.h>
#include <inttypes.h>
#include <pthread.h>
#include <string.h>

#include "base/clock.h"
#include "event/timeline.h"
#include "import/progress_board.h"
#include "store/model_changes.h"

#define TICK_MS     250
#define PROGRESS_MS 1000
#define PROJECT_KEY "project/" /* no model's id begins so */
#define KEPT_FRAMES 64         /* of a followed model, for those who are nearly up to date */

struct HubTopic {
    char *model_id;
    int64_t seq;   /* the newest event that the hub has seen */
    GQueue frames; /* GBytes: the events up to seq, the newest last */
    GQueue waiting;
    GBytes *progress; /* after seq; NULL: no import is open */
    unsigned progress_number;
    bool progress_late; /* what is being read now may be of before seq */
    int followers;
};

struct Hub {
    Service *service; /* the thread's own */
    TimelineWatch *watch;
    pthread_t thread;
    bool started;
    void (*seen)(gpointer data); /* after each look that found a commit; NULL: nobody is told */
    gpointer seen_data;
    int64_t progress_due; /* monotonic ms; the thread's own */
    pthread_mutex_t lock; /* of all that follows */
    GHashTable *topics;   /* model id -> HubTopic */
    bool closed;
    int followers;
};

GBytes *hub_frame_new(int64_t seq, const char *type, const char *data)
{
    char *text = g_strdup_printf("id: %" PRId64 "\nevent: %s\ndata: %s\n\n", seq, type, data);
    return g_bytes_new_take(text, strlen(text));
}

/* -- topics; the lock is held -- */

static HubTopic *topic_new(const char *model_id)
{
    HubTopic *topic = g_new0(HubTopic, 1);
    topic->model_id = g_strdup(model_id);
    return topic;
}

static void topic_free(HubTopic *topic)
{
    g_queue_clear_full(&topic->frames, (GDestroyNotify)g_bytes_unref);
    g_clear_pointer(&topic->progress, g_bytes_unref);
    g_free(topic->model_id);
    g_free(topic);
}

static void follower_suspend(HubFollower *follower, int64_t deadline)
{
    follower->waiting = true;
    follower->deadline = deadline;
    g_queue_push_tail_link(&follower->topic->waiting, &follower->link);
    MHD_suspend_connection(follower->connection);
}

static void follower_wake(HubFollower *follower)
{
    g_queue_unlink(&follower->topic->waiting, &follower->link);
    follower->waiting = false;
    MHD_resume_connection(follower->connection);
}

static void topic_wake(HubTopic *topic)
{
    while (topic->waiting.head)
        follower_wake(topic->waiting.head->data);
}

static void topic_wake_due(HubTopic *topic, int64_t now)
{
    for (GList *at = topic->waiting.head, *next; at; at = next) {
        next = at->next;
        HubFollower *follower = at->data;
        if (follower->deadline <= now)
            follower_wake(follower);
    }
}

/* -- news -- */

typedef struct {
    char *model_id;
    int64_t after;
    GPtrArray *frames; /* GBytes */
    int64_t last;
} News;

static void news_free(News *news)
{
    g_free(news->model_id);
    g_ptr_array_unref(news->frames);
    g_free(news);
}

/* What is asked of the store, so that nobody waits for the lock while it is read. */
static GPtrArray *hub_questions(Hub *hub)
{
    GPtrArray *questions = g_ptr_array_new_with_free_func((GDestroyNotify)news_free);
    GHashTableIter topics;
    gpointer value;
    g_hash_table_iter_init(&topics, hub->topics);
    while (g_hash_table_iter_next(&topics, NULL, &value)) {
        const HubTopic *topic = value;
        News *news = g_new0(News, 1);
        news->model_id = g_strdup(topic->model_id);
        news->after = news->last = topic->seq;
        news->frames = g_ptr_array_new_with_free_func((GDestroyNotify)g_bytes_unref);
        g_ptr_array_add(questions, news);
    }
    return questions;
}

/* A project's topic has no frames: that there is something new is enough. */
static bool news_read_project(Db *db, News *news, GError **error)
{
    int64_t newest, last;
    if (!model_changes_last(db, &last, error) ||
        !db_query_int(db, &newest, 0, error,
                      "SELECT max(changed) FROM models WHERE project = $1 AND changed <= $2", "si",
                      news->model_id + strlen(PROJECT_KEY), last))
        return false;
    news->last = MAX(news->last, newest);
    return true;
}

static bool news_read(Db *db, News *news)
{
    g_autoptr(GError) error = NULL;
    if (g_str_has_prefix(news->model_id, PROJECT_KEY)) {
        if (!news_read_project(db, news, &error))
            g_warning("news of %s could not be read: %s", news->model_id, error->message);
        return !error;
    }
    g_autoptr(DbRows) rows = db_query(db, &error,
                                      "SELECT seq, event_type, event FROM events "
                                      "WHERE model_id = $1 AND seq > $2 ORDER BY seq",
                                      "si", news->model_id, news->after);
    while (rows && db_next(rows, &error)) {
        news->last = db_int(rows, 0);
        g_ptr_array_add(news->frames,
                        hub_frame_new(news->last, db_text(rows, 1), db_text(rows, 2)));
    }
    if (error)
        g_warning("news of %s could not be read: %s", news->model_id, error->message);
    return !error;
}

static void topic_take(HubTopic *topic, News *news)
{
    if (news->last == topic->seq || news->after != topic->seq)
        return;
    for (guint i = 0; i < news->frames->len; i++)
        g_queue_push_tail(&topic->frames, g_bytes_ref(news->frames->pdata[i]));
    while (topic->frames.length > KEPT_FRAMES)
        g_bytes_unref(g_queue_pop_head(&topic->frames));
    topic->seq = news->last;
    g_clear_pointer(&topic->progress, g_bytes_unref); /* it was before them */
    topic_wake(topic);
}

/* False: something could not be read. What could is taken. */
static bool hub_look(Hub *hub)
{
    bool whole = true;
    pthread_mutex_lock(&hub->lock);
    g_autoptr(GPtrArray) questions = hub_questions(hub);
    pthread_mutex_unlock(&hub->lock);
    for (guint i = 0; i < questions->len; i++)
        whole &= news_read(hub->service->db, questions->pdata[i]);
    pthread_mutex_lock(&hub->lock);
    for (guint i = 0; i < questions->len; i++) {
        News *news = questions->pdata[i];
        HubTopic *topic = g_hash_table_lookup(hub->topics, news->model_id);
        if (topic)
            topic_take(topic, news);
    }
    pthread_mutex_unlock(&hub->lock);
    return whole;
}

/* -- progress -- */

static bool progress_is_new(const HubTopic *topic, const HubFollower *follower, int64_t seen)
{
    return topic->progress && topic->seq == seen &&
           topic->progress_number != follower->progress_seen;
}

/* What stands still is not said again. */
static void topic_take_progress(HubTopic *topic, json_t *progress)
{
    char *data = progress ? json_dumps(progress, JSON_COMPACT) : NULL;
    json_decref(progress);
    char *text = data ? g_strdup_printf("event: progress\ndata: %s\n\n", data) : NULL;
    free(data);
    g_autoptr(GBytes) frame = text ? g_bytes_new_take(text, strlen(text)) : NULL;
    if (frame && topic->progress && g_bytes_equal(frame, topic->progress))
        return;
    g_clear_pointer(&topic->progress, g_bytes_unref);
    topic->progress = g_steal_pointer(&frame);
    topic->progress_number++;
    for (GList *at = topic->waiting.head, *next; at; at = next) {
        next = at->next;
        HubFollower *follower = at->data;
        if (topic->progress && follower->wants_progress)
            follower_wake(follower);
    }
}

static void hub_look_at_progress(Hub *hub)
{
    GHashTableIter topics;
    gpointer id, topic;
    if (clock_monotonic_ms() < hub->progress_due || hub_followers(hub) == 0)
        return;
    hub->progress_due = clock_monotonic_ms() + PROGRESS_MS;
    g_autoptr(ProgressBoard) board = progress_board_read(hub->service, NULL);
    if (!board)
        return;
    pthread_mutex_lock(&hub->lock);
    g_hash_table_iter_init(&topics, hub->topics);
    while (g_hash_table_iter_next(&topics, &id, &topic)) {
        if (!((HubTopic *)topic)->progress_late)
            topic_take_progress(topic, progress_board_json(board, id));
        ((HubTopic *)topic)->progress_late = false;
    }
    pthread_mutex_unlock(&hub->lock);
}

static void hub_wake_due(Hub *hub)
{
    int64_t now = clock_monotonic_ms();
    GHashTableIter topics;
    gpointer topic;
    pthread_mutex_lock(&hub->lock);
    g_hash_table_iter_init(&topics, hub->topics);
    while (g_hash_table_iter_next(&topics, NULL, &topic))
        topic_wake_due(topic, now);
    pthread_mutex_unlock(&hub->lock);
}

static void hub_tell(Hub *hub)
{
    pthread_mutex_lock(&hub->lock);
    if (hub->seen)
        hub->seen(hub->seen_data);
    pthread_mutex_unlock(&hub->lock);
}

static void *hub_run(void *data)
{
    Hub *hub = data;
    bool missed = false; /* no further commit says so */
    while (!hub_is_closed(hub)) {
        const bool seen = timeline_watch_wait(hub->watch, TICK_MS);
        if (seen || missed)
            missed = !hub_look(hub);
        if (seen)
            hub_tell(hub);
        hub_wake_due(hub);
        hub_look_at_progress(hub);
    }
    return NULL;
}

/* -- the hub -- */

Hub *hub_new(const char *directory, const Settings *settings, GError **error)
{
    g_autoptr(Hub) hub = g_new0(Hub, 1);
    pthread_mutex_init(&hub->lock, NULL);
    hub->topics = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, (GDestroyNotify)topic_free);
    hub->service = service_open(directory, true, settings, error);
    if (!hub->service)
        return NULL;
    hub->watch = timeline_watch_new(hub->service->data, hub->service->db);
    if (!timeline_watch_listen(hub->watch, error))
        return NULL;
    int failed = pthread_create(&hub->thread, NULL, hub_run, hub);
    hub->started = !failed;
    if (failed)
        g_set_error(error, G_IO_ERROR, g_io_error_from_errno(failed), "a thread: %s",
                    g_strerror(failed));
    return failed ? NULL : g_steal_pointer(&hub);
}

void hub_free(Hub *hub)
{
    if (!hub)
        return;
    hub_close(hub);
    if (hub->started)
        pthread_join(hub->thread, NULL);
    timeline_watch_free(hub->watch);
    service_free(hub->service);
    g_hash_table_unref(hub->topics);
    pthread_mutex_destroy(&hub->lock);
    g_free(hub);
}

void hub_tell_of_commits(Hub *hub, void (*seen)(gpointer data), gpointer data)
{
    pthread_mutex_lock(&hub->lock);
    hub->seen = seen;
    hub->seen_data = data;
    pthread_mutex_unlock(&hub->lock);
}

void hub_wake(Hub *hub)
{
    timeline_watch_wake(hub->watch);
}

void hub_close(Hub *hub)
{
    GHashTableIter topics;
    gpointer topic;
    pthread_mutex_lock(&hub->lock);
    hub->closed = true;
    g_hash_table_iter_init(&topics, hub->topics);
    while (g_hash_table_iter_next(&topics, NULL, &topic))
        topic_wake(topic);
    pthread_mutex_unlock(&hub->lock);
    if (hub->watch)
        hub_wake(hub);
}

bool hub_is_closed(Hub *hub)
{
    pthread_mutex_lock(&hub->lock);
    bool closed = hub->closed;
    pthread_mutex_unlock(&hub->lock);
    return closed;
}

int hub_followers(Hub *hub)
{
    pthread_mutex_lock(&hub->lock);
    int followers = hub->followers;
    pthread_mutex_unlock(&hub->lock);
    return followers;
}

/* -- followers -- */

void hub_follow(Hub *hub, HubFollower *follower, struct MHD_Connection *connection,
                const char *model_id)
{
    pthread_mutex_lock(&hub->lock);
    HubTopic *topic = g_hash_table_lookup(hub->topics, model_id);
    const bool is_new = !topic;
    if (is_new) {
        topic = topic_new(model_id);
        g_hash_table_insert(hub->topics, topic->model_id, topic);
    }
    topic->followers++;
    hub->followers++;
    *follower = (HubFollower){.topic = topic, .connection = connection};
    follower->link.data = follower;
    pthread_mutex_unlock(&hub->lock);
    /* What was committed before there was a topic for it was not looked at. */
    if (is_new)
        hub_wake(hub);
}

void hub_follow_project(Hub *hub, HubFollower *follower, struct MHD_Connection *connection,
                        const char *project)
{
    g_autofree char *key = g_strconcat(PROJECT_KEY, project, NULL);
    hub_follow(hub, follower, connection, key);
}

void hub_leave(Hub *hub, HubFollower *follower)
{
    pthread_mutex_lock(&hub->lock);
    HubTopic *topic = follower->topic;
    if (follower->waiting)
        g_queue_unlink(&topic->waiting, &follower->link);
    follower->topic = NULL;
    hub->followers--;
    if (--topic->followers == 0)
        g_hash_table_remove(hub->topics, topic->model_id);
    pthread_mutex_unlock(&hub->lock);
}

/* A follower has read more from the store than the thread has seen yet: the others read it there
 * too, and the thread goes on behind it. */
static void topic_catch_up(Hub *hub, HubTopic *topic, int64_t seen)
{
    g_queue_clear_full(&topic->frames, (GDestroyNotify)g_bytes_unref);
    topic->seq = seen;
    g_clear_pointer(&topic->progress, g_bytes_unref);
    topic->progress_late = true;
    topic_wake(topic);
    hub_wake(hub);
}

bool hub_wait(Hub *hub, HubFollower *follower, int64_t seen, int64_t deadline)
{
    pthread_mutex_lock(&hub->lock);
    HubTopic *topic = follower->topic;
    bool wait = !hub->closed && topic->seq <= seen;
    if (wait && topic->seq < seen)
        topic_catch_up(hub, topic, seen);
    if (wait && follower->wants_progress)
        wait = !progress_is_new(topic, follower, seen);
    if (wait)
        follower_suspend(follower, deadline);
    pthread_mutex_unlock(&hub->lock);
    return wait;
}

void hub_sleep(Hub *hub, HubFollower *follower, int64_t deadline)
{
    pthread_mutex_lock(&hub->lock);
    if (!hub->closed)
        follower_suspend(follower, deadline);
    pthread_mutex_unlock(&hub->lock);
}

GBytes *hub_progress(Hub *hub, HubFollower *follower, int64_t seen)
{
    GBytes *frame = NULL;
    pthread_mutex_lock(&hub->lock);
    const HubTopic *topic = follower->topic;
    if (progress_is_new(topic, follower, seen)) {
        frame = g_bytes_ref(topic->progress);
        follower->progress_seen = topic->progress_number;
    }
    pthread_mutex_unlock(&hub->lock);
    return frame;
}

GBytes *hub_frame(Hub *hub, HubFollower *follower, int64_t seq)
{
    GBytes *frame = NULL;
    pthread_mutex_lock(&hub->lock);
    HubTopic *topic = follower->topic;
    int64_t from_newest = topic->seq - seq;
    if (from_newest >= 0 && from_newest < (int64_t)topic->frames.length)
        frame = g_bytes_ref(g_queue_peek_nth(&topic->frames, (guint)(topic->frames.length - 1 -
                                                                     (guint)from_newest)));
    pthread_mutex_unlock(&hub->lock);
    return frame;
}

/* A topic that is new knows nothing yet. */
bool hub_is_current(Hub *hub, HubFollower *follower, int64_t seen)
{
    pthread_mutex_lock(&hub->lock);
    int64_t known = follower->topic->seq;
    pthread_mutex_unlock(&hub->lock);
    return known > 0 && known <= seen;
}
