#include <gio/gio.h>
#include <string.h>
#include <unistd.h>

#include "command/command.h"
#include "command/interrupt.h"
#include "upkeep/store_copy.h"

static int copy_failed(const GError *error)
{
    if (g_error_matches(error, G_IO_ERROR, G_IO_ERROR_CANCELLED)) {
        complain("interrupted: nothing was copied");
        return EXIT_INTERRUPTED;
    }
    if (error->domain != STORE_COPY_ERROR)
        return complain_of(error);
    complain("%s", error->message);
    return error->code == STORE_COPY_ERROR_DIFFERS ? EXIT_FAILED : EXIT_USAGE;
}

/* The store of a data directory is held while it is copied from or to: who works on it would
 * change the one and not the other. NULL without *error: the file lies in none. */
static DataDirectory *hold(const char *url, int busy_timeout_ms, GError **error)
{
    const char *path = db_path_of(url);
    g_autofree char *file = path ? g_canonicalize_filename(path, NULL) : g_strdup("");
    if (!g_str_has_suffix(file, "/" DATA_STORE))
        return NULL;
    g_autofree char *directory = g_path_get_dirname(file);
    g_autofree char *lock = g_build_filename(directory, "lock", NULL);
    return access(lock, F_OK) == 0 ? data_open_alone(directory, busy_timeout_ms, error) : NULL;
}

/* SQLite would make the file. */
static bool is_there(const char *url)
{
    const char *path = db_path_of(url);
    if (!path || access(path, R_OK) == 0)
        return true;
    complain("%s is not there", url);
    return false;
}

static void print_copied(const Session *session, const GArray *copied, bool json)
{
    int64_t all = 0;
    json_auto_t *tables = json_object();
    for (guint i = 0; i < copied->len; i++) {
        const StoreCopied *one = &g_array_index(copied, StoreCopied, i);
        json_object_set_new(tables, one->table, json_integer(one->rows));
        all += one->rows;
    }
    if (json)
        print_json_line(json_pack("{s:I, s:O}", "rows", (json_int_t)all, "tables", tables));
    else if (!session->quiet)
        printf(session->out.language == LANGUAGE_ZH
                   ? "已复制并逐行核对:%d 个表,%" G_GINT64_FORMAT " 行\n"
                   : "copied, and read again row by row: tables %d, rows %" G_GINT64_FORMAT "\n",
               (int)copied->len, all);
}

static int copy_between(Session *session, const char *from, const char *to, bool json)
{
    const int timeout = (int)settings_int(session->settings, "store.busy_timeout_ms");
    g_autoptr(GError) error = NULL;
    Progress progress = {0};
    if (!is_there(from))
        return EXIT_USAGE;
    g_autoptr(DataDirectory) source G_GNUC_UNUSED = hold(from, timeout, &error);
    g_autoptr(DataDirectory) target G_GNUC_UNUSED = error ? NULL : hold(to, timeout, &error);
    g_autoptr(Db) read = error ? NULL : db_open(from, timeout, &error);
    g_autoptr(Db) written = read ? db_open(to, timeout, &error) : NULL;
    if (!written)
        return complain_of(error);
    g_auto(Interrupt) interrupt G_GNUC_UNUSED = interrupt_catch(&progress);
    g_autoptr(GArray) copied = store_copy(read, written, &progress, &error);
    if (!copied)
        return copy_failed(error);
    print_copied(session, copied, json);
    return EXIT_DONE;
}

int command_store(Session *session, int argc, char **argv)
{
    g_autofree char *from = NULL, *to = NULL;
    gboolean json = FALSE;
    const GOptionEntry entries[] = {
        {"from", 0, 0, G_OPTION_ARG_STRING, &from,
         "What to copy: sqlite:PATH or postgresql://… (the data directory's store)", "URL"},
        {"to", 0, 0, G_OPTION_ARG_STRING, &to, "Where to: a store that nothing was written to",
         "URL"},
        {"json", 0, 0, G_OPTION_ARG_NONE, &json, "Print {rows, tables} on one line", NULL},
        {NULL}};
    int status = session_parse(session, command_find("store"), entries, &argc, &argv, 1, 1);
    if (status >= 0)
        return status;
    if (strcmp(argv[1], "copy") != 0) {
        complain("store %s: expected copy", argv[1]);
        return EXIT_USAGE;
    }
    if (!to) {
        complain("store copy: --to is missing");
        return EXIT_USAGE;
    }
    g_autofree char *directory = session_data_directory(session);
    g_autofree char *own = g_strdup_printf("sqlite:%s/" DATA_STORE, directory);
    return copy_between(session, from ? from : own, to, json);
}
