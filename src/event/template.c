#include "event/template.h"

#include <string.h>

#include "base/size.h"
#include "event/phrases.h"

#define SHOWN_ELEMENTS 10  /* of an array; a sentence is to be read, the evidence has them all */
#define SHOWN_LIST     150 /* characters of an array, before no further element begins */
#define SHOWN_WORD     60  /* columns without a space */
#define SHOWN_VALUE    200 /* columns of a value */

static const json_t *source_find(const json_t *source, char *const *names)
{
    for (; source && *names; names++)
        source = json_object_get(source, *names);
    return source;
}

static bool is_there(const json_t *value)
{
    if (json_is_string(value))
        return *json_string_value(value) != '\0';
    return value && !json_is_null(value) && !json_is_false(value);
}

static const json_t *field_find(const char *field, const json_t *const *sources)
{
    g_auto(GStrv) names = g_strsplit(field, ".", -1);
    for (; *sources; sources++) {
        const json_t *value = source_find(*sources, names);
        if (is_there(value))
            return value;
    }
    return NULL;
}

typedef struct {
    GString *text;
    Language language;
    const json_t *const *sources;
    bool cuts; /* what is long */
} Filling;

/* About how many characters of a text take so many columns. */
static int characters_within(const char *text, size_t bytes, int columns)
{
    int characters = 0, wide = 0;
    for (const char *at = text; at < text + bytes; at = g_utf8_next_char(at), characters++)
        wide += g_unichar_iswide(g_utf8_get_char(at));
    return characters + wide <= columns ? characters : columns * characters / (characters + wide);
}

/* The first characters and the last: of a path that is the folder and the name's end. */
static void append_cut(GString *filled, const char *text, size_t bytes, int columns)
{
    glong characters = g_utf8_strlen(text, (gssize)bytes);
    int room = characters_within(text, bytes, columns);
    if (characters <= room) {
        g_string_append_len(filled, text, (gssize)bytes);
        return;
    }
    const char *head = g_utf8_offset_to_pointer(text, room * 2 / 3);
    const char *tail = g_utf8_offset_to_pointer(text, characters - (room - room * 2 / 3 - 1));
    g_string_append_len(filled, text, head - text);
    g_string_append(filled, "…");
    g_string_append_len(filled, tail, text + bytes - tail);
}

static void append_text(const Filling *filling, const char *text)
{
    GString *filled = filling->text;
    if (!filling->cuts) {
        g_string_append(filled, text);
        return;
    }
    g_autoptr(GString) words = g_string_new(NULL);
    for (const char *at = text; *at;) {
        size_t length = strcspn(at, " ");
        append_cut(words, at, length, SHOWN_WORD);
        at += length;
        length = strspn(at, " ");
        g_string_append_len(words, at, (gssize)length);
        at += length;
    }
    append_cut(filled, words->str, words->len, SHOWN_VALUE);
}

/* "weights.bin (5.0 GiB)": a file of `files` and `top`; other objects as JSON. */
static void append_object(const Filling *filling, const json_t *object)
{
    GString *filled = filling->text;
    const char *path = json_string_value(json_object_get(object, "path"));
    const json_t *size = json_object_get(object, "size");
    if (path && json_is_integer(size)) {
        g_autofree char *shown = size_text(json_integer_value(size));
        append_text(filling, path);
        g_string_append_printf(filled, " (%s)", shown);
        return;
    }
    char *text = json_dumps(object, JSON_COMPACT);
    g_string_append(filled, text ? text : "");
    free(text);
}

static void append_scalar(const Filling *filling, const json_t *value)
{
    GString *filled = filling->text;
    if (json_is_string(value)) {
        append_text(filling, json_string_value(value));
    } else if (json_is_object(value)) {
        append_object(filling, value);
    } else {
        char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
        g_string_append(filled, text ? text : "");
        free(text);
    }
}

static void append_array(const Filling *filling, const json_t *array)
{
    GString *filled = filling->text;
    size_t i, start = filled->len;
    json_t *element;
    if (json_array_size(array) == 0)
        g_string_append(filled, filling->language == LANGUAGE_ZH ? "无" : "none");
    json_array_foreach (array, i, element) {
        g_string_append(filled, i ? ", " : "");
        if (i == SHOWN_ELEMENTS || (filling->cuts && filled->len - start > SHOWN_LIST)) {
            g_string_append(filled, "…");
            return;
        }
        append_scalar(filling, element);
    }
}

/* A path of a package may hold anything, and its reader pastes the command into a shell. */
static void append_word(GString *filled, const char *text)
{
    static const char plain[] = G_CSET_A_2_Z G_CSET_a_2_z G_CSET_DIGITS "_@%+=:,./-";
    g_autofree char *path = g_strconcat(*text == '-' ? "./" : "", text, NULL);
    g_autofree char *quoted = g_shell_quote(path);
    g_string_append(filled, path[strspn(path, plain)] ? quoted : path);
}

