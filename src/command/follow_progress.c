#include "command/follow_progress.h"

#include <string.h>

#include "command/progress_bar.h"
#include "import/progress_board.h"

struct FollowProgress {
    Session *session;
    char *model_id, *name;
    bool shown;
    Progress progress;
    ProgressBar *bar;
    char *said; /* the state that was said last */
};

FollowProgress *follow_progress_new(Session *session, const Model *model, bool shown)
{
    FollowProgress *follow = g_new0(FollowProgress, 1);
    follow->session = session;
    follow->model_id = g_strdup(model->id);
    follow->name = g_strconcat(model->name, ":", model->version, NULL);
    follow->shown = shown;
    follow->bar = progress_bar_new(&session->err, &follow->progress, shown);
    return follow;
}

void follow_progress_free(FollowProgress *follow)
{
    if (!follow)
        return;
    progress_bar_free(follow->bar);
    g_free(follow->model_id);
    g_free(follow->name);
    g_free(follow->said);
    g_free(follow);
}

void follow_progress_hide(FollowProgress *follow)
{
    progress_bar_hide(follow->bar);
}

void follow_progress_show(FollowProgress *follow)
{
    progress_bar_show(follow->bar);
}

static int64_t number_of(const json_t *object, const char *key)
{
    return json_integer_value(json_object_get(object, key));
}

static void take_bytes(Progress *progress, const json_t *now)
{
    int64_t done = number_of(now, "bytes_done"), total = number_of(now, "bytes_total");
    if (!total)
        progress_end(progress);
    else if (total != progress->bytes_total || done < progress->bytes_done)
        progress_begin(progress, total);
    if (total)
        progress->bytes_done = done;
}

/* NULL: it does not wait. */
static char *waiting_text(const FollowProgress *follow, const json_t *now)
{
    bool zh = follow->session->err.language == LANGUAGE_ZH;
    const char *hint = json_string_value(json_object_get(now, zh ? "hint_cn" : "hint"));
    const json_t *queue = json_object_get(now, "queue");
    int position = (int)number_of(queue, "position");
    if (!queue)
        return g_strdup(hint);
    if (!hint)
        return g_strdup_printf(zh ? "在队列中,第 %d 位" : "position %d in the queue", position);
    return g_strdup_printf(zh ? "在队列中,第 %d 位:%s" : "position %d in the queue: %s", position,
                           hint);
}

/* A worker that is silent is said once, not with every second of its age. */
static void say(FollowProgress *follow, const json_t *now)
{
    g_autofree char *text = waiting_text(follow, now);
    const char *state = text && json_object_get(now, "heartbeat_age_ms") ? "silent" : text;
    if (g_strcmp0(state, follow->said) == 0)
        return;
    g_free(follow->said);
    follow->said = g_strdup(state);
    if (!text)
        return;
    follow_progress_hide(follow);
    complain("%s: %s", follow->name, text);
    follow_progress_show(follow);
}

/* As this machine's board or the server's details have it; NULL: nothing is known. */
static json_t *progress_now(const FollowProgress *follow)
{
    Session *session = follow->session;
    if (!session->remote) {
        g_autoptr(ProgressBoard) board = progress_board_read(session->service, NULL);
        return board ? progress_board_json(board, follow->model_id) : NULL;
    }
    g_autofree char *path = remote_path(session->remote, "/models/%s", follow->model_id);
    json_auto_t *details = remote_call(session->remote, "GET", path, NULL, NULL);
    return json_incref(json_object_get(details, "progress"));
}

void follow_progress_look(FollowProgress *follow)
{
    json_t *now = follow->shown ? progress_now(follow) : NULL;
    take_bytes(&follow->progress, now);
    say(follow, now);
    json_decref(now);
}
