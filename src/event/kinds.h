/* The kinds: what can be behind an event, and for each of them the answer: what is wrong, whose
 * turn it is, what to do (diagnosis.md, "One mechanism").
 *
 * One row for each reason and kind, in kinds-config.def, kinds-package.def, kinds-image.def and
 * kinds-service.def and kinds-build.def, by subject. A reason whose diagnosis has one form only has
 * a row with kind "". A new kind is a row there; the tests find one that is set and has none. The
 * texts are templates (event/template.h) over the evidence, the parameters, and {model}
 * NAME:VERSION, for the commands of a step; what is no model's yet has none {support.contact}  whom
 * the house names for help (event/advice.h), where it names somebody {retry_at}         when
 * waiting is over, where it is known (event/answer.h) What the house adds to the steps is in
 * event/advice.h. */
#pragma once

#include "event/catalog.h"

typedef enum {
    FIX_BY_YOU,   /* who imports */
    FIX_BY_ADMIN, /* who runs the service */
    FIX_BY_WAIT,  /* nobody: later it works */
    FIX_BY_CAUSE  /* as the event says that is its cause */
} FixBy;

/* All texts are static. Of the arrays, [0] is English and [1] Chinese (Language). */
typedef struct {
    EventReason reason;
    const char *kind; /* "": what has no kind, and kinds without a row of their own */
    FixBy fix_by;
    bool retryable; /* the same import may work next time though nothing was changed in it */
    const char *summary[2];
    const char *steps[2]; /* one a line; a step is left out when a field in it is not there */
    const char *example;  /* JSON: the fields that all of it needs */
} KindRow;

/* kind may be NULL. NULL: the reason has no row for it. */
const KindRow *kind_find(EventReason reason, const char *kind);
size_t kind_count(void);
const KindRow *kind_row(size_t index);

const char *fix_by_name(FixBy fix_by); /* "you", "admin", "wait", "cause" */
/* "you can mend it yourself": for people. */
const char *fix_by_words(FixBy fix_by, Language language);

/* The kinds of a reason: [{kind, fix_by, retryable, summary_en, summary_zh, advice_en: […],
 * advice_zh: […], example, said_en: {summary, advice: […]}, said_zh}]; said_*: what an event says
 * over the example. */
json_t *kinds_json(EventReason reason);
