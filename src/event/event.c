#include "event/event.h"

#include "event/answer.h"
#include "event/phrases.h"

#include <string.h>

/* Takes params over. */
static Event *event_new(EventReason reason, json_t *params)
{
    Event *event = g_new0(Event, 1);
    event->reason = reason;
    event->params = params;
    event->evidence = json_object();
    event->duration_ms = -1;
    return event;
}

/* From the values of the row's parameters, in its order. */
static Event *event_emit(EventReason reason, const char *const *values)
{
    const CatalogRow *row = catalog_row(reason);
    json_t *params = json_object();
    for (int i = 0; i < row->param_count; i++) {
        g_autofree char *text = event_text(values[i]);
        json_object_set_new(params, row->params[i], json_string(text));
    }
    return event_new(reason, params);
}

#define VALUES_0()        NULL
#define VALUES_1(a)       a
#define VALUES_2(a, b)    a, b
#define VALUES_3(a, b, c) a, b, c
#define EVENT(number, Name, function, TYPE, stage, faq, count, params, ...)            \
    Event *event_##function SIGNATURE_##count params                                   \
    {                                                                                  \
        return event_emit(EVENT_##Name, (const char *const[]){VALUES_##count params}); \
    }
#include "event/catalog.def"
#undef EVENT

void event_free(Event *event)
{
    if (!event)
        return;
    json_decref(event->params);
    json_decref(event->evidence);
    json_decref(event->causes);
    g_free(event->kind);
    g_free(event->actor);
    g_free(event);
}

static void append_escaped(GString *text, const char *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        g_string_append_printf(text, "\\x%02x", (unsigned char)bytes[i]);
}

char *event_text(const char *bytes)
{
    g_assert(bytes);
    GString *text = g_string_new(NULL);
    while (*bytes) {
        gunichar character = g_utf8_get_char_validated(bytes, -1);
        bool valid = character != (gunichar)-1 && character != (gunichar)-2;
        size_t size = valid ? (size_t)g_utf8_skip[(unsigned char)*bytes] : 1;
        if (valid && !g_unichar_iscntrl(character))
            g_string_append_len(text, bytes, size);
        else
            append_escaped(text, bytes, size);
        bytes += size;
    }
    return g_string_free(text, FALSE);
}

Event *event_with(Event *event, const char *format, ...)
{
    json_error_t error;
    va_list args;
    va_start(args, format);
    json_t *fields = json_vpack_ex(&error, 0, format, args);
    va_end(args);

    if (!json_is_object(fields))
        g_error("evidence of %s: %s in %s", event_row(event)->reason, error.text, format);
    json_object_update(event->evidence, fields);
    json_decref(fields);
    return event;
}

Event *event_with_json(Event *event, const char *key, json_t *value)
{
    if (json_object_set_new(event->evidence, key, value) != 0)
        g_error("evidence of %s: %s has no value", event_row(event)->reason, key);
    return event;
}

Event *event_with_text(Event *event, const char *key, const char *bytes)
{
    g_autofree char *text = event_text(bytes);
    return event_with_json(event, key, json_string(text));
}

Event *event_with_kind(Event *event, const char *kind)
{
    g_free(event->kind);
    event->kind = g_strdup(kind);
    return event;
}

Event *event_with_limit_gib(Event *event, const char *gib)
{
    return event_with_text(event, "limit_gib", gib);
}

const CatalogRow *event_row(const Event *event)
{
    return catalog_row(event->reason);
}

/* The original wrote the limit into the text. Only the text's own "5G" is meant, not one in the
 * file's name: so this comes before the parameters. */
static char *text_with_limit(const char *text, const char *gib)
{
    const char *limit = strstr(text, "5G");
    g_assert(limit);
    return g_strdup_printf("%.*s%s%s", (int)(limit - text), text, gib, limit + strlen("5"));
}

char *event_message(const Event *event, Language language)
{
    const CatalogRow *row = event_row(event);
    const char *gib = json_string_value(json_object_get(event->evidence, "limit_gib"));
    if (event->reason == EVENT_EnvImageExplained && language == LANGUAGE_ZH) {
        const char *why = json_string_value(json_object_get(event->params, "why"));
        g_autofree char *chinese = phrase_chinese(why);
        json_auto_t *params = json_pack("{s:s}", "why", chinese);
        return catalog_message(row, language, params);
    }
    if (event->reason != EVENT_ModelFileTooLarge || !gib)
        return catalog_message(row, language, event->params);

    g_autofree char *text = text_with_limit(row->message[language], gib);
    return catalog_fill(text, event->params);
}

static void set_place(json_t *object, const EventPlace *place)
{
    json_object_set_new(object, "event_id", json_string(place->event_id));
    json_object_set_new(object, "seq", json_integer(place->seq));
    json_object_set_new(object, "occur_time", json_integer(place->occur_time));
}

static const char *event_stage(const Event *event, const EventPlace *place)
{
    if (event->stage)
        return event->stage;
    return place ? place->stage : event_row(event)->stage;
}

static void set_texts(json_t *object, const Event *event)
{
    const CatalogRow *row = event_row(event);
    g_autofree char *english = event_message(event, LANGUAGE_EN);
    g_autofree char *chinese = event_message(event, LANGUAGE_ZH);
    g_autofree char *faq = catalog_faq(row);
    json_t *texts =
        json_pack("{s:s, s:s, s:O, s:s?, s:s?, s:s?}", "event_info", english, "event_info_cn",
                  chinese, "params", event->params, "solution", row->solution[LANGUAGE_EN],
                  "solution_cn", row->solution[LANGUAGE_ZH], "faq", faq);
    g_assert(texts);
    json_object_update(object, texts);
    json_decref(texts);
}

static void set_answer(json_t *object, const Event *event, const EventPlace *place)
{
    json_t *answer = event_answer(event, place);
    if (answer)
        json_object_update(object, answer);
    json_decref(answer);
}

/* Fields that are left out where they have no value. */
static void set_optional(json_t *object, const Event *event)
{
    if (event->cause)
        json_object_set_new(object, "cause", json_integer(event->cause));
    if (event->causes)
        json_object_set(object, "causes", event->causes);
    if (event->kind)
        json_object_set_new(object, "kind", json_string(event->kind));
    if (event->actor)
        json_object_set_new(object, "actor", json_string(event->actor));
    if (event->duration_ms >= 0)
        json_object_set_new(object, "duration_ms", json_integer(event->duration_ms));
}

json_t *event_json(const Event *event, const EventPlace *place)
{
    const CatalogRow *row = event_row(event);
    json_t *object = json_object();
    if (place)
        set_place(object, place);
    json_object_set_new(object, "event_type", json_string(event_type_name(row->type)));
    json_object_set_new(object, "reason", json_string(row->reason));
    json_object_set_new(object, "stage", json_string(event_stage(event, place)));
    if (place)
        json_object_set_new(object, "attempt", json_integer(place->attempt));
    set_texts(object, event);
    set_answer(object, event, place);
    json_object_set(object, "evidence", event->evidence);
    set_optional(object, event);
    return object;
}

Event *event_example(const CatalogRow *row)
{
    const char *kind = NULL, *actor = NULL;
    json_int_t cause = 0, duration = -1;
    json_t *params = NULL, *evidence = NULL, *causes = NULL;
    json_error_t error;
    json_t *example = json_loads(row->example, JSON_REJECT_DUPLICATES, &error);
    int fits = json_unpack_ex(example, &error, JSON_STRICT, "{s:O, s:O, s?s, s?s, s?I, s?O, s?I}",
                              "params", &params, "evidence", &evidence, "kind", &kind, "actor",
                              &actor, "cause", &cause, "causes", &causes, "duration_ms", &duration);
    if (fits != 0)
        g_error("example of %s: %s", row->reason, error.text);

    Event *event = event_with_kind(event_new(row - catalog_row(0), params), kind);
    json_object_update(event->evidence, evidence);
    json_decref(evidence);
    event->actor = g_strdup(actor);
    event->cause = cause;
    event->causes = causes;
    event->duration_ms = duration;
    json_decref(example);
    return event;
}
