/* setting: what the store holds of settings, for all who work on it. */
#include <string.h>

#include "base/mask.h"
#include "command/command.h"
#include "import/setting_change.h"

#define COLUMN_KEY   32
#define COLUMN_VALUE 20

static const char *text_of(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

/* -- list -- */

static void print_setting(const Terminal *terminal, const json_t *setting)
{
    const bool zh = terminal->language == LANGUAGE_ZH;
    const json_t *here = json_object_get(setting, "here");
    const char *fault = text_of(setting, "fault");
    g_autofree char *key = text_fit(text_of(setting, "key"), COLUMN_KEY);
    g_autofree char *value = text_safe(text_of(setting, "value"));
    g_autofree char *padded = text_fit(value, MAX(COLUMN_VALUE, text_width(value)));
    g_autofree char *time =
        format_time(terminal, json_integer_value(json_object_get(setting, "set_at")));
    g_autofree char *by = text_safe(text_of(setting, "set_by"));
    fprintf(terminal->out, "%s  %s  %s  %s\n", key, padded, time, by);
    if (fault)
        fprintf(terminal->out, zh ? "  未生效:%s\n" : "  does nothing: %s\n", fault);
    if (here)
        fprintf(terminal->out, zh ? "  本机为 %s(%s)\n" : "  here it is %s (%s)\n",
                text_of(here, "value"), text_of(here, "origin"));
}

static int setting_list(Session *session, bool json)
{
    size_t i;
    json_t *setting;
    g_autoptr(GError) error = NULL;
    if (!session_open(session, false))
        return EXIT_UNREACHABLE;
    json_auto_t *list = settings_held_json(session->service, &error);
    if (!list)
        return complain_of(error);
    json_array_foreach (list, i, setting)
        if (json)
            print_json_line(json_incref(setting));
        else
            print_setting(&session->out, setting);
    if (json_array_size(list) == 0 && !json && session->out.is_terminal && !session->quiet)
        printf(session->out.language == LANGUAGE_ZH ? "存储中没有设置\n"
                                                    : "the store holds no settings\n");
    return EXIT_DONE;
}

/* What the store can hold, and what this process goes by. */
static int setting_list_all(Session *session, bool json)
{
    if (!session_open(session, false))
        return EXIT_UNREACHABLE;
    for (const SettingRow *row = settings_table(); row->key; row++) {
        const char *value = settings_text(session->settings, row->key);
        const char *origin = settings_origin(session->settings, row->key);
        if (!row->shared)
            continue;
        g_autofree char *masked = mask_text(value);
        if (json) {
            print_json_line(
                json_pack("{s:s, s:s, s:s}", "key", row->key, "value", masked, "origin", origin));
            continue;
        }
        g_autofree char *key = text_fit(row->key, COLUMN_KEY);
        g_autofree char *padded =
            text_fit(*masked ? masked : "-", MAX(COLUMN_VALUE, text_width(masked)));
        printf("%s  %s  %s\n", key, padded, origin);
    }
    return EXIT_DONE;
}

/* -- set, unset -- */

/* The words are SECTION.KEY=VALUE each, or SECTION.KEY; cut in place. False: what is wrong was
 * printed. */
static bool changes_read(char **words, bool put, GArray *changes)
{
    bool good = true;
    for (char **word = words; *word; word++) {
        char *equals = put ? strchr(*word, '=') : NULL;
        g_autofree char *shown = g_strdup(*word);
        if (equals)
            *equals = '\0';
        const SettingChange change = {*word, equals ? equals + 1 : NULL};
        g_autofree char *fault =
            put && !equals ? g_strdup("expected SECTION.KEY=VALUE, such as limits.model_gib=40")
                           : setting_change_fault(&change);
        if (fault)
            complain("setting %s %s: %s", put ? "set" : "unset", shown, fault);
        good = good && !fault;
        g_array_append_val(changes, change);
    }
    return good;
}

/* What this node says itself is above the store. */
static void warn_of_own(const Session *session, const char *key)
{
    const char *origin = settings_origin(session->settings, key);
    if (strcmp(origin, SETTINGS_ORIGIN_STORE) != 0 && strcmp(origin, "default") != 0)
        complain("%s: here it stays %s (%s), which is above the store", key,
                 settings_text(session->settings, key), origin);
}

static int setting_change(Session *session, char **words, bool put)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GArray) changes = g_array_new(FALSE, FALSE, sizeof(SettingChange));
    if (!changes_read(words, put, changes))
        return EXIT_USAGE;
    if (!session_open(session, put))
        return EXIT_UNREACHABLE;
    const SettingChange *all = (const SettingChange *)(const void *)changes->data;
    if (!settings_change(session->service, all, changes->len, session_actor(), &error))
        return complain_of(error);
    for (guint i = 0; put && i < changes->len; i++)
        warn_of_own(session, all[i].key);
    return EXIT_DONE;
}

int command_setting(Session *session, int argc, char **argv)
{
    gboolean json = FALSE, all = FALSE;
    const GOptionEntry entries[] = {{"all", 'a', 0, G_OPTION_ARG_NONE, &all,
                                     "list: all that the store can hold, and what counts here",
                                     NULL},
                                    {"json", 0, 0, G_OPTION_ARG_NONE, &json,
                                     "list: one object a line", NULL},
                                    {NULL}};
    int status =
        session_parse(session, command_find("setting"), entries, &argc, &argv, 0, G_MAXINT);
    if (status >= 0)
        return status;
    const char *verb = argc > 1 ? argv[1] : "list";
    char **words = argv + MIN(argc, 2);
    const bool put = strcmp(verb, "set") == 0;
    if (strcmp(verb, "list") == 0 && !*words)
        return all ? setting_list_all(session, json) : setting_list(session, json);
    if (!put && strcmp(verb, "unset") != 0) {
        complain("setting %s: expected list, set or unset", verb);
        return EXIT_USAGE;
    }
    if (*words)
        return setting_change(session, words, put);
    complain(put ? "setting set: SECTION.KEY=VALUE is missing"
                 : "setting unset: SECTION.KEY is missing");
    return EXIT_USAGE;
}
