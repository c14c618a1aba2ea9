/* The log of an environment build: every import that waits for it has it, each line with the time
 * at which it came. Lines are written together, every 100 ms, so that not each of them waits for
 * the disk. */
#pragma once

#include "import/pipeline.h"

typedef struct {
    Service *service;
    int64_t job;
    GPtrArray *pending; /* of EnvLine */
    int64_t lines;      /* that came */
    int64_t last;       /* number of the newest line of the job's own model */
} EnvLog;

void env_log_init(EnvLog *log, Service *service, const Job *job);
void env_log_clear(EnvLog *log);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(EnvLog, env_log_clear)

/* As EnvironmentSpec calls them; data: an EnvLog. */
void env_log_line(gpointer data, const char *stream, const char *text);
void env_log_flush(gpointer data);
int64_t env_log_number(gpointer data);
/* Writes what is pending, within the caller's transaction. */
bool env_log_write(EnvLog *log, GError **error);
