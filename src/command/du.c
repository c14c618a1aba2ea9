/* What takes the space, by project and model. */
#include <string.h>

#include "command/command.h"
#include "upkeep/space.h"

#define MOST_OF_A_SERVER 1000 /* models that it names, the largest first */

static int64_t number_of(const json_t *object, const char *key)
{
    return json_integer_value(json_object_get(object, key));
}

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

/* What gc would remove, as far as the sizes tell. Of a registry nobody knows. */
static int64_t garbage_of(const json_t *space)
{
    const json_t *images = json_object_get(space, "images");
    bool registry = json_object_get(images, "registry_bytes") != NULL;
    int64_t rest = number_of(images, "bytes") - number_of(images, "kept_bytes");
    return registry ? 0 : MAX(rest, 0);
}

/* -- JSON -- */

/* A row that is an object of the answer, or a number of it. */
static void print_object(const char *kind, const json_t *object)
{
    json_t *row = json_pack("{s:s}", "kind", kind);
    if (json_is_integer(object))
        json_object_set_new(row, "bytes", json_integer(json_integer_value(object)));
    else
        json_object_update(row, (json_t *)object);
    print_json_line(row);
}

static void print_objects(const json_t *space)
{
    static const char *const ARRAYS[][2] = {{"project", "projects"}, {"model", "models"}},
                             *const WHOLE[][2] = {
                                 {"runtimes", "runtimes"}, {"environments", "environments"},
                                 {"pushed", "pushed"},     {"uploads", "uploads"},
                                 {"images", "images"},     {"unpacked", "unpacked_bytes"},
                                 {"store", "store_bytes"}, {"total", "total_bytes"},
                                 {"disk", "disk"}};
    for (size_t i = 0; i < G_N_ELEMENTS(ARRAYS); i++) {
        size_t k;
        json_t *row;
        json_array_foreach (json_object_get(space, ARRAYS[i][1]), k, row)
            print_object(ARRAYS[i][0], row);
    }
    for (size_t i = 0; i < G_N_ELEMENTS(WHOLE); i++) {
        const json_t *value = json_object_get(space, WHOLE[i][1]);
        if (value)
            print_object(WHOLE[i][0], value);
    }
}

/* -- rows -- */

#define BYTES_WIDTH 10

/* alone less than 0: that is not said of it. */
static void print_row(const Terminal *terminal, int64_t bytes, int64_t alone, Color color,
                      const char *what)
{
    g_autofree char *size = format_bytes(bytes);
    g_autofree char *own = alone < 0 ? g_strdup("-") : format_bytes(alone);
    g_autofree char *safe = text_safe(what);
    g_autofree char *cut = terminal->width
                               ? text_cut(safe, MAX(terminal->width - 1 - 2 * (BYTES_WIDTH + 2), 8))
                               : g_strdup(safe);
    fprintf(terminal->out, "%*s  %*s  %s%s%s\n", BYTES_WIDTH, size, BYTES_WIDTH, own,
            terminal_color(terminal, color), cut, terminal_plain(terminal));
}

static void print_heading(const Terminal *terminal)
{
    const bool zh = terminal->language == LANGUAGE_ZH;
    const char *names[] = {zh ? "大小" : "Size", zh ? "独占" : "Alone", zh ? "占用者" : "What"};
    fputs(terminal_color(terminal, COLOR_DIM), terminal->out);
    for (int i = 0; i < 2; i++)
        fprintf(terminal->out, "%*s%s  ", BYTES_WIDTH - text_width(names[i]), "", names[i]);
    fprintf(terminal->out, "%s%s\n", names[2], terminal_plain(terminal));
}

static void print_models(const Terminal *terminal, const json_t *space, const char *project)
{
    size_t i;
    const json_t *model;
    json_array_foreach (json_object_get(space, "models"), i, model) {
        if (strcmp(text_of(model, "project"), project) != 0 || !number_of(model, "bytes"))
            continue;
        g_autofree char *what = g_strdup_printf("  %s:%s", text_of(model, "model_name"),
                                                text_of(model, "model_version"));
        print_row(terminal, number_of(model, "bytes"), number_of(model, "alone_bytes"), COLOR_NONE,
                  what);
    }
}

/* "project amber: versions 3, 90 % of 50 GiB" */
static char *project_title(const json_t *project, bool zh)
{
    const int64_t limit = number_of(project, "limit_bytes");
    g_autofree char *of = limit ? format_bytes(limit) : NULL;
    g_autofree char *share =
        limit ? g_strdup_printf(zh ? ",占 %s 的 %d%%" : ", %2$d %% of %1$s", of,
                                (int)(100 * (double)number_of(project, "bytes") / (double)limit))
              : g_strdup("");
    return g_strdup_printf(zh ? "项目 %s:%d 个版本%s" : "project %s: versions %d%s",
                           text_of(project, "project"), (int)number_of(project, "models"), share);
}

