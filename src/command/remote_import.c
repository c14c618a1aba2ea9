#include "command/remote_import.h"

#include <string.h>

#include "command/event_view.h"
#include "command/interrupt.h"
#include "command/mirror.h"
#include "command/progress_bar.h"
#include "command/remote_upload.h"
#include "command/request_options.h"
#include "model/config.h"
#include "model/document.h"
#include "model/model.h"
#include "model/model_template.h"
#include "object/folder.h"

typedef struct {
    Session *session;
    ImportRequest *request;
    bool shown;       /* a progress bar */
    bool by_template; /* the source is the model directory itself, and is sent as that */
    Package *package;
    PackageFile *beside; /* waybill.json, or NULL */
    bool elsewhere;      /* the package lies where the server reaches it: nothing is sent */
} RemoteRun;

static void run_clear(RemoteRun *run)
{
    package_file_free(run->beside);
    package_free(run->package);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(RemoteRun, run_clear)

/* -- what is sent -- */

/* What an import of it would fail for at once is told here, before anything is sent. */
static int findings_say(const RemoteRun *run, const Findings *findings)
{
    for (guint i = 0; i < findings->events->len; i++) {
        json_t *event = event_json(findings->events->pdata[i], NULL);
        event_view_print(&run->session->err, event);
        json_decref(event);
    }
    if (!findings_fatal(findings))
        return -1;
    complain("nothing was sent: the import would fail");
    return EXIT_FAILED;
}

static int package_read_in(RemoteRun *run)
{
    const ImportRequest *request = run->request;
    run->elsewhere = import_request_is_bucket(request) || import_request_is_training(request);
    if (run->elsewhere)
        return -1;
    g_autoptr(GError) error = NULL;
    g_autoptr(Findings) findings = findings_new();
    PackageSource *source = folder_source_new(request->source_path, request->dereference, &error);
    run->package =
        source ? package_open(source, request->source, request->child, findings, &error) : NULL;
    if (!run->package)
        return complain_of(error);
    Event *finding = NULL;
    if (run->package->child_found && !run->by_template)
        run->beside = source->find(source, CONFIG_BESIDE, &finding);
    if (finding)
        findings_add(findings, finding);
    return findings_say(run, findings);
}

/* The model type of a config that can be read; the server has a look at all of it. */
static char *type_of_text(const char *text, size_t size)
{
    json_t *config = json_loadb(text, size, 0, NULL);
    char *type = g_strdup(json_string_value(json_object_get(config, "model_type")));
    json_decref(config);
    return type;
}

static char *type_of_package(const RemoteRun *run)
{
    if (!run->package)
        return NULL;
    const PackageFile *file = run->beside ? run->beside : package_find(run->package, "config.json");
    Event *finding = NULL;
    g_autoptr(GBytes) bytes =
        file ? package_source_read(run->package->source, run->beside ? "." : run->package->child,
                                   file, DOCUMENT_MAX_BYTES, &finding)
             : NULL;
    event_free(finding);
    gsize size = 0;
    const char *text = bytes ? g_bytes_get_data(bytes, &size) : NULL;
    return text ? type_of_text(text, size) : NULL;
}

/* The API wants it said; an import of this machine reads it from the config. */
static bool type_find(RemoteRun *run)
{
    ImportRequest *request = run->request;
    if (request->template)
        request->type = g_strdup(TEMPLATE_TYPE);
    if (!request->type)
        request->type = request->config_text
                            ? type_of_text(request->config_text, strlen(request->config_text))
                            : type_of_package(run);
    if (!request->type)
        complain("--type: no config.json says the model_type, which the server must know");
    return request->type != NULL;
}

/* The newest version of the name, or the one that is asked for; NULL with *error unset: there is
 * none. A new reference. */
static json_t *find_existing(const RemoteRun *run, GError **error)
{
    const ImportRequest *request = run->request;
    g_autofree char *name = remote_escape(request->name);
    g_autofree char *version = remote_escape(request->version ? request->version : "");
    g_autofree char *path = remote_path(
        run->session->remote,
        "/models?model_name=%s&exact_match=true&sort_by=model_version&order=desc&limit=1%s%s", name,
        *version ? "&model_version=" : "", version);
    json_auto_t *answer = remote_call(run->session->remote, "GET", path, NULL, error);
    return json_incref(json_array_get(json_object_get(answer, "models"), 0));
}

/* As without a server: a version that failed is used again, else the next one is. *failed: the
 * former's id, or NULL. */
static bool version_find(RemoteRun *run, char **failed, GError **error)
{
    GError *failure = NULL;
    ImportRequest *request = run->request;
    json_auto_t *existing = find_existing(run, &failure);
    if (failure) {
        g_propagate_error(error, failure);
        return false;
    }
    const char *version = json_string_value(json_object_get(existing, "model_version"));
    const char *status = json_string_value(json_object_get(existing, "model_status"));
    /* A retry keeps the template that the failed one was asked for by, unless it names another. */
    const bool suits = request->template || !json_object_get(existing, "template");
    if (g_strcmp0(status, "failed") == 0 && suits)
        *failed = g_strdup(json_string_value(json_object_get(existing, "model_id")));
    else if (!request->version)
        request->version = version ? model_version_next(version) : g_strdup(MODEL_FIRST_VERSION);
    if (!*failed && !request->version)
        g_set_error(error, IMPORT_ERROR, IMPORT_ERROR_USAGE,
                    "%s has used every version up to 99.99.99", request->name);
    return *failed || request->version;
}

static void set_flag(json_t *body, const char *field, bool set)
{
    if (set)
        json_object_set_new(body, field, json_true());
}

/* Where the model lies says source_location: the input's id is the server's to know. */
static void set_template(json_t *body, const ImportRequest *request)
{
    json_t *template = request->template ? json_loads(request->template, 0, NULL) : NULL;
    if (template)
        json_object_set_new(body, "template", template);
}

static void set_job(json_t *body, const ImportRequest *request)
{
    json_auto_t *job = request->attributes ? json_loads(request->attributes, 0, NULL) : NULL;
    if (job)
        json_object_update(body, job);
}

static json_t *body_of(const ImportRequest *request, const char *location)
{
    json_t *body =
        json_pack("{s:s, s:s, s:s, s:s, s:s*, s:s*, s:s*}", "model_name", request->name,
                  "model_version", request->version, "model_type", request->type, "source_location",
                  location, "runtime", request->runtime, "description", request->description,
                  "initial_config", request->config_text);
    set_flag(body, "no_cache", request->no_cache);
    set_flag(body, "verify", request->verify);
    if (request->dynamic)
        json_object_set_new(body, "load_mode", json_string("dynamic"));
    set_template(body, request);
    set_job(body, request);
    return body;
}

/* What a retry changes. location NULL: not the source. */
static json_t *retry_body_of(const ImportRequest *request, const char *location)
{
    json_t *body = json_pack("{s:s*, s:s*, s:s*}", "source_location", location, "initial_config",
                             request->config_text, "from", request->from);
    json_t *dependencies =
        request->dependencies ? json_loads(request->dependencies, 0, NULL) : NULL;
    if (dependencies)
        json_object_set_new(body, "dependencies", dependencies);
    set_flag(body, "no_cache", request->no_cache);
    if (request->dynamic)
        json_object_set_new(body, "load_mode", json_string("dynamic"));
    set_template(body, request);
    set_job(body, request);
    return body;
}

/* The answer to a POST, and what the mirror then knows of the model. */
static bool post(Session *session, const char *path, const json_t *body, Submission *submission,
                 GError **error)
{
    json_auto_t *answer = remote_call(session->remote, "POST", path, body, error);
    if (!answer)
        return false;
    const json_t *attempt = json_object_get(answer, "attempt");
    submission->model_id = g_strdup(json_string_value(json_object_get(answer, "model_id")));
    submission->attempt = attempt ? (int)json_integer_value(attempt) : 1;
    return mirror_update(session->service, session->remote, submission->model_id, 0, error);
}

/* failed: the model that is tried again, or NULL. location NULL: from where it came. */
static bool ask_for(const RemoteRun *run, const char *failed, const char *location,
                    Submission *submission, GError **error)
{
    const Remote *remote = run->session->remote;
    g_autofree char *path =
        failed ? remote_path(remote, "/models/%s/retry", failed) : remote_path(remote, "/models");
    json_auto_t *body =
        failed ? retry_body_of(run->request, location) : body_of(run->request, location);
    return post(run->session, path, body, submission, error);
}

/* upload://ID, or where the server finds the package by itself. NULL: *error. */
static char *send_package(const RemoteRun *run, GError **error)
{
    Session *session = run->session;
    if (run->elsewhere)
        return g_strdup(run->request->source);
    Progress *progress = &session->service->progress;
    ProgressBar *bar = progress_bar_new(&session->err, progress, run->shown);
    g_autofree char *upload = remote_upload(session->remote, run->package,
                                            run->by_template ? "" : PACKAGE_DEFAULT_CHILD "/",
                                            run->beside, progress, error);
    progress_bar_free(bar);
    if (!upload && g_error_matches(*error, REMOTE_ERROR, REMOTE_ERROR_STOPPED))
        complain("interrupted; what has arrived is kept for a while: the same command goes on");
    return upload ? g_strconcat(UPLOAD_SCHEME, upload, NULL) : NULL;
}

static int submit(RemoteRun *run, Submission *submission)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *failed = NULL;
    if (!version_find(run, &failed, &error))
        return complain_of(error);
    g_autofree char *location = send_package(run, &error);
    if (!location || !ask_for(run, failed, location, submission, &error))
        return complain_of(error);
    return -1;
}

