#include "build/trial.h"

#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/digest.h"
#include "base/io.h"
#include "build/environment.h"
#include "build/rootfs.h"
#include "build/unpack.h"

#define LOG_LINES  100
#define SETTLE_MS  200
#define TURN_MS    50
#define ANSWER_MS  30000
#define HEALTH_MS  5000
#define ANSWER_MAX (16 << 20)
#define MODEL_AT   "/run/waybill/model"

struct Trial {
    const Settings *settings;
    char *unpacked, *scratch, *directory;
    int held;
    GPtrArray *lowers, *log;
    char **argv, **environment;
    unsigned uid, gid;
    Progress *progress;
    Sandbox *sandbox;
    bool ended;
    SandboxEnd end;
    int64_t began, ready_ms;
    TrialAnswer health;
};

void trial_answer_clear(TrialAnswer *answer)
{
    g_free(answer->body);
    *answer = (TrialAnswer){0};
}

void trial_free(Trial *trial)
{
    if (!trial)
        return;
    sandbox_free(trial->sandbox);
    io_close(&trial->held);
    g_clear_pointer(&trial->lowers, g_ptr_array_unref);
    g_ptr_array_unref(trial->log);
    g_strfreev(trial->argv);
    g_strfreev(trial->environment);
    g_free(trial->unpacked);
    g_free(trial->scratch);
    g_free(trial->directory);
    trial_answer_clear(&trial->health);
    g_free(trial);
}

static void hear(gpointer data, const char *stream, const char *text)
{
    Trial *trial = data;
    if (trial->log->len >= LOG_LINES)
        g_ptr_array_remove_index(trial->log, 0);
    g_ptr_array_add(trial->log, g_strdup(text));
}

/* -- as the image says -- */

static void add_texts(GPtrArray *words, const json_t *list)
{
    size_t i;
    const json_t *entry;
    json_array_foreach (list, i, entry)
        if (json_is_string(entry))
            g_ptr_array_add(words, g_strdup(json_string_value(entry)));
}

static char **texts_end(GPtrArray *words)
{
    g_ptr_array_add(words, NULL);
    return (char **)g_ptr_array_free(words, FALSE);
}

/* The third or fourth field of the row of that name; -1: there is none. */
static int64_t field_of(const char *table, const char *name, guint field)
{
    g_auto(GStrv) lines = g_strsplit(table ? table : "", "\n", -1);
    for (int i = 0; lines[i]; i++) {
        g_auto(GStrv) parts = g_strsplit(lines[i], ":", -1);
        if (g_strv_length(parts) > field && strcmp(parts[0], name) == 0)
            return g_ascii_strtoll(parts[field], NULL, 10);
    }
    return -1;
}

static bool is_number(const char *text)
{
    return *text && strspn(text, "0123456789") == strlen(text);
}

/* USER[:GROUP], names or numbers; a user's own group where none is given. */
static void take_user(Trial *trial, const char *user)
{
    g_auto(GStrv) parts = g_strsplit(user ? user : "", ":", 2);
    g_autofree char *users = rootfs_read(trial->unpacked, trial->lowers, "etc/passwd");
    g_autofree char *groups = rootfs_read(trial->unpacked, trial->lowers, "etc/group");
    if (!parts[0] || !*parts[0])
        return;
    bool number = is_number(parts[0]);
    int64_t uid = number ? g_ascii_strtoll(parts[0], NULL, 10) : field_of(users, parts[0], 2);
    int64_t gid = !parts[1]             ? field_of(users, parts[0], 3)
                  : is_number(parts[1]) ? g_ascii_strtoll(parts[1], NULL, 10)
                                        : field_of(groups, parts[1], 2);
    trial->uid = uid >= 0 ? (unsigned)uid : 65534;
    trial->gid = gid >= 0 ? (unsigned)gid : 0;
}

static bool take_settings(Trial *trial, const Image *image, GError **error)
{
    const json_t *settings = json_object_get(image->config_json, "config");
    const char *directory = json_string_value(json_object_get(settings, "WorkingDir"));
    GPtrArray *words = g_ptr_array_new(), *environment = g_ptr_array_new();
    add_texts(words, json_object_get(settings, "Entrypoint"));
    add_texts(words, json_object_get(settings, "Cmd"));
    add_texts(environment, json_object_get(settings, "Env"));
    if (environment->len == 0)
        g_ptr_array_add(environment, g_strdup("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:"
                                              "/usr/bin:/sbin:/bin"));
    trial->argv = texts_end(words);
    trial->environment = texts_end(environment);
    trial->directory = g_strdup(directory && *directory ? directory : "/");
    take_user(trial, json_string_value(json_object_get(settings, "User")));
    if (trial->argv[0])
        return true;
    g_set_error(error, IMAGE_ERROR, IMAGE_ERROR_MALFORMED, "the image has no command to run");
    return false;
}

