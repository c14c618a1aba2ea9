#include "event/finding.h"

static void free_event(void *event)
{
    event_free(event);
}

Findings *findings_new(void)
{
    Findings *findings = g_new0(Findings, 1);
    findings->events = g_ptr_array_new_with_free_func(free_event);
    return findings;
}

void findings_free(Findings *findings)
{
    if (!findings)
        return;
    g_ptr_array_unref(findings->events);
    g_free(findings);
}

void findings_add(Findings *findings, Event *event)
{
    g_ptr_array_add(findings->events, event);
}

GPtrArray *findings_take(Findings *findings)
{
    GPtrArray *events = findings->events;
    findings->events = g_ptr_array_new_with_free_func((GDestroyNotify)event_free);
    return events;
}

bool findings_fatal(const Findings *findings)
{
    for (guint i = 0; i < findings->events->len; i++) {
        if (event_is_fatal(g_ptr_array_index(findings->events, i)))
            return true;
    }
    return false;
}

bool row_is_fatal(const CatalogRow *row)
{
    return row->type == EVENT_TYPE_ABNORMAL || row == catalog_row(EVENT_ModelFileAmbiguous);
}

bool event_is_fatal(const Event *event)
{
    return row_is_fatal(event_row(event));
}
