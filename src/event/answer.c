#include "event/answer.h"

#include "event/advice.h"
#include "event/template.h"

/* Where the texts of one event find their fields. */
typedef struct {
    const Event *event;
    const json_t *sources[4]; /* NULL-terminated */
} Fields;

static char *summary_of(const KindRow *row, const Fields *fields, Language language)
{
    char *summary = template_sentence(row->summary[language], language, fields->sources);
    return summary ? summary : event_message(fields->event, language);
}

/* Of a kind's steps as templates: those whose fields are there. */
static json_t *steps_fill(char *const *templates, const Fields *fields, Language language)
{
    json_t *steps = json_array();
    for (; templates && *templates; templates++) {
        g_autofree char *step = template_fill(*templates, language, fields->sources);
        if (step && *step)
            json_array_append_new(steps, json_string(step));
    }
    return steps;
}

static json_t *steps_of(const KindRow *row, const Fields *fields, Language language)
{
    g_auto(GStrv) templates = advice_steps(row, language, NULL);
    return steps_fill(templates, fields, language);
}

/* What the texts know beside evidence and parameters. */
static json_t *place_fields(const EventPlace *place, int64_t retry_at, Language language)
{
    json_t *fields = json_pack("{s:s*, s:{s:s*}}", "model", place ? place->model : NULL, "support",
                               "contact", advice_contact(language));
    g_assert(fields);
    if (retry_at)
        json_object_set_new(fields, "retry_at", json_integer(retry_at));
    return fields;
}

/* 0: it is not known, or waiting does not help. */
static int64_t retry_moment(const Event *event, const KindRow *row, const EventPlace *place)
{
    const json_t *at = json_object_get(event->evidence, "retry_at"),
                 *after = json_object_get(event->evidence, "retry_after");
    if (row->fix_by != FIX_BY_WAIT)
        return 0;
    if (json_is_integer(at))
        return json_integer_value(at);
    bool known = json_is_number(after) && place && place->occur_time;
    return known ? place->occur_time + (int64_t)(json_number_value(after) * 1000) : 0;
}

/* Keeps the order of the fields: the summaries, then the steps. */
static void set_texts(json_t *answer, const char *const summaries[2], json_t *const steps[2])
{
    json_object_set_new(answer, "summary", json_string(summaries[LANGUAGE_EN]));
    json_object_set_new(answer, "summary_cn", json_string(summaries[LANGUAGE_ZH]));
    json_object_set_new(answer, "advice", steps[LANGUAGE_EN]);
    json_object_set_new(answer, "advice_cn", steps[LANGUAGE_ZH]);
}

static json_t *own_answer(const Event *event, const KindRow *row, const EventPlace *place)
{
    int64_t retry_at = retry_moment(event, row, place);
    json_t *answer = json_object(), *steps[2];
    char *summaries[2];
    for (Language language = LANGUAGE_EN; language <= LANGUAGE_ZH; language++) {
        json_t *further = place_fields(place, retry_at, language);
        const Fields fields = {event, {event->evidence, event->params, further, NULL}};
        summaries[language] = summary_of(row, &fields, language);
        steps[language] = steps_of(row, &fields, language);
        json_decref(further);
    }
    set_texts(answer, (const char *const *)summaries, steps);
    g_free(summaries[LANGUAGE_EN]);
    g_free(summaries[LANGUAGE_ZH]);
    json_object_set_new(answer, "fix_by", json_string(fix_by_name(row->fix_by)));
    json_object_set_new(answer, "retryable", json_boolean(row->retryable));
    if (retry_at)
        json_object_set_new(answer, "retry_at", json_integer(retry_at));
    return answer;
}

/* The fields of ImportFailed's summary, of its cause in that language: {summary}, and {more}, how
 * many causes there are beside it. */
