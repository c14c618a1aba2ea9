#include "command/event_view.h"
#include "command/format.h"
#include "command/package_view.h"
#include "command/request_options.h"
#include "import/environment.h"
#include "import/scan_events.h"
#include "store/runtimes.h"

static bool has_store(const Session *session)
{
    if (*settings_text(session->settings, "store.url"))
        return true;
    g_autofree char *directory = session_data_directory(session);
    g_autofree char *store = g_build_filename(directory, "waybill.db", NULL);
    return g_file_test(store, G_FILE_TEST_EXISTS);
}

/* The runtimes of the data directory; where there is none yet, there are none. Nothing is stored by
 * a check. */
static GPtrArray *known_runtimes(Session *session, GError **error)
{
    if (!has_store(session))
        return g_ptr_array_new_with_free_func((GDestroyNotify)runtime_free);
    return session_open(session, false) ? runtimes_list(session->service->db, error) : NULL;
}

/* What was looked at and what was found; NULL where there is none. */
typedef struct {
    Findings *findings;
    Package *package;
    Config *config;
    char *runtime;
} Checked;

static void checked_clear(Checked *checked)
{
    findings_free(checked->findings);
    package_free(checked->package);
    config_free(checked->config);
    g_free(checked->runtime);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Checked, checked_clear)

static void print_sound(const Terminal *rows, const Checked *checked)
{
    bool zh = rows->language == LANGUAGE_ZH;
    const Package *package = checked->package;
    const Config *config = checked->config;
    const char *runtime = checked->runtime;
    g_autofree char *size = format_bytes(package ? package->bytes : 0);
    const char *type = config && config->model_type ? config->model_type : "Image";
    if (package)
        fprintf(rows->out, zh ? "检查通过:%s,%u 个文件,%s%s%s\n" : "sound: %s, %u files, %s%s%s\n",
                type, package->files->len, size, runtime ? (zh ? ",运行时 " : ", runtime ") : "",
                runtime ? runtime : "");
    else
        fputs(zh ? "请求有效;镜像在导入时检查\n"
                 : "the request is sound; the image itself is looked at by the import\n",
              rows->out);
    for (guint i = 0; config && i < config->warnings->len; i++)
        fprintf(rows->out, zh ? "提示:%s 未使用\n" : "note: %s is not used\n",
                (const char *)config->warnings->pdata[i]);
}

/* --quiet leaves out what a document says already, and that nothing is wrong. */
static void print_rows(const Session *session, const Format *format, const Checked *checked,
                       const json_t *events)
{
    const Terminal *rows = format_rows(session, format);
    char *token = format_rows_begin(session, format);
    size_t i;
    json_t *event;
    json_array_foreach (events, i, event)
        if (!format || !session->quiet)
            event_view_print(rows, event);
    if (!session->quiet && !findings_fatal(checked->findings))
        print_sound(rows, checked);
    if (!session->quiet && checked->package && checked->package->child_found)
        package_view_print(rows, checked->package);
    format_rows_end(session, token);
}

/* Of a bucket the import itself looks while it packs: nothing is downloaded for a check. */
static void check_scan(const Session *session, const ImportRequest *request, Checked *checked)
{
    if (checked->package && checked->package->child_found && !import_request_is_bucket(request))
        scan_package(session->settings, checked->package, NULL, checked->findings);
}

static int check_request(Session *session, const ImportRequest *request, const Format *format,
                         bool json)
{
    g_autoptr(GError) error = NULL;
    g_auto(Checked) checked = {.findings = findings_new()};
    g_autoptr(GPtrArray) runtimes = known_runtimes(session, &error);
    if (!runtimes)
        return error ? complain_of(error) : EXIT_UNREACHABLE;
    if (!import_check(session->settings, runtimes, request, NULL, checked.findings,
                      &checked.package, &checked.config, &checked.runtime, &error) ||
        !environment_check_sources(session->settings, true, checked.config, checked.findings,
                                   &error))
        return complain_of(error);
    check_scan(session, request, &checked);
    json_t *events = json_array();
    for (guint i = 0; i < checked.findings->events->len; i++)
        json_array_append_new(events, event_json(checked.findings->events->pdata[i], NULL));
    if (!json)
        print_rows(session, format, &checked, events);
    if (format)
        format_write(session, format, "check", request, events);
    if (json)
        print_json_line(import_check_json(checked.findings, checked.package));
    json_decref(events);
    return findings_fatal(checked.findings) ? EXIT_FAILED : EXIT_DONE;
}

int command_check(Session *session, int argc, char **argv)
{
    RequestOptions options = {0};
    gboolean json = FALSE;
    g_autofree char *format_name = NULL;
    const GOptionEntry entries[] = {REQUEST_OPTIONS(options),
                                    FORMAT_OPTION(format_name),
                                    {"json", 0, 0, G_OPTION_ARG_NONE, &json, "{\"findings\": […]}",
                                     NULL},
                                    {NULL}};
    int status = session_parse(session, command_find("check"), entries, &argc, &argv, 1, 1);
    const Format *format = NULL;
    if (status < 0 && !format_choose(session, format_name, json, &format))
        status = EXIT_USAGE;
    g_autoptr(ImportRequest) request =
        status < 0 ? request_options_take(session, &options, argv[1], &status) : NULL;
    request_options_clear(&options);
    return request ? check_request(session, request, format, json) : status;
}
