#include "base/settings.h"

#include <pthread.h>
#include <string.h>

#include "base/error_domain.h"
#include "base/mask.h"
#include "base/nearest.h"

DEFINE_ERROR_DOMAIN(settings_error);

#define SHARED true

static const SettingRow TABLE[] = {
    {"limits.model_file_gib", SETTING_GIB, "5", "one model file may be this large", SHARED},
    {"limits.model_gib", SETTING_GIB, "20", "a whole model package may be this large", SHARED},
    {"limits.image_gib", SETTING_GIB, "50", "a custom image may be this large", SHARED},
    {"limits.project_storage_gib", SETTING_GIB_OR_NONE, "",
     "a project whose images take as much gets no new import; no limit when empty", SHARED},
    {"check.pickle", SETTING_POLICY, "warn",
     "pickles that import what is on no list: warn tells it, deny fails the import, off says "
     "nothing",
     SHARED},
    {"image.health_url", SETTING_PATH, "/health", "the health URL that custom images must have",
     SHARED},
    {"build.apt_mirror", SETTING_TEXT, "",
     "URLs of Debian mirrors, blanks between them; this machine's apt sources when empty", SHARED},
    {"image.platform", SETTING_PLATFORM, "",
     "os/architecture picked from an image index; the host's when empty", SHARED},
    {"store.url", SETTING_TEXT, "",
     "postgresql://[USER[:PASSWORD]@]HOST[:PORT]/DATABASE; DATA/waybill.db when empty"},
    {"store.busy_timeout_ms", SETTING_MS, "5000", "how long a write waits for another process's"},
    {"store.connections", SETTING_COUNT, "10",
     "connections to a store in PostgreSQL that a process has at most, and two beside them"},
    {"store.lease_seconds", SETTING_SECONDS, "60",
     "how long nothing may be heard of a worker on a store in PostgreSQL before another goes on"},
    {"store.deleted_days", SETTING_NUMBER, "90",
     "how long gc keeps the timeline of a deleted model; 0: for ever", SHARED},
    {"store.events_days", SETTING_NUMBER, "0",
     "gc removes events that are older, of attempts that others followed; 0: never", SHARED},
    {"gc.schedule", SETTING_SCHEDULE, "daily",
     "when a server or worker runs gc by itself: off, hourly, daily, weekly, or HH:MM of each day",
     SHARED},
    {"store.min_free_gib", SETTING_GIB_OR_NONE, "",
     "no import begins that would take the last so many GiB of the data directory's disk, and no "
     "upload; no limit when empty"},
    {"server.listen", SETTING_TEXT, "127.0.0.1:8420", "HOST:PORT that `waybill serve` listens on"},
    {"server.tls_cert", SETTING_TEXT, "",
     "file of the server's certificate, PEM; plain HTTP when empty"},
    {"server.tls_key", SETTING_TEXT, "", "file of its key, PEM"},
    {"server.workers", SETTING_PROCESSORS, "",
     "imports that the server works on at once; as many as processors when empty"},
    {"server.import_roots", SETTING_TEXT, "",
     "directories, separated by colons, that a request may import from"},
    {"compat.terraform_reason", SETTING_BOOL, "false",
     "a failed model's status says why, to Terraform's provider only", SHARED},
    {"server.public_url", SETTING_TEXT, "",
     "address that people reach the server at, such as https://waybill.example", SHARED},
    {"sources.allow", SETTING_TEXT, "",
     "prefixes that a request may import from, blanks between them: PREFIX, with {project} in it, "
     "or PROJECT=PREFIX",
     SHARED},
    {"templates.dir", SETTING_DIRECTORY, "", "directory of the templates, ID.json each"},
    {"security.secret_key", SETTING_TEXT, "",
     "key that secrets are sealed with: 64 hex digits, base64, or a file; DATA/secret.key when "
     "empty"},
    {"server.loopback_open", SETTING_BOOL, "true",
     "loopback asks for no token until the first one was made"},
    {"server.user_header", SETTING_TEXT, "",
     "header in which a trusted proxy names the user, such as X-Forwarded-User"},
    {"server.trusted_proxy", SETTING_TEXT, "",
     "addresses or networks (CIDR), separated by commas, of proxies that are trusted with it"},
    {"server.proxy_project", SETTING_TEXT, "default", "the project of users that it names"},
    {"server.proxy_role", SETTING_TEXT, "writer", "their role: reader, writer or admin"},
    {"upload.limit_gib", SETTING_GIB, "20",
     "all files of one upload together, or a pushed blob, may be this large", SHARED},
    {"upload.max_open", SETTING_COUNT, "16", "uploads that a project may have at once", SHARED},
    {"upload.min_free_gib", SETTING_GIB, "1",
     "no upload takes the disk's last so many GiB: 507 answers it"},
    {"upload.expire_hours", SETTING_COUNT, "24",
     "an upload that nobody wrote to for so long, and no import needs, is removed", SHARED},
    {"server.header_seconds", SETTING_COUNT, "30",
     "how long a connection may take to send a request's head"},
    {"server.body_seconds", SETTING_COUNT, "60", "how long a request's body may take"},
    {"server.silent_seconds", SETTING_COUNT, "60",
     "how long a client may take nothing of what it is sent"},
    {"build.network", SETTING_NETWORK, "",
     "what an environment build may reach: proxy (index and mirror hosts only), none, host; proxy "
     "when one is known, else none",
     SHARED},
    {"build.network_hosts", SETTING_TEXT, "",
     "further HOST:PORT that the proxy lets through, blanks between them", SHARED},
    {"build.pip_index_url", SETTING_TEXT, "",
     "pip's package index; embedded, pip's own environment and pip.conf count when empty", SHARED},
    {"build.pip_extra_index_url", SETTING_TEXT, "", "further ones, blanks between them", SHARED},
    {"build.pip_find_links", SETTING_TEXT, "",
     "directories or URLs that pip looks for files in, blanks between them", SHARED},
    {"build.pip_trusted_host", SETTING_TEXT, "",
     "HOST[:PORT] whose certificate pip does not check, blanks between them", SHARED},
    {"build.ca_file", SETTING_TEXT, "",
     "certificates, PEM, that index and mirror are checked with"},
    {"build.http_proxy", SETTING_TEXT, "", "proxy on the way to index and mirror, for http",
     SHARED},
    {"build.https_proxy", SETTING_TEXT, "", "the same for https", SHARED},
    {"build.no_proxy", SETTING_TEXT, "", "hosts that are reached without it, commas between them",
     SHARED},
    {"build.timeout_minutes", SETTING_MINUTES, "30", "how long an environment build may take",
     SHARED},
    {"build.memory_mib", SETTING_MIB, "4096", "memory of a sandbox", SHARED},
    {"build.cpus", SETTING_COUNT, "2", "processors of a sandbox", SHARED},
    {"build.pids", SETTING_COUNT, "512", "processes and threads of a sandbox", SHARED},
    {"build.disk_mib", SETTING_MIB, "10240", "what a sandbox may write", SHARED},
    {"build.max_queued_per_project", SETTING_COUNT, "100",
     "builds that a project may have in the queue", SHARED},
    {"build.schedule_timeout_seconds", SETTING_SECONDS, "600",
     "how long a build may wait for a server's worker, before it is given up", SHARED},
    {"build.max_attempts", SETTING_COUNT, "3",
     "workers that may die while they work on a build or an import, before it is given up", SHARED},
    {"build.max_env_age_days", SETTING_NUMBER, "0",
     "an environment with unpinned packages is built anew after so many days; 0: never", SHARED},
    {"build.verify", SETTING_BOOL, "false",
     "an image is run, and has to serve, before its import counts", SHARED},
    {"build.ready_seconds", SETTING_COUNT, "60", "how long it may take to be ready", SHARED},
    {"build.runtime", SETTING_TEXT, "",
     "the OCI runtime that sandboxes are run with; of runc and crun the one that starts here when "
     "empty"},
    {"image.share_to", SETTING_TEXT, "",
     "[registry+http://]HOST[:PORT]/NAMESPACE that gets every image that is built, blanks between "
     "them",
     SHARED},
    {"image.share_required", SETTING_BOOL, "false",
     "an image that cannot be shared fails its import", SHARED},
    {"objects.url", SETTING_TEXT, "",
     "the service's own bucket, where model files are kept: s3://BUCKET/PREFIX or "
     "obs://BUCKET/PREFIX; none are when empty"},
    {"objects.endpoint", SETTING_TEXT, "",
     "the S3 service, http[s]://HOST[:PORT]; AWS_ENDPOINT_URL, an OBS address's own or AWS when "
     "empty"},
    {"objects.region", SETTING_TEXT, "", "its region; AWS_REGION, us-east-1 when empty"},
    {"objects.access_key", SETTING_TEXT, "", "the service's own key; AWS_ACCESS_KEY_ID when empty"},
    {"objects.secret_key", SETTING_TEXT, "", "its secret; AWS_SECRET_ACCESS_KEY when empty"},
    {"objects.path_style", SETTING_TEXT, "",
     "true: ENDPOINT/BUCKET/KEY, false: BUCKET.HOST/KEY; by the endpoint when empty"},
    {"objects.ca_file", SETTING_TEXT, "",
     "certificates, PEM, that it is checked with; the system's when empty"},
    {"images.url", SETTING_TEXT, "",
     "the registry that keeps the images: registry://HOST[:PORT]/NAMESPACE or, without TLS, "
     "registry+http://HOST[:PORT]/NAMESPACE; the data directory when empty"},
    {"images.auth_file", SETTING_TEXT, "",
     "file of registry logins (containers-auth.json); podman's and docker's usual ones when empty"},
    {"registry.retries", SETTING_NUMBER, "5",
     "how often a request is repeated when a registry is busy or failing, or the connection broke"},
    {"registry.timeout_seconds", SETTING_COUNT, "60",
     "how long a registry may be silent, and how long a wait that it asks for is borne"},
    {"registry.ca_file", SETTING_TEXT, "",
     "certificates, PEM, that registries are checked with; the system's when empty"},
    {"registry.max_parallel", SETTING_COUNT, "4", "layers that are pushed at once"},
    {"registry.token_hosts", SETTING_TEXT, "auth.docker.io",
     "hosts of token services that a registry of another host may send logins to, blanks between "
     "them"},
    {"support.contact", SETTING_TEXT, "",
     "whom to ask: text or a URL, shown with what you cannot mend"},
    {"support.contact_zh", SETTING_TEXT, "", "the same in Chinese; support.contact when empty"},
    {NULL}};

