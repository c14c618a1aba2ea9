#include <string.h>

#include "command/actions.h"
#include "command/remote_import.h"
#include "command/request_options.h"
#include "command/tries.h"
#include "import/training.h"

typedef struct {
    char *config, *dependencies, *child, *from;
    gboolean no_cache, dynamic;
} Changes;

static void changes_clear(Changes *changes)
{
    g_free(changes->config);
    g_free(changes->dependencies);
    g_free(changes->child);
    g_free(changes->from);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Changes, changes_clear)

/* What is packed is another than the former attempt's: the next one looks at the package. */
static bool packs_anew(const char *source, const Changes *changes)
{
    return source || changes->child || changes->config || changes->dynamic ||
           g_strcmp0(changes->from, "check") == 0 || g_strcmp0(changes->from, "copy") == 0;
}

static bool request_change(const Session *session, ImportRequest *request, const Model *model,
                           const char *source, Changes *changes)
{
    request->rebuild = request->rebuild && !packs_anew(source, changes);
    if (source) {
        training_forget(request);
        g_free(request->source);
        request->source = g_strdup(source);
    }
    if (changes->child) {
        g_free(request->child);
        request->child = g_steal_pointer(&changes->child);
    }
    request->from = g_steal_pointer(&changes->from);
    request->no_cache = changes->no_cache;
    request->dynamic = request->dynamic || changes->dynamic;
    g_free(request->version);
    request->version = g_strdup(model->version);
    if (changes->dependencies) {
        g_free(request->dependencies);
        g_free(request->dependencies_file);
        request->dependencies_file = event_text(changes->dependencies);
        request->dependencies = request_read_dependencies(changes->dependencies);
    }
    return (!changes->dependencies || request->dependencies) &&
           (!changes->config || request_read_config(request, changes->config)) &&
           (request->rebuild || request_is_sound(session, request));
}

/* What the newest attempt was asked for, with the changes; NULL: *status says what was printed. */
static ImportRequest *request_changed(Session *session, const Model *model, const char *source,
                                      Changes *changes, int *status)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(ImportRequest) request =
        import_retry_request(session->service, model, session_actor(), &error);
    if (!request) {
        *status = complain_of(error);
        return NULL;
    }
    *status = EXIT_USAGE;
    if (!request_change(session, request, model, source, changes))
        return NULL;
    *status = request_config_check(session, request);
    return *status < 0 ? g_steal_pointer(&request) : NULL;
}

static int nothing_to_retry(const Model *model)
{
    complain("%s:%s was imported already; there is nothing to retry", model->name, model->version);
    return EXIT_DONE;
}

/* The same version again, with what was changed: the next attempt of it. */
static int retry_changed(Session *session, const Model *model, const char *source, Changes *changes,
                         const Tries *tries, bool json)
{
    g_autoptr(GError) error = NULL;
    g_auto(Submission) submission = SUBMISSION_NONE;
    int status;
    if (changes->from && !import_can_begin(session->service, model, changes->from, &error))
        return complain_of(error);
    g_autoptr(ImportRequest) request = request_changed(session, model, source, changes, &status);
    if (!request)
        return status;
    bool imported = strcmp(model->outcome, "imported") == 0;
    request->rebuild |= imported; /* --no-cache: what it packed stays */
    if (!import_submit(session->service, request, imported ? IF_EXISTS_REPLACE : IF_EXISTS_LEAVE,
                       &submission, &error))
        return complain_of(error);
    if (submission.already_imported)
        return nothing_to_retry(model);
    return tries_follow(session, &submission, tries, &session->out, json);
}

/* The same, asked of a server; a source is a folder of this machine. */
static int retry_on_server(Session *session, const Model *model, const char *source,
                           Changes *changes, const Tries *tries, bool json)
{
    g_auto(Submission) submission = SUBMISSION_NONE;
    g_autoptr(ImportRequest) request = import_request_new();
    request->source = g_strdup(source);
    request->project = g_strdup(model->project);
    request->name = g_strdup(model->name);
    request->child = g_steal_pointer(&changes->child);
    request->from = g_steal_pointer(&changes->from);
    request->no_cache = changes->no_cache;
    request->dynamic = changes->dynamic;
    if (changes->dependencies)
        request->dependencies = request_read_dependencies(changes->dependencies);
    if ((changes->dependencies && !request->dependencies) ||
        (changes->config && !request_read_config(request, changes->config)))
        return EXIT_USAGE;
    int status = remote_retry(session, model, request, !json && !session->quiet, &submission);
    return status >= 0 ? status : tries_follow(session, &submission, tries, &session->out, json);
}

static int retry_same(Session *session, const Model *model, const Tries *tries, bool json)
{
    g_autoptr(GError) error = NULL;
    g_auto(Submission) submission = SUBMISSION_NONE;
    if (!action_retry(session, model, &submission, &error))
        return complain_of(error);
    if (!submission.already_imported)
        return tries_follow(session, &submission, tries, &session->out, json);
    return nothing_to_retry(model);
}

int command_retry(Session *session, int argc, char **argv)
{
    gboolean json = FALSE;
    g_auto(Changes) changes = {0};
    g_auto(Tries) tries = {0};
    const GOptionEntry entries[] = {
        {"config", 0, 0, G_OPTION_ARG_FILENAME, &changes.config, "Use this config.json from now on",
         "FILE"},
        {"dependencies", 0, 0, G_OPTION_ARG_FILENAME, &changes.dependencies,
         "Install these from now on, not config.json's; - is standard "
         "input",
         "FILE"},
        {"child", 0, 0, G_OPTION_ARG_FILENAME, &changes.child, "Model directory beneath SOURCE",
         "DIR"},
        {"from", 0, 0, G_OPTION_ARG_FILENAME, &changes.from,
         "Begin at check, copy, environment or build", "STAGE"},
        {"no-cache", 0, 0, G_OPTION_ARG_NONE, &changes.no_cache,
         "Build the environment image anew, of an imported model too", NULL},
        {"dynamic", 0, 0, G_OPTION_ARG_NONE, &changes.dynamic,
         "Load the model's files at start, not in the image", NULL},
        TRIES_OPTIONS(tries),
        {"json", 0, 0, G_OPTION_ARG_NONE, &json, "One event object a line", NULL},
        {NULL}};
    int status = session_parse(session, command_find("retry"), entries, &argc, &argv, 1, 2);
    if (status < 0 && !tries_read(&tries))
        status = EXIT_USAGE;
    g_autoptr(Model) model = status < 0 ? session_model(session, argv[1], &status) : NULL;
    if (!model)
        return status;
    const char *source = argc > 2 ? argv[2] : NULL;
    bool changed = source || changes.config || changes.dependencies || changes.child ||
                   changes.from || changes.no_cache || changes.dynamic;
    /* Of an imported model there is nothing to retry, whatever is changed: a new version is an
     * import. */
    bool alone =
        !(source || changes.config || changes.dependencies || changes.child || changes.dynamic);
    if (changed && (strcmp(model->outcome, "imported") != 0 || (changes.no_cache && alone)))
        return (session->remote ? retry_on_server : retry_changed)(session, model, source, &changes,
                                                                   &tries, json);
    return retry_same(session, model, &tries, json);
}
