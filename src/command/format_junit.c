/* JUnit's XML as CI systems read it: a test case for each finding, or one that passes. */
#include <string.h>

#include "command/format.h"

/* XML 1.0: what is no character of it becomes U+FFFD; line ends are written as references, since an
 * attribute loses them otherwise. */
static char *xml_escape(const char *text)
{
    GString *escaped = g_string_new(NULL);
    for (; *text; text = g_utf8_next_char(text)) {
        gunichar c = g_utf8_get_char(text);
        if (c == '&' || c == '<' || c == '>' || c == '"' || c == '\t' || c == '\n' || c == '\r')
            g_string_append_printf(escaped, "&#%u;", c);
        else
            g_string_append_unichar(escaped, c < 0x20 || c == 0xFFFE || c == 0xFFFF ? 0xFFFD : c);
    }
    return g_string_free(escaped, FALSE);
}

static char *case_name(const FormatReport *report, const FormatFinding *finding)
{
    const char *path = finding->path ? finding->path : report->source;
    return finding->line ? g_strdup_printf("%s:%d:%d", path, finding->line, finding->column)
                         : g_strdup(path);
}

static void write_case(const FormatReport *report, const FormatFinding *finding)
{
    g_autofree char *plain = case_name(report, finding);
    g_autofree char *name = xml_escape(plain);
    g_autofree char *text = xml_escape(finding->text);
    g_autofree char *first = g_strndup(finding->text, strcspn(finding->text, "\n"));
    g_autofree char *message = xml_escape(first);
    fprintf(report->out, "    <testcase classname=\"waybill.%s\" name=\"%s\">\n", finding->reason,
            name);
    if (finding->ends_it)
        fprintf(report->out, "      <failure type=\"%s\" message=\"%s\">%s</failure>\n",
                finding->reason, message, text);
    else
        fprintf(report->out, "      <system-out>%s</system-out>\n", text);
    fputs("    </testcase>\n", report->out);
}

void format_write_junit(const FormatReport *report)
{
    guint count = MAX(report->findings->len, 1);
    g_autofree char *source = xml_escape(report->source);
    fprintf(report->out,
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
            "<testsuites tests=\"%u\" failures=\"%u\" errors=\"0\">\n"
            "  <testsuite name=\"waybill %s\" tests=\"%u\" failures=\"%u\" errors=\"0\" "
            "skipped=\"0\">\n",
            count, report->errors, report->command, count, report->errors);
    for (guint i = 0; i < report->findings->len; i++)
        write_case(report, report->findings->pdata[i]);
    if (report->findings->len == 0)
        fprintf(report->out, "    <testcase classname=\"waybill.%s\" name=\"%s\"/>\n",
                report->command, source);
    fputs("  </testsuite>\n</testsuites>\n", report->out);
}