#define TABLE_COUNT (G_N_ELEMENTS(TABLE) - 1)

/* The sections whose keys are not in the table. */
enum { ADVICE, TRAINING, OPEN_SECTIONS };
static const char *const OPEN_PREFIXES[] = {[ADVICE] = "advice.", [TRAINING] = "training."};

/* What the store held at some time; NULL: not that one. Never changed. */
typedef struct {
    char *values[TABLE_COUNT];
} Share;

/* All that there were: a text that was read stays. */
typedef struct {
    pthread_mutex_t lock; /* of who changes it */
    GPtrArray *all;       /* of Share */
    Share *newest;        /* is read without the lock; NULL: there was none */
} Shares;

struct Settings {
    char *values[TABLE_COUNT];
    char *origins[TABLE_COUNT];     /* NULL: the value is the default */
    GPtrArray *open[OPEN_SECTIONS]; /* of SettingEntry */
    Shares *shares;
};

const SettingRow *settings_table(void)
{
    return TABLE;
}

static void share_free(gpointer data)
{
    Share *share = data;
    for (size_t i = 0; i < TABLE_COUNT; i++)
        g_free(share->values[i]);
    g_free(share);
}

static Shares *shares_new(void)
{
    Shares *shares = g_new0(Shares, 1);
    pthread_mutex_init(&shares->lock, NULL);
    shares->all = g_ptr_array_new_with_free_func(share_free);
    return shares;
}

