#include "upkeep/doctor.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "import/import.h"
#include "store/leases.h"
#include "store/maintenance.h"
#include "store/schema.h"
#include "store/shared_settings.h"
#include "upkeep/doctor_checks.h"
#include "upkeep/kept.h"

#define FREE_LITTLE   ((int64_t)1 << 30)  /* bytes: an import may not fit */
#define FREE_NOTHING  ((int64_t)16 << 20) /* not even its events may */
#define NAMED_IMPORTS 3
#define INDEX_WAIT_MS 300 /* between an import's commit and its index.json */

const char *doctor_status_name(DoctorStatus status)
{
    static const char *const NAMES[] = {"ok", "warn", "fail"};
    return NAMES[status];
}

static void doctor_check_free(DoctorCheck *check)
{
    g_free(check->found);
    g_free(check->mend);
    g_free(check);
}

void doctor_add(Doctor *doctor, const char *id, DoctorStatus status, char *mend, const char *format,
                ...)
{
    DoctorCheck *check = g_new0(DoctorCheck, 1);
    va_list arguments;
    va_start(arguments, format);
    g_autofree char *found = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    check->id = id;
    check->status = status;
    check->found = g_utf8_make_valid(found, -1);
    check->mend = mend;
    g_ptr_array_add(doctor->checks, check);
}

char *doctor_size(int64_t bytes)
{
    double mib = (double)bytes / (1 << 20);
    return mib < 1024 ? g_strdup_printf("%.0f MiB", mib) : g_strdup_printf("%.1f GiB", mib / 1024);
}

/* -- the data directory -- */

/* The nearest directory above that is there: where the first import makes the others. */
static char *directory_above(const char *path)
{
    char *above = g_canonicalize_filename(path, NULL);
    while (!g_file_test(above, G_FILE_TEST_EXISTS)) {
        char *next = g_path_get_dirname(above);
        g_free(above);
        above = next;
    }
    return above;
}

static char *mend_elsewhere(const Doctor *doctor)
{
    return g_strdup(doctor->zh ? "用 --data 或 WAYBILL_DATA 指定本机磁盘上可写的目录"
                               : "choose a directory on a local disk that you may write: --data, "
                                 "or WAYBILL_DATA");
}

