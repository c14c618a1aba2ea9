/* The answer of a problem event as people read it: one block, whose first lines name file, line and
 * repair.
 *
 *   the summary, with file:line:column        what the steps need of the rest follows, one
 *      6 |       "url": "/predict"            labelled line each: found and expected where the
 *        |              ^^^^^^^^^^            summary does not say them, other findings, whose
 *     1. a step                               turn it is, the commands, the original's solution
 *
 * It is made of what the event's JSON says alone: the source may be long gone. */
#pragma once

#include "command/terminal.h"
#include "event/timeline.h"
#include "import/service.h"
#include "store/models.h"

typedef struct {
    int indent;             /* columns */
    const char *model;      /* NAME:VERSION; NULL: there is none yet that could be retried */
    const json_t *others;   /* array: the findings that ended the attempt beside it; NULL: none */
    const char *difference; /* one line: what changed since it last worked; NULL: not known */
    bool whole;             /* all stored lines around the place, not its own alone */
} AnswerView;

void answer_view_print(const Terminal *terminal, const json_t *event, const AnswerView *view);

/* For what does not end an import, and in rows that the whole answer follows: the summary alone,
 * with its place. */
void answer_view_summary(const Terminal *terminal, const json_t *event, int indent);

/* The event that the attempt's ImportFailed names as its cause, and in *others (may be NULL) the
 * other ones of its causes. failed: ImportFailed, or NULL: of the model's newest attempt. NULL with
 * *error unset: it has not failed. The caller owns both. */
json_t *answer_view_cause(Db *db, const Model *model, const json_t *failed, json_t **others,
                          GError **error);
/* The closing lines of a failed import: the answer of its cause, behind an empty line. Nothing
 * where it has not failed. */
bool answer_view_closing(const Terminal *terminal, Service *service, const Model *model,
                         GError **error);
/* For AnswerView.difference: of the model's newest attempt. NULL: it never worked. The caller frees
 * it. */
char *answer_view_difference(const Terminal *terminal, Service *service, const Model *model);
