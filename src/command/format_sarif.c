/* SARIF 2.1.0 (OASIS): one run, a rule for each reason that was found, a result for each finding.
 */
#include "command/format.h"
#include "config.h"

#define SARIF_SCHEMA \
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"

static const char *sarif_level(bool error)
{
    return error ? "error" : "warning";
}

/* What causes it, what to do: our steps before the original's solution. */
static char *rule_help(const CatalogRow *row, Language language)
{
    GString *help = g_string_new(NULL);
    const char *const parts[] = {row->causes[language], row->advice[language],
                                 row->solution[language]};
    for (size_t i = 0; i < G_N_ELEMENTS(parts); i++)
        if (parts[i] && *parts[i])
            g_string_append_printf(help, "%s%s", help->len ? "\n\n" : "", parts[i]);
    return g_string_free(help, FALSE);
}

static json_t *sarif_rule(const FormatFinding *finding, Language language)
{
    const CatalogRow *row = catalog_find(finding->reason);
    g_autofree char *help = rule_help(row, language);
    return json_pack("{s:s, s:{s:s}, s:{s:s}, s:{s:s}, s:{s:s}}", "id", row->reason,
                     "shortDescription", "text", row->message[language], "fullDescription", "text",
                     row->when[language], "help", "text", help, "defaultConfiguration", "level",
                     sarif_level(finding->ends_it));
}

/* The index of the finding's rule, which is added where it is the first. */
static size_t rule_index(json_t *rules, const FormatFinding *finding, Language language)
{
    size_t i;
    json_t *rule;
    json_array_foreach (rules, i, rule)
        if (g_str_equal(json_string_value(json_object_get(rule, "id")), finding->reason))
            return i;
    json_array_append_new(rules, sarif_rule(finding, language));
    return i;
}

/* A relative path is one of the checkout's. */
static json_t *sarif_artifact(const char *path)
{
    g_autofree char *escaped = g_uri_escape_string(path, "/", FALSE);
    if (!g_path_is_absolute(path))
        return json_pack("{s:s, s:s}", "uri", escaped, "uriBaseId", "%SRCROOT%");
    g_autofree char *uri = g_strconcat("file://", escaped, NULL);
    return json_pack("{s:s}", "uri", uri);
}

/* Code scanning shows nothing without a place: the first line where there is no better one. */
static json_t *sarif_location(const FormatReport *report, const FormatFinding *finding)
{
    const char *path = finding->path ? finding->path : report->source;
    return json_pack("{s:{s:o, s:{s:i, s:i}}}", "physicalLocation", "artifactLocation",
                     sarif_artifact(path), "region", "startLine", MAX(finding->line, 1),
                     "startColumn", MAX(finding->column, 1));
}

static json_t *sarif_result(const FormatReport *report, const FormatFinding *finding, json_t *rules)
{
    return json_pack("{s:s, s:i, s:s, s:{s:s}, s:[o], s:{s:s}}", "ruleId", finding->reason,
                     "ruleIndex", (int)rule_index(rules, finding, report->language), "level",
                     sarif_level(finding->ends_it), "message", "text", finding->text, "locations",
                     sarif_location(report, finding), "partialFingerprints", "waybill/v1",
                     finding->fingerprint);
}

void format_write_sarif(const FormatReport *report)
{
    json_t *rules = json_array(), *results = json_array();
    for (guint i = 0; i < report->findings->len; i++)
        json_array_append_new(results, sarif_result(report, report->findings->pdata[i], rules));
    json_t *driver =
        json_pack("{s:s, s:s, s:o}", "name", "waybill", "version", WAYBILL_VERSION, "rules", rules);
    json_t *log = json_pack("{s:s, s:s, s:[{s:{s:o}, s:s, s:o}]}", "$schema", SARIF_SCHEMA,
                            "version", "2.1.0", "runs", "tool", "driver", driver, "columnKind",
                            "unicodeCodePoints", "results", results);
    json_dumpf(log, report->out, JSON_INDENT(2));
    fputc('\n', report->out);
    json_decref(log);
}
