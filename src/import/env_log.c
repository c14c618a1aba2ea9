#include "import/env_log.h"

#include <string.h>

#include "base/clock.h"
#include "base/mask.h"

#define LINES_MAX 100000

typedef struct {
    int64_t time;
    const char *stream; /* static */
    char *text;
} EnvLine;

static void line_free(gpointer data)
{
    EnvLine *line = data;
    g_free(line->text);
    g_free(line);
}

void env_log_init(EnvLog *log, Service *service, const Job *job)
{
    *log = (EnvLog){.service = service, .job = job->id};
    log->pending = g_ptr_array_new_with_free_func(line_free);
    db_query_int(service->db, &log->last, 0, NULL,
                 "SELECT max(line) FROM build_log WHERE model_id = $1 AND attempt = $2", "si",
                 job->model_id, (int64_t)job->attempt);
}

void env_log_clear(EnvLog *log)
{
    g_ptr_array_unref(log->pending);
}

void env_log_line(gpointer data, const char *stream, const char *text)
{
    EnvLog *log = data;
    if (++log->lines > LINES_MAX)
        return;
    if (log->lines == LINES_MAX)
        text = "the log ends here: it has too many lines";
    EnvLine *line = g_new0(EnvLine, 1);
    line->time = clock_now_ms();
    line->stream = stream;
    line->text = mask_text(text);
    g_ptr_array_add(log->pending, line);
    log->last++;
}

int64_t env_log_number(gpointer data)
{
    return ((EnvLog *)data)->last;
}

static bool write_for(EnvLog *log, const Job *import, GError **error)
{
    int64_t last;
    if (!db_query_int(log->service->db, &last, 0, error,
                      "SELECT max(line) FROM build_log WHERE model_id = $1 AND attempt = $2", "si",
                      import->model_id, (int64_t)import->attempt))
        return false;
    for (guint i = 0; i < log->pending->len; i++) {
        const EnvLine *line = log->pending->pdata[i];
        if (!db_exec(log->service->db, error,
                     "INSERT INTO build_log(model_id, attempt, line, time, stream, text) "
                     "VALUES ($1, $2, $3, $4, $5, $6)",
                     "siiiss", import->model_id, (int64_t)import->attempt, ++last, line->time,
                     line->stream, line->text))
            return false;
    }
    return true;
}

bool env_log_write(EnvLog *log, GError **error)
{
    g_autoptr(GPtrArray) waiting = jobs_waiting(log->service->db, log->job, error);
    for (guint i = 0; waiting && i < waiting->len; i++)
        if (!write_for(log, waiting->pdata[i], error))
            return false;
    return waiting != NULL;
}

/* A store that is busy is not waited for: the next time has these lines too. */
void env_log_flush(gpointer data)
{
    EnvLog *log = data;
    if (log->pending->len == 0)
        return;
    g_autoptr(DbTransaction) transaction = db_transaction(log->service->db, NULL);
    if (!transaction || !env_log_write(log, NULL) || !db_commit(log->service->db, NULL))
        return;
    g_ptr_array_set_size(log->pending, 0);
    service_committed(log->service);
}
