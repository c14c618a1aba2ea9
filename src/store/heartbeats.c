#include "store/heartbeats.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/digest.h"
#include "base/io.h"

#define FOLDER       "run"
#define PREFIX       "worker-"
#define RECORD_BYTES 4096 /* allocated at once, so that a full disk stops no heart */
#define TRIES        3

#define NOW          "(extract(epoch FROM clock_timestamp()) * 1000)::bigint" /* the server's */
#define FORGOTTEN_MS INT64_C(600000)

struct Pulse {
    int folder, file; /* -1: a row */
    char *name;
    bool serves;
};

void heartbeat_free(Heartbeat *heartbeat)
{
    if (!heartbeat)
        return;
    g_free(heartbeat->worker);
    g_free(heartbeat->model_id);
    g_free(heartbeat->stage);
    g_free(heartbeat->file);
    g_free(heartbeat);
}

/* -- files -- */

static int folder_open(DataDirectory *data)
{
    return openat(data->fd, FOLDER, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

/* True: nobody else holds it, and now the descriptor does. */
static bool file_lock(int fd)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 1};
    return fcntl(fd, F_OFD_SETLK, &lock) == 0;
}

static bool file_is_locked(int fd)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 1};
    return fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

/* Calls for each file that may be a worker's. */
static void folder_each(int folder, void (*call)(int folder, const char *name, gpointer data),
                        gpointer data)
{
    int fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *listing = fd >= 0 ? fdopendir(fd) : NULL;
    if (!listing)
        io_close(&fd);
    for (struct dirent *entry; listing && (entry = readdir(listing));)
        if (g_str_has_prefix(entry->d_name, PREFIX))
            call(folder, entry->d_name, data);
    if (listing)
        closedir(listing);
}

