#include "event/evidence.h"

#include <glib.h>

static const char *text_of(const json_t *evidence, const char *key)
{
    const char *text = json_string_value(json_object_get(evidence, key));
    return text ? text : "";
}

char *evidence_place(const json_t *evidence, bool with_column)
{
    const char *file = text_of(evidence, "file"), *path = text_of(evidence, "path");
    int line = (int)json_integer_value(json_object_get(evidence, "line"));
    int column = (int)json_integer_value(json_object_get(evidence, "column"));
    if (!*file || !line)
        return g_strdup(*path ? path : file);
    return with_column && column ? g_strdup_printf("%s:%d:%d", file, line, column)
                                 : g_strdup_printf("%s:%d", file, line);
}