static void check_future_directory(Doctor *doctor)
{
    g_autofree char *above = directory_above(doctor->directory);
    autofd fd = open(above, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const char *network = fd >= 0 ? data_network_file_system(fd) : NULL;
    if (fd < 0 || access(above, W_OK | X_OK) < 0)
        doctor_add(doctor, "data-directory", DOCTOR_FAIL, mend_elsewhere(doctor),
                   doctor->zh ? "%s 不存在,且无法在 %s 中创建:%s"
                              : "%s is not there, and cannot be made in %s: %s",
                   doctor->directory, above, g_strerror(errno));
    else if (network)
        doctor_add(doctor, "data-directory", DOCTOR_FAIL, mend_elsewhere(doctor),
                   doctor->zh ? "%s 位于 %s 上,文件锁在其上无效"
                              : "%s lies on %s, where file locks do not hold",
                   above, network);
    else
        doctor_add(doctor, "data-directory", DOCTOR_WARN, NULL,
                   doctor->zh ? "%s 尚不存在:首次导入时创建"
                              : "%s is not there yet: the first import makes it",
                   doctor->directory);
}

static void check_directory(Doctor *doctor)
{
    struct stat about;
    if (stat(doctor->directory, &about) < 0 && errno == ENOENT) {
        check_future_directory(doctor);
        return;
    }
    g_autoptr(GError) error = NULL;
    doctor->data = data_open(doctor->directory, false,
                             (int)settings_int(doctor->settings, "store.busy_timeout_ms"), &error);
    if (doctor->data)
        doctor_add(doctor, "data-directory", DOCTOR_OK, NULL, "%s", doctor->data->path);
    else if (g_error_matches(error, DB_ERROR, DB_ERROR_BUSY))
        doctor_add(doctor, "data-directory", DOCTOR_WARN, NULL, "%s", error->message);
    else
        doctor_add(doctor, "data-directory", DOCTOR_FAIL, mend_elsewhere(doctor), "%s",
                   error->message);
}

/* What follows from how much is free; "": nothing. */
static const char *space_consequence(const Doctor *doctor, int64_t bytes, bool reserve)
{
    if (bytes < settings_bytes(doctor->settings, "store.min_free_gib"))
        return doctor->zh ? ",低于 store.min_free_gib:不会开始新的导入"
                          : ", less than store.min_free_gib: no import begins";
    if (reserve)
        return "";
    return doctor->zh ? ",且没有保留空间" : ", and no reserve for the event that says so";
}

static void check_space(Doctor *doctor)
{
    struct stat about;
    int64_t bytes = data_free_bytes(doctor->data);
    g_autofree char *size = doctor_size(bytes);
    bool reserve = fstatat(doctor->data->fd, "reserve", &about, 0) == 0;
    const char *so = space_consequence(doctor, bytes, reserve);
    DoctorStatus status = bytes < FREE_NOTHING         ? DOCTOR_FAIL
                          : bytes < FREE_LITTLE || *so ? DOCTOR_WARN
                                                       : DOCTOR_OK;
    char *mend = status == DOCTOR_OK ? NULL : g_strdup("waybill gc");
    doctor_add(doctor, "free-space", status, mend, doctor->zh ? "剩余 %s%s" : "%s free%s", size,
               so);
}

static void check_locks(Doctor *doctor)
{
    g_autoptr(GError) error = NULL;
    if (leases_exclude(doctor->data, &error))
        doctor_add(doctor, "file-locks", DOCTOR_OK, NULL, "%s",
                   doctor->zh ? "互斥有效" : "they exclude each other");
    else
        doctor_add(doctor, "file-locks", DOCTOR_FAIL, mend_elsewhere(doctor), "%s",
                   error        ? error->message
                   : doctor->zh ? "同一把锁可以被取得两次"
                                : "one lock could be taken twice");
}

/* -- the store -- */

static void store_fail(Doctor *doctor, const char *message)
{
    doctor_add(doctor, "store", DOCTOR_FAIL,
               *settings_text(doctor->settings, "store.url")
                   ? NULL
                   : g_strdup("waybill restore BACKUP --data ANOTHER_DIRECTORY"),
               "%s", message);
    g_clear_pointer(&doctor->db, db_free);
}

static void store_sound(Doctor *doctor, int version)
{
    int64_t models = 0, events = 0;
    db_query_int(doctor->db, &models, 0, NULL, "SELECT count(*) FROM models", "");
    db_query_int(doctor->db, &events, 0, NULL, "SELECT count(*) FROM events", "");
    doctor_add(doctor, "store", DOCTOR_OK, NULL,
               doctor->zh ? "结构版本 %d,%d 个模型版本,%d 条事件"
                          : "schema %d, %d model versions, %d events",
               version, (int)models, (int)events);
}

/* A store of another schema is not looked into further: only the commands that work on it migrate
 * it. */
static void store_other_schema(Doctor *doctor, int version, int known)
{
    bool newer = version > known;
    doctor_add(doctor, "store", newer ? DOCTOR_FAIL : DOCTOR_OK,
               !newer ? NULL
                      : g_strdup(doctor->zh ? "使用更新版本的 waybill" : "use the newer waybill"),
               doctor->zh ? "结构版本 %d,本程序为 %d" : "schema %d; this program's is %d", version,
               known);
    g_clear_pointer(&doctor->db, db_free);
}

static void check_store(Doctor *doctor)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *path = data_path(doctor->data, DATA_STORE);
    const char *url = settings_text(doctor->settings, "store.url");
    const int known = schema_newest();
    int version;
    if (!data_use(doctor->data, url, &error)) {
        store_fail(doctor, error->message);
        return;
    }
    if (!*url && !g_file_test(path, G_FILE_TEST_EXISTS)) {
        doctor_add(doctor, "store", DOCTOR_WARN, NULL, "%s",
                   doctor->zh ? "尚不存在:首次导入时创建"
                              : "there is none yet: the first import makes it");
        return;
    }
    doctor->db = *url ? db_open(url, doctor->data->busy_timeout_ms, &error)
                      : db_open_sqlite(path, doctor->data->busy_timeout_ms, &error);
    if (!doctor->db || !db_check(doctor->db, &error) ||
        !schema_version(doctor->db, &version, &error))
        store_fail(doctor, error->message);
    else if (version == known && !shared_settings_read(doctor->db, doctor->settings, &error))
        store_fail(doctor, error->message);
    else if (version != known)
        store_other_schema(doctor, version, known);
    else
        store_sound(doctor, version);
}

