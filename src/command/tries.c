#include "command/tries.h"
#include "command/actions.h"

#include <pthread.h>
#include <string.h>

#include "base/clock.h"
#include "base/duration.h"
#include "base/pause.h"
#include "command/interrupt.h"
#include "event/catalog.h"
#include "event/timeline.h"

#define MOST_RETRIES     100
#define FIRST_WAIT_MS    1000
#define LONGEST_WAIT_MS  60000
#define WAIT_INTERVAL_MS 50

void tries_clear(Tries *tries)
{
    g_free(tries->timeout);
}

bool timeout_read(const char *text, int64_t least_ms, int64_t *ms)
{
    if (duration_parse(text, ms) && *ms >= least_ms)
        return true;
    complain("--timeout %s: expected %s%s", text, DURATION_RULE, least_ms ? ", above 0" : "");
    return false;
}

bool tries_read(Tries *tries)
{
    if (tries->retries < 0 || tries->retries > MOST_RETRIES) {
        complain("--retries %d: expected a number from 0 to %d", tries->retries, MOST_RETRIES);
        return false;
    }
    return !tries->timeout || timeout_read(tries->timeout, 1, &tries->timeout_ms);
}

/* -- the end of the time -- */

typedef struct {
    Progress *progress;
    int64_t until; /* clock_monotonic_ms */
    Pause pause;
    pthread_t thread;
    bool running;
} Deadline;

static void *deadline_run(void *data)
{
    Deadline *deadline = data;
    for (;;) {
        int64_t left = deadline->until - clock_monotonic_ms();
        if (left <= 0)
            break;
        if (pause_wait(&deadline->pause, (int)MIN(left, G_MAXINT)))
            return NULL;
    }
    deadline->progress->stop = true;
    return NULL;
}

static bool deadline_start(Deadline *deadline, Progress *progress, int64_t timeout_ms)
{
    pause_init(&deadline->pause);
    if (timeout_ms == 0)
        return true;
    deadline->progress = progress;
    deadline->until = clock_monotonic_ms() + timeout_ms;
    deadline->running = pthread_create(&deadline->thread, NULL, deadline_run, deadline) == 0;
    if (!deadline->running)
        complain("--timeout: no thread can be started for it");
    return deadline->running;
}

static void deadline_stop(Deadline *deadline)
{
    pause_end(&deadline->pause);
    if (deadline->running)
        pthread_join(deadline->thread, NULL);
    pause_clear(&deadline->pause);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Deadline, deadline_stop)

/* -- whether to try again -- */

static bool keep_event(const char *text, int64_t seq, gpointer data)
{
    (void)seq;
    json_t **last = data;
    json_decref(*last);
    *last = json_loads(text, 0, NULL);
    return true;
}

/* The event that explains why the attempt failed; NULL: *error, or it tells none. */
static json_t *cause_of(Session *session, const Submission *submission, GError **error)
{
    TimelineFilter filter = {.attempt = submission->attempt};
    json_t *last = NULL;
    Db *db = session->service->db;
    if (!timeline_each(db, submission->model_id, &filter, keep_event, &last, error)) {
        json_decref(last);
        return NULL;
    }
    int64_t seq = json_integer_value(json_object_get(last, "cause"));
    g_autofree char *text = seq ? timeline_event(db, submission->model_id, seq, error) : NULL;
    json_decref(last);
    return text ? json_loads(text, 0, NULL) : NULL;
}

/* Whoever cancels an import wants no other attempt. */
static bool is_retryable(const json_t *cause)
{
    const char *reason = json_string_value(json_object_get(cause, "reason"));
    return json_is_true(json_object_get(cause, "retryable")) &&
           g_strcmp0(reason, catalog_row(EVENT_ImportCancelled)->reason) != 0;
}

/* Twice as long each time, up to a limit; between half of it and all of it, so that many that
 * failed together do not come back together. Not before the time that the event names. */
static int64_t wait_ms(const json_t *cause, int failures)
{
    int64_t longest = MIN((int64_t)FIRST_WAIT_MS << MIN(failures - 1, 10), LONGEST_WAIT_MS);
    int64_t wait = longest / 2 + g_random_int_range(0, (int)(longest / 2) + 1);
    const json_t *at = json_object_get(cause, "retry_at");
    if (!at)
        at = json_object_get(json_object_get(cause, "evidence"), "retry_at");
    return json_is_integer(at) ? MAX(wait, json_integer_value(at) - clock_now_ms()) : wait;
}

