#include "scan/scan.h"

#include "scan/part.h"

struct Scan {
    Report *report;
    ScanContext context;
    char *path;
    ScanPart *part; /* NULL: it wants no more */
};

Scan *scan_new(const char *path, int64_t size)
{
    Scan *scan = g_new0(Scan, 1);
    scan->report = report_new();
    scan->path = g_strdup(path);
    scan->context = (ScanContext){.report = scan->report,
                                  .path = scan->path,
                                  .size = size,
                                  .memory = SCAN_MEMORY};
    scan->part = scan_part_new(&(ScanPlace){.context = &scan->context});
    return scan;
}

void scan_free(Scan *scan)
{
    if (!scan)
        return;
    scan_part_free(scan->part);
    report_free(scan->report);
    g_free(scan->path);
    g_free(scan);
}

static void scan_close(Scan *scan)
{
    scan->part->end(scan->part);
    g_clear_pointer(&scan->part, scan_part_free);
}

bool scan_feed(Scan *scan, const void *data, size_t size)
{
    if (scan->part && size > 0 && !scan->part->feed(scan->part, data, size))
        scan_close(scan);
    return scan->part != NULL;
}

json_t *scan_end(Scan *scan)
{
    if (scan->part)
        scan_close(scan);
    return report_json(scan->report);
}

bool scan_report_is_quiet(const json_t *report)
{
    static const char *const TELLING[] = {"unread", "truncated", "broken", "external"};
    for (size_t i = 0; i < G_N_ELEMENTS(TELLING); i++)
        if (json_object_get(report, TELLING[i]))
            return false;
    return json_integer_value(json_object_get(report, "dangerous")) == 0 &&
           json_integer_value(json_object_get(report, "unlisted")) == 0;
}

/* Those that are dangerous stand first. */
void scan_report_shorten(json_t *report)
{
    json_t *first = json_array_get(json_object_get(report, "imports"), 0);
    if (first)
        json_object_set_new(report, "imports", json_pack("[O]", first));
}
