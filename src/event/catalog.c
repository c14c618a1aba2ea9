#include "event/catalog.h"

#include "event/kinds.h"

#include <stdlib.h>
#include <string.h>

#define NAMES_0() \
    {             \
        NULL      \
    }
#define NAMES_1(a) \
    {              \
#a         \
    }
#define NAMES_2(a, b) \
    {                 \
#a, #b        \
    }
#define NAMES_3(a, b, c) \
    {                    \
#a, #b, #c       \
    }

#define WHEN(en, zh) \
    {                \
        en, zh       \
    }
#define CAUSES(en, zh) \
    {                  \
        en, zh         \
    }
#define ADVICE(en, zh) \
    {                  \
        en, zh         \
    }
#define EXAMPLE(...) #__VA_ARGS__

/* Members are initialised one by one, so that a row and its guide, which stand in different files,
 * meet in one constant. A guide given twice does not compile, one forgotten fails a test. */
static const CatalogRow rows[EVENT_COUNT] = {
/* clang-format off */
#define EVENT(number_, Name, function, TYPE, stage_, faq_, count, params_, en, zh, solution_en,    \
              solution_zh)                                                                         \
    [EVENT_##Name].number = number_,                                                               \
    [EVENT_##Name].reason = #Name,                                                                 \
    [EVENT_##Name].type = EVENT_TYPE_##TYPE,                                                       \
    [EVENT_##Name].message = {en, zh},                                                             \
    [EVENT_##Name].param_count = count,                                                            \
    [EVENT_##Name].params = NAMES_##count params_,                                                 \
    [EVENT_##Name].solution = {solution_en, solution_zh},                                          \
    [EVENT_##Name].faq = faq_,                                                                     \
    [EVENT_##Name].stage = stage_,
#include "event/catalog.def"
#undef EVENT

#define GUIDE(Name, when_, causes_, advice_, example_)                                             \
    [EVENT_##Name].when = when_,                                                                   \
    [EVENT_##Name].causes = causes_,                                                               \
    [EVENT_##Name].advice = advice_,                                                               \
    [EVENT_##Name].example = example_,
#include "event/guide-package.def"
#include "event/guide-image.def"
#include "event/guide-build.def"
#include "event/guide-normal.def"
#undef GUIDE
    /* clang-format on */
};

const CatalogRow *catalog_row(EventReason reason)
{
    g_assert((unsigned)reason < EVENT_COUNT);
    return &rows[reason];
}

const CatalogRow *catalog_find(const char *reason)
{
    guint64 number = 0;
    bool numeric = g_ascii_string_to_unsigned(reason, 10, 1, G_MAXINT, &number, NULL);

    for (int i = 0; i < EVENT_COUNT; i++) {
        bool same = numeric ? (guint64)rows[i].number == number
                            : g_ascii_strcasecmp(rows[i].reason, reason) == 0;
        if (same)
            return &rows[i];
    }
    return NULL;
}

/* Letters and digits only, in lower case: "image-built" and "IMAGE_BUILT" are the same guess. */
static char *bare(const char *text)
{
    GString *result = g_string_new(NULL);
    for (; *text; text++) {
        if (g_ascii_isalnum(*text))
            g_string_append_c(result, g_ascii_tolower(*text));
    }
    return g_string_free(result, FALSE);
}

/* Levenshtein: how many letters must be changed, added or left out. */
static size_t edit_distance(const char *a, const char *b)
{
    size_t width = strlen(b) + 1;
    g_autofree size_t *row = g_new(size_t, width);
    for (size_t j = 0; j < width; j++)
        row[j] = j;

    for (size_t i = 0; a[i]; i++) {
        size_t diagonal = row[0];
        row[0] = i + 1;
        for (size_t j = 1; j < width; j++) {
            size_t changed = diagonal + (a[i] != b[j - 1]);
            diagonal = row[j];
            row[j] = MIN(changed, MIN(row[j], row[j - 1]) + 1);
        }
    }
    return row[width - 1];
}

typedef struct {
    const CatalogRow *row;
    size_t distance;
} Candidate;

static int candidate_compare(const void *a, const void *b)
{
    const Candidate *left = a, *right = b;
    if (left->distance != right->distance)
        return left->distance < right->distance ? -1 : 1;
    return left->row < right->row ? -1 : left->row > right->row;
}

const CatalogRow **catalog_nearest(const char *text)
{
    g_autofree char *wanted = bare(text);
    size_t tolerated = MAX(2, strlen(wanted) / 3);
    Candidate candidates[EVENT_COUNT];
    size_t count = 0;

    for (int i = 0; i < EVENT_COUNT && *wanted; i++) {
        g_autofree char *reason = bare(rows[i].reason);
        size_t distance = edit_distance(wanted, reason);
        /* A part of a name is a good guess too, but comes after those that are nearly it. */
        if (distance > tolerated && strlen(wanted) >= 3 && strstr(reason, wanted))
            distance = tolerated;
        if (distance <= tolerated)
            candidates[count++] = (Candidate){&rows[i], distance};
    }
    qsort(candidates, count, sizeof *candidates, candidate_compare);

    const CatalogRow **nearest = g_new0(const CatalogRow *, count + 1);
    for (size_t i = 0; i < count; i++)
        nearest[i] = candidates[i].row;
    return nearest;
}

char *catalog_faq(const CatalogRow *row)
{
    if (!row->faq)
        return NULL;
    g_autofree char *anchor = g_ascii_strdown(row->reason, -1);
    return g_strconcat("docs/events.md#", anchor, NULL);
}

const char *event_type_name(EventType type)
{
    switch (type) {
    case EVENT_TYPE_NORMAL:
        return "normal";
    case EVENT_TYPE_ABNORMAL:
        return "abnormal";
    case EVENT_TYPE_HINT:
        return "hint";
    }
    g_assert_not_reached();
}

static json_t *lines_json(const char *text)
{
    json_t *array = json_array();
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    for (char **line = lines; *line; line++)
        json_array_append_new(array, json_string(*line));
    return array;
}

static json_t *params_json(const CatalogRow *row)
{
    json_t *array = json_array();
    for (int i = 0; i < row->param_count; i++)
        json_array_append_new(array, json_string(row->params[i]));
    return array;
}

json_t *catalog_row_json(const CatalogRow *row)
{
    bool ours = row->number == 0;
    json_t *object =
        json_pack("{s:o, s:s, s:s, s:s, s:s, s:o, s:s?, s:s?, s:b, s:b, s:s}", "no",
                  ours ? json_null() : json_integer(row->number), "reason", row->reason, "type",
                  event_type_name(row->type), "zh", row->message[LANGUAGE_ZH], "en",
                  row->message[LANGUAGE_EN], "params", params_json(row), "solution_zh",
                  row->solution[LANGUAGE_ZH], "solution_en", row->solution[LANGUAGE_EN], "faq",
                  row->faq, "ours", ours, "stage", row->stage);
    g_assert(object);

    json_object_set_new(object, "when_en", json_string(row->when[LANGUAGE_EN]));
    json_object_set_new(object, "when_zh", json_string(row->when[LANGUAGE_ZH]));
    json_object_set_new(object, "causes_en", lines_json(row->causes[LANGUAGE_EN]));
    json_object_set_new(object, "causes_zh", lines_json(row->causes[LANGUAGE_ZH]));
    json_object_set_new(object, "advice_en", lines_json(row->advice[LANGUAGE_EN]));
    json_object_set_new(object, "advice_zh", lines_json(row->advice[LANGUAGE_ZH]));
    json_object_set_new(object, "example", json_loads(row->example, 0, NULL));
    json_object_set_new(object, "kinds", kinds_json((EventReason)(row - rows)));
    return object;
}

/* The value of the placeholder that begins at `text` ('{'); *length is what it takes there. NULL:
 * it is none. */
static const char *placeholder_value(const char *text, const json_t *params, size_t *length)
{
    const char *end = strchr(text, '}');
    if (!end)
        return NULL;
    g_autofree char *name = g_strndup(text + 1, end - text - 1);
    *length = end + 1 - text;
    return json_string_value(json_object_get(params, name));
}

char *catalog_fill(const char *text, const json_t *params)
{
    GString *filled = g_string_new(NULL);
    while (*text) {
        size_t length = 1;
        const char *value = *text == '{' ? placeholder_value(text, params, &length) : NULL;
        if (value) {
            g_string_append(filled, value);
            text += length;
        } else {
            g_string_append_c(filled, *text++);
        }
    }
    return g_string_free(filled, FALSE);
}

char *catalog_message(const CatalogRow *row, Language language, const json_t *params)
{
    return catalog_fill(row->message[language], params);
}
