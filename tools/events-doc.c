/* Prints docs/events.md, which is made from the catalogue and committed:
 *   events-doc > docs/events.md
 *   events-doc --check docs/events.md   (a test: exit 1 when the file is not what would be printed)
 *
 * An event's heading is its reason and nothing else: that makes the anchor that `faq` names
 * (catalog_faq), wherever Markdown is rendered. */
#include "event/event.h"
#include "event/kinds.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    Language language;
    const char *when, *causes, *advice;
    const char *diagnosis, *kind, *turn, *summary, *steps;
} Headings;

static const Headings HEADINGS[] = {
    {LANGUAGE_EN, "When.", "Likely causes", "What to do", "Diagnosis", "kind", "whose turn",
     "summary", "steps"},
    {LANGUAGE_ZH, "何时出现:", "可能原因", "处理方法", "诊断", "类别", "由谁处理", "摘要", "步骤"},
};

static const char *const INTRO =
    "# Events\n"
    "\n"
    "<!-- Made from src/event by tools/events-doc: change it there. -->\n"
    "\n"
    "Every event that Waybill can record, with what it means and what to do about it. The same\n"
    "texts are shown by `waybill explain REASON`.\n"
    "\n"
    "- **normal**: a step was taken. **abnormal**: something is wrong, and as a rule the import "
    "ends\n"
    "  with ImportFailed. **hint**: worth knowing; only ModelFileAmbiguous and ImportCancelled "
    "end\n"
    "  the import.\n"
    "- `reason` is the stable code: programs should compare it, not the message. `{name}` marks a\n"
    "  parameter.\n"
    "- Events 1 to 45 have the messages of the original system, to the letter. Those without a\n"
    "  number are Waybill's own.\n"
    "- **Diagnosis**: what can be behind the event, by its `kind`. The event object says it filled "
    "in:\n"
    "  `summary`, `advice` (its steps), `fix_by` and `retryable`. `{name}` is a field of the "
    "evidence,\n"
    "  `{?…}` is left out where it lacks one, and so is a step. `{…:sh}` is quoted for a shell;\n"
    "  `{…:if}` and `{…:unless}` only say when a step is shown.\n"
    "- The examples are event objects as `waybill check --json` prints them. A recorded event has\n"
    "  `event_id`, `seq`, `occur_time` and `attempt` too.\n"
    "\n"
    "下文列出 Waybill 可能记录的全部事件,以及各自的含义和处理方法。编号 1~45 的文本与原系统一致,\n"
    "没有编号的是 Waybill 自己的事件。\n"
    "\n";

static char *number_text(const CatalogRow *row)
{
    return row->number ? g_strdup_printf("%d", row->number) : g_strdup("ours");
}

static void append_table(GString *page)
{
    g_string_append(page, "| no. | type | reason | message | 事件信息 |\n|---|---|---|---|---|\n");
    for (int i = 0; i < EVENT_COUNT; i++) {
        const CatalogRow *row = catalog_row(i);
        g_autofree char *number = number_text(row);
        g_autofree char *anchor = g_ascii_strdown(row->reason, -1);
        g_string_append_printf(page, "| %s | %s | [%s](#%s) | %s | %s |\n", number,
                               event_type_name(row->type), row->reason, anchor,
                               row->message[LANGUAGE_EN], row->message[LANGUAGE_ZH]);
    }
}

static void append_list(GString *page, const char *heading, const char *text, bool numbered)
{
    g_string_append_printf(page, "**%s**\n\n", heading);
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    for (guint i = 0; lines[i]; i++) {
        if (numbered)
            g_string_append_printf(page, "%u. %s\n", i + 1, lines[i]);
        else
            g_string_append_printf(page, "- %s\n", lines[i]);
    }
    g_string_append_c(page, '\n');
}

