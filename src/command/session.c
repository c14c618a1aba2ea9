#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "command/command.h"
#include "command/mirror.h"
#include "event/advice.h"
#include "import/training.h"
#include "object/own_store.h"

void complain(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    g_autofree char *message = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    fflush(stdout);
    fprintf(stderr, "waybill: %s\n", message);
}

/* What the server says of a request means what the same fault means without one. */
static int remote_status(const GError *error)
{
    if (g_error_matches(error, REMOTE_ERROR, REMOTE_ERROR_NOT_FOUND))
        return EXIT_FAILED;
    return g_error_matches(error, REMOTE_ERROR, REMOTE_ERROR_REQUEST) ? EXIT_USAGE
                                                                      : EXIT_UNREACHABLE;
}

/* What a registry or a file says may hold what a terminal obeys; our own lines stay lines. */
static char *readable_lines(const char *message)
{
    g_auto(GStrv) lines = g_strsplit(message, "\n", -1);
    for (char **line = lines; *line; line++) {
        char *text = event_text(*line);
        g_free(*line);
        *line = text;
    }
    return g_strjoinv("\n", lines);
}

int complain_of(const GError *error)
{
    if (g_error_matches(error, REMOTE_ERROR, REMOTE_ERROR_STOPPED))
        return EXIT_INTERRUPTED;
    g_autofree char *message = readable_lines(error->message);
    complain("%s", message);
    if (error->domain == REMOTE_ERROR)
        return remote_status(error);
    return error->domain == IMPORT_ERROR || error->domain == SETTINGS_ERROR ||
                   error->domain == G_OPTION_ERROR
               ? EXIT_USAGE
               : EXIT_UNREACHABLE;
}

const char *session_actor(void)
{
    const char *name = g_get_user_name();
    return name && g_utf8_validate(name, -1, NULL) ? name : "unknown";
}

void print_json_line(json_t *value)
{
    char *text = json_dumps(value, JSON_COMPACT);
    puts(text);
    fflush(stdout);
    free(text);
    json_decref(value);
}

/* -- options -- */

static GOptionGroup *common_group(Session *session)
{
    const GOptionEntry entries[] = {
        {"data", 0, 0, G_OPTION_ARG_FILENAME, &session->data, "Data directory (WAYBILL_DATA)",
         "DIR"},
        {"server", 0, 0, G_OPTION_ARG_FILENAME, &session->server,
         "Talk to this server instead (WAYBILL_SERVER; WAYBILL_TOKEN)", "URL"},
        {"project", 0, 0, G_OPTION_ARG_FILENAME, &session->project, "Project (default)", "NAME"},
        {"config-file", 0, 0, G_OPTION_ARG_FILENAME, &session->config_file,
         "Settings file (WAYBILL_CONFIG_FILE)", "FILE"},
        {"set", 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &session->sets, "A setting; may be repeated",
         "SECTION.KEY=VALUE"},
        {"lang", 0, 0, G_OPTION_ARG_FILENAME, &session->language,
         "Language: en or zh (WAYBILL_LANG, else the locale)", "LANG"},
        {"color", 0, 0, G_OPTION_ARG_FILENAME, &session->color,
         "auto, always or never (NO_COLOR is honoured)", "WHEN"},
        {"utc", 0, 0, G_OPTION_ARG_NONE, &session->utc, "Show times in UTC", NULL},
        {"quiet", 'q', 0, G_OPTION_ARG_NONE, &session->quiet, "Say only what was asked for", NULL},
        {"help", 'h', 0, G_OPTION_ARG_NONE, &session->help, "Show this help", NULL},
        {NULL}};
    GOptionGroup *group =
        g_option_group_new("common", "Common options:", "Show the common options", NULL, NULL);
    g_option_group_add_entries(group, entries);
    return group;
}

/* A string option that is given twice leaves the first value behind; the last counts, and the
 * process ends soon. */
static GOptionContext *context_new(Session *session, const Command *command,
                                   const GOptionEntry *entries)
{
    GOptionContext *context = g_option_context_new(command->arguments);
    g_option_context_set_help_enabled(context, FALSE);
    g_option_context_set_summary(context, command->summary);
    g_option_context_set_description(context, command->details);
    if (entries) { /* a group of its own stands before the common one, the main one behind it */
        GOptionGroup *own = g_option_group_new("own", "Options:", "", NULL, NULL);
        g_option_group_add_entries(own, entries);
        g_option_context_add_group(context, own);
    }
    g_option_context_add_group(context, common_group(session));
    return context;
}