static bool trial_open(Trial *trial, GError **error)
{
    const Settings *settings = trial->settings;
    g_autofree char *runtime =
        sandbox_runtime(settings_text(settings, "build.runtime"), trial->scratch, error);
    const SandboxSpec spec = {.directory = trial->scratch,
                              .lower_root = trial->unpacked,
                              .lowers = trial->lowers,
                              .runtime = runtime,
                              .network = SANDBOX_NETWORK_NONE,
                              .memory_mib = (int)settings_int(settings, "build.memory_mib"),
                              .cpus = (int)settings_int(settings, "build.cpus"),
                              .pids = (int)settings_int(settings, "build.pids"),
                              .disk_mib = (int)settings_int(settings, "build.disk_mib")};
    trial->sandbox = runtime ? sandbox_open(&spec, error) : NULL;
    return trial->sandbox != NULL;
}

/* The blobs under names of their own: the container sees no other model's. */
static bool give_blobs(Trial *trial, const TrialSpec *spec, GError **error)
{
    if (!spec->blobs || spec->blobs->len == 0)
        return true;
    g_autofree char *model = sandbox_directory(trial->sandbox, "model", error);
    g_autofree char *blobs =
        model ? sandbox_directory(trial->sandbox, "model/blobs/sha256", error) : NULL;
    autofd directory = blobs ? open(blobs, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (!blobs)
        return false;
    if (directory < 0)
        return io_fail(error, errno, "%s", blobs);
    for (guint i = 0; i < spec->blobs->len; i++)
        if (!layout_link_blob(spec->images, spec->blobs->pdata[i], directory,
                              digest_hex(spec->blobs->pdata[i]), error))
            return false;
    sandbox_bind(trial->sandbox, model, MODEL_AT);
    return true;
}

static char **with_source(char **environment, const GPtrArray *blobs)
{
    return blobs && blobs->len
               ? g_environ_setenv(environment, "WAYBILL_MODEL_SOURCE", MODEL_AT, TRUE)
               : environment;
}

Trial *trial_new(const TrialSpec *spec, GError **error)
{
    g_autoptr(Trial) trial = g_new0(Trial, 1);
    trial->settings = spec->settings;
    trial->progress = spec->progress;
    trial->log = g_ptr_array_new_with_free_func(g_free);
    trial->unpacked = unpack_directory(spec->data);
    trial->scratch = environment_scratch(spec->data);
    sandbox_sweep(trial->scratch);
    trial->held = unpack_hold(trial->unpacked, error);
    if (trial->held < 0)
        return NULL;
    trial->lowers = unpack_image(trial->unpacked, spec->images, spec->image, spec->progress, error);
    if (!trial->lowers || !take_settings(trial, spec->image, error) || !trial_open(trial, error) ||
        !give_blobs(trial, spec, error))
        return NULL;
    trial->environment = with_source(trial->environment, spec->blobs);
    const SandboxCommand command = {.argv = (const char *const *)trial->argv,
                                    .environment = (const char *const *)trial->environment,
                                    .directory = trial->directory,
                                    .uid = trial->uid,
                                    .gid = trial->gid,
                                    .progress = spec->progress,
                                    .line = hear,
                                    .data = trial};
    trial->began = clock_monotonic_ms();
    return sandbox_start(trial->sandbox, &command, error) ? g_steal_pointer(&trial) : NULL;
}

/* -- asking -- */

static bool trial_turn(Trial *trial, int ms, GError **error)
{
    if (trial->ended)
        return true;
    if (!sandbox_turn(trial->sandbox, ms, &trial->ended, &trial->end, error))
        return false;
    if (!trial->ended || trial->end.outcome != SANDBOX_STOPPED)
        return true;
    g_set_error(error, G_IO_ERROR, G_IO_ERROR_CANCELLED, "stopped");
    return false;
}

static curl_socket_t give_socket(void *data, curlsocktype purpose, struct curl_sockaddr *address)
{
    int fd = *(int *)data;
    *(int *)data = -1;
    return fd;
}

static size_t take_body(char *bytes, size_t size, size_t count, void *data)
{
    GString *body = data;
    if (body->len + size * count <= ANSWER_MAX)
        g_string_append_len(body, bytes, (gssize)(size * count));
    return size * count;
}

static CURL *request_handle(const TrialRequest *request, int *fd, GString *body,
                            struct curl_slist **headers)
{
    CURL *curl = curl_easy_init();
    g_autofree char *url = g_strdup_printf("http://127.0.0.1:%d%s", TRIAL_PORT, request->path);
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_PROXY, "");
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_OPENSOCKETFUNCTION, give_socket);
    curl_easy_setopt(curl, CURLOPT_OPENSOCKETDATA, fd);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, body);
    if (request->body) {
        *headers = curl_slist_append(NULL, "Content-Type: application/json");
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, request->body);
        curl_easy_setopt(curl, CURLOPT_HTTPHEADER, *headers);
    }
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, request->method);
    return curl;
}

