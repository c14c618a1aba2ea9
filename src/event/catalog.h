/* The catalogue: every event that can be, once (events.json, to the letter, and those of our own).
 *
 * catalog.def is an X-macro; from it come this enum, the typed emitters of event.h, the JSON of the
 * catalogue, docs/events.md and `waybill explain`. What explains each event (when, causes, advice,
 * example) stands in guide-package.def, guide-image.def, guide-build.def and guide-normal.def, by
 * subject; what can be behind an event, and the answer to each, in event/kinds.h. A new event is a
 * row here and a guide there; the tests miss neither. */
#pragma once

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>

typedef enum {
#define EVENT(number, Name, ...) EVENT_##Name,
#include "event/catalog.def"
#undef EVENT
    EVENT_COUNT
} EventReason;

typedef enum { EVENT_TYPE_NORMAL, EVENT_TYPE_ABNORMAL, EVENT_TYPE_HINT } EventType;

typedef enum { LANGUAGE_EN, LANGUAGE_ZH } Language;

#define CATALOG_MAX_PARAMS 3

/* One row. All texts are static. Of the arrays, [0] is English and [1] Chinese (Language). */
typedef struct {
    int number; /* 1..45 as in the original; 0: an event of our own */
    const char *reason;
    EventType type;
    const char *message[2];
    int param_count;
    const char *params[CATALOG_MAX_PARAMS];
    const char *solution[2]; /* NULL where the original has "-" */
    bool faq;
    const char *stage; /* where it usually happens */
    /* What `explain` and docs/events.md say further. */
    const char *when[2];
    const char *causes[2]; /* one a line */
    const char *advice[2]; /* one step a line; where the original only says "contact support", what
                              to check */
    const char *example; /* JSON: {"params": {…}, "evidence": {…}}, further fields of the event
                            where they belong: see event_example() */
} CatalogRow;

const CatalogRow *catalog_row(EventReason reason);
/* By its stable code, e.g. "ImageBuilt" (letter case does not matter), or its number in the
 * original ("33"); NULL: there is none. */
const CatalogRow *catalog_find(const char *reason);
/* Rows whose reason looks like `text`, nearest first, for "did you mean"; NULL-terminated, the
 * caller frees the array. */
const CatalogRow **catalog_nearest(const char *text);

/* "docs/events.md#imagebuildfailed"; NULL: the row has no FAQ entry. The caller frees it. */
char *catalog_faq(const CatalogRow *row);

const char *event_type_name(EventType type); /* "normal", "abnormal", "hint" */

/* {no, reason, type, zh, en, params, solution_zh, solution_en, faq, ours, stage, when_en, when_zh,
 * causes_en: […], causes_zh: […], advice_en: […], advice_zh: […], example, kinds: […]}: one object
 * of `waybill explain --json`. no is null for ours; kinds: event/kinds.h. */
json_t *catalog_row_json(const CatalogRow *row);

/* The message with {name} filled in from params (an object of strings). The caller frees it. An
 * event that exists is asked for its own message instead: event_message(). */
char *catalog_message(const CatalogRow *row, Language language, const json_t *params);
/* The same of any text. What a parameter brings in is not looked at again; a placeholder without a
 * parameter stays. */
char *catalog_fill(const char *text, const json_t *params);
