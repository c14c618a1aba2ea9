#include "image/challenge.h"

#include <string.h>

/* RFC 9110, section 5.6.2 */
static bool is_token_character(char c)
{
    return g_ascii_isalnum(c) || (c && strchr("!#$%&'*+-.^_`|~", c));
}

static void skip_blanks(const char **at)
{
    while (**at == ' ' || **at == '\t')
        ++*at;
}

/* NULL: there is none here. */
static char *read_token(const char **at)
{
    const char *begin = *at;
    while (is_token_character(**at))
        ++*at;
    return *at > begin ? g_strndup(begin, (gsize)(*at - begin)) : NULL;
}

/* A quoted string, or a token; NULL: neither. */
static char *read_value(const char **at)
{
    if (**at != '"')
        return read_token(at);
    g_autoptr(GString) value = g_string_new(NULL);
    for (++*at; **at && **at != '"'; ++*at) {
        if (**at == '\\' && (*at)[1])
            ++*at;
        g_string_append_c(value, **at);
    }
    if (**at != '"')
        return NULL;
    ++*at;
    return g_strdup(value->str);
}

static void set_parameter(Challenge *challenge, const char *name, const char *value)
{
    const struct {
        const char *name;
        char **value;
    } KNOWN[] = {{"realm", &challenge->realm},
                 {"service", &challenge->service},
                 {"scope", &challenge->scope},
                 {"error", &challenge->error}};
    for (size_t i = 0; i < G_N_ELEMENTS(KNOWN); i++)
        if (g_ascii_strcasecmp(name, KNOWN[i].name) == 0 && !*KNOWN[i].value)
            *KNOWN[i].value = g_strdup(value);
}

/* A word without '=' behind it begins a challenge; with it, it is a parameter of the last one. */
void challenge_read(Challenge *challenge, const char *header)
{
    bool bearer = false;
    for (const char *at = header;;) {
        while (*at == ' ' || *at == '\t' || *at == ',')
            at++;
        g_autofree char *word = read_token(&at);
        if (!word)
            return;
        skip_blanks(&at);
        if (*at != '=') {
            bearer = g_ascii_strcasecmp(word, "Bearer") == 0;
            challenge->bearer |= bearer;
            challenge->basic |= g_ascii_strcasecmp(word, "Basic") == 0;
            continue;
        }
        at++;
        skip_blanks(&at);
        g_autofree char *value = read_value(&at);
        if (!value)
            return;
        if (bearer)
            set_parameter(challenge, word, value);
    }
}

void challenge_clear(Challenge *challenge)
{
    g_clear_pointer(&challenge->realm, g_free);
    g_clear_pointer(&challenge->service, g_free);
    g_clear_pointer(&challenge->scope, g_free);
    g_clear_pointer(&challenge->error, g_free);
    challenge->basic = challenge->bearer = false;
}