static void print_help(GOptionContext *context, const Command *command)
{
    g_autofree char *program = g_strconcat("waybill ", command->name, NULL);
    g_set_prgname(program);
    g_autofree char *help = g_option_context_get_help(context, FALSE, NULL);
    fputs(help, stdout);
    g_set_prgname("waybill");
}

/* As the environment names it: a machine on which the locale was never made has it for "C". */
static const char *locale_name(void)
{
    static const char *const VARIABLES[] = {"LC_ALL", "LC_MESSAGES", "LANG"};
    for (size_t i = 0; i < G_N_ELEMENTS(VARIABLES); i++) {
        const char *value = g_getenv(VARIABLES[i]);
        if (value && *value)
            return value;
    }
    return "C";
}

static bool session_language(Session *session, Language *language)
{
    const char *wanted = session->language ? session->language : g_getenv("WAYBILL_LANG");
    if (!wanted || !*wanted) {
        *language = g_str_has_prefix(locale_name(), "zh") ? LANGUAGE_ZH : LANGUAGE_EN;
        return true;
    }
    *language = g_str_has_prefix(wanted, "zh") ? LANGUAGE_ZH : LANGUAGE_EN;
    if (*language == LANGUAGE_ZH || g_str_has_prefix(wanted, "en"))
        return true;
    complain("--lang %s: expected en or zh", wanted);
    return false;
}

static bool session_prepare(Session *session)
{
    g_autoptr(GError) error = NULL;
    Language language;
    const char *color = session->color ? session->color : "auto";
    if (strcmp(color, "auto") != 0 && strcmp(color, "always") != 0 && strcmp(color, "never") != 0) {
        complain("--color %s: expected auto, always or never", color);
        return false;
    }
    if (!session_language(session, &language))
        return false;
    terminal_init(&session->out, stdout, color, language);
    terminal_init(&session->err, stderr, color, language);
    session->out.utc = session->err.utc = session->utc;
    session->settings =
        settings_load(session->config_file, (const char *const *)session->sets, &error);
    bool ready = session->settings && advice_set(session->settings, &error) &&
                 training_check(session->settings, &error) &&
                 image_store_url_is_valid(settings_text(session->settings, "images.url"), &error) &&
                 own_store_check(session->settings, &error);
    if (!ready)
        complain("%s", error->message);
    return ready;
}

static int usage_fault(const Command *command, const char *format, ...) G_GNUC_PRINTF(2, 3);

static int usage_fault(const Command *command, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    g_autofree char *message = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    complain("%s: %s", command->name, message);
    fprintf(stderr, "usage: waybill %s%s%s [OPTION…]; more: waybill %s --help\n", command->name,
            *command->arguments ? " " : "", command->arguments, command->name);
    return EXIT_USAGE;
}

/* -1: *session->remote is the server that was named, or nobody named one. WAYBILL_SERVER counts for
 * the commands that can talk to one; the others work on the data directory as ever. */
static int session_find_server(Session *session, const Command *command)
{
    g_autoptr(GError) error = NULL;
    const char *url = session->server ? session->server : g_getenv("WAYBILL_SERVER");
    if (!url || !*url || (!session->server && (!command->remote || session->data)))
        return -1;
    if (!command->remote)
        return usage_fault(command, "works on a data directory, not on a server: --server");
    if (session->data)
        return usage_fault(command, "--server and --data exclude each other");
    session->service = service_open_memory(session->settings, &error);
    if (session->service)
        session->remote =
            remote_new(url, session_project(session), &session->service->progress, &error);
    return session->remote ? -1 : complain_of(error);
}

int session_parse(Session *session, const Command *command, const GOptionEntry *entries, int *argc,
                  char ***argv, int least, int most)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GOptionContext) context = context_new(session, command, entries);
    if (!g_option_context_parse(context, argc, argv, &error))
        return usage_fault(command, "%s", error->message);
    if (session->help) {
        print_help(context, command);
        return EXIT_DONE;
    }
    if (*argc > 1 && strcmp((*argv)[1], "--") == 0) {
        (*argv)[1] = (*argv)[0];
        ++*argv;
        --*argc;
    }
    if (*argc - 1 < least)
        return usage_fault(command, "%s is missing", command->arguments);
    if (*argc - 1 > most)
        return usage_fault(command, "there is one argument too many: %s", (*argv)[most + 1]);
    if (!session_prepare(session))
        return EXIT_USAGE;
    return session_find_server(session, command);
}