/* -- the images -- */

static bool index_is_current(Doctor *doctor, Layout *images, bool *current, GError **error)
{
    if (!images_index_is_current(images, doctor->db, current, error))
        return false;
    if (*current)
        return true;
    g_usleep(INDEX_WAIT_MS * 1000);
    return images_index_is_current(images, doctor->db, current, error);
}

static void images_look(Doctor *doctor, Layout *images)
{
    g_autoptr(GError) error = NULL;
    int left_over = 0;
    int64_t bytes = 0;
    bool current = true;
    g_autofree char *elsewhere =
        image_store_url_place(settings_text(doctor->settings, "images.url"));
    bool listed = doctor->db && !elsewhere;
    if ((listed && !index_is_current(doctor, images, &current, &error)) ||
        !layout_sweep_temporary(images, true, &left_over, &bytes, &error)) {
        doctor_add(doctor, "images", DOCTOR_FAIL, NULL, "%s", error->message);
        return;
    }
    g_autofree char *size = doctor_size(bytes);
    if (!current)
        doctor_add(doctor, "images", DOCTOR_WARN, g_strdup("waybill gc"), "%s",
                   doctor->zh ? "index.json 与存储不一致"
                              : "index.json is not what the store says");
    else if (left_over)
        doctor_add(doctor, "images", DOCTOR_WARN, g_strdup("waybill gc"),
                   doctor->zh ? "%d 个中断写入的遗留文件,%s"
                              : "%d left-over files of interrupted writes, %s",
                   left_over, size);
    else
        doctor_add(doctor, "images", DOCTOR_OK, NULL, "%s",
                   listed
                       ? doctor->zh ? "index.json 与存储一致" : "index.json is what the store says"
                   : doctor->zh ? "目录完好"
                                : "the layout is sound");
}

static void check_images(Doctor *doctor)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *directory = data_path(doctor->data, "images");
    if (!g_file_test(directory, G_FILE_TEST_EXISTS))
        return; /* made with the store */
    g_autoptr(Layout) marked = layout_open(directory, &error);
    g_autoptr(Layout) images = marked ? layout_create(directory, &error) : NULL;
    if (images)
        images_look(doctor, images);
    else
        doctor_add(doctor, "images", DOCTOR_FAIL,
                   g_strdup_printf("rm -f %s/oci-layout\nwaybill gc", directory), "%s",
                   error->message);
}

/* -- what the store says -- */

typedef struct {
    GString *names, *mend;
    int count;
} Interrupted;

static bool interrupted_add(Doctor *doctor, Interrupted *interrupted, DbRows *rows, GError **error)
{
    Service service = {.data = doctor->data, .db = doctor->db};
    bool worked_on;
    if (!import_is_worked_on(&service, db_text(rows, 0), &worked_on, error))
        return false;
    if (worked_on || ++interrupted->count > NAMED_IMPORTS)
        return true;
    const char *project = db_text(rows, 1), *name = db_text(rows, 2), *version = db_text(rows, 3);
    bool elsewhere = g_strcmp0(project, PROJECT_DEFAULT) != 0;
    g_string_append_printf(interrupted->names, "%s%s:%s", interrupted->names->len ? ", " : "", name,
                           version);
    g_string_append_printf(interrupted->mend, "%swaybill retry %s:%s%s%s",
                           interrupted->mend->len ? "\n" : "", name, version,
                           elsewhere ? " --project " : "", elsewhere ? project : "");
    return true;
}

static void check_imports(Doctor *doctor)
{
    g_autoptr(GString) names = g_string_new(NULL);
    g_autoptr(GString) mend = g_string_new(NULL);
    g_autoptr(GError) error = NULL;
    Interrupted interrupted = {names, mend, 0};
    g_autoptr(DbRows) rows =
        db_query(doctor->db, &error,
                 "SELECT m.id, m.project, m.name, m.version FROM models m JOIN attempts a ON "
                 "a.model_id = m.id AND a.attempt = m.attempt WHERE m.deleted_at IS NULL AND "
                 "a.outcome = 'running' ORDER BY m.project, m.name, m.version_number",
                 "");
    while (rows && db_next(rows, &error) && interrupted_add(doctor, &interrupted, rows, &error))
        continue;
    if (error)
        doctor_add(doctor, "imports", DOCTOR_FAIL, NULL, "%s", error->message);
    else if (interrupted.count)
        doctor_add(doctor, "imports", DOCTOR_WARN, g_strdup(mend->str),
                   doctor->zh ? "%d 个导入已中断:%s%s" : "%d interrupted: %s%s", interrupted.count,
                   names->str, interrupted.count > NAMED_IMPORTS ? ", …" : "");
    else
        doctor_add(doctor, "imports", DOCTOR_OK, NULL, "%s",
                   doctor->zh ? "没有中断的导入" : "none was interrupted");
}

