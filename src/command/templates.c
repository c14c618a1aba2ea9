#include "import/templates.h"

#include <string.h>

#include "command/command.h"

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

static char *modes_of(const json_t *template)
{
    size_t i;
    const json_t *mode;
    g_autoptr(GString) modes = g_string_new(NULL);
    json_array_foreach (json_object_get(template, "infer_formats"), i, mode)
        g_string_append_printf(modes, "%s%s", i ? "," : "", text_of(mode, "infer_format"));
    return g_string_free(g_steal_pointer(&modes), FALSE);
}

/* The name stands last, so that it is what a narrow terminal cuts. */
static void print_template(const Terminal *terminal, const json_t *template)
{
    const json_t *labels = json_object_get(template, "template_labels");
    const char *key = terminal->language == LANGUAGE_ZH ? "template_name" : "template_name_en";
    const char *runtime = text_of(labels, "environment");
    g_autofree char *id = text_fit(text_of(template, "template_id"), 24);
    g_autofree char *engine = text_fit(text_of(labels, "engine"), 12);
    g_autofree char *modes = modes_of(template);
    g_autofree char *row = g_strdup_printf("%s %-16s %s  %s", engine, *runtime ? runtime : "-",
                                           modes, text_of(template, key));
    g_autofree char *safe = text_safe(row);
    const int rest = terminal->width ? MAX(terminal->width - 1 - 25, 8) : 0;
    g_autofree char *cut = rest ? text_cut(safe, rest) : g_strdup(safe);
    fprintf(terminal->out, "%s%s%s %s\n", terminal_color(terminal, COLOR_BOLD), id,
            terminal_plain(terminal), cut);
}

/* Takes the template over. */
static void show(const Session *session, json_t *template, bool json)
{
    if (json) {
        print_json_line(template);
        return;
    }
    print_template(&session->out, template);
    json_decref(template);
}

static int none_there(const Session *session, bool json)
{
    if (!json && !session->quiet)
        complain("there is no template: templates.dir is the directory of those there are");
    return EXIT_DONE;
}

static int list_of_server(Session *session, bool json)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *path = remote_path(session->remote, "/models/template");
    json_auto_t *answer = remote_call(session->remote, "GET", path, NULL, &error);
    if (!answer)
        return complain_of(error);
    size_t i;
    json_t *template;
    json_array_foreach (json_object_get(answer, "templates"), i, template)
        show(session, json_incref(template), json);
    return i ? EXIT_DONE : none_there(session, json);
}

static int list_of_settings(Session *session, bool json)
{
    int status = EXIT_DONE;
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) ids = templates_list(session->settings, &error);
    if (!ids)
        return complain_of(error);
    for (guint i = 0; i < ids->len; i++) {
        g_autoptr(GPtrArray) faults = g_ptr_array_new_with_free_func(g_free);
        g_autoptr(ModelTemplate) template =
            templates_read(session->settings, ids->pdata[i], faults);
        if (template)
            show(session, template_json(template), json);
        for (guint k = 0; k < faults->len; k++)
            complain("%s", (const char *)faults->pdata[k]);
        if (!template)
            status = EXIT_FAILED;
    }
    return ids->len ? status : none_there(session, json);
}

int command_templates(Session *session, int argc, char **argv)
{
    gboolean json = FALSE;
    const GOptionEntry entries[] = {{"json", 0, 0, G_OPTION_ARG_NONE, &json, "One object a line",
                                     NULL},
                                    {NULL}};
    int status = session_parse(session, command_find("templates"), entries, &argc, &argv, 0, 0);
    if (status >= 0)
        return status;
    return session->remote ? list_of_server(session, json) : list_of_settings(session, json);
}
