/* A summary as GitHub and GitLab render it, for a job's summary or a comment: a table. */
#include <string.h>

#include "command/format.h"

/* Punctuation that could mean something is escaped, a line end is one in the cell. */
static void write_text(FILE *out, const char *text)
{
    for (; *text; text++) {
        if (*text == '\n')
            fputs("<br>", out);
        else if (strchr("\\`*_[]<>#|~&", *text))
            fprintf(out, "\\%c", *text);
        else
            fputc(*text, out);
    }
}

static void write_row(const FormatReport *report, const FormatFinding *finding)
{
    bool zh = report->language == LANGUAGE_ZH;
    const char *level = finding->ends_it ? (zh ? "错误" : "error") : (zh ? "提示" : "hint");
    fprintf(report->out, "| %s | %s | ", level, finding->reason);
    write_text(report->out, finding->path ? finding->path : report->source);
    if (finding->line)
        fprintf(report->out, ":%d:%d", finding->line, finding->column);
    fputs(" | ", report->out);
    write_text(report->out, finding->text);
    fputs(" |\n", report->out);
}

void format_write_markdown(const FormatReport *report)
{
    bool zh = report->language == LANGUAGE_ZH;
    fprintf(report->out, "### waybill %s ", report->command);
    write_text(report->out, report->source);
    if (report->findings->len == 0) {
        fputs(zh ? "\n\n没有发现问题。\n" : "\n\nNothing was found.\n", report->out);
        return;
    }
    fprintf(report->out, zh ? "\n\n%u 个错误,%u 个提示。\n\n" : "\n\nErrors: %u. Hints: %u.\n\n",
            report->errors, report->findings->len - report->errors);
    fputs(zh ? "| | 事件 | 位置 | 说明 |\n" : "| | Event | Where | What |\n", report->out);
    fputs("|---|---|---|---|\n", report->out);
    for (guint i = 0; i < report->findings->len; i++)
        write_row(report, report->findings->pdata[i]);
}
