#include "event/kinds.h"

#include <string.h>

#include "event/advice.h"
#include "event/template.h"

#define SUMMARY(en, zh) \
    {                   \
        en, zh          \
    }
#define STEPS(en, zh) \
    {                 \
        en, zh        \
    }
#define EXAMPLE(...) #__VA_ARGS__

#define KIND(Reason, kind_, fix_by_, retryable_, summary_, steps_, example_) \
    {.reason = EVENT_##Reason,                                               \
     .kind = kind_,                                                          \
     .fix_by = FIX_BY_##fix_by_,                                             \
     .retryable = retryable_,                                                \
     .summary = summary_,                                                    \
     .steps = steps_,                                                        \
     .example = example_},
static const KindRow rows[] = {
#include "event/kinds.def"
};
#undef KIND

size_t kind_count(void)
{
    return G_N_ELEMENTS(rows);
}

const KindRow *kind_row(size_t index)
{
    g_assert(index < G_N_ELEMENTS(rows));
    return &rows[index];
}

const KindRow *kind_find(EventReason reason, const char *kind)
{
    const KindRow *otherwise = NULL;
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        if (rows[i].reason != reason)
            continue;
        if (strcmp(rows[i].kind, kind ? kind : "") == 0)
            return &rows[i];
        if (!*rows[i].kind)
            otherwise = &rows[i];
    }
    return otherwise;
}

const char *fix_by_name(FixBy fix_by)
{
    static const char *const NAMES[] = {"you", "admin", "wait", "cause"};
    return NAMES[fix_by];
}

const char *fix_by_words(FixBy fix_by, Language language)
{
    static const char *const WORDS[][2] = {
        [FIX_BY_YOU] = {"you can mend it yourself", "你可以自己修复"},
        [FIX_BY_ADMIN] = {"an administrator has to mend it", "需要管理员处理"},
        [FIX_BY_WAIT] = {"retry later", "稍后重试即可"},
        [FIX_BY_CAUSE] = {"as its cause says", "取决于其原因"},
    };
    return WORDS[fix_by][language];
}

static json_t *steps_json(const KindRow *row, Language language)
{
    json_t *array = json_array();
    g_auto(GStrv) lines = advice_steps(row, language, NULL);
    for (char **line = lines; *line; line++)
        json_array_append_new(array, json_string(*line));
    return array;
}

/* What an event would say over the row's example. */
static json_t *said_json(const KindRow *row, const json_t *example, Language language)
{
    const json_t *const sources[] = {example, NULL};
    g_autofree char *summary = template_sentence(row->summary[language], language, sources);
    g_auto(GStrv) lines = advice_steps(row, language, NULL);
    json_t *steps = json_array();
    for (char **line = lines; *line; line++) {
        g_autofree char *step = template_fill(*line, language, sources);
        if (step && *step)
            json_array_append_new(steps, json_string(step));
    }
    return json_pack("{s:s?, s:o}", "summary", summary, "advice", steps);
}

static json_t *row_json(const KindRow *row)
{
    json_t *example = json_loads(row->example, 0, NULL);
    json_t *said_en = said_json(row, example, LANGUAGE_EN);
    json_t *said_zh = said_json(row, example, LANGUAGE_ZH);
    json_t *object =
        json_pack("{s:s, s:s, s:b, s:s, s:s, s:o, s:o, s:o, s:o, s:o}", "kind", row->kind, "fix_by",
                  fix_by_name(row->fix_by), "retryable", row->retryable, "summary_en",
                  row->summary[LANGUAGE_EN], "summary_zh", row->summary[LANGUAGE_ZH], "advice_en",
                  steps_json(row, LANGUAGE_EN), "advice_zh", steps_json(row, LANGUAGE_ZH),
                  "example", example, "said_en", said_en, "said_zh", said_zh);
    g_assert(object);
    return object;
}

json_t *kinds_json(EventReason reason)
{
    json_t *array = json_array();
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++)
        if (rows[i].reason == reason)
            json_array_append_new(array, row_json(&rows[i]));
    return array;
}
