/* cancel, delete: what ends an import that is there already. */
#include "command/actions.h"
#include "command/mirror.h"

int command_cancel(Session *session, int argc, char **argv)
{
    int status = session_parse(session, command_find("cancel"), NULL, &argc, &argv, 1, 1);
    g_autoptr(Model) model = status < 0 ? session_model(session, argv[1], &status) : NULL;
    if (!model)
        return status;
    g_autoptr(GError) error = NULL;
    bool running;
    if (!action_cancel(session, model, &running, &error))
        return complain_of(error);
    if (!running) {
        complain("%s:%s is not being imported: its status is %s", model->name, model->version,
                 model_status(model));
        return EXIT_FAILED;
    }
    if (!session->quiet)
        printf("cancelled %s:%s\n", model->name, model->version);
    return EXIT_DONE;
}

/* The versions that the command removes: the one, or every one of its name. NULL: *error. */
static GPtrArray *models_to_delete(Session *session, const Model *model, bool all, GError **error)
{
    g_autoptr(GPtrArray) chosen = g_ptr_array_new_with_free_func((GDestroyNotify)model_free);
    if (!all) {
        Model *again = model_load(session->service->db, model->id, error);
        if (again)
            g_ptr_array_add(chosen, again);
        return again ? g_steal_pointer(&chosen) : NULL;
    }
    g_autoptr(GHashTable) items = NULL;
    if (session->remote &&
        !mirror_list(session->service, session->remote, model->name, false, &items, error))
        return NULL;
    g_autoptr(GPtrArray) models =
        models_list(session->service->db, model->project, model->name, error);
    while (models && models->len > 0) {
        Model *one = g_ptr_array_steal_index(models, 0);
        if (g_str_equal(one->name, model->name))
            g_ptr_array_add(chosen, one);
        else
            model_free(one);
    }
    return models ? g_steal_pointer(&chosen) : NULL;
}

int command_delete(Session *session, int argc, char **argv)
{
    gboolean all = FALSE;
    const GOptionEntry entries[] = {{"all-versions", 0, 0, G_OPTION_ARG_NONE, &all,
                                     "Every version of the name, at most 20", NULL},
                                    {NULL}};
    int status = session_parse(session, command_find("delete"), entries, &argc, &argv, 1, 1);
    g_autoptr(Model) model = status < 0 ? session_model(session, argv[1], &status) : NULL;
    if (!model)
        return status;
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) models = models_to_delete(session, model, all, &error);
    if (!models)
        return complain_of(error);
    if (models->len > 20) {
        complain(
            "%s has %u versions; at most 20 are deleted at once: delete some by name:version first",
            model->name, models->len);
        return EXIT_USAGE;
    }
    for (guint i = 0; i < models->len; i++) {
        const Model *one = models->pdata[i];
        if (!action_delete(session, one, &error))
            return complain_of(error);
        if (!session->quiet)
            printf("deleted %s:%s\n", one->name, one->version);
    }
    return EXIT_DONE;
}
