/* Rebuilds: attempts that pack nothing. Their model layers are those that a former attempt packed;
 * the package is not looked at, and need not be there any more. */
#include <string.h>

#include "import/dependencies.h"
#include "import/pipeline.h"

bool rebuild_origin(Service *service, const char *model_id, int *origin, GError **error)
{
    int64_t attempt;
    bool kept = false;
    *origin = 0;
    if (!db_query_int(service->db, &attempt, 0, error,
                      "SELECT max(p.attempt) FROM stages p JOIN stages c ON c.model_id = "
                      "p.model_id AND c.attempt = p.attempt AND c.stage = 'check' "
                      "WHERE p.model_id = $1 AND p.stage = 'copy'",
                      "s", model_id) ||
        (attempt && !former_layers_kept(service, model_id, (int)attempt, &kept, error)))
        return false;
    *origin = kept ? (int)attempt : 0;
    return true;
}

bool rebuild_take_over(Service *service, const char *model_id, int origin, int attempt,
                       GError **error)
{
    return attempt_inherit_package(service->db, model_id, origin, attempt, error) &&
           attempt_inherit(service->db, model_id, origin, attempt, "check", error) &&
           attempt_inherit(service->db, model_id, origin, attempt, "copy", error);
}

StageResult rebuild_look(Import *import, const char *stage, GError **error)
{
    const ImportRequest *request = import->request;
    g_autoptr(Findings) findings = findings_new();
    g_autoptr(Attempt) row =
        attempt_load(import->service->db, import->model->id, import->job->attempt, error);
    if (!row)
        return STAGE_ERROR;
    const char *text = row->config ? row->config : "{}";
    const ConfigContext context = {.request_type = request->type,
                                   .dependencies_apart = request->dependencies != NULL};
    import->config = config_read(text, strlen(text), "config.json", &context, findings);
    import->runtime = g_strdup(row->runtime);
    dependencies_take(import->config, request, import->model->type, NULL, findings);
    if (!findings_fatal(findings))
        return STAGE_CLOSED;
    GPtrArray *events = g_ptr_array_new_with_free_func((GDestroyNotify)event_free);
    while (findings->events->len > 0)
        g_ptr_array_add(events, g_ptr_array_steal_index(findings->events, 0));
    return import_fail(import, stage, events, error);
}
