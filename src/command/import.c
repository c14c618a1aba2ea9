#include <errno.h>
#include <gio/gio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "command/format.h"
#include "command/interrupt.h"
#include "command/progress_bar.h"
#include "command/remote_import.h"
#include "command/request_options.h"
#include "command/tries.h"
#include "event/timeline.h"
#include "import/same.h"

static bool append_event(const char *text, int64_t seq, gpointer data)
{
    json_array_append_new(data, json_loads(text, 0, NULL));
    return true;
}

/* Writes the attempt's findings. */
static bool import_report(Session *session, const Submission *submission, const Format *format,
                          const ImportRequest *request, GError **error)
{
    TimelineFilter filter = {.attempt = submission->attempt, .abnormal = true, .hint = true};
    json_t *events = json_array();
    bool read = timeline_each(session->service->db, submission->model_id, &filter, append_event,
                              events, error);
    if (read)
        format_write(session, format, "import", request, events);
    json_decref(events);
    return read;
}

/* An interrupted import has not ended: there is nothing to report yet. */
static int import_followed(Session *session, Submission *submission, const Tries *tries,
                           const Format *format, const ImportRequest *request, bool json)
{
    g_autoptr(GError) error = NULL;
    char *token = format_rows_begin(session, format);
    int status = tries_follow(session, submission, tries, format_rows(session, format), json);
    format_rows_end(session, token);
    bool ended = status == EXIT_DONE || status == EXIT_FAILED;
    if (format && ended && !import_report(session, submission, format, request, &error))
        return complain_of(error);
    return status;
}

/* -- a version that is there already -- */

/* same, fail and retry, in that order; -1: it is none of them, which was printed (exit 2). */
typedef enum { EXISTS_SAME, EXISTS_FAIL, EXISTS_RETRY } Exists;
static int exists_read(const char *text)
{
    static const char *const NAMES[] = {"same", "fail", "retry"};
    for (int i = 0; i < (int)G_N_ELEMENTS(NAMES); i++)
        if (!text || strcmp(text, NAMES[i]) == 0)
            return i;
    complain("--if-exists %s: expected same, fail or retry", text);
    return -1;
}

/* What differs, read under a progress bar; NULL: *error. */
static GPtrArray *differences_read(Session *session, const Model *model,
                                   const ImportRequest *request, bool json, GError **error)
{
    Progress *progress = &session->service->progress;
    g_autoptr(GPtrArray) differences = g_ptr_array_new_with_free_func(g_free);
    g_auto(Interrupt) interrupt G_GNUC_UNUSED = interrupt_catch(progress);
    g_autoptr(ProgressBar) bar G_GNUC_UNUSED =
        progress_bar_new(&session->err, progress, !json && !session->quiet);
    bool done = import_differences(session->service, model, request, differences, error);
    return done ? g_steal_pointer(&differences) : NULL;
}

static int say_taken(const Model *model, const GPtrArray *differences)
{
    complain("version %s of %s is taken by other content:", model->version, model->name);
    for (guint i = 0; i < differences->len; i++)
        fprintf(stderr, "  %s\n", (const char *)differences->pdata[i]);
    fprintf(stderr,
            "give another --version, or leave it out to get the next one; or import it into this "
            "version,\nas its next attempt: --if-exists retry\n");
    return EXIT_USAGE;
}

static bool keep_text(const char *text, int64_t seq, gpointer data)
{
    (void)seq;
    char **last = data;
    g_free(*last);
    *last = g_strdup(text);
    return true;
}

/* For --json: the event that closed the attempt which imported it. */
static int print_closing(Session *session, const Submission *submission)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *last = NULL;
    TimelineFilter filter = {.attempt = submission->attempt};
    if (!timeline_each(session->service->db, submission->model_id, &filter, keep_text, &last,
                       &error))
        return complain_of(error);
    puts(last);
    return EXIT_DONE;
}

/* Nothing is packed, nothing appended. */
static int say_unchanged(Session *session, const Submission *submission, const Model *model,
                         const Format *format, const ImportRequest *request, bool json)
{
    g_autoptr(GError) error = NULL;
    const Terminal *rows = format_rows(session, format);
    if (json)
        return print_closing(session, submission);
    if (!session->quiet)
        fprintf(rows->out,
                rows->language == LANGUAGE_ZH ? "%s:%s 未变化:该版本已由相同内容导入\n"
                                              : "%s:%s unchanged: imported already, of the same "
                                                "content\n",
                model->name, model->version);
    if (format && !import_report(session, submission, format, request, &error))
        return complain_of(error);
    return EXIT_DONE;
}