/* A cell of a table: one line, and no bar of its own. */
static void append_cell(GString *page, const char *text)
{
    g_string_append(page, " ");
    for (; *text; text++) {
        if (*text == '\n')
            g_string_append(page, "<br>");
        else
            g_string_append_printf(page, *text == '|' ? "\\%c" : "%c", *text);
    }
    g_string_append(page, " |");
}

static void append_kinds(GString *page, const CatalogRow *row, const Headings *headings)
{
    Language language = headings->language;
    bool first = true;
    for (size_t i = 0; i < kind_count(); i++) {
        const KindRow *kind = kind_row(i);
        if (catalog_row(kind->reason) != row)
            continue;
        if (first)
            g_string_append_printf(page, "**%s**\n\n| %s | %s | %s | %s |\n|---|---|---|---|\n",
                                   headings->diagnosis, headings->kind, headings->turn,
                                   headings->summary, headings->steps);
        first = false;
        g_string_append_c(page, '|');
        append_cell(page, *kind->kind ? kind->kind : "-");
        append_cell(page, fix_by_words(kind->fix_by, language));
        append_cell(page, kind->summary[language]);
        append_cell(page, kind->steps[language]);
        g_string_append_c(page, '\n');
    }
    if (!first)
        g_string_append_c(page, '\n');
}

static void append_guide(GString *page, const CatalogRow *row, const Headings *headings)
{
    Language language = headings->language;
    g_string_append_printf(page, "**%s** %s\n\n", headings->when, row->when[language]);
    append_list(page, headings->causes, row->causes[language], false);
    append_list(page, headings->advice, row->advice[language], true);
    append_kinds(page, row, headings);
}

static void append_example(GString *page, const CatalogRow *row)
{
    g_autoptr(Event) event = event_example(row);
    json_t *object = event_json(event, NULL);
    char *text = json_dumps(object, JSON_INDENT(2));
    g_string_append_printf(page, "**Example**\n\n```json\n%s\n```\n", text);
    free(text);
    json_decref(object);
}

static void append_section(GString *page, const CatalogRow *row)
{
    g_string_append_printf(page, "\n## %s\n\n", row->reason);
    if (row->number)
        g_string_append_printf(page, "Event %d", row->number);
    else
        g_string_append(page, "Waybill's own event");
    g_string_append_printf(page, ", %s, usually in the stage `%s`.\n\n> %s\n>\n> %s\n\n",
                           event_type_name(row->type), row->stage, row->message[LANGUAGE_EN],
                           row->message[LANGUAGE_ZH]);
    if (row->solution[LANGUAGE_EN])
        g_string_append_printf(page, "**Solution.** %s\n\n**解决方案:** %s\n\n",
                               row->solution[LANGUAGE_EN], row->solution[LANGUAGE_ZH]);
    for (guint i = 0; i < G_N_ELEMENTS(HEADINGS); i++)
        append_guide(page, row, &HEADINGS[i]);
    append_example(page, row);
}

static int check(const char *path, const char *expected)
{
    g_autofree char *found = NULL;
    g_autoptr(GError) error = NULL;
    if (!g_file_get_contents(path, &found, NULL, &error)) {
        fprintf(stderr, "events-doc: %s\n", error->message);
        return 1;
    }
    if (strcmp(found, expected) == 0)
        return 0;
    fprintf(stderr, "%s is not what the catalogue says: run `events-doc > docs/events.md`\n", path);
    return 1;
}

int main(int argc, char **argv)
{
    g_autoptr(GString) page = g_string_new(INTRO);
    append_table(page);
    for (int i = 0; i < EVENT_COUNT; i++)
        append_section(page, catalog_row(i));

    if (argc == 3 && strcmp(argv[1], "--check") == 0)
        return check(argv[2], page->str);
    if (argc != 1) {
        fprintf(stderr, "usage: events-doc [--check FILE]\n");
        return 2;
    }
    return fputs(page->str, stdout) < 0 || fflush(stdout) != 0;
}