/* The container's output is read meanwhile: it must not wait for us. */
static bool perform(Trial *trial, CURL *curl, int64_t until, CURLcode *code, GError **error)
{
    int running = 1, left;
    CURLM *multi = curl_multi_init();
    bool sound = true;
    *code = CURLE_OPERATION_TIMEDOUT;
    curl_multi_add_handle(multi, curl);
    while (sound && running && !trial->ended && clock_monotonic_ms() < until) {
        curl_multi_perform(multi, &running);
        if (running)
            curl_multi_poll(multi, NULL, 0, TURN_MS, NULL);
        sound = trial_turn(trial, 0, error);
    }
    const CURLMsg *message = curl_multi_info_read(multi, &left);
    if (message && message->msg == CURLMSG_DONE)
        *code = message->data.result;
    curl_multi_remove_handle(multi, curl);
    curl_multi_cleanup(multi);
    return sound;
}

static bool ask(Trial *trial, const TrialRequest *request, int ms, TrialAnswer *answer,
                GError **error)
{
    CURLcode code;
    trial_answer_clear(answer);
    int64_t began = clock_monotonic_ms();
    int fd = sandbox_socket(trial->sandbox);
    if (fd < 0)
        return true;
    struct curl_slist *headers = NULL;
    GString *body = g_string_new(NULL);
    CURL *curl = request_handle(request, &fd, body, &headers);
    bool sound = perform(trial, curl, began + ms, &code, error);
    if (code == CURLE_OK)
        curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &answer->status);
    curl_easy_cleanup(curl);
    curl_slist_free_all(headers);
    io_close(&fd);
    answer->ms = clock_monotonic_ms() - began;
    answer->size = body->len;
    answer->body = g_string_free(body, FALSE);
    return sound;
}

bool trial_ask(Trial *trial, const TrialRequest *request, TrialAnswer *answer, GError **error)
{
    return ask(trial, request, ANSWER_MS, answer, error);
}

/* Between two questions, whatever the container says meanwhile. */
static bool trial_pause(Trial *trial, GError **error)
{
    const int64_t end = clock_monotonic_ms() + TURN_MS;
    do {
        if (!trial_turn(trial, TURN_MS, error))
            return false;
    } while (!trial->ended && clock_monotonic_ms() < end);
    return true;
}

bool trial_wait(Trial *trial, TrialState *state, GError **error)
{
    static char GET[] = "GET";
    g_autofree char *path = g_strdup(settings_text(trial->settings, "image.health_url"));
    const TrialRequest health = {.method = GET, .path = path};
    int64_t until = trial->began + trial_seconds(trial) * 1000;
    while (clock_monotonic_ms() < until) {
        if (!trial_pause(trial, error))
            return false;
        if (!trial->ended && !ask(trial, &health, HEALTH_MS, &trial->health, error))
            return false;
        if (trial->ended)
            break;
        if (trial->health.status == 200) {
            trial->ready_ms = clock_monotonic_ms() - trial->began;
            *state = TRIAL_READY;
            return true;
        }
    }
    *state = trial->ended ? TRIAL_EXITED : trial->health.status ? TRIAL_UNHEALTHY : TRIAL_SILENT;
    return true;
}

/* -- what it came to -- */

int64_t trial_ready_ms(const Trial *trial)
{
    return trial->ready_ms;
}

int trial_exit_status(const Trial *trial)
{
    return trial->end.exit_status;
}

const TrialAnswer *trial_health(const Trial *trial)
{
    return &trial->health;
}

int trial_seconds(const Trial *trial)
{
    return (int)settings_int(trial->settings, "build.ready_seconds");
}

/* What the container says of a request may come just behind the answer. */
static void listen_on(Trial *trial)
{
    guint before;
    do
        before = trial->log->len;
    while (!trial->ended && trial_turn(trial, SETTLE_MS, NULL) && trial->log->len != before);
}

GPtrArray *trial_log(Trial *trial)
{
    listen_on(trial);
    return trial->log;
}

char *trial_words(const Trial *trial, TrialState state)
{
    switch (state) {
    case TRIAL_EXITED:
        return g_strdup_printf("it exited with status %d", trial->end.exit_status);
    case TRIAL_UNHEALTHY:
        return g_strdup_printf("GET %s answered %ld",
                               settings_text(trial->settings, "image.health_url"),
                               trial->health.status);
    case TRIAL_SILENT:
        return g_strdup_printf("nothing listened on %d within %d s", TRIAL_PORT,
                               trial_seconds(trial));
    case TRIAL_READY:
        break;
    }
    return g_strdup("it serves");
}
