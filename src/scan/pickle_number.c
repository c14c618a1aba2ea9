#include "scan/pickle_number.h"

#include <string.h>

#include <glib.h>

#define BLANKS "\t\n\v\f\r "

bool number_may_be(const char *text)
{
    static const char FLOATS[] = "nifatyNIFATY"; /* nan, infinity */
    static const char OTHERS[] = "xXoObBlLeE+-_." BLANKS;
    bool digit = false;
    for (const char *at = text; *at; at++) {
        digit = digit || g_ascii_isxdigit(*at) || strchr("iI", *at);
        if (!g_ascii_isxdigit(*at) && !strchr(OTHERS, *at) && !strchr(FLOATS, *at))
            return false;
    }
    return digit;
}

bool number_plain(const char *text, int64_t *number)
{
    size_t length = strlen(text);
    g_autofree char *digits =
        g_strndup(text, length > 0 && text[length - 1] == 'L' ? length - 1 : length);
    gint64 value;
    bool octal = digits[0] == '0' && digits[1] && strcmp(digits, "00") && strcmp(digits, "01");
    bool plain = !octal && g_ascii_string_to_signed(digits, 10, INT64_MIN, INT64_MAX, &value, NULL);
    *number = plain ? value : 0;
    return plain;
}

bool number_place(const char *text, uint64_t *place)
{
    const char *at = text + strspn(text, BLANKS);
    bool minus = *at == '-', after_digit = false;
    uint64_t value = 0;
    at += *at == '-' || *at == '+';
    for (; g_ascii_isdigit(*at) || (*at == '_' && after_digit); at++) {
        after_digit = *at != '_';
        if (after_digit && (__builtin_mul_overflow(value, 10, &value) ||
                            __builtin_add_overflow(value, (uint64_t)(*at - '0'), &value)))
            value = UINT64_MAX / 10; /* and stays beyond what is kept */
    }
    *place = value;
    return after_digit && at[strspn(at, BLANKS)] == '\0' && (!minus || value == 0);
}