static void check_maintenance(Doctor *doctor)
{
    g_autoptr(GError) error = NULL;
    int64_t held = 0;
    g_autoptr(Maintenance) now = maintenance_load(doctor->db, &error);
    if (!now || !maintenance_count_held(doctor->db, now, &held, &error))
        doctor_add(doctor, "maintenance", DOCTOR_FAIL, NULL, "%s", error->message);
    else if (now->on)
        doctor_add(doctor, "maintenance", DOCTOR_WARN, g_strdup("waybill maintenance off"),
                   doctor->zh ? "维护模式由 %s 开启%s%s;%d 个导入在等待"
                              : "on, by %s%s%s; imports that wait: %d",
                   now->actor, now->message ? ": " : "", now->message ? now->message : "",
                   (int)held);
}

static char *runtime_fault(const Runtime *runtime, ImageSource *images)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(Kept) kept = kept_new();
    return kept_add_runtime(kept, images, runtime, &error) ? NULL : g_strdup(error->message);
}

static void runtimes_look(Doctor *doctor, const GPtrArray *runtimes, ImageSource *images)
{
    g_autoptr(GString) names = g_string_new(NULL);
    for (guint i = 0; i < runtimes->len; i++) {
        const Runtime *runtime = runtimes->pdata[i];
        g_autofree char *fault = runtime_fault(runtime, images);
        if (fault) {
            doctor_add(doctor, "runtimes", DOCTOR_FAIL, g_strdup("waybill verify"), "%s", fault);
            return;
        }
        g_string_append_printf(names, "%s%s", names->len ? ", " : "", runtime->name);
    }
    if (runtimes->len)
        doctor_add(doctor, "runtimes", DOCTOR_OK, NULL, "%s", names->str);
    else
        doctor_add(doctor, "runtimes", DOCTOR_WARN,
                   g_strdup("waybill runtime bootstrap python3.11"), "%s",
                   doctor->zh ? "没有:模型包需要基础镜像才能打包"
                              : "none: a model package needs one to be packed on");
}

static void check_runtimes(Doctor *doctor)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *directory = data_path(doctor->data, "images");
    g_autoptr(GPtrArray) runtimes = runtimes_list(doctor->db, &error);
    g_autoptr(Layout) layout = runtimes ? layout_open(directory, &error) : NULL;
    g_autoptr(ImageStore) store =
        layout ? image_store_new(layout, doctor->settings, NULL, &error) : NULL;
    g_autoptr(ImageRepository) images =
        store ? image_repository_open(store, STORE_RUNTIMES, &error) : NULL;
    if (images)
        runtimes_look(doctor, runtimes, image_repository_source(images));
    else
        doctor_add(doctor, "runtimes", DOCTOR_FAIL, NULL, "%s", error->message);
}

GPtrArray *doctor_run(const char *directory, const Settings *settings, Language language)
{
    Doctor doctor = {.directory = directory, .settings = settings, .zh = language == LANGUAGE_ZH};
    doctor.checks = g_ptr_array_new_with_free_func((GDestroyNotify)doctor_check_free);
    check_directory(&doctor);
    if (doctor.data) {
        check_space(&doctor);
        check_locks(&doctor);
        check_store(&doctor);
        check_images(&doctor);
    }
    if (doctor.db) {
        check_imports(&doctor);
        check_maintenance(&doctor);
        doctor_gc(&doctor);
        check_runtimes(&doctor);
    }
    doctor_sandbox(&doctor);
    doctor_sources(&doctor);
    doctor_templates(&doctor);
    doctor_registries(&doctor);
    doctor_objects(&doctor);
    doctor_machine(&doctor);
    db_free(doctor.db);
    data_free(doctor.data);
    return doctor.checks;
}
