#include <string.h>

#include "command/command.h"
#include "command/event_view.h"
#include "command/show_image.h"
#include "import/dependencies.h"
#include "import/details.h"

static void print_row(const Terminal *terminal, const char *label, const char *value)
{
    if (!value || !*value)
        return;
    g_autofree char *cell = text_fit(label, 13);
    fprintf(terminal->out, "%s%s%s ", terminal_color(terminal, COLOR_DIM), cell,
            terminal_plain(terminal));
    terminal_wrap(terminal, value, 14);
}

static const char *text_of(const json_t *details, const char *key)
{
    return json_string_value(json_object_get(details, key));
}

/* As the command line takes it; of a training job where its output lies. */
static const char *source_shown(const json_t *details)
{
    const char *resolved = text_of(details, "resolved_location");
    const char *source = resolved ? resolved : text_of(details, "source_location");
    return g_str_has_prefix(source, "file://") ? source + strlen("file://") : source;
}

static void print_size(const Terminal *terminal, const char *label, const json_t *size)
{
    if (!json_is_integer(size) || json_integer_value(size) == 0)
        return;
    g_autofree char *text = format_bytes(json_integer_value(size));
    print_row(terminal, label, text);
}

static void print_layers(const Terminal *terminal, const json_t *layers, bool zh)
{
    size_t i;
    json_t *layer;
    json_array_foreach (layers, i, layer) {
        const char *origin = text_of(layer, "origin"), *file = text_of(layer, "file");
        g_autofree char *size = format_bytes(json_integer_value(json_object_get(layer, "size")));
        g_autofree char *count =
            g_strdup_printf(zh ? "%d 个文件" : "%d files",
                            (int)json_integer_value(json_object_get(layer, "files")));
        g_autofree char *short_digest = g_strndup(text_of(layer, "digest"), 19);
        bool model = strcmp(origin, "model") == 0;
        g_autofree char *row = g_strdup_printf("%s  %-8s %10s  %s", short_digest, origin, size,
                                               !model ? ""
                                               : file ? file
                                                      : count);
        print_row(terminal, i == 0 ? (zh ? "镜像层" : "layers") : "", g_strchomp(row));
    }
}

#define SHOWN_PACKAGES 12

/* "pip: numpy==1.26.4, pillow", in the order in which they are installed. */
static void print_dependencies(const Terminal *terminal, const json_t *dependencies, bool zh)
{
    size_t i, k;
    const json_t *group, *package;
    json_array_foreach (dependencies, i, group) {
        const char *installer = text_of(group, "installer");
        g_autoptr(GString) row = g_string_new(installer ? installer : "?");
        json_array_foreach (json_object_get(group, "packages"), k, package) {
            g_autofree char *text = dependency_text(package);
            g_string_append_printf(row, "%s%s", k ? ", " : ": ", text);
        }
        print_row(terminal, i ? "" : zh ? "依赖" : "dependencies", row->str);
    }
}

/* What was really installed; of many the first, as --json has them all. */
static void print_packages(const Terminal *terminal, const json_t *packages, bool zh)
{
    size_t i;
    const json_t *package;
    const size_t count = json_array_size(packages);
    const size_t shown = count <= SHOWN_PACKAGES + 1 ? count : SHOWN_PACKAGES;
    g_autoptr(GString) row = g_string_new(NULL);
    json_array_foreach (packages, i, package)
        if (i < shown)
            g_string_append_printf(row, "%s%s %s", i ? ", " : "", text_of(package, "name"),
                                   text_of(package, "version"));
    if (shown < count)
        g_string_append_printf(row, zh ? ",另有 %zu 个(--json)" : " and %zu more (--json)",
                               count - shown);
    if (row->len)
        print_row(terminal, zh ? "已安装" : "installed", row->str);
}

static void print_template(const Terminal *terminal, const json_t *template, bool zh)
{
    const char *id = text_of(template, "template_id"), *mode = text_of(template, "infer_format");
    g_autofree char *row = id ? g_strdup_printf("%s, %s", id, mode ? mode : "-") : NULL;
    print_row(terminal, zh ? "模板" : "template", row);
}

