/* What the import ran with and on. */
#include <gnu/libc-version.h>
#include <jansson.h>
#include <openssl/crypto.h>
#include <string.h>
#include <sys/utsname.h>

#include "base/mask.h"
#include "base/size.h"
#include "config.h"
#include "store/runtimes.h"
#include "store/schema.h"
#include "upkeep/report_parts.h"

static char *sqlite_version(Db *db)
{
    g_autoptr(DbRows) rows = db_query(db, NULL, "SELECT sqlite_version()", "");
    return g_strdup(rows && db_next(rows, NULL) ? db_text(rows, 0) : "?");
}

static void put_libraries(Report *report)
{
    g_autofree char *sqlite = sqlite_version(report->service->db);
    report_fact(report, "libraries", "库",
                "GLib %u.%u.%u, SQLite %s, jansson %s, OpenSSL %s, glibc %s", glib_major_version,
                glib_minor_version, glib_micro_version, sqlite, jansson_version_str(),
                OpenSSL_version(OPENSSL_VERSION_STRING), gnu_get_libc_version());
}

static void put_system(Report *report)
{
    struct utsname kernel;
    g_autofree char *system = g_get_os_info(G_OS_INFO_KEY_PRETTY_NAME);
    report_fact(report, "system", "系统", "%s", system ? system : "");
    if (uname(&kernel) == 0)
        report_fact(report, "kernel", "内核", "%s %s, %s", kernel.sysname, kernel.release,
                    kernel.machine);
    report_fact(report, "processors", "处理器", "%u", g_get_num_processors());
    g_autofree char *free_bytes = size_text(data_free_bytes(report->service->data));
    report_fact(report, "free for data", "数据目录剩余空间", "%s", free_bytes);
}

static bool put_runtimes(Report *report, GError **error)
{
    g_autoptr(GPtrArray) runtimes = runtimes_list(report->service->db, error);
    if (!runtimes)
        return false;
    report_heading(report, 2, "%s", report_word(report, "Runtimes", "运行时"));
    for (guint i = 0; i < runtimes->len; i++) {
        const Runtime *row = runtimes->pdata[i];
        g_autofree char *text =
            g_strdup_printf("%s  %s  %s  %s  %s", row->name, row->engine ? row->engine : "*",
                            row->platform, row->image, row->digest);
        report_block(report, 0, text);
    }
    if (runtimes->len == 0)
        report_block(report, 0, report_word(report, "none", "无"));
    return true;
}

static void put_settings(Report *report)
{
    const Settings *settings = report->service->settings;
    report_heading(report, 2, "%s", report_word(report, "Settings", "设置"));
    for (const SettingRow *row = settings_table(); row->key; row++) {
        const char *value = settings_text(settings, row->key);
        if (*value && mask_is_secret_name(row->key))
            value = MASK;
        g_autofree char *text =
            g_strdup_printf("%s = %s  (%s)", row->key, value, settings_origin(settings, row->key));
        report_block(report, 0, text);
    }
}

bool report_machine(Report *report, GError **error)
{
    int schema;
    if (!schema_version(report->service->db, &schema, error) || !put_runtimes(report, error))
        return false;
    put_settings(report);
    report_heading(report, 2, "%s", report_word(report, "Program and machine", "程序与机器"));
    report_fact(report, "waybill", "waybill", "%s (schema %d)", WAYBILL_VERSION, schema);
    put_libraries(report);
    put_system(report);
    return true;
}