/* What a killed worker left. Under its lock, so that nobody begins with the file meanwhile. */
static void remove_dead(int folder, const char *name, gpointer data G_GNUC_UNUSED)
{
    autofd fd = openat(folder, name, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
    if (fd >= 0 && file_lock(fd))
        unlinkat(folder, name, 0);
}

/* -- a worker's own -- */

/* False: somebody took it for a dead one's between its making and its lock. */
static bool pulse_make(Pulse *pulse)
{
    struct stat about;
    g_autofree char *id = g_uuid_string_random();
    g_free(pulse->name);
    io_close(&pulse->file);
    pulse->name = g_strconcat(PREFIX, id, NULL);
    pulse->file = openat(pulse->folder, pulse->name,
                         O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    return pulse->file >= 0 && file_lock(pulse->file) && fstat(pulse->file, &about) == 0 &&
           about.st_nlink > 0;
}

static bool pulse_begin_file(Pulse *pulse, DataDirectory *data, GError **error)
{
    if (mkdirat(data->fd, FOLDER, 0700) < 0 && errno != EEXIST)
        return io_fail(error, errno, "%s/" FOLDER, data->path);
    pulse->folder = folder_open(data);
    if (pulse->folder >= 0)
        folder_each(pulse->folder, remove_dead, NULL);
    for (int tries = 0; tries < TRIES && pulse->folder >= 0; tries++)
        if (pulse_make(pulse) && posix_fallocate(pulse->file, 0, RECORD_BYTES) == 0)
            return true;
    return io_fail(error, errno, "%s/" FOLDER, data->path);
}

static bool pulse_begin_row(Pulse *pulse, Db *db, GError **error)
{
    pulse->name = g_uuid_string_random();
    return db_exec(db, error, "DELETE FROM workers WHERE beaten < " NOW " - $1", "i", FORGOTTEN_MS);
}

Pulse *pulse_begin(Db *db, DataDirectory *data, bool serves, GError **error)
{
    Pulse *pulse = g_new0(Pulse, 1);
    pulse->folder = pulse->file = -1;
    pulse->serves = serves;
    if (db_engine(db) == DB_POSTGRES ? pulse_begin_row(pulse, db, error)
                                     : pulse_begin_file(pulse, data, error))
        return pulse;
    pulse_end(pulse, NULL);
    return NULL;
}

void pulse_end(Pulse *pulse, Db *db)
{
    if (!pulse)
        return;
    if (pulse->file >= 0)
        unlinkat(pulse->folder, pulse->name, 0);
    else if (db && pulse->name && db_engine(db) == DB_POSTGRES)
        db_exec(db, NULL, "DELETE FROM workers WHERE id = $1", "s", pulse->name);
    io_close(&pulse->file);
    io_close(&pulse->folder);
    g_free(pulse->name);
    g_free(pulse);
}

/* NULL: a file's name that is no UTF-8. */
static char *heartbeat_text(const Heartbeat *heartbeat)
{
    json_t *object =
        json_pack("{s:s, s:b, s:I, s:s*, s:i, s:s*, s:I, s:I, s:I, s:I, s:s*, s:I}", "worker",
                  heartbeat->worker, "serves", heartbeat->serves, "job", (json_int_t)heartbeat->job,
                  "model_id", heartbeat->model_id, "attempt", heartbeat->attempt, "stage",
                  heartbeat->stage, "since", (json_int_t)heartbeat->since, "bytes_done",
                  (json_int_t)heartbeat->bytes_done, "bytes_total",
                  (json_int_t)heartbeat->bytes_total, "rate", (json_int_t)heartbeat->rate, "file",
                  heartbeat->file, "beaten", (json_int_t)heartbeat->beaten);
    char *text = object ? json_dumps(object, JSON_COMPACT) : NULL;
    json_decref(object);
    return text;
}

static void beat_file(Pulse *pulse, const char *text)
{
    g_autofree char *digest = digest_of(text, strlen(text));
    g_autofree char *record = g_strconcat(digest, "\n", text, "\n", NULL);
    if (strlen(record) <= RECORD_BYTES &&
        pwrite(pulse->file, record, strlen(record), 0) != (ssize_t)strlen(record))
        g_debug("a heartbeat could not be written: %s", g_strerror(errno));
}

void pulse_beat(Pulse *pulse, Db *db, Heartbeat *heartbeat)
{
    heartbeat->serves = pulse->serves;
    heartbeat->beaten = clock_monotonic_ms();
    char *text = heartbeat_text(heartbeat);
    if (text && pulse->file >= 0)
        beat_file(pulse, text);
    else if (text)
        db_exec(db, NULL,
                "INSERT INTO workers(id, record, beaten) VALUES ($1, $2, " NOW ") ON CONFLICT (id) "
                "DO UPDATE SET record = excluded.record, beaten = excluded.beaten",
                "ss", pulse->name, text);
    free(text);
}

/* -- everybody's -- */

static Heartbeat *heartbeat_of_json(const json_t *object)
{
    const char *worker, *model_id = NULL, *stage = NULL, *file = NULL;
    json_int_t job, since, done, total, rate, beaten;
    int serves, attempt;
    if (json_unpack((json_t *)object,
                    "{s:s, s:b, s:I, s?s, s:i, s?s, s:I, s:I, s:I, s:I, s?s, s:I}", "worker",
                    &worker, "serves", &serves, "job", &job, "model_id", &model_id, "attempt",
                    &attempt, "stage", &stage, "since", &since, "bytes_done", &done, "bytes_total",
                    &total, "rate", &rate, "file", &file, "beaten", &beaten) != 0)
        return NULL;
    Heartbeat *heartbeat = g_new(Heartbeat, 1);
    *heartbeat = (Heartbeat){.worker = g_strdup(worker),
                             .serves = serves,
                             .job = job,
                             .model_id = g_strdup(model_id),
                             .attempt = attempt,
                             .stage = g_strdup(stage),
                             .since = since,
                             .bytes_done = done,
                             .bytes_total = total,
                             .rate = rate,
                             .file = g_strdup(file),
                             .beaten = beaten};
    return heartbeat;
}

/* NULL: it is not whole. */
static Heartbeat *record_read(int fd)
{
    char record[RECORD_BYTES + 1];
    ssize_t got = pread(fd, record, RECORD_BYTES, 0);
    record[MAX(got, 0)] = '\0';
    char *text = strchr(record, '\n');
    char *end = text ? strchr(text + 1, '\n') : NULL;
    if (!end)
        return NULL;
    *text++ = *end = '\0';
    g_autofree char *digest = digest_of(text, strlen(text));
    json_t *object = strcmp(digest, record) == 0 ? json_loads(text, 0, NULL) : NULL;
    Heartbeat *heartbeat = object ? heartbeat_of_json(object) : NULL;
    json_decref(object);
    return heartbeat;
}

static void add_living(int folder, const char *name, gpointer data)
{
    Heartbeat *heartbeat = NULL;
    autofd fd = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || !file_is_locked(fd))
        return;
    for (int tries = 0; tries < TRIES && !heartbeat; tries++)
        heartbeat = record_read(fd);
    if (heartbeat)
        g_ptr_array_add(data, heartbeat);
}

static void read_rows(Db *db, GPtrArray *heartbeats)
{
    g_autoptr(DbRows) rows =
        db_query(db, NULL,
                 "SELECT record, " NOW " - beaten FROM workers WHERE beaten > " NOW
                 " - $1 ORDER BY id",
                 "i", (int64_t)HEARTBEAT_ALIVE_MS);
    while (rows && db_next(rows, NULL)) {
        json_t *object = json_loads(db_text(rows, 0), 0, NULL);
        Heartbeat *heartbeat = object ? heartbeat_of_json(object) : NULL;
        json_decref(object);
        if (!heartbeat)
            continue;
        heartbeat->beaten = clock_monotonic_ms() - db_int(rows, 1); /* its machine's is another */
        g_ptr_array_add(heartbeats, heartbeat);
    }
}

GPtrArray *heartbeats_read(Db *db, DataDirectory *data)
{
    GPtrArray *heartbeats = g_ptr_array_new_with_free_func((GDestroyNotify)heartbeat_free);
    if (db_engine(db) == DB_POSTGRES) {
        read_rows(db, heartbeats);
        return heartbeats;
    }
    autofd folder = folder_open(data);
    if (folder >= 0)
        folder_each(folder, add_living, heartbeats);
    return heartbeats;
}
