/* GitLab's code quality report ("Code Quality report format"): one array of findings. */
#include "command/format.h"

/* Every entry must have a path: the source where the finding is about no file of it. */
static json_t *gitlab_entry(const FormatReport *report, const FormatFinding *finding)
{
    return json_pack("{s:s, s:s, s:s, s:s, s:{s:s, s:{s:i}}}", "description", finding->text,
                     "check_name", finding->reason, "fingerprint", finding->fingerprint, "severity",
                     finding->ends_it ? "major" : "minor", "location", "path",
                     finding->path ? finding->path : report->source, "lines", "begin",
                     MAX(finding->line, 1));
}

void format_write_gitlab(const FormatReport *report)
{
    json_t *entries = json_array();
    for (guint i = 0; i < report->findings->len; i++)
        json_array_append_new(entries, gitlab_entry(report, report->findings->pdata[i]));
    json_dumpf(entries, report->out, JSON_INDENT(2));
    fputc('\n', report->out);
    json_decref(entries);
}