static json_t *cause_fields(const Event *event, const json_t *cause, Language language)
{
    size_t causes = json_array_size(event->causes);
    json_t *fields =
        json_pack("{s:O}", "summary",
                  json_object_get(cause, language == LANGUAGE_ZH ? "summary_cn" : "summary"));
    if (causes > 1)
        json_object_set_new(fields, "more", json_integer((json_int_t)causes - 1));
    return fields;
}

static bool has_text(const json_t *array, const json_t *text)
{
    size_t i;
    json_t *element;
    json_array_foreach (array, i, element)
        if (json_equal(element, text))
            return true;
    return false;
}

/* Of the cause's steps the first and the last, which as a rule is the retry, and those of the house
 * between them. */
static json_t *steps_inherited(const Event *root, const json_t *cause, const EventPlace *place,
                               Language language)
{
    const json_t *steps = json_object_get(cause, language == LANGUAGE_ZH ? "advice_cn" : "advice");
    g_auto(GStrv) house = NULL;
    g_auto(GStrv) all G_GNUC_UNUSED =
        advice_steps(kind_find(root->reason, root->kind), language, &house);
    json_t *further = place_fields(place, 0, language), *kept = json_array(), *step;
    const Fields fields = {root, {root->evidence, root->params, further, NULL}};
    json_t *filled = steps_fill(house, &fields, language);
    size_t i, last = json_array_size(steps) - 1;
    json_array_foreach (steps, i, step)
        if (i == 0 || i == last || has_text(filled, step))
            json_array_append(kept, step);
    json_decref(filled);
    json_decref(further);
    return kept;
}

static char *summary_inherited(const Event *event, const KindRow *row, const json_t *cause,
                               Language language)
{
    json_t *inherited = cause_fields(event, cause, language);
    char *summary =
        template_fill(row->summary[language], language, (const json_t *const[]){inherited, NULL});
    json_decref(inherited);
    return summary;
}

static json_t *inherited_answer(const Event *event, const KindRow *row, const EventPlace *place)
{
    static const char *const SAME[] = {"fix_by", "retryable", "retry_at"};
    json_t *cause = event->root ? event_answer(event->root, place) : NULL;
    if (!cause)
        return NULL;
    json_t *answer = json_object();
    g_autofree char *english = summary_inherited(event, row, cause, LANGUAGE_EN);
    g_autofree char *chinese = summary_inherited(event, row, cause, LANGUAGE_ZH);
    json_t *const steps[2] = {steps_inherited(event->root, cause, place, LANGUAGE_EN),
                              steps_inherited(event->root, cause, place, LANGUAGE_ZH)};
    set_texts(answer, (const char *const[2]){english, chinese}, steps);
    for (size_t i = 0; i < G_N_ELEMENTS(SAME); i++)
        if (json_object_get(cause, SAME[i]))
            json_object_set(answer, SAME[i], json_object_get(cause, SAME[i]));
    json_decref(cause);
    return answer;
}

/* A normal event asks for nothing, but who waits is told that there is nothing to do. */
static json_t *advice_of_waiting(const Event *event)
{
    json_t *answer = json_object();
    for (Language language = LANGUAGE_EN; language <= LANGUAGE_ZH; language++) {
        json_t *steps = json_array();
        g_auto(GStrv) lines = g_strsplit(event_row(event)->advice[language], "\n", -1);
        for (char **line = lines; *line; line++)
            json_array_append_new(steps, json_string(*line));
        json_object_set_new(answer, language == LANGUAGE_ZH ? "advice_cn" : "advice", steps);
    }
    return answer;
}

json_t *event_answer(const Event *event, const EventPlace *place)
{
    if (event->reason == EVENT_SystemUpgrading)
        return advice_of_waiting(event);
    const KindRow *row = kind_find(event->reason, event->kind);
    if (!row || event_row(event)->type == EVENT_TYPE_NORMAL)
        return NULL;
    return row->fix_by == FIX_BY_CAUSE ? inherited_answer(event, row, place)
                                       : own_answer(event, row, place);
}
