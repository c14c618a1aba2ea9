/* maintenance: whether imports that would start wait. */
#include <string.h>

#include "base/clock.h"
#include "base/instant.h"
#include "command/command.h"
#include "import/hold.h"

typedef struct {
    char *message, *until;
    gboolean json;
} Options;

static void options_clear(Options *options)
{
    g_free(options->message);
    g_free(options->until);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Options, options_clear)

static int wrong(const char *message)
{
    complain("%s", message);
    return EXIT_USAGE;
}

/* -1: it is sound, else the exit status. */
static int wish_read(const Options *options, const char *verb, MaintenanceWish *wish)
{
    const int64_t now = clock_now_ms();
    wish->on = strcmp(verb, "on") == 0;
    wish->message = options->message && *options->message ? options->message : NULL;
    if (!wish->on && strcmp(verb, "off") != 0 && strcmp(verb, "status") != 0) {
        complain("maintenance %s: expected on, off or status", verb);
        return EXIT_USAGE;
    }
    if (!wish->on && (options->message || options->until))
        return wrong("--message and --until belong to `waybill maintenance on`");
    if (wish->message && !g_utf8_validate(wish->message, -1, NULL))
        return wrong("--message: expected text in UTF-8");
    if (wish->message && g_utf8_strlen(wish->message, -1) > MAINTENANCE_MESSAGE_CHARACTERS) {
        complain("--message has more than %d characters", MAINTENANCE_MESSAGE_CHARACTERS);
        return EXIT_USAGE;
    }
    if (options->until && !instant_parse(options->until, now, &wish->until)) {
        complain("--until %s: expected %s", options->until, INSTANT_RULE);
        return EXIT_USAGE;
    }
    if (options->until && (wish->until <= now || wish->until > INSTANT_LAST_MS)) {
        complain("--until %s: expected a time in the future", options->until);
        return EXIT_USAGE;
    }
    return -1;
}

static void print_on(const Terminal *terminal, const json_t *state)
{
    const bool zh = terminal->language == LANGUAGE_ZH;
    const json_t *until = json_object_get(state, "until");
    const char *message = json_string_value(json_object_get(state, "message"));
    const char *actor = json_string_value(json_object_get(state, "actor"));
    int waiting = (int)json_integer_value(json_object_get(state, "waiting"));
    g_autofree char *since =
        format_time(terminal, json_integer_value(json_object_get(state, "since")));
    g_autofree char *end = json_is_integer(until)
                               ? format_time(terminal, json_integer_value(until))
                               : g_strdup(zh ? "手动关闭" : "it is switched off");
    fprintf(terminal->out, "%s%s%s\n", terminal_color(terminal, COLOR_YELLOW),
            zh ? "维护模式已开启" : "maintenance is on", terminal_plain(terminal));
    fprintf(terminal->out,
            zh ? "  自    %s(%s)\n  至    %s\n" : "  since    %s, by %s\n  until    %s\n", since,
            actor, end);
    if (message) {
        fputs(zh ? "  说明  " : "  message  ", terminal->out);
        terminal_wrap(terminal, message, zh ? 8 : 11);
    }
    fprintf(terminal->out, zh ? "  等待  %d 个导入\n" : "  waiting  %d %s\n", waiting,
            waiting == 1 ? "import" : "imports");
}

static int print_state(Session *session, bool json)
{
    g_autoptr(GError) error = NULL;
    json_t *state = maintenance_json(session->service, &error);
    if (!state)
        return complain_of(error);
    if (json) {
        print_json_line(state);
        return EXIT_DONE;
    }
    if (json_is_true(json_object_get(state, "on")))
        print_on(&session->out, state);
    else
        fprintf(session->out.out, "%s\n",
                session->out.language == LANGUAGE_ZH ? "维护模式已关闭" : "maintenance is off");
    json_decref(state);
    return EXIT_DONE;
}

int command_maintenance(Session *session, int argc, char **argv)
{
    g_auto(Options) options = {0};
    const GOptionEntry entries[] = {{"message", 0, 0, G_OPTION_ARG_FILENAME, &options.message,
                                     "What those are told who wait", "TEXT"},
                                    {"until", 0, 0, G_OPTION_ARG_FILENAME, &options.until,
                                     "When it ends by itself: 2026-03-01T22:00, 22:00 or 2h",
                                     "TIME"},
                                    {"json", 0, 0, G_OPTION_ARG_NONE, &options.json, "One object",
                                     NULL},
                                    {NULL}};
    int status = session_parse(session, command_find("maintenance"), entries, &argc, &argv, 0, 1);
    const char *verb = argc > 1 ? argv[1] : "status";
    MaintenanceWish wish = {0};
    if (status < 0)
        status = wish_read(&options, verb, &wish);
    if (status >= 0)
        return status;
    if (!session_open(session, wish.on))
        return EXIT_UNREACHABLE;
    g_autoptr(GError) error = NULL;
    bool was_on;
    if (strcmp(verb, "status") != 0 &&
        !maintenance_switch(session->service, &wish, session_actor(), &was_on, &error))
        return complain_of(error);
    bool silent = session->quiet && strcmp(verb, "status") != 0 && !options.json;
    return silent ? EXIT_DONE : print_state(session, options.json);
}
