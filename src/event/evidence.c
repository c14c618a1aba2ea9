#include "event/evidence.h"

#include <glib.h>

const char *evidence_text(const json_t *evidence, const char *key)
{
    const char *text = json_string_value(json_object_get(evidence, key));
    return text ? text : "";
}

char *evidence_place(const json_t *evidence, bool with_column)
{
    const char *file = evidence_text(evidence, "file"), *path = evidence_text(evidence, "path");
    int line = (int)json_integer_value(json_object_get(evidence, "line"));
    int column = (int)json_integer_value(json_object_get(evidence, "column"));
    if (!*file || !line)
        return g_strdup(*path ? path : file);
    return with_column && column ? g_strdup_printf("%s:%d:%d", file, line, column)
                                 : g_strdup_printf("%s:%d", file, line);
}