/* What a program sent along: any text. */
static void print_job(const Terminal *terminal, const json_t *details, bool zh)
{
    const char *job = text_of(details, ATTRIBUTE_JOB);
    const char *version = text_of(details, ATTRIBUTE_JOB_VERSION);
    const bool resolved = text_of(details, "resolved_location") != NULL;
    const char *asked = resolved ? text_of(details, "source_location") : NULL;
    if (!job)
        return;
    g_autofree char *row =
        g_strdup_printf("%s%s%s%s%s%s", job, version ? (zh ? ",版本 " : ", version ") : "",
                        version ? version : "", asked ? " (" : "", asked ? asked : "",
                        asked ? ")" : "");
    g_autofree char *safe = text_safe(row);
    print_row(terminal, zh ? "训练作业" : "training job", safe);
}

static void print_details(Session *session, const Model *model, const json_t *details)
{
    const Terminal *terminal = &session->out;
    bool zh = terminal->language == LANGUAGE_ZH;
    g_autofree char *title = g_strdup_printf("%s:%s", model->name, model->version);
    g_autofree char *created = format_time(terminal, model->created_at);
    g_autofree char *attempt = g_strdup_printf("%d", model->attempt);
    print_row(terminal, zh ? "模型" : "model", title);
    print_row(terminal, "id", model->id);
    print_row(terminal, zh ? "状态" : "status", model_status(model));
    print_row(terminal, zh ? "类型" : "type", model->type);
    print_template(terminal, json_object_get(details, "template"), zh);
    print_row(terminal, zh ? "运行时" : "runtime", text_of(details, "runtime"));
    print_row(terminal, zh ? "描述" : "description", model->description);
    print_dependencies(terminal, json_object_get(details, "dependencies"), zh);
    print_packages(terminal, json_object_get(details, "packages"), zh);
    print_row(terminal, zh ? "来源" : "source", source_shown(details));
    print_job(terminal, details, zh);
    print_row(terminal, zh ? "创建时间" : "created", created);
    print_row(terminal, zh ? "创建者" : "owner", model->owner);
    print_row(terminal, zh ? "尝试次数" : "attempt", attempt);
    print_size(terminal, zh ? "大小" : "size", json_object_get(details, "model_size"));
    if (g_strcmp0(text_of(details, "load_mode"), "dynamic") == 0)
        print_row(terminal, zh ? "加载方式" : "load mode",
                  zh ? "dynamic:文件不在镜像中,容器启动时加载"
                     : "dynamic: the files are not in the image, and loaded at start");
    print_row(terminal, zh ? "镜像" : "image", text_of(details, "image_address"));
    print_row(terminal, zh ? "镜像摘要" : "digest", text_of(details, "image_digest"));
    print_size(terminal, zh ? "镜像大小" : "image size", json_object_get(details, "image_size"));
    print_layers(terminal, json_object_get(details, "layers"), zh);
    g_autofree char *text = timeline_last(session->service->db, model->id, NULL);
    json_t *last = text ? json_loads(text, 0, NULL) : NULL;
    if (last) {
        print_row(terminal, zh ? "最近事件" : "last event",
                  text_of(last, zh ? "event_info_cn" : "event_info"));
        print_row(terminal, zh ? "解决方案" : "solution",
                  text_of(last, zh ? "solution_cn" : "solution"));
    }
    json_decref(last);
}

static json_t *session_details(Session *session, const Model *model, GError **error)
{
    if (!session->remote)
        return model_details(session->service, model, error);
    g_autofree char *path = remote_path(session->remote, "/models/%s", model->id);
    return remote_call(session->remote, "GET", path, NULL, error);
}

int command_show(Session *session, int argc, char **argv)
{
    g_autofree char *key = NULL;
    gboolean json = FALSE;
    const GOptionEntry entries[] = {{"json", 0, 0, G_OPTION_ARG_NONE, &json,
                                     "The details as one object", NULL},
                                    {"key", 0, 0, G_OPTION_ARG_FILENAME, &key,
                                     "Of an image: this public key (PEM) must have signed what it "
                                     "carries",
                                     "FILE"},
                                    {NULL}};
    int status = session_parse(session, command_find("show"), entries, &argc, &argv, 1, 1);
    if (status < 0 && is_image_reference(argv[1]))
        return show_image(session, argv[1], key, json);
    g_autoptr(Model) model = status < 0 ? session_model(session, argv[1], &status) : NULL;
    if (!model)
        return status;
    g_autoptr(GError) error = NULL;
    json_t *details = session_details(session, model, &error);
    if (!details)
        return complain_of(error);
    if (json) {
        print_json_line(details);
        return EXIT_DONE;
    }
    print_details(session, model, details);
    json_decref(details);
    return EXIT_DONE;
}
