#include "command/event_view.h"
#include "command/request_options.h"
#include "store/runtimes.h"

static bool has_data_directory(const Session *session)
{
    g_autofree char *directory = session_data_directory(session);
    g_autofree char *store = g_build_filename(directory, "waybill.db", NULL);
    return g_file_test(store, G_FILE_TEST_EXISTS);
}

/* The runtimes of the data directory; where there is none yet, there are none. Nothing is stored by
 * a check. */
static GPtrArray *known_runtimes(Session *session, GError **error)
{
    if (!has_data_directory(session))
        return g_ptr_array_new_with_free_func((GDestroyNotify)runtime_free);
    return session_open(session, false) ? runtimes_list(session->service->db, error) : NULL;
}

static void print_findings(Session *session, const Findings *findings, bool json)
{
    json_t *array = json_array();
    for (guint i = 0; i < findings->events->len; i++) {
        json_t *object = event_json(findings->events->pdata[i], NULL);
        if (!json)
            event_view_print(&session->out, object);
        json_array_append_new(array, object);
    }
    if (json)
        print_json_line(json_pack("{s:o}", "findings", array));
    else
        json_decref(array);
}

static void print_sound(const Session *session, const Package *package, const Config *config,
                        const char *runtime)
{
    bool zh = session->out.language == LANGUAGE_ZH;
    g_autofree char *size = format_bytes(package ? package->bytes : 0);
    const char *type = config && config->model_type ? config->model_type : "Image";
    if (session->quiet)
        return;
    if (package)
        printf(zh ? "检查通过:%s,%u 个文件,%s%s%s\n" : "sound: %s, %u files, %s%s%s\n", type,
               package->files->len, size, runtime ? (zh ? ",运行时 " : ", runtime ") : "",
               runtime ? runtime : "");
    else
        puts(zh ? "请求有效;镜像在导入时检查"
                : "the request is sound; the image itself is looked at by the import");
    for (guint i = 0; config && i < config->warnings->len; i++)
        printf(zh ? "提示:%s 未使用\n" : "note: %s is not used\n",
               (const char *)config->warnings->pdata[i]);
}

int command_check(Session *session, int argc, char **argv)
{
    RequestOptions options = {0};
    gboolean json = FALSE;
    const GOptionEntry entries[] = {REQUEST_OPTIONS(options),
                                    {"json", 0, 0, G_OPTION_ARG_NONE, &json, "{\"findings\": […]}",
                                     NULL},
                                    {NULL}};
    int status = session_parse(session, command_find("check"), entries, &argc, &argv, 1, 1);
    g_autoptr(ImportRequest) request =
        status < 0 ? request_options_take(session, &options, argv[1], &status) : NULL;
    request_options_clear(&options);
    if (!request)
        return status;
    g_autoptr(GError) error = NULL;
    g_autoptr(Findings) findings = findings_new();
    g_autoptr(Package) package = NULL;
    g_autoptr(Config) config = NULL;
    g_autofree char *runtime = NULL;
    g_autoptr(GPtrArray) runtimes = known_runtimes(session, &error);
    if (!runtimes)
        return error ? complain_of(error) : EXIT_UNREACHABLE;
    if (!import_check(session->settings, runtimes, request, findings, &package, &config, &runtime,
                      &error))
        return complain_of(error);
    print_findings(session, findings, json);
    if (findings_fatal(findings))
        return EXIT_FAILED;
    if (!json)
        print_sound(session, package, config, runtime);
    return EXIT_DONE;
}