static void shares_free(Shares *shares)
{
    pthread_mutex_destroy(&shares->lock);
    g_ptr_array_unref(shares->all);
    g_free(shares);
}

void settings_free(Settings *settings)
{
    if (!settings)
        return;
    for (size_t i = 0; i < TABLE_COUNT; i++) {
        g_free(settings->values[i]);
        g_free(settings->origins[i]);
    }
    for (size_t i = 0; i < OPEN_SECTIONS; i++)
        g_ptr_array_unref(settings->open[i]);
    shares_free(settings->shares);
    g_free(settings);
}

static void entry_free(gpointer data)
{
    SettingEntry *entry = data;
    g_free(entry->key);
    g_free(entry->value);
    g_free(entry->origin);
    g_free(entry);
}

static gboolean entry_has_key(gconstpointer entry, gconstpointer key)
{
    return strcmp(((const SettingEntry *)entry)->key, key) == 0;
}

static int setting_index(const char *key)
{
    for (size_t i = 0; i < TABLE_COUNT; i++)
        if (strcmp(TABLE[i].key, key) == 0)
            return (int)i;
    return -1;
}

static void entry_put(GPtrArray *section, const char *key, const char *value, const char *origin)
{
    guint at;
    if (g_ptr_array_find_with_equal_func(section, key, entry_has_key, &at))
        g_ptr_array_remove_index(section, at);
    SettingEntry *entry = g_new(SettingEntry, 1);
    *entry = (SettingEntry){g_strdup(key), g_strdup(value), g_strdup(origin)};
    g_ptr_array_add(section, entry);
}

