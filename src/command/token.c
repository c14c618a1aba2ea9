#include "store/tokens.h"

#include <string.h>

#include "base/clock.h"
#include "command/command.h"
#include "import/grant.h"
#include "server/access.h"
#include "server/sign_in.h"

#define USUAL_MINUTES (LINK_SECONDS / 60)

typedef struct {
    char *user, *role, *expires, *url;
    gboolean json;
} Options;

/* NULL: the reason was printed (exit 2). */
static Token *token_of_options(const char *user, const char *project, const char *role)
{
    g_autofree char *fault = NULL;
    Token *token = grant_new(user, project, role, "--", &fault);
    if (!token)
        complain("%s", fault);
    return token;
}

/* -- create -- */

/* "2030-12-31", or what stands for no time at all. The caller frees it. */
static char *day_text(int64_t ms, const char *never)
{
    g_autoptr(GDateTime) time = ms ? g_date_time_new_from_unix_utc(ms / 1000) : NULL;
    return time ? g_date_time_format(time, "%Y-%m-%d") : g_strdup(never);
}

/* The token alone stands on standard output, so that a script can take it from there. */
static void print_created(const Session *session, const Token *token, const char *secret)
{
    bool chinese = session->err.language == LANGUAGE_ZH;
    g_autofree char *until = day_text(token->expires_at, chinese ? "永不过期" : "never expires");
    const char *word = !token->expires_at ? "" : chinese ? "有效期至 " : "expires ";
    if (session->quiet) {
        puts(secret);
        return;
    }
    fprintf(session->err.out,
            chinese ? "令牌 %s:用户 %s,项目 %s,角色 %s,%s%s。令牌只显示这一次:\n"
                    : "token %s: user %s, project %s, role %s, %s%s.\nIt is shown this once:\n",
            token->id, token->user, token->project, role_name(token->role), word, until);
    puts(secret);
}

static int token_create(Session *session, const Options *options)
{
    g_autoptr(GError) error = NULL;
    int64_t expires = 0;
    if (!options->user || !options->role) {
        complain("token create: %s is missing, such as %s", options->user ? "--role" : "--user",
                 options->user ? "--role writer" : "--user alice");
        return EXIT_USAGE;
    }
    if (options->expires && !grant_expires(options->expires, clock_now_ms(), &expires)) {
        complain("--expires %s: expected " GRANT_EXPIRES_RULE ", in the future", options->expires);
        return EXIT_USAGE;
    }
    g_autoptr(Token) token =
        token_of_options(options->user, session_project(session), options->role);
    if (!token)
        return EXIT_USAGE;
    token->expires_at = expires;
    if (!session_open(session, true))
        return EXIT_UNREACHABLE;
    g_autofree char *secret = grant_make(session->service, session_actor(), token, &error);
    if (!secret)
        return complain_of(error);
    if (!options->json) {
        print_created(session, token, secret);
        return EXIT_DONE;
    }
    json_t *object = grant_json(token);
    json_object_set_new(object, "token", json_string(secret));
    print_json_line(object);
    return EXIT_DONE;
}

/* -- list, revoke -- */

enum { COLUMN_ID, COLUMN_USER, COLUMN_PROJECT, COLUMN_ROLE, COLUMN_USED, COLUMN_EXPIRES, COLUMNS };
static const int WIDTHS[COLUMNS] = {14, 16, 12, 6, 10, 10};

static void print_row(const Terminal *terminal, const char *const *cells, Color color)
{
    GString *line = g_string_new(NULL);
    for (int i = 0; i < COLUMNS; i++) {
        g_autofree char *cell =
            terminal->width ? text_fit(cells[i], WIDTHS[i]) : g_strdup(cells[i]);
        g_string_append_printf(line, "%s%s", i ? "  " : "", cell);
    }
    fprintf(terminal->out, "%s%s%s\n", terminal_color(terminal, color), g_strchomp(line->str),
            terminal_plain(terminal));
    g_string_free(line, TRUE);
}

static void print_heading(const Terminal *terminal)
{
    static const char *const EN[] = {"Id", "User", "Project", "Role", "Last used", "Expires"},
                             *const ZH[] = {"编号", "用户", "项目", "角色", "最近使用", "有效期"};
    if (terminal->is_terminal)
        print_row(terminal, terminal->language == LANGUAGE_ZH ? ZH : EN, COLOR_DIM);
}

static void print_token(const Terminal *terminal, const Token *token)
{
    bool chinese = terminal->language == LANGUAGE_ZH;
    g_autofree char *used = day_text(token->last_used_at, "-");
    g_autofree char *expires = day_text(token->expires_at, "-");
    const char *state = token->revoked_at ? (chinese ? "已吊销" : "revoked")
                        : token->expires_at && token->expires_at <= clock_now_ms()
                            ? (chinese ? "已过期" : "expired")
                            : expires;
    const char *const cells[COLUMNS] = {token->id,      token->user,
                                        token->project, role_name(token->role),
                                        used,           state};
    print_row(terminal, cells, state == expires ? COLOR_NONE : COLOR_DIM);
}

static int token_list(Session *session, bool json)
{
    g_autoptr(GError) error = NULL;
    if (!session_open(session, false))
        return EXIT_UNREACHABLE;
    g_autoptr(GPtrArray) tokens = tokens_list(session->service->db, session->project, &error);
    if (!tokens)
        return complain_of(error);
    if (!json && tokens->len)
        print_heading(&session->out);
    for (guint i = 0; i < tokens->len; i++) {
        if (json)
            print_json_line(grant_json(tokens->pdata[i]));
        else
            print_token(&session->out, tokens->pdata[i]);
    }
    if (tokens->len == 0 && !json && !session->quiet)
        complain("there is no token yet: waybill token create --user NAME --role writer");
    return EXIT_DONE;
}

