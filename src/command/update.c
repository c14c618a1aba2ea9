/* update: what may be changed of a model that is there. */
#include <string.h>

#include "command/event_view.h"
#include "command/mirror.h"
#include "command/request_options.h"
#include "command/tries.h"
#include "import/update.h"

typedef struct {
    char *description, *dependencies; /* the latter is a file */
    char *dependencies_text, *dependencies_name;
} Changes;

static void changes_clear(Changes *changes)
{
    g_free(changes->description);
    g_free(changes->dependencies);
    g_free(changes->dependencies_text);
    g_free(changes->dependencies_name);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Changes, changes_clear)

static bool changes_read(Changes *changes)
{
    if (!changes->description && !changes->dependencies) {
        complain("nothing to update: give --description, --dependencies or both");
        return false;
    }
    if (!changes->dependencies)
        return true;
    bool is_input = strcmp(changes->dependencies, "-") == 0;
    changes->dependencies_name =
        is_input ? g_strdup("standard input") : event_text(changes->dependencies);
    changes->dependencies_text = request_read_dependencies(changes->dependencies);
    return changes->dependencies_text != NULL;
}

static void print_findings(Session *session, const Findings *findings)
{
    for (guint i = 0; i < findings->events->len; i++) {
        json_t *object = event_json(findings->events->pdata[i], NULL);
        event_view_print(&session->err, object);
        json_decref(object);
    }
}

/* -1: it keeps every rule. */
static int update_check(Session *session, const Model *model, const ImportUpdate *update)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(Findings) findings = findings_new();
    g_autoptr(GPtrArray) faults =
        g_ptr_array_new_with_free_func((GDestroyNotify)request_fault_free);
    if (!import_update_check(session->service, model, update, faults, findings, &error))
        return complain_of(error);
    for (guint i = 0; i < faults->len; i++) {
        const RequestFault *fault = faults->pdata[i];
        complain("--%s: %s", fault->field, fault->message);
    }
    print_findings(session, findings);
    return faults->len > 0 || findings_fatal(findings) ? EXIT_USAGE : -1;
}

/* Of an update that rebuilds nothing: its events, and what they leave to be done. */
static int update_told(Session *session, const Model *former, const UpdateResult *result, bool json)
{
    g_autoptr(GError) error = NULL;
    TimelineFilter filter = {.after = former->last_seq};
    bool quiet = session->quiet && !json;
    if (!quiet && !event_view_timeline(&session->out, session->service, former->id, &filter,
                                       json ? EVENT_VIEW_JSON : EVENT_VIEW_ROWS, &error))
        return complain_of(error);
    if (result->submission.appended == 0 && !session->quiet)
        complain("%s:%s has that description already; nothing was changed", former->name,
                 former->version);
    if (result->dependencies == UPDATE_SAME && strcmp(former->outcome, "failed") == 0)
        complain("the rebuild with these dependencies failed; try it again: waybill retry %s:%s",
                 former->name, former->version);
    return EXIT_DONE;
}

static int update(Session *session, const Model *model, const ImportUpdate *change,
                  const Tries *tries, bool detach, bool json)
{
    g_autoptr(GError) error = NULL;
    UpdateResult result = UPDATE_RESULT_NONE;
    int status = update_check(session, model, change);
    if (status >= 0)
        return status;
    if (!import_update(session->service, model, change, &result, &error))
        status = complain_of(error);
    else if (result.submission.job && detach)
        status = tries_detach(session, &result.submission, tries, "rebuilding", json);
    else if (result.submission.job)
        status = tries_follow(session, &result.submission, tries, &session->out, json);
    else
        status = update_told(session, model, &result, json);
    submission_clear(&result.submission);
    return status;
}

static json_t *body_of(const ImportUpdate *change)
{
    json_t *body = json_pack("{s:s*}", "description", change->description);
    json_t *dependencies =
        change->dependencies ? json_loads(change->dependencies, JSON_DECODE_ANY, NULL) : NULL;
    if (dependencies)
        json_object_set_new(body, "dependencies", dependencies);
    return body;
}

static int update_on_server(Session *session, const Model *model, const ImportUpdate *change,
                            const Tries *tries, bool detach, bool json)
{
    g_autoptr(GError) error = NULL;
    g_auto(Submission) submission = SUBMISSION_NONE;
    json_auto_t *body = body_of(change);
    if (change->dependencies && !json_object_get(body, "dependencies")) {
        complain("--dependencies: %s is not JSON", change->dependencies_file);
        return EXIT_USAGE;
    }
    g_autofree char *path = remote_path(session->remote, "/models/%s", model->id);
    json_auto_t *answer = remote_call(session->remote, "PUT", path, body, &error);
    if (!answer || !mirror_update(session->service, session->remote, model->id, 0, &error))
        return complain_of(error);
    submission.model_id = g_strdup(model->id);
    submission.attempt = (int)json_integer_value(json_object_get(answer, "attempt"));
    g_autoptr(Model) now = model_load(session->service->db, model->id, &error);
    if (!now)
        return complain_of(error);
    UpdateResult result = {.submission.appended = (int)(now->last_seq - model->last_seq)};
    if (submission.attempt == model->attempt)
        return update_told(session, model, &result, json);
    return detach ? tries_detach(session, &submission, tries, "rebuilding", json)
                  : tries_follow(session, &submission, tries, &session->out, json);
}

int command_update(Session *session, int argc, char **argv)
{
    gboolean json = FALSE, detach = FALSE;
    g_auto(Changes) changes = {0};
    g_auto(Tries) tries = {0};
    const GOptionEntry entries[] = {{"description", 0, 0, G_OPTION_ARG_FILENAME,
                                     &changes.description, "At most 100 characters", "TEXT"},
                                    {"dependencies", 0, 0, G_OPTION_ARG_FILENAME,
                                     &changes.dependencies, "What to install; - is standard input",
                                     "FILE"},
                                    TRIES_OPTIONS(tries),
                                    {"detach", 0, 0, G_OPTION_ARG_NONE, &detach,
                                     "Do not wait: rebuild in the background", NULL},
                                    {"json", 0, 0, G_OPTION_ARG_NONE, &json,
                                     "One event object a line", NULL},
                                    {NULL}};
    int status = session_parse(session, command_find("update"), entries, &argc, &argv, 1, 1);
    if (status < 0 && (!tries_read(&tries) || !changes_read(&changes)))
        status = EXIT_USAGE;
    g_autoptr(Model) model = status < 0 ? session_model(session, argv[1], &status) : NULL;
    if (!model)
        return status;
    const ImportUpdate change = {.description = changes.description,
                                 .dependencies = changes.dependencies_text,
                                 .dependencies_file = changes.dependencies_name,
                                 .actor = session_actor()};
    return (session->remote ? update_on_server : update)(session, model, &change, &tries, detach,
                                                         json);
}
