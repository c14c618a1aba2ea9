#include <string.h>

#include "base/clock.h"
#include "base/duration.h"
#include "command/command.h"
#include "model/model.h"
#include "store/access_keys.h"

#define DAY_MS      (INT64_C(24) * 3600 * 1000)
#define MOST_DAYS   3660
#define USER_BYTES  64
#define COLUMN_NAME 14

static bool is_user(const char *text)
{
    bool good = *text && strlen(text) <= USER_BYTES && g_utf8_validate(text, -1, NULL);
    for (; good && *text; text = g_utf8_next_char(text))
        good = g_unichar_isgraph(g_utf8_get_char(text));
    return good;
}

/* "90d", or what other durations are. */
static bool lasting_read(const char *text, int64_t *ms)
{
    guint64 days;
    g_autofree char *number = g_strdup(text);
    if (!g_str_has_suffix(number, "d"))
        return duration_parse(text, ms) && *ms > 0;
    number[strlen(number) - 1] = '\0';
    if (!g_ascii_string_to_unsigned(number, 10, 1, MOST_DAYS, &days, NULL))
        return false;
    *ms = (int64_t)days * DAY_MS;
    return true;
}

/* What was given, checked; NULL: what is wrong was printed. */
static AccessKey *wanted_new(const Session *session, const char *user, const char *role,
                             const char *expires)
{
    int64_t lasting = 0;
    g_autoptr(AccessKey) wanted = g_new0(AccessKey, 1);
    const char *project = session_project(session);
    const char *rule = strcmp(project, CALLER_EVERY_PROJECT) == 0 ? NULL : model_rule_name(project);
    if (!user)
        complain("access-key create: --user NAME is missing: who asks with it");
    else if (!is_user(user))
        complain("--user %s: expected 1 to 64 bytes of text without blanks", user);
    else if (!role)
        complain("access-key create: --role ROLE is missing: reader, writer or admin");
    else if (!role_of_name(role, &wanted->role))
        complain("--role %s: expected reader, writer or admin", role);
    else if (rule)
        complain("--project %s: expected %s, or * for every project", project, rule);
    else if (expires && !lasting_read(expires, &lasting))
        complain("--expires %s: expected days such as 90d, or " DURATION_RULE, expires);
    else {
        wanted->project = g_strdup(project);
        wanted->user = g_strdup(user);
        wanted->expires_at = lasting ? clock_now_ms() + lasting : 0;
        return g_steal_pointer(&wanted);
    }
    return NULL;
}

static json_t *time_json(int64_t ms)
{
    return ms ? json_integer(ms) : json_null();
}

static json_t *access_key_json(const AccessKey *access_key, const char *secret)
{
    json_t *object =
        json_pack("{s:s, s:s, s:s, s:s, s:I, s:o, s:o, s:o}", "access_key", access_key->id,
                  "project", access_key->project, "user", access_key->user, "role",
                  role_name(access_key->role), "created_at", (json_int_t)access_key->created_at,
                  "expires_at", time_json(access_key->expires_at), "revoked_at",
                  time_json(access_key->revoked_at), "used_at", time_json(access_key->used_at));
    if (secret)
        json_object_set_new(object, "secret_key", json_string(secret));
    return object;
}

static void secret_print(const Session *session, const AccessKey *access_key, const char *secret)
{
    bool zh = session->out.language == LANGUAGE_ZH;
    printf(zh ? "访问密钥 (AK)  %s\n私有密钥 (SK)  %s\n" : "access key  %s\nsecret key  %s\n",
           access_key->id, secret);
    fflush(stdout);
    if (!session->quiet)
        fputs(zh ? "私有密钥只显示这一次,请妥善保存。\n"
                 : "The secret key is shown this once and cannot be shown again: keep it now.\n",
              stderr);
}

static int key_create(Session *session, const char *user, const char *role, const char *expires,
                      bool json)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(AccessKey) wanted = wanted_new(session, user, role, expires);
    char *secret = NULL;
    if (!wanted)
        return EXIT_USAGE;
    if (!session_open(session, true))
        return EXIT_UNREACHABLE;
    const SealKey *key = service_key(session->service, true, &error);
    if (!key || !access_key_create(session->service->db, key, wanted, &secret, &error))
        return complain_of(error);
    if (json)
        print_json_line(access_key_json(wanted, secret));
    else
        secret_print(session, wanted, secret);
    seal_forget(secret);
    return EXIT_DONE;
}

