#include <string.h>

#include <gio/gio.h>

#include "command/command.h"
#include "command/interrupt.h"
#include "command/progress_bar.h"
#include "image/layer_archive.h"
#include "import/base.h"
#include "import/bootstrap.h"
#include "model/config.h"

static bool is_runtime_name(const char *name)
{
    return *name && strlen(name) <= 64 && *name != '-' && *name != '.' &&
           strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") ==
               strlen(name);
}

static int add_fault(const char *name, const char *image, const char *engine)
{
    if (!image)
        complain("runtime add: --image REF is missing, such as --image oci:DIR:TAG");
    else if (!is_runtime_name(name))
        complain("runtime add %s: a name is 1 to 64 letters, digits, '.', '_' and '-'", name);
    else if (engine && (!config_is_model_type(engine) || strcmp(engine, "Image") == 0))
        complain("--engine %s: expected a model type that runs on a base image, such as PyTorch",
                 engine);
    else
        return -1;
    return EXIT_USAGE;
}

static int add_failed(const char *image, GError *error)
{
    if (error->domain == REGISTRY_ERROR)
        g_prefix_error(&error, "%s: ", image);
    int status = complain_of(error);
    if (error->domain == REFERENCE_ERROR)
        return EXIT_USAGE;
    return error->domain == IMAGE_ERROR || error->domain == REGISTRY_ERROR ||
                   error->domain == REGISTRY_LOGIN_ERROR
               ? EXIT_FAILED
               : status;
}

/* Read once more where that decides whether a data directory is made at all: an image that cannot
 * be used leaves nothing behind. */
static bool is_worth_a_directory(const Session *session, const BaseSource *source, GError **error)
{
    g_autofree char *directory = session_data_directory(session);
    return g_file_test(directory, G_FILE_TEST_EXISTS) || base_verify(source, error);
}

static int runtime_add(Session *session, const char *name, const char *image, const char *engine)
{
    g_autoptr(GError) error = NULL;
    int status = add_fault(name, image, engine);
    if (status >= 0)
        return status;
    g_autoptr(BaseSource) source = base_open(session->settings, image, &error);
    if (!source || !is_worth_a_directory(session, source, &error))
        return add_failed(image, error);
    if (!session_open(session, true))
        return EXIT_UNREACHABLE;
    g_autoptr(Runtime) runtime = base_add(session->service, name, engine, source, &error);
    if (!runtime)
        return add_failed(image, error);
    if (!session->quiet) {
        g_autofree char *size = format_bytes(runtime->size);
        printf("added %s  %s  %s  %s\n", runtime->name, runtime->platform, size, runtime->digest);
    }
    return EXIT_DONE;
}

static json_t *runtime_json(const Runtime *runtime)
{
    return json_pack("{s:s, s:s?, s:s, s:s, s:s, s:I, s:I}", "name", runtime->name, "engine",
                     runtime->engine, "image", runtime->image, "platform", runtime->platform,
                     "digest", runtime->digest, "size", (json_int_t)runtime->size, "created_at",
                     (json_int_t)runtime->created_at);
}

/* The image as it was given stands last, so that it is what a narrow terminal cuts. */
static void runtime_print(const Terminal *terminal, const Runtime *runtime)
{
    const char *every = terminal->language == LANGUAGE_ZH ? "所有" : "every";
    g_autofree char *name = text_fit(runtime->name, 12), *size = format_bytes(runtime->size);
    g_autofree char *engine = text_fit(runtime->engine ? runtime->engine : every, 12);
    g_autofree char *short_digest = g_strndup(runtime->digest, 19);
    int rest = terminal->width - 1 - 12 - 13 - 12 - 9 - 20 - 1;
    g_autofree char *image =
        terminal->width ? text_fit(runtime->image, MAX(rest, 8)) : g_strdup(runtime->image);
    fprintf(terminal->out, "%s%s%s %s %-11s %8s %s %s\n", terminal_color(terminal, COLOR_BOLD),
            name, terminal_plain(terminal), engine, runtime->platform, size, short_digest,
            g_strchomp(image));
}

