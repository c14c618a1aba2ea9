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

struct Pulse {
    int folder, file;
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

Pulse *pulse_begin(DataDirectory *data, bool serves, GError **error)
{
    g_autoptr(Pulse) pulse = g_new0(Pulse, 1);
    pulse->folder = pulse->file = -1;
    pulse->serves = serves;
    if (mkdirat(data->fd, FOLDER, 0700) < 0 && errno != EEXIST) {
        io_fail(error, errno, "%s/" FOLDER, data->path);
        return NULL;
    }
    pulse->folder = folder_open(data);
    if (pulse->folder >= 0)
        folder_each(pulse->folder, remove_dead, NULL);
    for (int tries = 0; tries < TRIES && pulse->folder >= 0; tries++)
        if (pulse_make(pulse) && posix_fallocate(pulse->file, 0, RECORD_BYTES) == 0)
            return g_steal_pointer(&pulse);
    io_fail(error, errno, "%s/" FOLDER, data->path);
    return NULL;
}

void pulse_end(Pulse *pulse)
{
    if (!pulse)
        return;
    if (pulse->file >= 0)
        unlinkat(pulse->folder, pulse->name, 0);
    io_close(&pulse->file);
    io_close(&pulse->folder);
    g_free(pulse->name);
    g_free(pulse);
}

void pulse_beat(Pulse *pulse, Heartbeat *heartbeat)
{
    heartbeat->serves = pulse->serves;
    heartbeat->beaten = clock_monotonic_ms();
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
    if (!text)
        return; /* a file's name that is no UTF-8 */
    g_autofree char *digest = digest_of(text, strlen(text));
    g_autofree char *record = g_strconcat(digest, "\n", text, "\n", NULL);
    free(text);
    if (strlen(record) <= RECORD_BYTES &&
        pwrite(pulse->file, record, strlen(record), 0) != (ssize_t)strlen(record))
        g_debug("a heartbeat could not be written: %s", g_strerror(errno));
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

GPtrArray *heartbeats_read(DataDirectory *data)
{
    GPtrArray *heartbeats = g_ptr_array_new_with_free_func((GDestroyNotify)heartbeat_free);
    autofd folder = folder_open(data);
    if (folder >= 0)
        folder_each(folder, add_living, heartbeats);
    return heartbeats;
}
