#include "command/events_all.h"

#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "base/duration.h"
#include "command/answer_view.h"
#include "command/event_view.h"

#define INDENT 4 /* of what stands beneath a row */

typedef struct {
    const Terminal *terminal;
    bool json;
    int64_t count;
} Printing;

static const char *text_of(const json_t *event, const char *key)
{
    const char *text = json_string_value(json_object_get(event, key));
    return text ? text : "";
}

/* text: the same event. */
static void print_event(Printing *printing, const char *text, const json_t *event)
{
    const Terminal *terminal = printing->terminal;
    printing->count++;
    if (printing->json) {
        fprintf(terminal->out, "%s\n", text);
        return;
    }
    g_autofree char *name =
        g_strconcat(text_of(event, "model_name"), ":", text_of(event, "model_version"), NULL);
    event_view_print_of(terminal, event, name);
    if (strcmp(text_of(event, "event_type"), "normal") != 0)
        answer_view_summary(terminal, event, INDENT);
}

static void print_row(const TimelineAllRow *row, gpointer data)
{
    g_autofree char *text = timeline_all_json(row);
    json_auto_t *event = json_loads(text, 0, NULL);
    print_event(data, text, event);
}

/* "3 events of 2 models", and how to see more. */
static void print_count(const Printing *printing, int64_t events, int64_t models, bool more)
{
    const Terminal *terminal = printing->terminal;
    bool zh = terminal->language == LANGUAGE_ZH;
    g_autofree char *shown =
        !more ? g_strdup("")
        : zh  ? g_strdup_printf(",只显示最新的 %" PRId64 " 个(--limit)", printing->count)
              : g_strdup_printf(", the newest %" PRId64 " are shown (--limit)", printing->count);
    if (zh)
        fprintf(terminal->out, "%" PRId64 " 个事件,涉及 %" PRId64 " 个模型%s\n", events, models,
                shown);
    else
        fprintf(terminal->out, "%" PRId64 " event%s of %" PRId64 " model%s%s\n", events,
                events == 1 ? "" : "s", models, models == 1 ? "" : "s", shown);
}

static void print_answer(Printing *printing, const json_t *events)
{
    size_t i;
    const json_t *event;
    json_array_foreach (events, i, event) {
        g_autofree char *text = json_dumps(event, JSON_COMPACT);
        print_event(printing, text, event);
    }
}

/* "&NAME=VALUE"; nothing without a value. */
static void add_query(GString *path, const char *name, const char *value)
{
    g_autofree char *escaped = remote_escape(value ? value : "");
    if (value)
        g_string_append_printf(path, "&%s=%s", name, escaped);
}

static char *query_of(const Session *session, const TimelineAll *search)
{
    g_autofree char *start = remote_path(session->remote, "/events?limit=%" PRId64, search->limit);
    GString *path = g_string_new(start);
    const bool some = search->normal || search->abnormal || search->hint;
    g_autofree char *types =
        g_strdup_printf("%s%s%s", search->normal ? "normal," : "",
                        search->abnormal ? "abnormal," : "", search->hint ? "hint," : "");
    if (some)
        types[strlen(types) - 1] = '\0';
    add_query(path, "event_type", some ? types : NULL);
    add_query(path, "reason", search->reason);
    add_query(path, "kind", search->kind);
    if (search->since)
        g_string_append_printf(path, "&since=%" PRId64, search->since);
    return g_string_free(path, FALSE);
}

static int events_of_server(Session *session, const TimelineAll *search, Printing *printing)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *path = query_of(session, search);
    json_auto_t *answer = remote_call(session->remote, "GET", path, NULL, &error);
    if (!answer)
        return complain_of(error);
    print_answer(printing, json_object_get(answer, "events"));
    if (!printing->json && !session->quiet)
        print_count(printing, json_integer_value(json_object_get(answer, "total_count")),
                    json_integer_value(json_object_get(answer, "model_count")),
                    json_object_get(answer, "next") != NULL);
    return EXIT_DONE;
}

int events_all(Session *session, TimelineAll *search, const char *since, bool json)
{
    bool more;
    int64_t ago, events = 0, models = 0;
    g_autoptr(GError) error = NULL;
    if (since && !duration_parse(since, &ago)) {
        complain("--since %s: expected %s", since, DURATION_RULE);
        return EXIT_USAGE;
    }
    if (!session_open(session, false))
        return EXIT_UNREACHABLE;
    search->since = since ? clock_now_ms() - ago : 0;
    search->project = session_project(session);
    Printing printing = {.terminal = &session->out, .json = json};
    if (session->remote)
        return events_of_server(session, search, &printing);
    Db *db = session->service->db;
    if (!timeline_all_each(db, search, print_row, &printing, &more, &error) ||
        !timeline_all_count(db, search, &events, &models, &error))
        return complain_of(error);
    if (!json && !session->quiet)
        print_count(&printing, events, models, more);
    return EXIT_DONE;
}
