#include "command/follow.h"

#include <string.h>

#include "command/event_view.h"
#include "command/interrupt.h"
#include "command/model_watch.h"
#include "command/progress_bar.h"
#include "event/timeline.h"
#include "image/reference.h"
#include "import/difference_line.h"
#include "store/maintenance.h"

typedef struct {
    Session *session;
    const char *model_id;
    int attempt;
    const Terminal *rows;
    bool json;
    TimelineFilter shown; /* after: the newest event that was printed */
    bool held;            /* it was said that maintenance holds it */
    ProgressBar *bar;
} Follow;

/* -- maintenance -- */

/* Beside the event: a resumed import that waits has none to show. */
static void follow_held(Follow *follow)
{
    const Session *session = follow->session;
    const Terminal *terminal = &session->err;
    bool held = session->service->held, is_new = held && !follow->held;
    follow->held = held;
    g_autoptr(Maintenance) now =
        is_new && !session->quiet ? maintenance_load(session->service->db, NULL) : NULL;
    if (!now || !now->on)
        return;
    bool zh = terminal->language == LANGUAGE_ZH;
    g_autofree char *message = now->message ? text_safe(now->message) : NULL;
    g_autofree char *until = now->until ? format_time(terminal, now->until) : NULL;
    g_autoptr(GString) text = g_string_new(zh ? "服务维护中" : "the service is in maintenance");
    if (message)
        g_string_append_printf(text, zh ? ":%s" : ": %s", message);
    if (until)
        g_string_append_printf(text, zh ? "(至 %s)" : " (until %s)", until);
    g_string_append(text, zh ? ";维护结束后导入会自动开始"
                             : "; the import starts by itself when it ends");
    fflush(stdout);
    fputs("waybill: ", terminal->out);
    terminal_wrap(terminal, text->str, 9);
}

/* -- the rows -- */

/* A failure to read is left to the worker, which meets it at its next step. */
static void follow_committed(gpointer data)
{
    Follow *follow = data;
    if (follow->session->quiet && !follow->json)
        return;
    progress_bar_hide(follow->bar);
    follow_held(follow);
    event_view_timeline(follow->rows, follow->session->service, follow->model_id, &follow->shown,
                        follow->json ? EVENT_VIEW_JSON : EVENT_VIEW_ROWS, NULL);
    progress_bar_show(follow->bar);
}

/* -- */

/* *plain: it is pulled without TLS, as far as that is known. A server has its own registry the way
 * it is reached itself. */
static char *image_of(Session *session, const Model *model, bool *plain)
{
    *plain = g_str_has_prefix(settings_text(session->settings, "images.url"), REFERENCE_PLAIN_HTTP);
    if (!session->remote)
        return service_image_address(session->service, model->project, model->name, model->version);
    g_autofree char *path = remote_path(session->remote, "/models/%s", model->id);
    json_auto_t *details = remote_call(session->remote, "GET", path, NULL, NULL);
    const char *address = json_string_value(json_object_get(details, "image_address"));
    const char *url = remote_url(session->remote), *host = strstr(url, "://");
    /* PROJECT/NAME:VERSION is in the server's own registry, what is longer in another one. */
    const char *slash = address ? strchr(address, '/') : NULL;
    bool own = host && slash && !strchr(slash + 1, '/');
    *plain = own && g_str_has_prefix(url, "http://");
    return own ? g_strdup_printf("%s/%s", host + strlen("://"), address) : g_strdup(address);
}

/* Where the image is, for a person. */
static void follow_closing(Follow *follow, const Model *model, int status)
{
    Session *session = follow->session;
    const Terminal *rows = follow->rows;
    bool zh = rows->language == LANGUAGE_ZH;
    if (follow->json || session->quiet || !rows->is_terminal || status != EXIT_DONE)
        return; /* a failed import has ended with its answer */
    bool plain;
    g_autofree char *image = image_of(session, model, &plain);
    fprintf(rows->out,
            zh ? "\n%s:%s 已发布\n镜像  %s\n运行  podman run --rm %s-p 8080:8080 %s\n"
               : "\n%s:%s is published\nimage  %s\nrun    podman run --rm %s-p 8080:8080 %s\n",
            model->name, model->version, image, plain ? "--tls-verify=false " : "", image);
}

static int follow_status(Follow *follow, GError **error)
{
    Db *db = follow->session->service->db;
    g_autoptr(Model) model = model_load(db, follow->model_id, error);
    g_autoptr(Attempt) attempt =
        model ? attempt_load(db, follow->model_id, follow->attempt, error) : NULL;
    if (!attempt)
        return EXIT_UNREACHABLE;
    if (strcmp(attempt->outcome, "running") == 0) {
        if (!interrupt_seen())
            return FOLLOW_STOPPED;
        if (follow->session->remote)
            complain("the server goes on with it; follow it: waybill events %s:%s --follow",
                     model->name, model->version);
        else
            complain("interrupted; go on: waybill retry %s:%s", model->name, model->version);
        return EXIT_INTERRUPTED;
    }
    int status = strcmp(attempt->outcome, "imported") == 0 ? EXIT_DONE : EXIT_FAILED;
    follow_closing(follow, model, status);
    return status;
}

static void follow_heading(Follow *follow)
{
    if (!follow->json && !follow->session->quiet && follow->rows->is_terminal)
        event_view_heading(follow->rows);
}

/* The server's workers do it: what it tells is shown, to the end or until progress.stop. */
static bool follow_server(Follow *follow, GError **error)
{
    Session *session = follow->session;
    g_autoptr(GError) failure = NULL;
    g_autoptr(ModelWatch) watch = model_watch_new(session, follow->model_id);
    for (;;) {
        g_autoptr(Model) model = model_load(session->service->db, follow->model_id, error);
        if (!model)
            return false;
        follow_committed(follow);
        if (strcmp(model->outcome, "running") != 0)
            return true;
        if (!model_watch_wait(watch, 1000, &failure))
            break;
    }
    if (g_error_matches(failure, REMOTE_ERROR, REMOTE_ERROR_STOPPED))
        return true;
    g_propagate_error(error, g_steal_pointer(&failure));
    return false;
}

int follow_work(Session *session, const Submission *submission, const Terminal *rows, bool json)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(Model) model = model_load(session->service->db, submission->model_id, &error);
    if (!model)
        return complain_of(error);
    Follow follow = {.session = session,
                     .model_id = submission->model_id,
                     .attempt = submission->attempt,
                     .rows = rows,
                     .json = json};
    /* What a server has done meanwhile is in its mirror, and not shown yet. */
    if (session->remote)
        follow.shown.attempt = submission->attempt;
    else if (submission->attempt > 1 || submission->resumed)
        follow.shown.after = model->last_seq - submission->appended;
    session->service->committed = follow_committed;
    session->service->committed_data = &follow;
    g_auto(Interrupt) interrupt G_GNUC_UNUSED = interrupt_catch(&session->service->progress);
    follow_heading(&follow);
    follow.bar =
        progress_bar_new(&session->err, &session->service->progress, !json && !session->quiet);

    bool worked = session->remote ? follow_server(&follow, &error)
                                  : import_work(session->service, submission->job, NULL, &error);
    if (worked)
        follow_committed(&follow);
    session->service->committed = NULL;
    progress_bar_free(follow.bar);
    int status = worked ? follow_status(&follow, &error) : EXIT_UNREACHABLE;
    return error ? complain_of(error) : status;
}