/* The server's attempt looks where its model was: a template's at the source itself. */
static bool template_find(RemoteRun *run, const Model *model, GError **error)
{
    Remote *remote = run->session->remote;
    g_autofree char *id = remote_escape(model->id);
    g_autofree char *path = remote_path(remote, "/models/%s", id);
    json_auto_t *details = remote_call(remote, "GET", path, NULL, error);
    run->by_template = json_object_get(details, "template") != NULL;
    if (run->by_template && !run->request->child)
        run->request->child = g_strdup(".");
    return details != NULL;
}

/* The source that a retry changes. -1: it can be sent. */
static int source_read_in(RemoteRun *run, const Model *model)
{
    g_autoptr(GError) error = NULL;
    if (!run->request->source)
        return -1;
    if (!template_find(run, model, &error))
        return complain_of(error);
    return request_is_sound(run->session, run->request) ? package_read_in(run) : EXIT_USAGE;
}

int remote_retry(Session *session, const Model *model, ImportRequest *changes, bool shown,
                 Submission *submission)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *location = NULL;
    g_auto(RemoteRun) run = {.session = session, .request = changes, .shown = shown};
    g_auto(Interrupt) interrupt G_GNUC_UNUSED = interrupt_catch(&session->service->progress);
    int status = source_read_in(&run, model);
    if (status >= 0)
        return status;
    if (changes->source)
        location = send_package(&run, &error);
    if (error || !ask_for(&run, model->id, location, submission, &error))
        return complain_of(error);
    return -1;
}

int remote_submit(Session *session, ImportRequest *request, bool shown, Submission *submission)
{
    g_auto(RemoteRun) run = {.session = session,
                             .request = request,
                             .shown = shown,
                             .by_template = request->template != NULL};
    if (import_request_is_reference(request)) {
        complain("SOURCE: an image of this machine cannot be sent to a server; give a directory");
        return EXIT_USAGE;
    }
    g_auto(Interrupt) interrupt G_GNUC_UNUSED = interrupt_catch(&session->service->progress);
    int status = package_read_in(&run);
    if (status < 0 && !type_find(&run))
        status = EXIT_USAGE;
    return status < 0 ? submit(&run, submission) : status;
}
