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
    json_t *params;           /* object of strings, never NULL */
    json_t *evidence;         /* object, never NULL, may be empty */
    const char *stage;        /* static text; NULL: the stage that appends it */
    char *kind;               /* one of the closed list of the reason's kinds, or NULL */
    char *actor;              /* who asked for it, or NULL */
    int64_t cause;            /* seq of the event that explains this one; 0: none */
    bool follows;             /* its cause is the event that is appended before it */
    json_t *causes;           /* array of seq, or NULL */
    const struct Event *root; /* ImportFailed: the event of `cause`, whose answer is also its own;
                                 not owned, NULL elsewhere */
    int64_t duration_ms;      /* of the stage that this event closes; -1: it closes none */
} Event;

void event_free(Event *event);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Event, event_free)

/* What JSON, a database and a terminal can all take of bytes that come from outside (file names,
 * answers of a server): bytes that are not UTF-8 and control characters become \xNN, everything
 * else stays. Doing it twice changes nothing. The caller frees it. The constructors do it to their
 * parameters by themselves. */
char *event_text(const char *bytes);

/* Sets evidence fields by jansson's json_pack format and returns the event, so that calls chain:
 *   event_with(event_image_built(), "{s:s, s:I}", "digest", digest, "size", size)
 * A format that does not fit, or text that is not UTF-8, is a bug and aborts. */
Event *event_with(Event *event, const char *format, ...);
/* Puts one field; takes the value over. A value that could not be made (NULL) is a bug and aborts.
 */
Event *event_with_json(Event *event, const char *key, json_t *value);
/* Puts one field of text that may hold anything: as event_text() makes it. */
Event *event_with_text(Event *event, const char *key, const char *bytes);
Event *event_with_kind(Event *event, const char *kind);
/* The limit in force, as the settings write it ("5", "0.001"), as evidence limit_gib. The message
 * of ModelFileTooLarge has no parameter for it, but a "5G" to the letter: the 5 is then this. */
Event *event_with_limit_gib(Event *event, const char *gib);

const CatalogRow *event_row(const Event *event);
/* The message with its parameters, the limit in force included. The caller frees it. */
char *event_message(const Event *event, Language language);

/* What the timeline adds. */
typedef struct {
    const char *event_id;
    int64_t seq;
    int64_t occur_time; /* ms since 1970, UTC */
    const char *stage;
    int attempt;
    const char *model; /* NAME:VERSION, for the commands in its advice */
} EventPlace;

/* The event object of api.md, with the answer of its kind (event/answer.h). place NULL: without
 * event_id, seq, occur_time and attempt, as `waybill check --json` prints findings. */
json_t *event_json(const Event *event, const EventPlace *place);

/* The row's example as an event: what documentation and `explain` show. */
Event *event_example(const CatalogRow *row);

/* Constructors: Event *event_import_started(void), Event *event_image_tag_not_found(const char
 * *image, const char *tag), … */
#include "event/emitters.h"
