/* An event that is to be appended: what happened, with its parameters and its evidence.
 *
 * There is one typed constructor for each row of the catalogue: event_size_limit_exceeded(what,
 * name, limit); a missing or a surplus parameter does not compile. An Event knows neither seq nor
 * time: the timeline gives it those, in the transaction that records what happened
 * (event/timeline.h).
 *
 * Problem events that a check found but that are not appended yet are findings (event/finding.h).
 * Shape of the JSON: api.md, EVENT. */
#pragma once

#include "event/catalog.h"

typedef struct Event {
    EventReason reason;
    json_t *params;      /* object of strings, never NULL */
    json_t *evidence;    /* object, never NULL, may be empty */
    const char *stage;   /* static text; NULL: the stage that appends it */
    char *kind;          /* one of the closed list of the reason's kinds, or NULL */
    char *actor;         /* who asked for it, or NULL */
    int64_t cause;       /* seq of the event that explains this one; 0: none */
    json_t *causes;      /* array of seq, or NULL */
    int64_t duration_ms; /* of the stage that this event closes; -1: it closes none */
} Event;

void event_free(Event *event);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Event, event_free)

/* Sets evidence fields by jansson's json_pack format and returns the event, so that calls chain:
 *   event_with(event_image_built(), "{s:s, s:I}", "digest", digest, "size", size)
 * A format that does not fit, or text that is not UTF-8, is a bug and aborts. */
Event *event_with(Event *event, const char *format, ...);
/* Puts one field; takes the value over. */
Event *event_with_json(Event *event, const char *key, json_t *value);
Event *event_with_kind(Event *event, const char *kind);

const CatalogRow *event_row(const Event *event);

/* What the timeline adds. */
typedef struct {
    const char *event_id;
    int64_t seq;
    int64_t occur_time; /* ms since 1970, UTC */
    const char *stage;
    int attempt;
} EventPlace;

/* The event object of api.md. place NULL: without event_id, seq, occur_time and attempt, as
 * `waybill check --json` prints findings. */
json_t *event_json(const Event *event, const EventPlace *place);

/* Constructors: Event *event_import_started(void), Event *event_image_tag_not_found(const char
 * *image, const char *tag), … */
#include "event/emitters.h"