/* The version was imported before. -1: it is imported again, as the submission's next attempt. */
static int import_exists(Session *session, Submission *submission, Exists exists,
                         const Format *format, ImportRequest *request, bool json)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(Model) model = model_load(session->service->db, submission->model_id, &error);
    g_autoptr(GPtrArray) differences =
        model ? differences_read(session, model, request, json, &error) : NULL;
    if (g_error_matches(error, G_IO_ERROR, G_IO_ERROR_CANCELLED)) {
        complain("interrupted; %s:%s stays as it was", model->name, model->version);
        return EXIT_INTERRUPTED;
    }
    if (!differences)
        return complain_of(error);
    if (differences->len == 0)
        return say_unchanged(session, submission, model, format, request, json);
    if (exists != EXISTS_RETRY)
        return say_taken(model, differences);
    submission_clear(submission);
    *submission = SUBMISSION_NONE;
    g_free(request->version);
    request->version = g_strdup(model->version);
    return import_submit(session->service, request, IF_EXISTS_REPLACE, submission, &error)
               ? -1
               : complain_of(error);
}

/* -- */

/* What a server decides by itself is refused by name. */
static bool suits_server(const ImportRequest *request, const char *exists)
{
    if (request->platform)
        complain("--platform: not with --server, which has a platform of its own");
    if (exists && strcmp(exists, "fail") != 0)
        complain("--if-exists %s: not with --server, which refuses a version that is there",
                 exists);
    return !request->platform && (!exists || strcmp(exists, "fail") == 0);
}

static int import_remote(Session *session, ImportRequest *request, const Tries *tries,
                         const Format *format, bool detach, bool json)
{
    g_auto(Submission) submission = SUBMISSION_NONE;
    int status = remote_submit(session, request, !json && !session->quiet, &submission);
    if (status >= 0)
        return status;
    return detach ? tries_detach(session, &submission, tries, "importing", json)
                  : import_followed(session, &submission, tries, format, request, json);
}

int command_import(Session *session, int argc, char **argv)
{
    RequestOptions options = {0};
    g_auto(Tries) tries = {0};
    gboolean json = FALSE, detach = FALSE;
    g_autofree char *format_name = NULL, *exists_name = NULL;
    const GOptionEntry entries[] = {REQUEST_OPTIONS(options),
                                    BUILD_OPTIONS(options),
                                    {"if-exists", 0, 0, G_OPTION_ARG_FILENAME, &exists_name,
                                     "A version that is there: same, fail or retry (same)", "WHAT"},
                                    TRIES_OPTIONS(tries),
                                    FORMAT_OPTION(format_name),
                                    {"detach", 0, 0, G_OPTION_ARG_NONE, &detach,
                                     "Do not wait: import in the background", NULL},
                                    {"json", 0, 0, G_OPTION_ARG_NONE, &json,
                                     "One event object a line", NULL},
                                    {NULL}};
    int status = session_parse(session, command_find("import"), entries, &argc, &argv, 1, 1);
    const Format *format = NULL;
    if (status < 0 && !format_choose(session, format_name, json, &format))
        status = EXIT_USAGE;
    if (status < 0 && detach && format_name) {
        complain("--format and --detach: the findings are there when the import has ended");
        status = EXIT_USAGE;
    }
    int exists = status < 0 ? exists_read(exists_name) : -1;
    if (status < 0 && (exists < 0 || !tries_read(&tries)))
        status = EXIT_USAGE;
    g_autoptr(ImportRequest) request =
        status < 0 ? request_options_take(session, &options, argv[1], &status) : NULL;
    if (!request || !session_open(session, true)) {
        request_options_clear(&options);
        return request ? EXIT_UNREACHABLE : status;
    }
    request_options_clear(&options);
    if (session->remote)
        return suits_server(request, exists_name)
                   ? import_remote(session, request, &tries, format, detach, json)
                   : EXIT_USAGE;
    g_autoptr(GError) error = NULL;
    g_auto(Submission) submission = SUBMISSION_NONE;
    status = request_config_check(session, request);
    if (status >= 0)
        return status;
    if (!import_submit(session->service, request,
                       exists == EXISTS_FAIL ? IF_EXISTS_FAIL : IF_EXISTS_LEAVE, &submission,
                       &error)) {
        if (g_error_matches(error, IMPORT_ERROR, IMPORT_ERROR_TAKEN))
            g_prefix_error(&error, "--if-exists is fail, give another --version: ");
        return complain_of(error);
    }
    if (submission.already_imported)
        status = import_exists(session, &submission, exists, format, request, json);
    if (status >= 0)
        return status;
    return detach ? tries_detach(session, &submission, &tries, "importing", json)
                  : import_followed(session, &submission, &tries, format, request, json);
}
