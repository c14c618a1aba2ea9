/* Why a build's command failed, out of what it said: event 39 with its kind.
 *
 * Installers speak to people; what is looked for here are the lines that pip, apt and setuptools
 * have printed for years, and every one of them is made by the real program in a test. What nothing
 * is known of is kind `command`, with the lines that look like errors. */
#pragma once

#include "build/install.h"
#include "build/sandbox.h"
#include "event/event.h"

#define FAILURE_LINES 400 /* the last ones are looked at */

/* The last lines of a command's output. Zeros to begin with. */
typedef struct {
    GQueue lines; /* of char *, masked */
} OutputTail;
void output_tail_add(OutputTail *tail, const char *text);
void output_tail_clear(OutputTail *tail);

typedef struct {
    const InstallStep *step;
    const PackageSources *sources;
    const GPtrArray *dependencies; /* of Dependency: the whole list */
    const SandboxEnd *end;
    OutputTail *tail;
    char **argv;
    const char *python, *arch; /* "3.11", "x86_64"; or NULL */
    const char *base;          /* reference of the base image */
    int memory_mib, disk_mib;
    bool memory_each;         /* the limit is each process's: it is refused more, not killed */
    bool disk_full;           /* its file system was full when it ended */
    int64_t log_from, log_to; /* lines of the build log; 0: none */
    const char *blocked;      /* HOST:PORT that the proxy let nobody through to; or NULL */
} Failure;

/* The caller's. */
Event *failure_event(const Failure *failure);
/* The package that needs another one while it is built: what pip said, in the words of the list.
 * NULL: that is not why it failed. The caller frees both. */
char *failure_order(OutputTail *tail, char **needs);
/* The package of which an index is said to have no version at all; NULL: none. The caller frees
 * it. */
char *failure_missing(OutputTail *tail);
/* The package that was worked on last; NULL: none was named. *doing: static. The caller frees it.
 */
char *failure_package(OutputTail *tail, const char **doing);
