#include "import/templates.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/io.h"
#include "event/evidence.h"
#include "model/document.h"
#include "model/model.h"

/* -- the directory -- */

/* -1: *error, which does not say where it is. */
static int directory_open(const Settings *settings, GError **error)
{
    const int fd =
        open(settings_text(settings, "templates.dir"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        io_fail(error, errno, "templates.dir cannot be read");
    return fd;
}

static gint compare_names(gconstpointer a, gconstpointer b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

GPtrArray *templates_list(const Settings *settings, GError **error)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
    if (!*settings_text(settings, "templates.dir"))
        return g_steal_pointer(&names);
    autofd fd = directory_open(settings, error);
    DIR *directory = fd < 0 ? NULL : fdopendir(fd);
    if (!directory)
        return NULL;
    io_steal_fd(&fd);
    for (struct dirent *entry; (entry = readdir(directory));)
        if (*entry->d_name != '.' && g_str_has_suffix(entry->d_name, TEMPLATE_SUFFIX))
            g_ptr_array_add(names, g_strndup(entry->d_name,
                                             strlen(entry->d_name) - strlen(TEMPLATE_SUFFIX)));
    closedir(directory);
    g_ptr_array_sort(names, compare_names);
    return g_steal_pointer(&names);
}

static char *known_ids(const Settings *settings)
{
    g_autoptr(GPtrArray) names = templates_list(settings, NULL);
    if (!names || !names->len)
        return g_strdup("none");
    g_ptr_array_add(names, NULL);
    g_autofree char *all = g_strjoinv(", ", (char **)names->pdata);
    return event_text(all);
}

/* A template that is too large is read so far that its reader says so. NULL: *error. */
static GBytes *file_read(int directory, const char *file, GError **error)
{
    struct stat status;
    g_autofree char *bytes = g_malloc(DOCUMENT_MAX_BYTES + 1);
    autofd fd = io_open_beneath(directory, file, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &status) < 0 || !S_ISREG(status.st_mode)) {
        io_fail(error, fd < 0 ? errno : EINVAL, "%s", file);
        return NULL;
    }
    const ssize_t size = io_read_full(fd, bytes, DOCUMENT_MAX_BYTES + 1, error);
    return size < 0 ? NULL : g_bytes_new(bytes, (gsize)size);
}

/* -- what is wrong with a file -- */

static char *fault_text(const Event *event)
{
    const char *pointer = evidence_text(event->evidence, "pointer");
    return g_strdup_printf("%s line %d, column %d: %s is %s; expected %s",
                           evidence_text(event->evidence, "file"),
                           (int)json_integer_value(json_object_get(event->evidence, "line")),
                           (int)json_integer_value(json_object_get(event->evidence, "column")),
                           *pointer ? pointer + 1 : "it", evidence_text(event->evidence, "found"),
                           evidence_text(event->evidence, "expected"));
}

static void say_unread(const Settings *settings, const char *id, const GError *error,
                       GPtrArray *faults)
{
    const bool is_missing = error->code == ENOENT;
    g_autofree char *known = is_missing ? known_ids(settings) : NULL;
    g_ptr_array_add(faults, is_missing ? g_strdup_printf("there is no template %s; there are: %s",
                                                         id, known)
                                       : g_strdup(error->message));
}

ModelTemplate *templates_read(const Settings *settings, const char *id, GPtrArray *faults)
{
    g_autoptr(GError) error = NULL;
    if (model_rule_id(id)) {
        g_autofree char *shown = event_text(id);
        g_ptr_array_add(faults, g_strdup_printf("\"%s\"; expected " MODEL_ID_RULE, shown));
        return NULL;
    }
    if (!*settings_text(settings, "templates.dir")) {
        g_ptr_array_add(faults,
                        g_strdup_printf("there is no template %s: templates.dir is not set", id));
        return NULL;
    }
    g_autofree char *file = g_strconcat(id, TEMPLATE_SUFFIX, NULL);
    autofd directory = directory_open(settings, &error);
    if (directory < 0) {
        g_ptr_array_add(faults, g_strdup(error->message));
        return NULL;
    }
    g_autoptr(GBytes) bytes = file_read(directory, file, &error);
    if (!bytes) {
        say_unread(settings, id, error, faults);
        return NULL;
    }
    gsize size;
    const void *data = g_bytes_get_data(bytes, &size);
    g_autoptr(Findings) findings = findings_new();
    ModelTemplate *template = model_template_read(id, data, size, findings);
    for (guint i = 0; i < findings->events->len; i++)
        g_ptr_array_add(faults, fault_text(findings->events->pdata[i]));
    return template;
}

/* -- a request -- */

static const char *text_of(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

static ModelTemplate *template_of(const Settings *settings, const char *id, GPtrArray *faults)
{
    g_autoptr(GPtrArray) wrong = g_ptr_array_new_with_free_func(g_free);
    ModelTemplate *template = templates_read(settings, id, wrong);
    for (guint i = 0; i < wrong->len; i++)
        request_fault_say(faults, "template", "%s", (const char *)wrong->pdata[i]);
    return template;
}

static char *known_modes(const ModelTemplate *template)
{
    g_autoptr(GString) known = g_string_new(NULL);
    for (guint i = 0; i < template->modes->len; i++)
        g_string_append_printf(known, "%s%s", i ? ", " : "",
                               ((TemplateMode *)template->modes->pdata[i])->id);
    return g_string_free(g_steal_pointer(&known), FALSE);
}

/* What the request may not say besides, as the template says it. */
static void check_request(const ModelTemplate *template, ImportRequest *request,
                          const json_t *asked, GPtrArray *faults)
{
    const char *mode = text_of(asked, "infer_format"), *input_id = text_of(asked, "input_id");
    if (mode && !model_template_mode(template, mode)) {
        g_autofree char *known = known_modes(template);
        request_fault_add(faults, "infer-format", mode, known);
    }
    if (input_id && strcmp(input_id, template->input_id) != 0)
        request_fault_add(faults, "input-id", input_id, template->input_id);
    if (request->config_text)
        request_fault_say(faults, "config", "not with a template, which brings the config");
    g_clear_pointer(&request->config_text, g_free); /* its own faults are none of the request */
}

static void take(char **field, char *value)
{
    g_free(*field);
    *field = value;
}

/* Kept complete: with the mode and the input that were left out. */
static char *asked_complete(json_t *asked, const ModelTemplate *template, const TemplateMode *mode)
{
    json_object_set_new(asked, "infer_format", json_string(mode->id));
    json_object_set_new(asked, "input_id", json_string(template->input_id));
    char *text = json_dumps(asked, JSON_COMPACT | JSON_SORT_KEYS);
    char *copy = g_strdup(text);
    free(text);
    return copy;
}

static void take_template(ImportRequest *request, const ModelTemplate *template, json_t *asked)
{
    const TemplateMode *mode = model_template_mode(template, text_of(asked, "infer_format"));
    json_auto_t *own = request->attributes ? json_loads(request->attributes, 0, NULL) : NULL;
    take(&request->config_text,
         model_template_config(template, mode, text_of(own, "model_algorithm"),
                               json_object_get(own, "apis")));
    take(&request->config_file, g_strdup_printf("template %s", template->id));
    take(&request->type, g_strdup(template->engine));
    take(&request->template, asked_complete(asked, template, mode));
    if (!request->child)
        request->child = g_strdup(".");
}

void templates_apply(const Settings *settings, ImportRequest *request, GPtrArray *faults)
{
    json_auto_t *asked = request->template ? json_loads(request->template, 0, NULL) : NULL;
    const char *id = text_of(asked, "template_id");
    const guint before = faults->len;
    g_autoptr(ModelTemplate) template = id ? template_of(settings, id, faults) : NULL;
    if (!template)
        return;
    check_request(template, request, asked, faults);
    if (faults->len == before)
        take_template(request, template, asked);
}

/* -- the list -- */

json_t *template_json(const ModelTemplate *template)
{
    json_t *modes = json_array();
    for (guint i = 0; i < template->modes->len; i++) {
        const TemplateMode *mode = template->modes->pdata[i];
        json_array_append_new(modes,
                              json_pack("{s:s, s:s, s:s, s:O*}", "infer_format", mode->id,
                                        "description", mode->description.text[LANGUAGE_ZH],
                                        "description_en", mode->description.text[LANGUAGE_EN],
                                        "apis", mode->apis));
    }
    return json_pack(
        "{s:s, s:s, s:s, s:s, s:s, s:{s:s, s:s, s:s}, s:[{s:s, s:s, s:s, s:s, s:s, s:s, s:b}], "
        "s:o, s:O}",
        "template_id", template->id, "template_name", template->name.text[LANGUAGE_ZH],
        "template_name_en", template->name.text[LANGUAGE_EN], "description",
        template->description.text[LANGUAGE_ZH], "description_en",
        template->description.text[LANGUAGE_EN], "template_labels", "theme", template->theme,
        "engine", template->engine, "environment", template->runtime ? template->runtime : "",
        "template_inputs", "input_id", template->input_id, "input_type", "directory", "name",
        template->input_name.text[LANGUAGE_ZH], "name_en", template->input_name.text[LANGUAGE_EN],
        "description", template->input_description.text[LANGUAGE_ZH], "description_en",
        template->input_description.text[LANGUAGE_EN], "required", true, "infer_formats", modes,
        "config", template->config);
}