static bool setting_put(Settings *settings, const char *key, const char *value, const char *origin,
                        GError **error)
{
    for (size_t i = 0; i < OPEN_SECTIONS; i++)
        if (g_str_has_prefix(key, OPEN_PREFIXES[i])) {
            entry_put(settings->open[i], key + strlen(OPEN_PREFIXES[i]), value, origin);
            return true;
        }
    int at = setting_index(key);
    if (at < 0) {
        g_set_error(error, SETTINGS_ERROR, 0, "%s: there is no setting %s", origin, key);
        return false;
    }
    char *normal;
    const char *expected = setting_value_check(TABLE[at].type, value, &normal);
    if (expected) {
        g_set_error(error, SETTINGS_ERROR, 0, "%s: %s is \"%s\"; expected %s", origin, key,
                    mask_is_secret_name(key) ? MASK : value, expected);
        return false;
    }
    g_free(settings->values[at]);
    g_free(settings->origins[at]);
    settings->values[at] = normal;
    settings->origins[at] = g_strdup(origin);
    return true;
}

/* GKeyFile keeps no lines: the last one of the group that begins with the key, whose value counts.
 */
static int key_line(const char *text, const char *group, const char *key)
{
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    g_autofree char *head = g_strdup_printf("[%s]", group);
    bool inside = false;
    int found = 0;
    for (int i = 0; lines[i]; i++) {
        char *line = g_strstrip(lines[i]);
        if (*line == '[')
            inside = strcmp(line, head) == 0;
        size_t length = strlen(key);
        if (inside && strncmp(line, key, length) == 0 &&
            (line[length] == '=' || g_ascii_isspace(line[length])))
            found = i + 1;
    }
    return found;
}

/* Nor does it say where it stopped reading: the first line with which a text does not parse. */
static int faulty_line(const char *text)
{
    int line = 1;
    for (const char *end = strchr(text, '\n'); end; end = strchr(end + 1, '\n'), line++) {
        g_autoptr(GKeyFile) keys = g_key_file_new();
        if (!g_key_file_load_from_data(keys, text, (gsize)(end + 1 - text), G_KEY_FILE_NONE, NULL))
            return line;
    }
    return line;
}