static int runtime_list(Session *session, bool json)
{
    g_autoptr(GError) error = NULL;
    if (!session_open(session, false))
        return EXIT_UNREACHABLE;
    g_autoptr(GPtrArray) runtimes = runtimes_list(session->service->db, &error);
    if (!runtimes)
        return complain_of(error);
    for (guint i = 0; i < runtimes->len; i++) {
        if (json)
            print_json_line(runtime_json(runtimes->pdata[i]));
        else
            runtime_print(&session->out, runtimes->pdata[i]);
    }
    if (runtimes->len == 0 && !json && !session->quiet)
        complain(
            "there is no runtime yet: waybill runtime bootstrap python3.11, or waybill runtime "
            "add NAME --image oci:DIR:TAG");
    return EXIT_DONE;
}

static int runtime_drop(Session *session, const char *name)
{
    g_autoptr(GError) error = NULL;
    bool found;
    if (!session_open(session, false))
        return EXIT_UNREACHABLE;
    if (!base_remove(session->service, name, &found, &error))
        return complain_of(error);
    if (!found) {
        complain("there is no runtime %s", name);
        return EXIT_FAILED;
    }
    if (!session->quiet)
        printf("removed %s; models that were built on it stay as they are\n", name);
    return EXIT_DONE;
}

static Runtime *bootstrap_shown(Session *session, const char *name, char **former, GError **error)
{
    Progress *progress = &session->service->progress;
    g_auto(Interrupt) interrupt G_GNUC_UNUSED = interrupt_catch(progress);
    g_autoptr(ProgressBar) bar = progress_bar_new(&session->out, progress, !session->quiet);
    progress_bar_steps(bar, BOOTSTRAP_STEPS, bootstrap_step_name);
    return bootstrap_run(session->service, name, former, error);
}

static int bootstrap_failed(const GError *error)
{
    if (g_error_matches(error, G_IO_ERROR, G_IO_ERROR_CANCELLED)) {
        complain("stopped; nothing was added");
        return EXIT_INTERRUPTED;
    }
    int status = complain_of(error);
    return error->domain == BOOTSTRAP_ERROR || error->domain == IMAGE_ERROR ||
                   error->domain == ARCHIVE_ERROR
               ? EXIT_FAILED
               : status;
}

static int runtime_bootstrap(Session *session, const char *name)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *former = NULL;
    if (!bootstrap_can_begin(session->settings, name, &error))
        return bootstrap_failed(error);
    if (!session_open(session, true))
        return EXIT_UNREACHABLE;
    g_autoptr(Runtime) runtime = bootstrap_shown(session, name, &former, &error);
    if (!runtime)
        return bootstrap_failed(error);
    if (session->quiet)
        return EXIT_DONE;
    g_autofree char *size = format_bytes(runtime->size);
    const char *done = !former                                ? "added"
                       : strcmp(former, runtime->digest) == 0 ? "unchanged"
                                                              : "updated";
    printf("%s %s  %s  %s  %s\n", done, runtime->name, runtime->platform, size, runtime->digest);
    if (strcmp(done, "updated") == 0)
        printf("models that were built on %s stay as they are\n", former);
    return EXIT_DONE;
}

int command_runtime(Session *session, int argc, char **argv)
{
    gboolean json = FALSE;
    g_autofree char *image = NULL, *engine = NULL;
    const GOptionEntry entries[] = {{"image", 0, 0, G_OPTION_ARG_FILENAME, &image,
                                     "add: the base image, HOST/REPOSITORY:TAG or oci:DIR:TAG",
                                     "REF"},
                                    {"engine", 0, 0, G_OPTION_ARG_FILENAME, &engine,
                                     "add: the model type that it serves (every one)", "TYPE"},
                                    {"json", 0, 0, G_OPTION_ARG_NONE, &json,
                                     "list: one object a line", NULL},
                                    {NULL}};
    const Command *command = command_find("runtime");
    int status = session_parse(session, command, entries, &argc, &argv, 1, 2);
    if (status >= 0)
        return status;
    const char *verb = argv[1], *name = argc > 2 ? argv[2] : NULL;
    if (strcmp(verb, "list") == 0 && !name)
        return runtime_list(session, json);
    if (strcmp(verb, "bootstrap") == 0 && name)
        return runtime_bootstrap(session, name);
    if (strcmp(verb, "add") == 0 && name)
        return runtime_add(session, name, image, engine);
    if (strcmp(verb, "remove") == 0 && name)
        return runtime_drop(session, name);
    complain("runtime %s: expected %s", verb, command->arguments);
    return EXIT_USAGE;
}
