#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "command/command.h"
#include "model/model.h"
#include "store/credentials.h"

#define COLUMN_HOST 40

typedef struct {
    char *kind, *host, *user;
    gboolean secret_stdin;
} Wanted;

/* The line on standard input; NULL: what is wrong was printed. Freed with seal_forget. */
static char *secret_read(void)
{
    g_autoptr(GError) error = NULL;
    char *text = g_malloc0(CREDENTIAL_SECRET_BYTES + 3);
    ssize_t got = io_read_full(STDIN_FILENO, text, CREDENTIAL_SECRET_BYTES + 2, &error);
    if (got < 0) {
        complain("standard input: %s", error->message);
        seal_forget(text);
        return NULL;
    }
    if (got > 0 && text[got - 1] == '\n')
        text[--got] = '\0';
    if (got > 0 && text[got - 1] == '\r')
        text[--got] = '\0';
    if (strlen(text) == (size_t)got)
        return text;
    complain("the secret has a NUL in it");
    seal_forget(text);
    return NULL;
}

/* False: an option is missing or has no sense, which was printed. */
static bool options_check(const Session *session, const char *verb, const Wanted *wanted)
{
    const char *project = session_project(session), *rule = model_rule_name(project);
    if (rule)
        complain("--project %s: expected %s", project, rule);
    else if (!wanted->kind)
        complain("credential %s: --for KIND is missing: registry or s3", verb);
    else if (!wanted->host)
        complain("credential %s: --host HOST is missing, such as --host registry.example.com",
                 verb);
    else if (strcmp(verb, "add") == 0 && !wanted->secret_stdin)
        complain("credential add: --secret-stdin is missing: the secret is read from standard "
                 "input, where neither ps nor the shell's history shows it");
    else
        return true;
    return false;
}

static Credential *credential_of(const Session *session, const Wanted *wanted)
{
    Credential *credential = g_new0(Credential, 1);
    credential->project = g_strdup(session_project(session));
    credential->kind = g_strdup(wanted->kind);
    credential->host = g_strdup(wanted->host);
    credential->user = g_strdup(wanted->user ? wanted->user : "");
    return credential;
}

static int store_credential(Session *session, Credential *credential, const char *secret)
{
    g_autoptr(GError) error = NULL;
    if (!session_open(session, true))
        return EXIT_UNREACHABLE;
    const SealKey *key = service_key(session->service, true, &error);
    if (!key || !credential_put(session->service->db, key, credential, secret, &error))
        return complain_of(error);
    if (!session->quiet)
        printf(session->out.language == LANGUAGE_ZH ? "已为项目 %s 保存 %s 凭证:%s\n"
                                                    : "project %s has a credential for %s %s\n",
               credential->project, credential->kind, credential->host);
    return EXIT_DONE;
}

static int credential_add(Session *session, const Wanted *wanted)
{
    if (!options_check(session, "add", wanted))
        return EXIT_USAGE;
    char *secret = secret_read();
    if (!secret)
        return EXIT_USAGE;
    g_autoptr(Credential) credential = credential_of(session, wanted);
    g_autofree char *fault = credential_check(credential, secret);
    int status = EXIT_USAGE;
    if (fault)
        complain("credential add: %s", fault);
    else
        status = store_credential(session, credential, secret);
    seal_forget(secret);
    return status;
}

static json_t *credential_json(const Credential *credential)
{
    return json_pack("{s:s, s:s, s:s, s:s, s:I}", "project", credential->project, "for",
                     credential->kind, "host", credential->host, "user", credential->user,
                     "created_at", (json_int_t)credential->created_at);
}

static int credential_list(Session *session, bool json)
{
    g_autoptr(GError) error = NULL;
    if (!session_open(session, false))
        return EXIT_UNREACHABLE;
    g_autoptr(GPtrArray) list =
        credentials_list(session->service->db, session_project(session), &error);
    for (guint i = 0; list && i < list->len; i++) {
        const Credential *credential = list->pdata[i];
        if (json) {
            print_json_line(credential_json(credential));
            continue;
        }
        g_autofree char *kind = text_fit(credential->kind, 8);
        g_autofree char *host = text_fit(credential->host, COLUMN_HOST);
        g_autofree char *user =
            session->out.width ? text_cut(credential->user, 28) : text_safe(credential->user);
        g_autofree char *line = g_strdup_printf("%s  %s  %s", kind, host, user);
        printf("%s\n", g_strchomp(line));
    }
    if (list && list->len == 0 && !json && session->out.is_terminal && !session->quiet)
        printf(session->out.language == LANGUAGE_ZH ? "项目 %s 没有凭证\n"
                                                    : "project %s has no credentials\n",
               session_project(session));
    return list ? EXIT_DONE : complain_of(error);
}

static int credential_drop(Session *session, const Wanted *wanted)
{
    g_autoptr(GError) error = NULL;
    bool found;
    if (!options_check(session, "remove", wanted))
        return EXIT_USAGE;
    if (!session_open(session, false))
        return EXIT_UNREACHABLE;
    const char *project = session_project(session);
    if (!credential_remove(session->service->db, project, wanted->kind, wanted->host, &found,
                           &error))
        return complain_of(error);
    if (!found) {
        complain("project %s has no credential for %s %s", project, wanted->kind, wanted->host);
        return EXIT_FAILED;
    }
    if (!session->quiet)
        printf(session->out.language == LANGUAGE_ZH ? "已删除 %s %s\n" : "removed %s %s\n",
               wanted->kind, wanted->host);
    return EXIT_DONE;
}

static int credential_run(Session *session, const char *verb, const Wanted *wanted, bool json)
{
    if (strcmp(verb, "add") == 0)
        return credential_add(session, wanted);
    if (strcmp(verb, "list") == 0)
        return credential_list(session, json);
    if (strcmp(verb, "remove") == 0)
        return credential_drop(session, wanted);
    complain("credential %s: expected add, list or remove", verb);
    return EXIT_USAGE;
}

int command_credential(Session *session, int argc, char **argv)
{
    gboolean json = FALSE;
    Wanted wanted = {0};
    const GOptionEntry entries[] = {{"for", 0, 0, G_OPTION_ARG_FILENAME, &wanted.kind,
                                     "add, remove: registry or s3", "KIND"},
                                    {"host", 0, 0, G_OPTION_ARG_FILENAME, &wanted.host,
                                     "add, remove: where it logs in", "HOST[:PORT]"},
                                    {"user", 0, 0, G_OPTION_ARG_FILENAME, &wanted.user,
                                     "add: its user; of s3 the access key", "NAME"},
                                    {"secret-stdin", 0, 0, G_OPTION_ARG_NONE, &wanted.secret_stdin,
                                     "add: read the secret from standard input", NULL},
                                    {"json", 0, 0, G_OPTION_ARG_NONE, &json,
                                     "list: one object a line", NULL},
                                    {NULL}};
    int status = session_parse(session, command_find("credential"), entries, &argc, &argv, 1, 1);
    if (status < 0)
        status = credential_run(session, argv[1], &wanted, json);
    g_free(wanted.kind);
    g_free(wanted.host);
    g_free(wanted.user);
    return status;
}
