#include <string.h>

#include "command/command.h"
#include "event/advice.h"

static void print_lines(const Terminal *terminal, const char *heading, const char *lines,
                        bool numbered)
{
    if (!lines || !*lines)
        return;
    g_auto(GStrv) parts = g_strsplit(lines, "\n", -1);
    fprintf(terminal->out, "\n%s%s%s\n", terminal_color(terminal, COLOR_BOLD), heading,
            terminal_plain(terminal));
    for (int i = 0; parts[i]; i++) {
        int indent = 2;
        fputs("  ", terminal->out);
        if (numbered) {
            fprintf(terminal->out, "%d  ", i + 1);
            indent = 5;
        }
        terminal_wrap(terminal, parts[i], indent);
    }
}

/* What can be behind the event: whose turn it is, the summary as a template, the steps. */
static void print_kinds(const Terminal *terminal, const CatalogRow *row)
{
    Language language = terminal->language;
    for (size_t i = 0; i < kind_count(); i++) {
        const KindRow *kind = kind_row(i);
        if (catalog_row(kind->reason) != row)
            continue;
        const char *name =
            *kind->kind ? kind->kind : (language == LANGUAGE_ZH ? "诊断" : "Diagnosis");
        g_autofree char *heading =
            g_strdup_printf("%s: %s", name, fix_by_words(kind->fix_by, language));
        print_lines(terminal, heading, kind->summary[language], false);
        g_auto(GStrv) steps = advice_steps(kind, language, NULL);
        for (int step = 0; steps[step]; step++) {
            fprintf(terminal->out, "  %d  ", step + 1);
            terminal_wrap(terminal, steps[step], 5);
        }
    }
}

static Color row_color(const CatalogRow *row)
{
    if (row->type == EVENT_TYPE_ABNORMAL)
        return COLOR_RED;
    return row->type == EVENT_TYPE_HINT ? COLOR_YELLOW : COLOR_GREEN;
}

static void print_row(const Terminal *terminal, const CatalogRow *row)
{
    Language language = terminal->language;
    bool zh = language == LANGUAGE_ZH;
    g_autofree char *number =
        row->number
            ? g_strdup_printf(zh ? "原系统第 %d 号" : "number %d of the original", row->number)
            : g_strdup(zh ? "Waybill 自有" : "Waybill's own");
    fprintf(terminal->out, "%s%s%s  %s%s%s  %s\n", terminal_color(terminal, COLOR_BOLD),
            row->reason, terminal_plain(terminal), terminal_color(terminal, row_color(row)),
            event_type_name(row->type), terminal_plain(terminal), number);
    fputs("  ", terminal->out);
    terminal_wrap(terminal, row->message[language], 2);
    fputs("  ", terminal->out);
    terminal_wrap(terminal, row->message[zh ? LANGUAGE_EN : LANGUAGE_ZH], 2);
    print_lines(terminal, zh ? "何时发生" : "When", row->when[language], false);
    print_lines(terminal, zh ? "常见原因" : "Likely causes", row->causes[language], false);
    print_lines(terminal, zh ? "怎么办" : "What to do", row->advice[language], true);
    print_kinds(terminal, row);
    print_lines(terminal, zh ? "原文解决方案" : "The original's solution", row->solution[language],
                false);
}

static void print_catalogue(const Terminal *terminal)
{
    for (int i = 0; i < EVENT_COUNT; i++) {
        const CatalogRow *row = catalog_row((EventReason)i);
        g_autofree char *number = row->number ? g_strdup_printf("%d", row->number) : g_strdup("-");
        g_autofree char *type = text_fit(event_type_name(row->type), 9);
        g_autofree char *reason = text_fit(row->reason, 35);
        fprintf(terminal->out, "%3s  %s%s%s %s%s%s ", number,
                terminal_color(terminal, row_color(row)), type, terminal_plain(terminal),
                terminal_color(terminal, COLOR_BOLD), reason, terminal_plain(terminal));
        terminal_wrap(terminal, row->message[terminal->language], 51);
    }
}

static int unknown_reason(const char *reason)
{
    g_autofree const CatalogRow **nearest = catalog_nearest(reason);
    if (nearest && nearest[0])
        complain("there is no event %s; did you mean %s?", reason, nearest[0]->reason);
    else
        complain("there is no event %s; waybill explain lists all", reason);
    return EXIT_USAGE;
}

int command_explain(Session *session, int argc, char **argv)
{
    gboolean json = FALSE;
    const GOptionEntry entries[] = {{"json", 0, 0, G_OPTION_ARG_NONE, &json, "An array of objects",
                                     NULL},
                                    {NULL}};
    int status = session_parse(session, command_find("explain"), entries, &argc, &argv, 0, 1);
    if (status >= 0)
        return status;
    const CatalogRow *wanted = argc > 1 ? catalog_find(argv[1]) : NULL;
    if (argc > 1 && !wanted)
        return unknown_reason(argv[1]);
    if (json) {
        json_t *array = json_array();
        for (int i = 0; i < EVENT_COUNT; i++)
            if (!wanted || wanted == catalog_row((EventReason)i))
                json_array_append_new(array, catalog_row_json(catalog_row((EventReason)i)));
        print_json_line(array);
    } else if (wanted) {
        print_row(&session->out, wanted);
    } else {
        print_catalogue(&session->out);
    }
    return EXIT_DONE;
}