/* -- the data directory -- */

char *session_data_directory(const Session *session)
{
    const char *named = session->data ? session->data : g_getenv("WAYBILL_DATA");
    return named && *named ? g_strdup(named)
                           : g_build_filename(g_get_user_data_dir(), "waybill", NULL);
}

bool session_open(Session *session, bool create)
{
    if (session->remote)
        return true;
    g_autoptr(GError) error = NULL;
    g_autofree char *directory = session_data_directory(session);
    if (!create && !g_file_test(directory, G_FILE_TEST_IS_DIR)) {
        complain("there is no data directory %s; the first import makes it (--data, WAYBILL_DATA)",
                 directory);
        return false;
    }
    session->service = service_open(directory, create, session->settings, &error);
    if (!session->service)
        complain("%s", error->message);
    return session->service != NULL;
}

const char *session_project(const Session *session)
{
    return session->project ? session->project : PROJECT_DEFAULT;
}

Model *session_model(Session *session, const char *text, int *status)
{
    g_autoptr(GError) error = NULL;
    *status = EXIT_UNREACHABLE;
    if (!session->service && !session_open(session, false))
        return NULL;
    Model *model = session->remote
                       ? mirror_model(session->service, session->remote, text, &error)
                       : model_find(session->service->db, session_project(session), text, &error);
    if (error) {
        *status = complain_of(error);
    } else if (!model) {
        *status = EXIT_FAILED;
        complain("there is no model %s; waybill models lists those there are", text);
    }
    return model;
}

Model *session_model_deleted(Session *session, const char *text, int *status)
{
    g_autoptr(GError) error = NULL;
    *status = EXIT_UNREACHABLE;
    if (!session->service && !session_open(session, false))
        return NULL;
    Model *model =
        session->remote
            ? mirror_model_deleted(session->service, session->remote, text, &error)
            : model_find_deleted(session->service->db, session_project(session), text, &error);
    if (error) {
        *status = complain_of(error);
    } else if (!model) {
        *status = EXIT_FAILED;
        complain("there is no deleted model %s; waybill models --deleted lists those there are",
                 text);
    }
    return model;
}

/* -- main -- */

#define FORMAT_DETAILS                                                                    \
    "--format writes the findings as a CI system shows them, and the rows to standard\n"  \
    "error (github: beside them). GITHUB_ACTIONS=true and GITLAB_CI=true choose theirs\n" \
    "where standard output is no terminal; plain: rows only."

