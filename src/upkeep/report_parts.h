/* Inside of the report: what its parts share. */
#pragma once

#include "import/service.h"
#include "store/models.h"

typedef struct {
    Service *service;
    const Model *model;
    bool zh;
    GString *text; /* Markdown */
} Report;

/* level: 1 to 3. What it names is no user's text. */
void report_heading(Report *report, int level, const char *format, ...) G_GNUC_PRINTF(3, 4);
/* Text as it is, masked. */
void report_block(Report *report, int indent, const char *text);
/* "NAME: VALUE", masked; nothing when the value is empty. */
void report_fact(Report *report, const char *en, const char *zh, const char *format, ...)
    G_GNUC_PRINTF(4, 5);
const char *report_word(const Report *report, const char *en, const char *zh);
/* RFC 3339, UTC. The caller frees it. */
char *report_time(int64_t ms);

/* What is wrong and what to do, of a model whose newest attempt failed. */
bool report_problem(Report *report, GError **error);
/* The events of an attempt. */
bool report_events(Report *report, int attempt, GError **error);
/* Program, machine, libraries, runtimes, settings. */
bool report_machine(Report *report, GError **error);
