#include "event/answer.h"

#include "event/template.h"

/* Where the texts of one event find their fields. */
typedef struct {
    const Event *event;
    const json_t *sources[4]; /* NULL-terminated */
} Fields;

static char *summary_of(const KindRow *row, const Fields *fields, Language language)
{
    char *summary = template_fill(row->summary[language], language, fields->sources);
    return summary ? summary : event_message(fields->event, language);
}

static json_t *steps_of(const KindRow *row, const Fields *fields, Language language)
{
    json_t *steps = json_array();
    g_auto(GStrv) lines = g_strsplit(row->steps[language], "\n", -1);
    for (char **line = lines; *line; line++) {
        g_autofree char *step = template_fill(*line, language, fields->sources);
        if (step && *step)
            json_array_append_new(steps, json_string(step));
    }
    return steps;
}

static json_t *own_answer(const Event *event, const KindRow *row, const json_t *place)
{
    const Fields fields = {event, {event->evidence, event->params, place, NULL}};
    g_autofree char *english = summary_of(row, &fields, LANGUAGE_EN);
    g_autofree char *chinese = summary_of(row, &fields, LANGUAGE_ZH);
    return json_pack("{s:s, s:s, s:o, s:o, s:s, s:b}", "summary", english, "summary_cn", chinese,
                     "advice", steps_of(row, &fields, LANGUAGE_EN), "advice_cn",
                     steps_of(row, &fields, LANGUAGE_ZH), "fix_by", fix_by_name(row->fix_by),
                     "retryable", row->retryable);
}

/* The fields of ImportFailed's texts, of its cause in that language: {summary}, {first} and {last},
 * its first step and the last, which as a rule is the retry; {more}, how many causes there are
 * beside it. */
static json_t *cause_fields(const Event *event, const json_t *cause, Language language)
{
    bool zh = language == LANGUAGE_ZH;
    const json_t *steps = json_object_get(cause, zh ? "advice_cn" : "advice");
    size_t count = json_array_size(steps), causes = json_array_size(event->causes);
    json_t *fields =
        json_pack("{s:O}", "summary", json_object_get(cause, zh ? "summary_cn" : "summary"));
    if (count > 0)
        json_object_set(fields, "first", json_array_get(steps, 0));
    if (count > 1)
        json_object_set(fields, "last", json_array_get(steps, count - 1));
    if (causes > 1)
        json_object_set_new(fields, "more", json_integer((json_int_t)causes - 1));
    return fields;
}

static void inherit_texts(json_t *answer, const Event *event, const KindRow *row,
                          const json_t *cause, Language language)
{
    bool zh = language == LANGUAGE_ZH;
    json_t *inherited = cause_fields(event, cause, language);
    const Fields fields = {event, {inherited, NULL}};
    g_autofree char *summary = summary_of(row, &fields, language);
    json_object_set_new(answer, zh ? "summary_cn" : "summary", json_string(summary));
    json_object_set_new(answer, zh ? "advice_cn" : "advice", steps_of(row, &fields, language));
    json_decref(inherited);
}

static json_t *inherited_answer(const Event *event, const KindRow *row, const char *model)
{
    json_t *cause = event->root ? event_answer(event->root, model) : NULL;
    if (!cause)
        return NULL;
    json_t *answer = json_object();
    inherit_texts(answer, event, row, cause, LANGUAGE_EN);
    inherit_texts(answer, event, row, cause, LANGUAGE_ZH);
    json_object_set(answer, "fix_by", json_object_get(cause, "fix_by"));
    json_object_set(answer, "retryable", json_object_get(cause, "retryable"));
    json_decref(cause);
    return answer;
}

json_t *event_answer(const Event *event, const char *model)
{
    const KindRow *row = kind_find(event->reason, event->kind);
    if (!row || event_row(event)->type == EVENT_TYPE_NORMAL)
        return NULL;
    if (row->fix_by == FIX_BY_CAUSE)
        return inherited_answer(event, row, model);
    json_t *place = json_pack("{s:s*}", "model", model);
    json_t *answer = own_answer(event, row, place);
    json_decref(place);
    g_assert(answer);
    return answer;
}