static void append_moment(GString *filled, int64_t ms)
{
    g_autoptr(GDateTime) moment = g_date_time_new_from_unix_local(ms / 1000);
    g_autofree char *text = moment ? g_date_time_format(moment, "%Y-%m-%d %H:%M:%S %:z") : NULL;
    g_string_append(filled, text ? text : "?");
}

/* What stands between the braces. */
static bool append_field(const Filling *filling, const char *inside)
{
    GString *filled = filling->text;
    g_auto(GStrv) parts = g_strsplit(inside, ":", 2);
    const json_t *value = field_find(parts[0], filling->sources);
    const char *form = parts[1] ? parts[1] : "";
    Filling found = *filling; /* a value found is never a part of a command */
    found.cuts = true;
    if (strcmp(parts[0], "found") == 0)
        filling = &found;
    if (strcmp(form, "unless") == 0)
        return !value;
    if (!value)
        return false;
    if (strcmp(form, "if") == 0)
        return true;
    if (strcmp(form, "bytes") == 0 && json_is_integer(value)) {
        g_autofree char *size = size_text(json_integer_value(value));
        g_string_append(filled, size);
    } else if (strcmp(form, "time") == 0 && json_is_integer(value)) {
        append_moment(filled, json_integer_value(value));
    } else if (strcmp(form, "sh") == 0 && json_is_string(value)) {
        append_word(filled, json_string_value(value));
    } else if (json_is_array(value)) {
        append_array(filling, value);
    } else if (json_is_string(value) && filling->language == LANGUAGE_ZH &&
               phrase_is_field(parts[0])) {
        g_autofree char *chinese = phrase_chinese(json_string_value(value));
        append_text(filling, chinese);
    } else {
        append_scalar(filling, value);
    }
    return true;
}

/* The brace that closes the one at `open`; NULL: none does. */
static const char *brace_end(const char *open)
{
    int depth = 0;
    for (const char *at = open; *at; at++) {
        depth += *at == '{' ? 1 : *at == '}' ? -1 : 0;
        if (depth == 0)
            return at;
    }
    return NULL;
}

static bool fill(const Filling *filling, const char *text)
{
    while (*text) {
        const char *open = strchrnul(text, '{');
        g_string_append_len(filling->text, text, open - text);
        if (!*open)
            break;
        const char *end = brace_end(open);
        if (!end)
            g_error("a brace is not closed: %s", open);
        bool optional = open[1] == '?';
        const char *start = open + (optional ? 2 : 1);
        g_autofree char *inside = g_strndup(start, (gsize)(end - start));
        gsize before = filling->text->len;
        bool there = optional ? fill(filling, inside) : append_field(filling, inside);
        if (!there && !optional)
            return false;
        if (!there)
            g_string_truncate(filling->text, before);
        text = end + 1;
    }
    return true;
}

static char *filled(const char *text, Language language, const json_t *const *sources, bool cuts)
{
    g_autoptr(GString) whole = g_string_new(NULL);
    const Filling filling = {whole, language, sources, cuts};
    return fill(&filling, text) ? g_string_free(g_steal_pointer(&whole), FALSE) : NULL;
}

char *template_fill(const char *text, Language language, const json_t *const *sources)
{
    return filled(text, language, sources, false);
}

char *template_sentence(const char *text, Language language, const json_t *const *sources)
{
    return filled(text, language, sources, true);
}

static char *field_fault(const char *inside, const json_t *fields)
{
    static const char *const FORMS[] = {"bytes", "sh", "if", "unless", "time", NULL};
    g_auto(GStrv) parts = g_strsplit(inside, ":", 2);
    g_auto(GStrv) names = g_strsplit(parts[0] ? parts[0] : "", ".", -1);
    if (!names[0] || !source_find(fields, names))
        return g_strdup_printf("there is no field {%s} here", inside);
    if (parts[1] && !g_strv_contains(FORMS, parts[1]))
        return g_strdup_printf("{%s}: expected bytes, sh, if, unless or time behind the colon",
                               inside);
    return NULL;
}

char *template_fault(const char *text, const json_t *fields)
{
    for (;;) {
        text += strcspn(text, "{}");
        if (!*text)
            return NULL;
        const char *end = *text == '{' ? brace_end(text) : NULL;
        if (!end)
            return g_strdup_printf("a brace has no other: %s", text);
        bool optional = text[1] == '?';
        const char *start = text + (optional ? 2 : 1);
        g_autofree char *inside = g_strndup(start, (gsize)(end - start));
        char *fault = optional ? template_fault(inside, fields) : field_fault(inside, fields);
        if (fault)
            return fault;
        text = end + 1;
    }
}
