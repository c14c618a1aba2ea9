/* Workflow commands of GitHub Actions ("Workflow commands for GitHub Actions", setting an error
 * message): ::error file=…,line=…,col=…,title=…::message. */
#include <string.h>

#include "command/format.h"

/* Line ends and the percent sign are escaped everywhere, what separates properties in these. */
static char *github_escape(const char *text, bool property)
{
    GString *escaped = g_string_new(NULL);
    for (; *text; text++) {
        if (strchr("%\r\n", *text) || (property && strchr(":,", *text)))
            g_string_append_printf(escaped, "%%%02X", (unsigned char)*text);
        else
            g_string_append_c(escaped, *text);
    }
    return g_string_free(escaped, FALSE);
}

static void write_finding(FILE *out, const FormatFinding *finding)
{
    g_autofree char *message = github_escape(finding->text, false);
    fprintf(out, "::%s ", finding->ends_it ? "error" : "warning");
    if (finding->path) {
        g_autofree char *path = github_escape(finding->path, true);
        fprintf(out, "file=%s,", path);
    }
    if (finding->path && finding->line)
        fprintf(out, "line=%d,", finding->line);
    if (finding->path && finding->line && finding->column)
        fprintf(out, "col=%d,", finding->column);
    fprintf(out, "title=%s::%s\n", finding->reason, message);
}

void format_write_github(const FormatReport *report)
{
    for (guint i = 0; i < report->findings->len; i++)
        write_finding(report->out, report->findings->pdata[i]);
}
