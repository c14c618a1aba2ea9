#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/inotify.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/digest.h"
#include "base/io.h"
#include "base/mask.h"
#include "import/bootstrap.h"
#include "upkeep/doctor_checks.h"

#define SPEED_BYTES ((size_t)64 << 20)
#define SPEED_CHUNK ((size_t)1 << 20)
#define SPEED_LEAST                                                                         \
    ((int64_t)300 << 20)           /* a second; with the CPU's SHA instructions it is 1 GiB \
                                    */
#define YEAR_2024  1704067200000LL /* ms */
#define CLOCK_LATE 300000          /* ms */

static void add_entries(GString *set, const char *section, const GPtrArray *entries)
{
    for (guint i = 0; i < entries->len; i++) {
        const SettingEntry *entry = entries->pdata[i];
        g_string_append_printf(set, "%s%s.%s = %s (%s)", set->len ? ", " : "", section, entry->key,
                               entry->value, entry->origin);
    }
}

static void check_settings(Doctor *doctor)
{
    g_autoptr(GString) set = g_string_new(NULL);
    for (const SettingRow *row = settings_table(); row->key; row++) {
        const char *origin = settings_origin(doctor->settings, row->key);
        const char *value = settings_text(doctor->settings, row->key);
        const bool secret = *value && mask_is_secret_name(row->key);
        g_autofree char *shown = secret ? g_strdup(MASK) : mask_text(value); /* a URL's login */
        if (g_strcmp0(origin, "default") != 0)
            g_string_append_printf(set, "%s%s = %s (%s)", set->len ? ", " : "", row->key, shown,
                                   origin);
    }
    add_entries(set, "advice", settings_advice(doctor->settings));
    add_entries(set, "training", settings_training(doctor->settings));
    doctor_add(doctor, "settings", DOCTOR_OK, NULL, "%s",
               set->len     ? set->str
               : doctor->zh ? "全部为默认值"
                            : "all are the defaults");
}

static void check_openat2(Doctor *doctor)
{
    struct open_how how = {.flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC,
                           .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
    autofd fd = (int)syscall(SYS_openat2, AT_FDCWD, ".", &how, sizeof how);
    if (fd >= 0)
        doctor_add(doctor, "openat2", DOCTOR_OK, NULL, "%s",
                   doctor->zh ? "内核限制路径不越出模型包"
                              : "the kernel keeps paths inside of a package");
    else
        doctor_add(doctor, "openat2", DOCTOR_OK, NULL,
                   doctor->zh ? "不可用(%s):改用较慢的逐级检查,同样安全"
                              : "not to be had (%s): paths are walked step by step, slower and as "
                                "safe",
                   g_strerror(errno));
}

static void check_inotify(Doctor *doctor)
{
    autofd fd = inotify_init1(IN_CLOEXEC);
    if (fd >= 0)
        doctor_add(doctor, "inotify", DOCTOR_OK, NULL, "%s",
                   doctor->zh ? "新事件立即可见" : "new events are seen at once");
    else
        doctor_add(doctor, "inotify", DOCTOR_WARN,
                   g_strdup("sysctl fs.inotify.max_user_instances=512"),
                   doctor->zh ? "%s:新事件最多延迟 0.2 秒" : "%s: new events are seen 0.2 s late",
                   g_strerror(errno));
}

static void check_sha256(Doctor *doctor)
{
    g_autofree char *chunk = g_malloc0(SPEED_CHUNK);
    g_autoptr(Digest) digest = digest_new();
    int64_t began = g_get_monotonic_time();
    for (size_t done = 0; done < SPEED_BYTES; done += SPEED_CHUNK)
        digest_update(digest, chunk, SPEED_CHUNK);
    g_free(digest_finish(digest));
    int64_t took = MAX(g_get_monotonic_time() - began, 1);
    int64_t rate = (int64_t)SPEED_BYTES * 1000000 / took;
    g_autofree char *speed = doctor_size(rate);
    const char *note = rate >= SPEED_LEAST ? ""
                       : doctor->zh        ? ":较慢,导入受其限制"
                                           : ": slow, it bounds every import";
    doctor_add(doctor, "sha256", DOCTOR_OK, NULL, doctor->zh ? "每核 %s/s%s" : "%s/s a core%s",
               speed, note);
}

/* An event that lies ahead was written under another clock: what comes next gets its time, too,
 * until the clock has caught up. */
static void check_clock(Doctor *doctor)
{
    int64_t now = clock_now_ms(), newest = 0;
    if (doctor->db)
        db_query_int(doctor->db, &newest, 0, NULL, "SELECT max(occur_time) FROM events", "");
    g_autoptr(GDateTime) time = g_date_time_new_from_unix_utc(now / 1000);
    g_autofree char *shown = g_date_time_format(time, "%Y-%m-%dT%H:%M:%SZ");
    char *mend = g_strdup("timedatectl set-ntp true");
    if (now < YEAR_2024)
        doctor_add(doctor, "clock", DOCTOR_FAIL, mend, doctor->zh ? "系统时间为 %s" : "it says %s",
                   shown);
    else if (newest > now + CLOCK_LATE)
        doctor_add(doctor, "clock", DOCTOR_WARN, mend,
                   doctor->zh ? "系统时间 %s 比最新事件早 %d 分钟"
                              : "it says %s, %d minutes before the newest event",
                   shown, (int)((newest - now) / 60000));
    else {
        g_free(mend);
        doctor_add(doctor, "clock", DOCTOR_OK, NULL, "%s", shown);
    }
}

/* Whether `runtime bootstrap` can work; the mirror itself is not asked. */
static void check_bootstrap(Doctor *doctor)
{
    g_autoptr(GError) error = NULL;
    char *mend = NULL;
    g_autofree char *obstacle = bootstrap_obstacle(doctor->zh, &mend);
    g_autofree char *mirrors = obstacle ? NULL : bootstrap_mirrors(doctor->settings, &error);
    if (obstacle)
        doctor_add(doctor, "bootstrap", DOCTOR_WARN, mend,
                   doctor->zh ? "无法用 runtime bootstrap 制作基础镜像:%s"
                              : "runtime bootstrap cannot make base images: %s",
                   obstacle);
    else if (!mirrors)
        doctor_add(doctor, "bootstrap", DOCTOR_WARN, g_strdup("--set build.apt_mirror=URL"), "%s",
                   error->message);
    else
        doctor_add(doctor, "bootstrap", DOCTOR_OK, NULL,
                   doctor->zh ? "可用 mmdebstrap 制作基础镜像,软件包来自 %s"
                              : "mmdebstrap can make base images, of packages from %s",
                   mirrors);
}

void doctor_machine(Doctor *doctor)
{
    check_settings(doctor);
    check_clock(doctor);
    check_openat2(doctor);
    check_inotify(doctor);
    check_sha256(doctor);
    check_bootstrap(doctor);
}