static char *date_of(const Terminal *terminal, int64_t ms)
{
    g_autofree char *time = format_time(terminal, ms);
    return g_strndup(time, strlen("2026-01-31"));
}

/* "valid", "until 2026-01-31", "expired", "revoked". */
static char *state_text(const Terminal *terminal, const AccessKey *access_key)
{
    bool zh = terminal->language == LANGUAGE_ZH;
    if (access_key->revoked_at)
        return g_strdup(zh ? "已吊销" : "revoked");
    if (!access_key_is_valid(access_key, clock_now_ms()))
        return g_strdup(zh ? "已过期" : "expired");
    if (!access_key->expires_at)
        return g_strdup(zh ? "有效" : "valid");
    g_autofree char *date = date_of(terminal, access_key->expires_at);
    return g_strconcat(zh ? "至 " : "until ", date, NULL);
}

static void access_key_print(const Terminal *terminal, const AccessKey *access_key)
{
    bool valid = access_key_is_valid(access_key, clock_now_ms());
    g_autofree char *project = text_fit(access_key->project, COLUMN_NAME);
    g_autofree char *user = text_fit(access_key->user, COLUMN_NAME);
    g_autofree char *role = text_fit(role_name(access_key->role), 6);
    g_autofree char *state = state_text(terminal, access_key);
    fprintf(terminal->out, "%s%s%s  %s  %s  %s  %s%s%s\n",
            terminal_color(terminal, valid ? COLOR_BOLD : COLOR_DIM), access_key->id,
            terminal_plain(terminal), project, user, role,
            terminal_color(terminal, valid ? COLOR_GREEN : COLOR_DIM), state,
            terminal_plain(terminal));
}

static int key_list(Session *session, bool json)
{
    g_autoptr(GError) error = NULL;
    if (!session_open(session, false))
        return EXIT_UNREACHABLE;
    g_autoptr(GPtrArray) list = access_keys_list(session->service->db, session->project, &error);
    if (!list)
        return complain_of(error);
    for (guint i = 0; i < list->len; i++) {
        if (json)
            print_json_line(access_key_json(list->pdata[i], NULL));
        else
            access_key_print(&session->out, list->pdata[i]);
    }
    if (list->len == 0 && !json && session->out.is_terminal && !session->quiet)
        puts(session->out.language == LANGUAGE_ZH
                 ? "没有访问密钥;创建:waybill access-key create --user 用户 --role writer"
                 : "no access keys; make one: waybill access-key create --user NAME --role writer");
    return EXIT_DONE;
}

static int key_revoke(Session *session, const char *id)
{
    g_autoptr(GError) error = NULL;
    bool found;
    if (!session_open(session, false))
        return EXIT_UNREACHABLE;
    if (!access_key_revoke(session->service->db, id, &found, &error))
        return complain_of(error);
    if (!found) {
        complain("there is no access key %s that could be revoked", id);
        return EXIT_FAILED;
    }
    if (!session->quiet)
        printf(session->out.language == LANGUAGE_ZH ? "已吊销 %s\n" : "revoked %s\n", id);
    return EXIT_DONE;
}

int command_access_key(Session *session, int argc, char **argv)
{
    gboolean json = FALSE;
    g_autofree char *user = NULL, *role = NULL, *expires = NULL;
    const GOptionEntry entries[] = {
        {"user", 0, 0, G_OPTION_ARG_FILENAME, &user, "create: who asks with it", "NAME"},
        {"role", 0, 0, G_OPTION_ARG_FILENAME, &role, "create: reader, writer or admin", "ROLE"},
        {"expires", 0, 0, G_OPTION_ARG_FILENAME, &expires,
         "create: it ends after so long: 90d, 12h (never)", "DURATION"},
        {"json", 0, 0, G_OPTION_ARG_NONE, &json, "create, list: one object a line", NULL},
        {NULL}};
    const Command *command = command_find("access-key");
    int status = session_parse(session, command, entries, &argc, &argv, 1, 2);
    if (status >= 0)
        return status;
    const char *verb = argv[1], *id = argc > 2 ? argv[2] : NULL;
    if (strcmp(verb, "create") == 0 && !id)
        return key_create(session, user, role, expires, json);
    if (strcmp(verb, "list") == 0 && !id)
        return key_list(session, json);
    if (strcmp(verb, "revoke") == 0 && id)
        return key_revoke(session, id);
    complain("access-key %s: expected %s", verb, command->arguments);
    return EXIT_USAGE;
}
