/* A difference in one line: what changed since it last worked. */
#pragma once

#include "import/difference.h"

/* "Since 0.0.1 (worked 2026-11-20): config.json 2 lines, 1 file changed, numpy ==1.24 -> ==1.26:
 * waybill diff digits:0.0.2". The caller frees it. */
char *difference_line(const Difference *difference, Language language, bool utc);

/* The same of an attempt since it last worked. NULL: it never did, or (*error) the store could not
 * be read. */
char *difference_line_since_worked(Service *service, const Model *model, int attempt,
                                   Language language, bool utc, GError **error);
