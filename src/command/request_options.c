#include "command/request_options.h"

#include <fcntl.h>
#include <string.h>

#include "base/io.h"
#include "command/event_view.h"
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
    *options = (RequestOptions){0};
}

/* More than is allowed is read, so that config_read names the size. */
bool request_read_config(ImportRequest *request, const char *file)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GBytes) bytes = io_read_file(AT_FDCWD, file, 4 * DOCUMENT_MAX_BYTES, &error);
    if (!bytes) {
        complain("--config %s", error->message);
        return false;
    }
    gsize size;
    const char *data = g_bytes_get_data(bytes, &size);
    if (!g_utf8_validate(data, (gssize)size, NULL)) {
        complain("--config %s: it is not UTF-8", file);
        return false;
    }
    g_free(request->config_text);
    g_free(request->config_file);
    request->config_text = g_strndup(data, size);
    request->config_file = event_text(file);
    return true;
}

bool request_is_sound(ImportRequest *request)
{
    g_autoptr(GPtrArray) faults = import_request_check(request);
    for (guint i = 0; i < faults->len; i++) {
        const RequestFault *fault = faults->pdata[i];
        if (strcmp(fault->field, "source") == 0)
            complain("SOURCE: %s", fault->message);
        else
            complain("--%s: %s", fault->field, fault->message);
    }
    return faults->len == 0;
}

ImportRequest *request_options_take(Session *session, RequestOptions *options, const char *source,
                                    int *status)
{
    g_autoptr(ImportRequest) request = import_request_new();
    *status = EXIT_USAGE;
    if (options->dynamic) {
        complain("--dynamic: dynamic loading is not in this version");
        return NULL;
    }
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
    request->actor = g_strdup(session_actor());
    if (options->config && !request_read_config(request, options->config))
        return NULL;
    return request_is_sound(request) ? g_steal_pointer(&request) : NULL;
}

static bool is_of_the_request(const Event *event, const ImportRequest *request)
{
    const char *file = json_string_value(json_object_get(event->evidence, "file"));
    return event_is_fatal(event) && g_strcmp0(event->kind, "no_runtime") != 0 &&
           g_strcmp0(file, request->config_file) == 0;
}

int request_config_check(Session *session, const ImportRequest *request)
{
    if (!request->config_text)
        return -1;
    g_autoptr(GError) error = NULL;
    g_autoptr(Findings) findings = findings_new();
    g_autoptr(GPtrArray) runtimes = runtimes_list(session->service->db, &error);
    if (!runtimes ||
        !import_check(session->settings, runtimes, request, findings, NULL, NULL, NULL, &error))
        return complain_of(error);
    int status = -1;
    for (guint i = 0; i < findings->events->len; i++) {
        const Event *event = findings->events->pdata[i];
        if (!is_of_the_request(event, request))
            continue;
        json_t *object = event_json(event, NULL);
        event_view_print(&session->err, object);
        json_decref(object);
        status = EXIT_USAGE;
    }
    return status;
}
