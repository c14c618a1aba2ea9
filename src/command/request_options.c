#include "command/request_options.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/io.h"
#include "command/event_view.h"
#include "import/templates.h"
#include "import/training.h"
#include "model/document.h"
#include "store/runtimes.h"

void request_options_clear(RequestOptions *options)
{
    g_free(options->name);
    g_free(options->version);
    g_free(options->type);
    g_free(options->runtime);
    g_free(options->config);
    g_free(options->child);
    g_free(options->platform);
    g_free(options->description);
    g_free(options->template);
    g_free(options->infer_format);
    g_free(options->job);
    g_free(options->job_version);
    *options = (RequestOptions){0};
}

/* More than is allowed is read, so that the check names the size. */
static char *read_json_file(const char *option, const char *file, bool may_be_input)
{
    g_autoptr(GError) error = NULL;
    bool is_input = may_be_input && strcmp(file, "-") == 0;
    g_autoptr(GBytes) bytes =
        io_read_file(AT_FDCWD, is_input ? "/dev/stdin" : file, 4 * DOCUMENT_MAX_BYTES, &error);
    if (!bytes) {
        complain("%s %s", option, error->message);
        return NULL;
    }
    gsize size;
    const char *data = g_bytes_get_data(bytes, &size);
    if (g_utf8_validate(data, (gssize)size, NULL))
        return g_strndup(data, size);
    complain("%s %s: it is not UTF-8", option, file);
    return NULL;
}

char *request_read_dependencies(const char *file)
{
    return read_json_file("--dependencies", file, true);
}

bool request_read_config(ImportRequest *request, const char *file)
{
    char *text = read_json_file("--config", file, false);
    if (!text)
        return false;
    g_free(request->config_text);
    g_free(request->config_file);
    request->config_text = text;
    request->config_file = event_text(file);
    return true;
}

static bool faults_say(const GPtrArray *faults)
{
    for (guint i = 0; i < faults->len; i++) {
        const RequestFault *fault = faults->pdata[i];
        if (strcmp(fault->field, "source") == 0)
            complain("SOURCE: %s", fault->message);
        else
            complain("--%s: %s", fault->field, fault->message);
    }
    return faults->len == 0;
}

/* What a template brought stays with a request that is made again. */
static bool is_sound(const Session *session, ImportRequest *request, bool is_new)
{
    g_autoptr(GPtrArray) faults = request_faults_new();
    if (!session->remote)
        training_resolve(session->settings, request, faults);
    if (!session->remote && is_new)
        templates_apply(session->settings, request, faults);
    import_request_check(request, faults);
    return faults_say(faults);
}

bool request_is_sound(const Session *session, ImportRequest *request)
{
    return is_sound(session, request, false);
}

/* False: a fault, which was printed. */
static bool take_template(ImportRequest *request, const RequestOptions *options)
{
    if (options->infer_format && !options->template)
        complain("--infer-format: only with --template");
    if (!options->template)
        return !options->infer_format;
    if (request->type) {
        complain("--type: not with --template, which says it");
        return false;
    }
    if (!request->child)
        request->child = g_strdup(".");
    if (!g_utf8_validate(options->template, -1, NULL) ||
        (options->infer_format && !g_utf8_validate(options->infer_format, -1, NULL))) {
        complain("--template: it is not UTF-8");
        return false;
    }
    json_auto_t *template = json_pack("{s:s, s:s*}", "template_id", options->template,
                                      "infer_format", options->infer_format);
    char *text = json_dumps(template, JSON_COMPACT | JSON_SORT_KEYS);
    request->template = g_strdup(text);
    free(text);
    return true;
}

/* False: a fault, which was printed. */
static bool take_job(ImportRequest *request, const char *key, const char *option, const char *value)
{
    if (!value)
        return true;
    if (*value && g_utf8_validate(value, -1, NULL)) {
        import_request_set_attribute(request, key, value);
        return true;
    }
    complain("%s: expected a text in UTF-8", option);
    return false;
}

ImportRequest *request_options_take(Session *session, RequestOptions *options, const char *source,
                                    int *status)
{
    g_autoptr(ImportRequest) request = import_request_new();
    *status = EXIT_USAGE;
    request->source = g_strdup(source);
    request->project = g_strdup(session_project(session));
    request->name = g_steal_pointer(&options->name);
    request->version = g_steal_pointer(&options->version);
    request->type = g_steal_pointer(&options->type);
    request->runtime = g_steal_pointer(&options->runtime);
    request->child = g_steal_pointer(&options->child);
    request->platform = g_steal_pointer(&options->platform);
    request->description = g_steal_pointer(&options->description);
    request->dereference = options->dereference;
    request->no_cache = options->no_cache;
    request->dynamic = options->dynamic;
    request->verify = options->verify;
    request->actor = g_strdup(session_actor());
    if (options->config && !request_read_config(request, options->config))
        return NULL;
    if (!take_template(request, options) ||
        !take_job(request, ATTRIBUTE_JOB, "--source-job-id", options->job) ||
        !take_job(request, ATTRIBUTE_JOB_VERSION, "--source-job-version", options->job_version))
        return NULL;
    return is_sound(session, request, true) ? g_steal_pointer(&request) : NULL;
}

int request_config_check(Session *session, const ImportRequest *request)
{
    if (!request->config_text && !request->dependencies)
        return -1;
    g_autoptr(GError) error = NULL;
    g_autoptr(Findings) findings = findings_new();
    g_autoptr(GPtrArray) runtimes = runtimes_list(session->service->db, &error);
    if (!runtimes || !import_check(session->settings, runtimes, request, NULL, findings, NULL, NULL,
                                   NULL, &error))
        return complain_of(error);
    int status = -1;
    for (guint i = 0; i < findings->events->len; i++) {
        const Event *event = findings->events->pdata[i];
        if (!import_request_brought(request, event))
            continue;
        json_t *object = event_json(event, NULL);
        event_view_print(&session->err, object);
        json_decref(object);
        status = EXIT_USAGE;
    }
    return status;
}