static bool settings_read_group(Settings *settings, GKeyFile *keys, const char *file,
                                const char *text, const char *group, GError **error)
{
    g_auto(GStrv) names = g_key_file_get_keys(keys, group, NULL, error);
    for (char **name = names; name && *name; name++) {
        g_autofree char *key = g_strdup_printf("%s.%s", group, *name);
        g_autofree char *origin = g_strdup_printf("%s line %d", file, key_line(text, group, *name));
        GError *failure = NULL; /* set beside a value, too */
        g_autofree char *value = g_key_file_get_string(keys, group, *name, &failure);
        if (failure) {
            g_propagate_prefixed_error(error, failure, "%s: ", origin);
            return false;
        }
        if (!setting_put(settings, key, value, origin, error))
            return false;
    }
    return names != NULL;
}

static bool settings_read_file(Settings *settings, const char *file, GError **error)
{
    g_autofree char *text = NULL;
    gsize length;
    if (!g_file_get_contents(file, &text, &length, error))
        return false;
    g_autoptr(GKeyFile) keys = g_key_file_new();
    if (!g_key_file_load_from_data(keys, text, length, G_KEY_FILE_KEEP_TRANSLATIONS, error)) {
        g_prefix_error(error, "%s line %d: ", file, faulty_line(text));
        return false;
    }
    g_auto(GStrv) groups = g_key_file_get_groups(keys, NULL);
    for (char **group = groups; *group; group++)
        if (!settings_read_group(settings, keys, file, text, *group, error))
            return false;
    return true;
}

static char *settings_usual_file(void)
{
    const char *named = g_getenv("WAYBILL_CONFIG_FILE");
    if (named && *named)
        return g_strdup(named);
    g_autofree char *own =
        g_build_filename(g_get_user_config_dir(), "waybill", "waybill.conf", NULL);
    if (g_file_test(own, G_FILE_TEST_EXISTS))
        return g_steal_pointer(&own);
    const char *machine = "/etc/waybill/waybill.conf";
    return g_file_test(machine, G_FILE_TEST_EXISTS) ? g_strdup(machine) : NULL;
}

/* limits.model_gib is WAYBILL_LIMITS_MODEL_GIB. */
static bool settings_read_environment(Settings *settings, GError **error)
{
    for (size_t i = 0; i < TABLE_COUNT; i++) {
        g_autofree char *upper = g_ascii_strup(TABLE[i].key, -1);
        g_autofree char *variable = g_strconcat("WAYBILL_", g_strdelimit(upper, ".", '_'), NULL);
        const char *value = g_getenv(variable);
        if (value && !setting_put(settings, TABLE[i].key, value, variable, error))
            return false;
    }
    return true;
}

static bool settings_read_sets(Settings *settings, const char *const *sets, GError **error)
{
    for (; sets && *sets; sets++) {
        const char *equals = strchr(*sets, '=');
        if (!equals) {
            g_set_error(error, SETTINGS_ERROR, 0, "--set %s: expected section.key=value", *sets);
            return false;
        }
        g_autofree char *key = g_strndup(*sets, (gsize)(equals - *sets));
        if (!setting_put(settings, key, equals + 1, "--set", error))
            return false;
    }
    return true;
}

static Settings *settings_new(void)
{
    Settings *settings = g_new0(Settings, 1);
    for (size_t i = 0; i < OPEN_SECTIONS; i++)
        settings->open[i] = g_ptr_array_new_with_free_func(entry_free);
    for (size_t i = 0; i < TABLE_COUNT; i++)
        setting_value_check(TABLE[i].type, TABLE[i].otherwise, &settings->values[i]);
    settings->shares = shares_new();
    return settings;
}

Settings *settings_load(const char *file, const char *const *sets, GError **error)
{
    g_autoptr(Settings) settings = settings_new();
    g_autofree char *usual = file ? NULL : settings_usual_file();
    const char *chosen = file ? file : usual;
    if (chosen && !settings_read_file(settings, chosen, error))
        return NULL;
    if (!settings_read_environment(settings, error) || !settings_read_sets(settings, sets, error))
        return NULL;
    return g_steal_pointer(&settings);
}

/* NULL: the store does not hold it, or a node's own value is above that. */
static const char *value_of_share(const Settings *settings, int at)
{
    const Share *share =
        settings->origins[at] ? NULL : __atomic_load_n(&settings->shares->newest, __ATOMIC_ACQUIRE);
    return share ? share->values[at] : NULL;
}

