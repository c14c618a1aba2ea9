#include "command/follow.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "command/event_view.h"
#include "event/timeline.h"

#define BAR_STEP_MS 100

typedef struct {
    Session *session;
    const char *model_id;
    bool json;
    TimelineFilter shown; /* after: the newest event that was printed */
    pthread_mutex_t lock; /* of the terminal: rows and bar do not mix */
    pthread_t thread;
    bool drawing, drawn;
    atomic_bool end;
    int64_t began; /* of the copy that the bar shows */
} Follow;

/* -- the bar -- */

static void bar_clear(Follow *follow)
{
    if (follow->drawn)
        fputs("\r\033[K", stderr);
    follow->drawn = false;
}

/* "  1.2 of 4.0 GiB   340 MiB/s   about 0:09 left" */
static char *bar_text(Follow *follow, int64_t done, int64_t total, int64_t elapsed_ms)
{
    g_autofree char *have = format_bytes(done), *all = format_bytes(total);
    int64_t rate = elapsed_ms > 0 ? done * 1000 / elapsed_ms : 0;
    g_autofree char *speed = format_bytes(rate);
    bool zh = follow->session->err.language == LANGUAGE_ZH;
    if (elapsed_ms < 1000 || rate == 0)
        return g_strdup_printf("%s / %s", have, all);
    int64_t seconds = (total - done) / rate;
    return g_strdup_printf(zh ? "%s / %s  %s/s  约剩 %d:%02d" : "%s / %s  %s/s  %d:%02d left", have,
                           all, speed, (int)(seconds / 60), (int)(seconds % 60));
}

static void bar_draw(Follow *follow)
{
    Progress *progress = &follow->session->service->progress;
    int64_t total = progress->bytes_total, done = MIN(progress->bytes_done, total),
            now = clock_monotonic_ms();
    if (total <= 0) {
        follow->began = 0;
        bar_clear(follow);
        return;
    }
    if (!follow->began)
        follow->began = now;
    g_autofree char *text = bar_text(follow, done, total, now - follow->began);
    int cells = CLAMP(follow->session->err.width - text_width(text) - 12, 0, 40),
        filled = (int)(cells * done / total);
    g_autofree char *full = g_strnfill((gsize)filled, '#'),
                    *rest = g_strnfill((gsize)(cells - filled), '.');
    fprintf(stderr, "\r\033[K  %s%s %3d %%  %s", full, rest, (int)(100 * done / total), text);
    fflush(stderr);
    follow->drawn = true;
}

static void *bar_run(void *data)
{
    Follow *follow = data;
    while (!follow->end) {
        pthread_mutex_lock(&follow->lock);
        bar_draw(follow);
        pthread_mutex_unlock(&follow->lock);
        g_usleep(BAR_STEP_MS * 1000);
    }
    return NULL;
}

/* -- the rows -- */

/* A failure to read is left to the worker, which meets it at its next step. */
static void follow_committed(gpointer data)
{
    Follow *follow = data;
    if (follow->session->quiet && !follow->json)
        return;
    pthread_mutex_lock(&follow->lock);
    bar_clear(follow);
    event_view_timeline(&follow->session->out, follow->session->service->db, follow->model_id,
                        &follow->shown, follow->json, NULL);
    pthread_mutex_unlock(&follow->lock);
}

/* -- Ctrl-C -- */

static Progress *interrupted_progress;
static volatile sig_atomic_t interrupted;

static void on_interrupt(int signal_number)
{
    interrupted = signal_number;
    interrupted_progress->stop = true;
}

/* SA_RESETHAND: the second one kills. */
static void interrupt_catch(Progress *progress)
{
    struct sigaction action = {.sa_handler = on_interrupt, .sa_flags = (int)SA_RESETHAND};
    interrupted_progress = progress;
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

/* -- */

/* What to type next, for a person. */
static void follow_closing(Follow *follow, const Model *model, int status)
{
    Session *session = follow->session;
    bool zh = session->out.language == LANGUAGE_ZH;
    if (follow->json || session->quiet || !session->out.is_terminal || status == EXIT_INTERRUPTED)
        return;
    if (status == EXIT_FAILED) {
        printf(zh ? "\n修复后执行:waybill retry %s:%s\n" : "\nmend it, then: waybill retry %s:%s\n",
               model->name, model->version);
        return;
    }
    g_autofree char *image =
        service_image_address(session->service, model->project, model->name, model->version);
    printf(zh ? "\n%s:%s 已发布\n镜像  %s\n" : "\n%s:%s is published\nimage  %s\n", model->name,
           model->version, image);
}

static int follow_status(Follow *follow, GError **error)
{
    g_autoptr(Model) model = model_load(follow->session->service->db, follow->model_id, error);
    if (!model)
        return EXIT_UNREACHABLE;
    if (strcmp(model->outcome, "running") == 0 && interrupted) {
        complain("interrupted; go on: waybill retry %s:%s", model->name, model->version);
        return EXIT_INTERRUPTED;
    }
    int status = strcmp(model->outcome, "imported") == 0 ? EXIT_DONE : EXIT_FAILED;
    follow_closing(follow, model, status);
    return status;
}

static void follow_heading(Follow *follow)
{
    const Session *session = follow->session;
    if (!follow->json && !session->quiet && session->out.is_terminal)
        event_view_heading(&session->out);
}

int follow_work(Session *session, const Submission *submission, bool json)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(Model) model = model_load(session->service->db, submission->model_id, &error);
    if (!model)
        return complain_of(error);
    Follow follow = {.session = session, .model_id = submission->model_id, .json = json};
    follow.shown.after = submission->attempt > 1 || submission->resumed ? model->last_seq : 0;
    pthread_mutex_init(&follow.lock, NULL);
    session->service->committed = follow_committed;
    session->service->committed_data = &follow;
    interrupt_catch(&session->service->progress);
    follow_heading(&follow);
    if (session->err.is_terminal && !json && !session->quiet)
        follow.drawing = pthread_create(&follow.thread, NULL, bar_run, &follow) == 0;

    bool worked = import_work(session->service, submission->model_id, &error);
    follow.end = true;
    if (follow.drawing)
        pthread_join(follow.thread, NULL);
    bar_clear(&follow);
    if (worked)
        follow_committed(&follow);
    session->service->committed = NULL;
    pthread_mutex_destroy(&follow.lock);
    int status = worked ? follow_status(&follow, &error) : EXIT_UNREACHABLE;
    return error ? complain_of(error) : status;
}
