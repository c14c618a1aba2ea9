#include "command/actions.h"

#include "command/mirror.h"

/* The answer to METHOD /v1/{project}/models/{model}{rest}; a new reference. */
static json_t *ask(Session *session, const char *method, const Model *model, const char *rest,
                   const json_t *body, GError **error)
{
    g_autofree char *path = remote_path(session->remote, "/models/%s%s", model->id, rest);
    return remote_call(session->remote, method, path, body, error);
}

bool action_retry(Session *session, const Model *model, Submission *submission, GError **error)
{
    if (!session->remote)
        return import_retry(session->service, model, session_actor(), submission, error);
    json_auto_t *body = json_object();
    json_auto_t *answer = ask(session, "POST", model, "/retry", body, error);
    if (!answer)
        return false;
    submission->model_id = g_strdup(model->id);
    submission->attempt = (int)json_integer_value(json_object_get(answer, "attempt"));
    submission->resumed = submission->attempt == model->attempt;
    if (!mirror_update(session->service, session->remote, model->id, 0, error))
        return false;
    g_autoptr(Model) now = model_load(session->service->db, model->id, error);
    submission->already_imported =
        now && g_str_equal(now->outcome, "imported") && submission->attempt == model->attempt;
    return now != NULL;
}

bool action_cancel(Session *session, const Model *model, bool *running, GError **error)
{
    if (!session->remote)
        return import_cancel(session->service, model, session_actor(), running, error);
    json_auto_t *answer = ask(session, "POST", model, "/cancel", NULL, error);
    *running = json_is_true(json_object_get(answer, "cancelled"));
    return answer != NULL;
}

bool action_delete(Session *session, const Model *model, GError **error)
{
    if (!session->remote)
        return import_delete(session->service, model, session_actor(), error);
    json_auto_t *answer = ask(session, "DELETE", model, "", NULL, error);
    const json_t *failed = json_array_get(json_object_get(answer, "delete_failed_list"), 0);
    if (failed)
        g_set_error(error, REMOTE_ERROR, REMOTE_ERROR_SERVER, "%s:%s: %s", model->name,
                    model->version, json_string_value(json_object_get(failed, "error_msg")));
    return answer && !failed;
}