static void print_projects(const Terminal *terminal, const json_t *space)
{
    size_t i;
    const json_t *project;
    const bool zh = terminal->language == LANGUAGE_ZH;
    json_array_foreach (json_object_get(space, "projects"), i, project) {
        const char *name = text_of(project, "project");
        g_autofree char *what = project_title(project, zh);
        print_row(terminal, number_of(project, "bytes"), number_of(project, "alone_bytes"),
                  COLOR_BOLD, what);
        print_models(terminal, space, name);
    }
}

/* Nothing, where there is none. */
static void print_part(const Terminal *terminal, int64_t bytes, const json_t *alone, const char *en,
                       const char *zh)
{
    if (bytes)
        print_row(terminal, bytes, alone ? json_integer_value(alone) : -1, COLOR_NONE,
                  terminal->language == LANGUAGE_ZH ? zh : en);
}

static void print_use(const Terminal *terminal, const json_t *space, const char *key,
                      const char *en, const char *zh)
{
    const json_t *use = json_object_get(space, key);
    print_part(terminal, number_of(use, "bytes"), json_object_get(use, "alone_bytes"), en, zh);
}

static void print_rest(const Terminal *terminal, const json_t *space)
{
    const json_t *images = json_object_get(space, "images");
    bool registry = json_object_get(images, "registry_bytes") != NULL;
    print_use(terminal, space, "runtimes", "base images of runtimes", "运行时的基础镜像");
    print_use(terminal, space, "environments", "environments, for other builds",
              "环境,供其他构建复用");
    print_use(terminal, space, "pushed", "pushed images", "推送的镜像");
    print_use(terminal, space, "uploads", "uploads", "上传");
    if (registry)
        print_part(terminal, number_of(images, "bytes"), NULL, "blobs at hand, of the registry",
                   "来自镜像仓库的本地 blob");
    print_part(terminal, number_of(space, "unpacked_bytes"), NULL, "unpacked layers, for builds",
               "解包的镜像层,供构建使用");
    print_part(terminal, garbage_of(space), NULL, "what waybill gc removes", "waybill gc 可清理");
    print_part(terminal, number_of(space, "store_bytes"), NULL, "the store", "存储");
    if (json_object_get(space, "total_bytes"))
        print_row(terminal, number_of(space, "total_bytes"), -1, COLOR_BOLD,
                  terminal->language == LANGUAGE_ZH ? "总计,共享的只计一次"
                                                    : "total, what is shared counted once");
}

static void print_space(const Session *session, const json_t *space)
{
    const Terminal *terminal = &session->out;
    const json_t *disk = json_object_get(space, "disk");
    if (terminal->is_terminal)
        print_heading(terminal);
    print_projects(terminal, space);
    print_rest(terminal, space);
    print_row(terminal, number_of(disk, "free_bytes"), -1, COLOR_NONE,
              terminal->language == LANGUAGE_ZH ? "磁盘剩余空间" : "free on the disk");
    if (json_array_size(json_object_get(space, "models")) >= MOST_OF_A_SERVER && session->remote)
        complain("these are the server's %d largest models", MOST_OF_A_SERVER);
}

/* -- the command -- */

/* NULL: *error. */
static json_t *ask_server(const Session *session, GError **error)
{
    g_autofree char *project = remote_escape(session->project ? session->project : "");
    g_autofree char *path =
        g_strdup_printf("/v1/space?limit=%d%s%s", MOST_OF_A_SERVER,
                        session->project ? "&project=" : "", session->project ? project : "");
    return remote_call(session->remote, "GET", path, NULL, error);
}

static json_t *ask(const Session *session, GError **error)
{
    if (session->remote)
        return ask_server(session, error);
    g_autoptr(Space) space = space_read(session->service, session->project, error);
    return space ? space_json(space, G_MAXINT64, !session->project) : NULL;
}

int command_du(Session *session, int argc, char **argv)
{
    gboolean json = FALSE;
    const GOptionEntry entries[] = {{"json", 0, 0, G_OPTION_ARG_NONE, &json, "One object a line",
                                     NULL},
                                    {NULL}};
    int status = session_parse(session, command_find("du"), entries, &argc, &argv, 0, 0);
    if (status >= 0)
        return status;
    if (!session->remote && !session_open(session, false))
        return EXIT_UNREACHABLE;
    g_autoptr(GError) error = NULL;
    json_auto_t *space = ask(session, &error);
    if (!space)
        return complain_of(error);
    if (json)
        print_objects(space);
    else
        print_space(session, space);
    return EXIT_DONE;
}