/* Says what it waits for, and waits. False: Ctrl-C, or the time is over. */
static bool wait_to_try(Session *session, const Submission *submission, const Model *model,
                        const json_t *cause, int failures, int retries)
{
    int64_t wait = wait_ms(cause, failures);
    Progress *progress = &session->service->progress;
    if (!session->quiet)
        complain("attempt %d of %s:%s failed (%s), and may simply be tried again: retry %d of %d "
                 "in %.1f s",
                 submission->attempt, model->name, model->version,
                 json_string_value(json_object_get(cause, "reason")), failures, retries,
                 (double)wait / 1000);
    int64_t until = clock_monotonic_ms() + wait;
    while (!progress_stopped(progress) && clock_monotonic_ms() < until)
        g_usleep(WAIT_INTERVAL_MS * 1000);
    return !progress_stopped(progress);
}

/* -- */

/* The time is over, or Ctrl-C came between two attempts. */
static int say_stopped(const Session *session, const Model *model, const Tries *tries, bool open)
{
    if (interrupt_seen()) {
        complain("interrupted; try again: waybill retry %s:%s", model->name, model->version);
        return EXIT_INTERRUPTED;
    }
    g_autofree char *limit = duration_text(tries->timeout_ms);
    if (open && session->remote) {
        complain("%s:%s has not ended within %s; the server goes on with it: waybill events %s:%s "
                 "--follow",
                 model->name, model->version, limit, model->name, model->version);
        return EXIT_FAILED;
    }
    complain(open ? "%s:%s has not ended within %s and was handed back; go on: waybill retry %s:%s"
                  : "%s:%s was not imported within %s; try again: waybill retry %s:%s",
             model->name, model->version, limit, model->name, model->version);
    return EXIT_FAILED;
}

/* After a failed attempt. -1: the next one was submitted, else the exit status. */
static int try_again(Session *session, Submission *submission, const Tries *tries, int failures)
{
    g_autoptr(GError) error = NULL;
    json_auto_t *cause = failures <= tries->retries ? cause_of(session, submission, &error) : NULL;
    if (error)
        return complain_of(error);
    if (!cause || !is_retryable(cause))
        return EXIT_FAILED;
    g_autoptr(Model) model = model_load(session->service->db, submission->model_id, &error);
    if (!model)
        return complain_of(error);
    if (!wait_to_try(session, submission, model, cause, failures, tries->retries))
        return say_stopped(session, model, tries, false);
    submission_clear(submission);
    *submission = SUBMISSION_NONE;
    if (!action_retry(session, model, submission, &error))
        return complain_of(error);
    return submission->already_imported ? EXIT_DONE : -1;
}

static int say_open(Session *session, const Submission *submission, const Tries *tries)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(Model) model = model_load(session->service->db, submission->model_id, &error);
    return model ? say_stopped(session, model, tries, true) : complain_of(error);
}

/* The store could not be used, which was said. */
static int say_kept(Session *session, const Submission *submission)
{
    g_autoptr(Model) model = model_load(session->service->db, submission->model_id, NULL);
    if (!session->remote && model && strcmp(model->outcome, "running") == 0)
        complain("%s:%s stays as far as it came; go on later: waybill retry %s:%s", model->name,
                 model->version, model->name, model->version);
    return EXIT_UNREACHABLE;
}

int tries_follow(Session *session, Submission *submission, const Tries *tries, const Terminal *rows,
                 bool json)
{
    g_auto(Deadline) deadline = {0};
    if (!deadline_start(&deadline, &session->service->progress, tries->timeout_ms))
        return EXIT_UNREACHABLE;
    /* Also between two attempts, where follow_work does not listen. */
    g_auto(Interrupt) interrupt G_GNUC_UNUSED = interrupt_catch(&session->service->progress);
    for (int failures = 1;; failures++) {
        int status = follow_work(session, submission, rows, json);
        if (status == FOLLOW_STOPPED)
            return say_open(session, submission, tries);
        if (status == EXIT_UNREACHABLE)
            return say_kept(session, submission);
        if (status == EXIT_FAILED)
            status = try_again(session, submission, tries, failures);
        if (status >= 0)
            return status;
    }
}