static int token_end(Session *session, const char *id)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(Token) token = NULL;
    if (!session_open(session, false))
        return EXIT_UNREACHABLE;
    if (!grant_end(session->service, session_actor(), NULL, id, &token, &error))
        return complain_of(error);
    if (!token) {
        complain("there is no token %s; waybill token list lists those there are", id);
        return EXIT_FAILED;
    }
    if (token->revoked_at)
        complain("%s was revoked already", id);
    else if (!session->quiet)
        printf(session->out.language == LANGUAGE_ZH
                   ? "已吊销 %s(用户 %s),用它登录的会话同时失效\n"
                   : "revoked %s of %s, and the sessions that were signed in with it\n",
               id, token->user);
    return EXIT_DONE;
}

/* -- link -- */

/* Where the settings say that the server is; NULL: the reason was printed (exit 2). */
static char *server_url(const Session *session, const char *given)
{
    const char *listen = settings_text(session->settings, "server.listen");
    bool tls = *settings_text(session->settings, "server.tls_cert") != '\0';
    const char *colon = strrchr(listen, ':');
    if (given && (g_str_has_prefix(given, "http://") || g_str_has_prefix(given, "https://"))) {
        char *url = g_strdup(given);
        while (g_str_has_suffix(url, "/"))
            url[strlen(url) - 1] = '\0';
        return url;
    }
    if (given) {
        complain("--url %s: expected the server's address, such as http://127.0.0.1:8420", given);
        return NULL;
    }
    if (!colon || strcmp(colon, ":0") == 0) {
        complain("server.listen is %s: say with --url where the server is", listen);
        return NULL;
    }
    bool any = g_str_has_prefix(listen, "0.0.0.0:") || g_str_has_prefix(listen, "[::]:");
    return g_strconcat(tls ? "https://" : "http://", any ? "127.0.0.1" : "", any ? colon : listen,
                       NULL);
}

static char *link_make(Session *session, const Token *who, GError **error)
{
    g_autoptr(DbTransaction) transaction = db_transaction(session->service->db, error);
    g_autofree char *path = transaction
                                ? sign_in_link_make(session->service, session_actor(), who->user,
                                                    who->project, who->role, error)
                                : NULL;
    return path && db_commit(session->service->db, error) ? g_steal_pointer(&path) : NULL;
}

static int token_link(Session *session, const Options *options)
{
    g_autoptr(GError) error = NULL;
    const char *role = options->role ? options->role : "admin";
    const char *project = session->project             ? session->project
                          : strcmp(role, "admin") == 0 ? CALLER_EVERY_PROJECT
                                                       : session_project(session);
    g_autofree char *url = server_url(session, options->url);
    g_autoptr(Token) who =
        url ? token_of_options(options->user ? options->user : session_actor(), project, role)
            : NULL;
    if (!who)
        return EXIT_USAGE;
    if (!session_open(session, true))
        return EXIT_UNREACHABLE;
    g_autofree char *path = link_make(session, who, &error);
    if (!path)
        return complain_of(error);
    if (options->json) {
        g_autofree char *whole = g_strconcat(url, path, NULL);
        print_json_line(json_pack("{s:s, s:s, s:s, s:s}", "url", whole, "user", who->user,
                                  "project", who->project, "role", role_name(who->role)));
        return EXIT_DONE;
    }
    if (!session->quiet)
        fprintf(session->err.out,
                session->err.language == LANGUAGE_ZH
                    ? "用户 %s 的登录链接,%d 分钟内有效,只能使用一次:\n"
                    : "signs %s in, once, within %d minutes:\n",
                who->user, USUAL_MINUTES);
    printf("%s%s\n", url, path);
    return EXIT_DONE;
}

static int token_verb(Session *session, const Options *options, const char *verb,
                      const char *argument)
{
    if (strcmp(verb, "create") == 0 && !argument)
        return token_create(session, options);
    if (strcmp(verb, "list") == 0 && !argument)
        return token_list(session, options->json);
    if (strcmp(verb, "revoke") == 0 && argument)
        return token_end(session, argument);
    if (strcmp(verb, "link") == 0 && !argument)
        return token_link(session, options);
    if (strcmp(verb, "revoke") == 0)
        complain("token revoke: ID is missing; waybill token list has it");
    else
        complain("token %s: expected %s", verb, command_find("token")->arguments);
    return EXIT_USAGE;
}

int command_token(Session *session, int argc, char **argv)
{
    Options options = {0};
    const GOptionEntry entries[] = {
        {"user", 0, 0, G_OPTION_ARG_FILENAME, &options.user,
         "create: who uses it, the actor of events (link: you)", "NAME"},
        {"role", 0, 0, G_OPTION_ARG_FILENAME, &options.role,
         "create: reader, writer or admin (link: admin)", "ROLE"},
        {"expires", 0, 0, G_OPTION_ARG_FILENAME, &options.expires,
         "create: 90d, 12h or a day such as 2030-12-31 (never)", "WHEN"},
        {"url", 0, 0, G_OPTION_ARG_FILENAME, &options.url,
         "link: the server's address (http://server.listen)", "URL"},
        {"json", 0, 0, G_OPTION_ARG_NONE, &options.json, "One object a line", NULL},
        {NULL}};
    int status = session_parse(session, command_find("token"), entries, &argc, &argv, 1, 2);
    if (status < 0)
        status = token_verb(session, &options, argv[1], argc > 2 ? argv[2] : NULL);
    g_free(options.user);
    g_free(options.role);
    g_free(options.expires);
    g_free(options.url);
    return status;
}
