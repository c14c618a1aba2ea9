#include "event/phrases.h"

#include <glib.h>
#include <string.h>

static const struct {
    const char *english, *chinese;
} PHRASES[] = {
#define PHRASE(english, chinese) {english, chinese},
#include "event/phrases.def"
#undef PHRASE
};

bool phrase_is_field(const char *field)
{
    static const char *const FIELDS[] = {"expected", "found",  "why",    "error", "what",
                                         "doing",    "waited", "unread", NULL};
    return g_strv_contains(FIELDS, field);
}

/* What stands for each % of the row; NULL: the text is another one. */
static GPtrArray *parts_of(const char *row, const char *text)
{
    g_autoptr(GPtrArray) parts = g_ptr_array_new_with_free_func(g_free);
    for (;;) {
        size_t fixed = strcspn(row, "%");
        if (strncmp(row, text, fixed) != 0)
            return NULL;
        row += fixed;
        text += fixed;
        if (!*row)
            return *text ? NULL : g_steal_pointer(&parts);
        row++;
        size_t next = strcspn(row, "%");
        g_autofree char *until = g_strndup(row, next);
        const char *end = *until ? strstr(text, until) : text + strlen(text);
        if (!end || end == text)
            return NULL;
        g_ptr_array_add(parts, g_strndup(text, (gsize)(end - text)));
        text = end;
    }
}

/* "A, B or C", of words alone. */
static char *list_chinese(const char *text)
{
    if (!g_regex_match_simple("^\\S+(, \\S+)* or \\S+$", text, 0, 0))
        return g_strdup(text);
    const char *last = g_strrstr(text, " or ");
    return g_strdup_printf("%.*s 或 %s", (int)(last - text), text, last + strlen(" or "));
}

char *phrase_chinese(const char *text)
{
    for (size_t i = 0; i < G_N_ELEMENTS(PHRASES); i++) {
        g_autoptr(GPtrArray) parts = parts_of(PHRASES[i].english, text);
        if (!parts)
            continue;
        GString *filled = g_string_new(NULL);
        guint part = 0;
        for (const char *at = PHRASES[i].chinese; *at; at++) {
            if (*at != '%') {
                g_string_append_c(filled, *at);
                continue;
            }
            g_autofree char *own = phrase_chinese(parts->pdata[part++]);
            g_string_append(filled, own);
        }
        return g_string_free(filled, FALSE);
    }
    return list_chinese(text);
}