const char *settings_text(const Settings *settings, const char *key)
{
    const int at = setting_index(key);
    const char *shared = value_of_share(settings, at);
    return shared ? shared : settings->values[at];
}

int64_t settings_int(const Settings *settings, const char *key)
{
    return g_ascii_strtoll(settings_text(settings, key), NULL, 10);
}

bool settings_bool(const Settings *settings, const char *key)
{
    return strcmp(settings_text(settings, key), "true") == 0;
}

int64_t settings_bytes(const Settings *settings, const char *key)
{
    return (int64_t)(g_ascii_strtod(settings_text(settings, key), NULL) * 1073741824.0);
}

const GPtrArray *settings_advice(const Settings *settings)
{
    return settings->open[ADVICE];
}

const GPtrArray *settings_training(const Settings *settings)
{
    return settings->open[TRAINING];
}

const char *settings_origin(const Settings *settings, const char *key)
{
    const int at = setting_index(key);
    if (settings->origins[at])
        return settings->origins[at];
    return value_of_share(settings, at) ? SETTINGS_ORIGIN_STORE : "default";
}

/* -- what the store holds -- */

static char *fault_of_key(const char *key)
{
    const char *keys[TABLE_COUNT + 1] = {NULL};
    for (size_t i = 0; i < TABLE_COUNT; i++)
        keys[i] = TABLE[i].key;
    const char *near = text_nearest(key, keys);
    const int at = setting_index(key);
    if (at >= 0)
        return TABLE[at].shared
                   ? NULL
                   : g_strdup_printf("%s is each node's own: set it in its waybill.conf, or as a "
                                     "variable of its environment",
                                     key);
    for (size_t i = 0; i < OPEN_SECTIONS; i++)
        if (g_str_has_prefix(key, OPEN_PREFIXES[i]))
            return g_strdup_printf("[%.*s] is each node's own: set it in its waybill.conf",
                                   (int)strlen(OPEN_PREFIXES[i]) - 1, key);
    return g_strdup_printf("there is no setting %s%s%s%s", key, near ? "; did you mean " : "",
                           near ? near : "", near ? "?" : "");
}

char *settings_share_fault(const char *key, const char *value)
{
    char *fault = fault_of_key(key);
    if (fault || !value)
        return fault;
    g_autofree char *normal = NULL;
    const char *expected = setting_value_check(TABLE[setting_index(key)].type, value, &normal);
    g_autofree char *masked = mask_text(value);
    if (expected)
        return g_strdup_printf("%s is \"%s\"; expected %s", key, masked, expected);
    if (strcmp(masked, value) != 0)
        return g_strdup_printf("%s has a secret in it, which the store would show: set it in each "
                               "node's waybill.conf",
                               key);
    return NULL;
}

static Share *share_of(const char *const *keys, const char *const *values, size_t count)
{
    Share *share = g_new0(Share, 1);
    for (size_t i = 0; i < count; i++) {
        const int at = setting_index(keys[i]);
        if (at >= 0 && TABLE[at].shared && !share->values[at])
            setting_value_check(TABLE[at].type, values[i], &share->values[at]);
    }
    return share;
}

static bool share_equals(const Share *a, const Share *b)
{
    for (size_t i = 0; i < TABLE_COUNT; i++)
        if (g_strcmp0(a->values[i], b->values[i]) != 0)
            return false;
    return true;
}

void settings_share(const Settings *settings, const char *const *keys, const char *const *values,
                    size_t count)
{
    static const Share NOTHING;
    Shares *shares = settings->shares;
    Share *share = share_of(keys, values, count);
    pthread_mutex_lock(&shares->lock);
    if (share_equals(shares->newest ? shares->newest : &NOTHING, share)) {
        share_free(share);
    } else {
        g_ptr_array_add(shares->all, share);
        __atomic_store_n(&shares->newest, share, __ATOMIC_RELEASE);
    }
    pthread_mutex_unlock(&shares->lock);
}
