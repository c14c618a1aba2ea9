#include "model/model.h"

#include <stdio.h>
#include <string.h>

#define LONGEST_ID 64

static bool is_name_character(gunichar c)
{
    return (c < 128 && (g_ascii_isalnum((char)c) || c == '-' || c == '_')) ||
           g_unichar_get_script(c) == G_UNICODE_SCRIPT_HAN;
}

const char *model_rule_name(const char *name)
{
    static const char RULE[] = "1 to 64 letters (Chinese too), digits, '-' and '_'";
    if (!g_utf8_validate(name, -1, NULL) || !*name || g_utf8_strlen(name, -1) > 64)
        return RULE;
    for (const char *at = name; *at; at = g_utf8_next_char(at))
        if (!is_name_character(g_utf8_get_char(at)))
            return RULE;
    return NULL;
}

const char *model_rule_id(const char *id)
{
    static const char CHARACTERS[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    const size_t length = strlen(id);
    return g_ascii_isalnum(*id) && length <= LONGEST_ID && strspn(id, CHARACTERS) == length
               ? NULL
               : MODEL_ID_RULE;
}

/* One of the three numbers: 0 to 99 without a leading zero. Returns what follows it, or NULL. */
static const char *version_part(const char *at, int *number)
{
    if (!g_ascii_isdigit(*at))
        return NULL;
    *number = *at++ - '0';
    if (g_ascii_isdigit(*at) && *number > 0)
        *number = *number * 10 + (*at++ - '0');
    return g_ascii_isdigit(*at) ? NULL : at;
}

int64_t model_version_number(const char *version)
{
    int major, minor, patch;
    const char *at = version_part(version, &major);
    if (!at || *at != '.' || !(at = version_part(at + 1, &minor)) || *at != '.' ||
        !(at = version_part(at + 1, &patch)) || *at)
        return -1;
    return (int64_t)major * 10000 + minor * 100 + patch;
}

const char *model_rule_version(const char *version)
{
    return model_version_number(version) >= 0
               ? NULL
               : "N.N.N, each from 0 to 99 without a leading zero, such as 0.0.1";
}

const char *model_rule_description(const char *description)
{
    static const char RULE[] =
        "at most 100 characters, none of & ! ' \" < > =, no control characters";
    if (!g_utf8_validate(description, -1, NULL) || g_utf8_strlen(description, -1) > 100 ||
        strpbrk(description, "&!'\"<>="))
        return RULE;
    for (const char *at = description; *at; at++)
        if ((unsigned char)*at < 0x20 || *at == 0x7f)
            return RULE;
    return NULL;
}

char *model_version_next(const char *version)
{
    int64_t number = model_version_number(version) + 1;
    if (number > 999999)
        return NULL;
    return g_strdup_printf("%d.%d.%d", (int)(number / 10000), (int)(number / 100 % 100),
                           (int)(number % 100));
}

char *model_name_from(const char *text)
{
    g_autofree char *valid = g_utf8_make_valid(text, -1);
    GString *name = g_string_new(NULL);
    for (const char *at = valid; *at && g_utf8_strlen(name->str, -1) < 64;
         at = g_utf8_next_char(at)) {
        gunichar c = g_utf8_get_char(at);
        g_string_append_unichar(name, is_name_character(c) ? c : '-');
    }
    return g_string_free(name, FALSE);
}