const Command COMMANDS[] = {
    {"import", "SOURCE", "Import a model and follow its events to the end",
     "SOURCE is a directory that holds model/, s3://BUCKET/DIR, obs://BUCKET/DIR, or\n"
     "training://ID of a training job; with --type Image an image, HOST/REPOSITORY:TAG or\n"
     "oci:DIR:TAG; with --template ID the model directory itself. With --server a directory is\n"
     "sent there; the same command again goes on after a break.\n"
     "--if-exists, of a version that is there: same takes equal content for a success and refuses\n"
     "other content, fail refuses, retry imports other content as the next attempt.\n"
     "Exit status: 0 imported, 1 failed (the events say why) or out of time, 2 wrong usage\n"
     "or a version that is taken, 3 the data directory cannot be used.\n" FORMAT_DETAILS,
     command_import, true},
    {"init", "DIR", "Recognise a model and write its config.json",
     "An existing config is replaced with --force only. Where Hugging Face's config.json stands,\n"
     "waybill.json is written beside the model directory.",
     command_init},
    {"check", "SOURCE", "Every check of an import that needs no build; nothing is stored",
     "Exit status: 1 when an import would fail.\n" FORMAT_DETAILS, command_check},
    {"events", "MODEL | --all", "The timeline of a model, or what happened to all of them",
     "MODEL is a name (its newest version), name:version, or an id.", command_events, true},
    {"wait", "MODEL", "Wait until the import has ended",
     "Exit status: as import's; 1 as well when the time was over first, which standard error says.",
     command_wait, true},
    {"models", "", "List the models", NULL, command_models, true},
    {"show", "MODEL | IMAGE", "Details of a model, or what an image carries with it",
     "MODEL: status, size, image, layers, last event. IMAGE, "
     "[registry+http://]HOST/REPOSITORY:TAG\n"
     "or @DIGEST: the timeline of its import and what it was made of, as its registry has them.",
     command_show, true},
    {"log", "MODEL", "The build log of a model", NULL, command_log, true},
    {"try", "MODEL", "Run the image of a model and send it one request",
     "In the sandbox, without a network, as the user that the image names. The answer is printed;\n"
     "of an image that does not serve the container's last lines, exit status 1.",
     command_try},
    {"copy", "MODEL REF", "Copy the image of a model to a registry, a layout or an archive",
     "REF is [registry+http://]HOST[:PORT]/REPOSITORY[:TAG], oci:DIR[:TAG], "
     "oci-archive:FILE[:TAG]\n"
     "or FILE.tar; without TAG the model's version. What is there already is not sent again.\n"
     "  waybill copy digits registry.example.com/team/digits\n"
     "  waybill copy digits oci-archive:- | podman load",
     command_copy, true},
    {"diff", "A [B]", "What changed from A to B, or in A since it last worked",
     "A and B are a name (its newest version), name:version, or an id, with @N behind it for\n"
     "attempt N: digits:0.0.2@1. Without B: A against the newest imported attempt before it.\n"
     "+ is new, - is gone, ~ changed, ? may have changed: it was written to and is not hashed.",
     command_diff, true},
    {"report", "MODEL", "All that is known of a model in one file, without secrets",
     "Markdown: the model, its attempts with events and evidence, the end of the build log,\n"
     "settings, program and machine. Keys, passwords and the like stand as ***. Look it\n"
     "through before you send it.",
     command_report},
    {"explain", "[REASON | MODEL[#SEQ]]",
     "What an event means and what to do; without REASON all of them",
     "MODEL#SEQ is one event of a model as it was recorded, its source may be gone; MODEL alone "
     "is\n"
     "what its newest attempt failed for. What names both a reason, or its number, and a model is\n"
     "the reason: name:version or an id is always the model.",
     command_explain, true},
    {"retry", "MODEL [SOURCE]", "Import again: go on where it stopped, or begin the next attempt",
     "--from: of a custom image check, size or source. A stage that the newest attempt did not "
     "get\n"
     "past cannot be left out.",
     command_retry, true},
    {"update", "MODEL", "Change a model's description or dependencies",
     "FILE holds the dependencies as config.json has them: an array. Other ones than the model "
     "has\n"
     "rebuild its image; the former image stays until that has worked. Exit status as import's.",
     command_update, true},
    {"cancel", "MODEL", "Stop an import", NULL, command_cancel, true},
    {"delete", "MODEL", "Delete a model; its blobs go with waybill gc", NULL, command_delete, true},
    {"runtime", "bootstrap NAME | add NAME --image REF | list | remove NAME",
     "The base images that models are packed on",
     "bootstrap python3.11 makes one from Debian's packages, with the inference service that runs\n"
     "customize_service.py; again, it takes the packages' newer versions. Needs mmdebstrap.\n"
     "Exit status: 1 when nothing could be added.",
     command_runtime},
    {"templates", "", "The templates that models may be imported by",
     "Those of templates.dir, or with --server of the server: id, engine, runtime, input and "
     "output\n"
     "modes (the first is the default), name. --json has each as a whole.\n"
     "Exit status: 1 when a template cannot be used.",
     command_templates, true},
    {"workers", "", "Who works on what, and how many imports wait",
     "The workers of servers and of commands on the data directory, or with --server\n"
     "on the server's: name, stage and for how long, model, progress.",
     command_workers, true},
    {"du", "", "What takes the space, by project and model",
     "Size is what something needs; Alone, of that, what nothing else needs: what goes\n"
     "with it. A blob that several need counts in each of their rows, and once in the\n"
     "total. --project: of that one. With --server, for administrators.",
     command_du, true},
    {"gc", "", "Remove what nothing refers to, and left-overs",
     "A server runs it by itself, as gc.schedule says (daily); doctor says when it did.",
     command_gc},
    {"verify", "[MODEL]", "Hash again what is kept, and say what is damaged and what mends it",
     "Without MODEL: everything, base images and the store itself included.\n"
     "--drop-damaged removes the files of damaged blobs, so that an import writes them anew.\n"
     "Exit status: 1 when damage was found.",
     command_verify},
    {"backup", "DEST", "Copy the store and its images, also while they are in use",
     "DEST is not there yet, or an empty directory. Its images/ is an OCI layout, its backup.json\n"
     "says what it holds. Every blob is verified on its way; gc waits meanwhile.",
     command_backup},
    {"restore", "SRC", "Make the data directory what a backup holds",
     "SRC is a directory that waybill backup made; it is only read. Refused: a data directory in\n"
     "use, and one whose store has events that the backup lacks.",
     command_restore},
    {"store", "copy", "Bring the store from SQLite to PostgreSQL, and back",
     "URL is sqlite:PATH or postgresql://[USER[:PASSWORD]@]HOST[:PORT]/DATABASE. All of it is one\n"
     "transaction, committed once every row was read again and found equal. Images and secret.key\n"
     "are not in the store: they stay where they are.\n"
     "  waybill store copy --to postgresql://waybill@db.example.com/waybill\n"
     "Exit status: 1 when a row differed, 2 when there is something in the target already.",
     command_store},
    {"token", "create | list | revoke ID | link", "Who may use the server, and sign-in links",
     "create prints the token, this once; only its digest is kept. The first token closes the\n"
     "server's open mode, at once. --project '*': every project, for --role admin only.\n"
     "reader sees, writer imports and deletes too, admin sees the audit list too.\n"
     "  waybill token create --user alice --role writer --expires 90d\n"
     "  waybill token create --user ci --role writer --project vision --quiet\n"
     "  waybill token revoke t-0123456789ab\n"
     "link prints an address that signs a browser in, once, within 15 minutes.",
     command_token},
    {"audit", "", "Who imported, retried, cancelled and deleted, and who signed in",
     "Newest last. --project: only what was done in that project.", command_audit},
    {"serve", "", "Run the server: the HTTP API and workers on the data directory",
     "It prints its address and runs until SIGINT or SIGTERM, which hand running imports back\n"
     "to the queue. Its first start prints a link as well, that signs you in once.\n"
     "An address that others reach needs a token first: waybill token create.",
     command_serve},
    {"worker", "", "Workers only, on a store in PostgreSQL that several machines share",
     "They take imports that any server on that store (store.url) was asked for, and run\n"
     "until SIGINT or SIGTERM, which hand running imports back to the queue. Images go to the\n"
     "registry of images.url; security.secret_key is the same on every machine.",
     command_worker},
    {"maintenance", "[status | on | off]", "Let nothing begin: imports that would start wait",
     "What runs goes on to its end. off, or the time of --until, lets go what waits.",
     command_maintenance},
    {"setting", "list | set KEY=VALUE… | unset KEY…",
     "Settings in the store, for all who work on it",
     "Running servers and workers go by them within a second. What a node says itself, in its\n"
     "waybill.conf, its environment or --set, is above them.\n"
     "  waybill setting set limits.model_gib=40 gc.schedule=03:30",
     command_setting},
    {"access-key", "create | list | revoke ID",
     "AK/SK pairs that requests to the server are signed with",
     "The secret key is shown once, by create. list: of --project, else of all.\n"
     "waybill access-key create --project vision --user ci --role writer --expires 90d",
     command_access_key},
    {"key", "create | show", "The key that signs what images carry with them",
     "create makes DATA/signing.key and prints the public key: from then on the provenance of "
     "each\n"
     "image that is built is signed (DSSE, ECDSA P-256). waybill show IMAGE verifies it.",
     command_key},
    {"credential", "add | list | remove", "A project's logins at registries and object stores",
     "One for each kind and host; add replaces it. A secret is never shown again.\n"
     "waybill credential add --project vision --for registry --host r.example.com \\\n"
     "    --user robot --secret-stdin < token.txt",
     command_credential},
    {"doctor", "", "Check the machine and the data directory; say what mends it",
     "Exit status: 1 when something fails.", command_doctor},
    {NULL}};

const Command *command_find(const char *name)
{
    for (const Command *command = COMMANDS; command->name; command++)
        if (strcmp(command->name, name) == 0)
            return command;
    return NULL;
}
