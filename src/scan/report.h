/* Inside of scan/: what a scan has to tell, collected. */
#pragma once

#include "scan/scan.h"

typedef struct Report Report;

Report *report_new(void);
void report_free(Report *report);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Report, report_free)

/* The file's format; static text. The first one stays. */
void report_format(Report *report, const char *format);
/* A name that a pickle imports; each counts once. position: of its opcode, in bytes from the start
 * of the member, or of what the innermost stream around it decompresses to. module and name may be
 * any bytes, NULL: it is not written out. */
void report_import(Report *report, const char *module, const char *name, const char *member,
                   int64_t position);
/* Why not all that is imported can have been seen; static text, the first one stays. */
void report_unread(Report *report, const char *why, const char *member);
/* The header says more bytes than the file has. */
void report_truncated(Report *report, int64_t expected, int64_t found);
/* What is wrong; static text, the first one stays. Numbers of bytes or -1. */
void report_broken(Report *report, const char *what, int64_t expected, int64_t found);
/* A file that tensors lie in, and the bytes that it has to have. */
void report_external(Report *report, const char *path, int64_t end);

/* NULL: nothing. A new reference. */
json_t *report_json(const Report *report);
