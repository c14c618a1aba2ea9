#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <gio/gio.h>
#include <locale.h>
#include <string.h>
#include <unistd.h>

#include "base/digest.h"
#include "base/io.h"
#include "image/layer_archive.h"
#include "image_fixture.h"

static char *directory;
static Layout *layout;

static int make_layout(void **state)
{
    directory = fixture_directory();
    layout = layout_create(directory, NULL);
    return layout ? 0 : -1;
}

static int remove_layout(void **state)
{
    layout_free(layout);
    fixture_remove(directory);
    g_clear_pointer(&directory, g_free);
    return 0;
}

typedef struct {
    const char *path;
    mode_t type, mode;
    const char *content; /* or where a link leads */
    bool hard;
} Given;

/* An archive as another program makes it: names of owners, times, xattrs. */
static GBytes *make_archive(const Given *given, time_t mtime)
{
    size_t size = (size_t)1 << 20, used = 0;
    char *data = g_malloc(size);
    struct archive *writer = archive_write_new();
    archive_write_set_format_pax(writer);
    archive_write_open_memory(writer, data, size, &used);
    for (; given->path; given++) {
        struct archive_entry *entry = archive_entry_new();
        archive_entry_set_pathname(entry, given->path);
        archive_entry_set_filetype(entry, given->type);
        archive_entry_set_perm(entry, given->mode);
        archive_entry_set_mtime(entry, mtime, 5);
        archive_entry_set_atime(entry, mtime, 5);
        archive_entry_set_uid(entry, 42);
        archive_entry_set_gid(entry, 7);
        archive_entry_set_uname(entry, "somebody");
        archive_entry_xattr_add_entry(entry, "user.note", &mtime, sizeof mtime);
        bool file = given->type == AE_IFREG && !given->hard;
        if (given->hard)
            archive_entry_set_hardlink(entry, given->content);
        else if (given->type == AE_IFLNK)
            archive_entry_set_symlink(entry, given->content);
        archive_entry_set_size(entry, file ? (int64_t)strlen(given->content) : 0);
        assert_true(archive_write_header(writer, entry) >= ARCHIVE_WARN);
        if (file)
            archive_write_data(writer, given->content, strlen(given->content));
        archive_entry_free(entry);
    }
    archive_write_free(writer);
    return g_bytes_new_take(data, used);
}

static int open_bytes(GBytes *bytes, size_t size)
{
    g_autofree char *path = g_build_filename(directory, "given.tar", NULL);
    assert_true(g_file_set_contents(path, g_bytes_get_data(bytes, NULL), (gssize)size, NULL));
    return open(path, O_RDONLY | O_CLOEXEC);
}

static bool keeps_all(const char *path, bool is_directory)
{
    return true;
}

static bool keeps_no_logs(const char *path, bool is_directory)
{
    return is_directory || !g_str_has_prefix(path, "var/log/");
}

/* The digest of the layer, or NULL and the error; nothing is left in tmp/. */
static char *pack(GBytes *bytes, size_t size, LayerArchiveKeeps keeps, GError **error)
{
    bool existed;
    autofd fd = open_bytes(bytes, size);
    LayerArchive *archive = layer_archive_new(layout, error);
    assert_non_null(archive);
    char *digest = layer_archive_copy(archive, fd, keeps, NULL, error)
                       ? layer_archive_finish(archive, error)
                       : NULL;
    if (digest)
        assert_true(layer_archive_commit(archive, &existed, error));
    layer_archive_free(archive);
    assert_int_equal(fixture_count(directory, "tmp"), 0);
    return digest;
}

static char *pack_given(const Given *given, time_t mtime, LayerArchiveKeeps keeps, GError **error)
{
    g_autoptr(GBytes) bytes = make_archive(given, mtime);
    return pack(bytes, g_bytes_get_size(bytes), keeps, error);
}

static const Given SYSTEM[] = {{"./", AE_IFDIR, 0755},
                               {"./bin", AE_IFLNK, 0777, "usr/bin"},
                               {"./dev/null", AE_IFCHR, 0666},
                               {"./run/socket", AE_IFIFO, 0666},
                               {"./usr/", AE_IFDIR, 0755},
                               {"./usr/bin/su", AE_IFREG, 04755, "binary"},
                               {"./usr/bin/su2", AE_IFREG, 04755, "./usr/bin/su", true},
                               {"./usr/share/F\xc5\x91tan.crt", AE_IFREG, 0644, "certificate"},
                               {"./var/log/", AE_IFDIR, 0755},
                               {"./var/log/dpkg.log", AE_IFREG, 0644, "today"},
                               {NULL}};

static void layer_has_what_tar_lists(void **state)
{
    g_autofree char *digest = pack_given(SYSTEM, 1700000000, keeps_no_logs, NULL);
    assert_non_null(digest);
    g_autofree char *path = g_build_filename(directory, "blobs/sha256", digest_hex(digest), NULL);
    g_setenv("TZ", "UTC", TRUE);
    const char *const command[] = {
        "tar", "--numeric-owner", "--quoting-style=literal", "-tvf", path, NULL};
    g_autofree char *listed = fixture_run(command);
    assert_string_equal(
        listed, "lrwxrwxrwx 42/7              0 1970-01-01 00:00 bin -> usr/bin\n"
                "drwxr-xr-x 42/7              0 1970-01-01 00:00 usr/\n"
                "-rwsr-xr-x 42/7              6 1970-01-01 00:00 usr/bin/su\n"
                "hrwsr-xr-x 42/7              0 1970-01-01 00:00 usr/bin/su2 link to "
                "usr/bin/su\n"
                "-rw-r--r-- 42/7             11 1970-01-01 00:00 usr/share/F\xc5\x91tan.crt\n"
                "drwxr-xr-x 42/7              0 1970-01-01 00:00 var/log/\n");
    g_autofree char *content = NULL;
    gsize length;
    assert_true(g_file_get_contents(path, &content, &length, NULL));
    assert_null(g_strstr_len(content, (gssize)length, "somebody"));
    assert_null(g_strstr_len(content, (gssize)length, "user.note"));
}

/* Whenever it was made, and whatever the locale. */
static void layer_has_the_same_bytes_for_ever(void **state)
{
    setlocale(LC_ALL, "C.UTF-8");
    g_autofree char *one = pack_given(SYSTEM, 1700000000, keeps_all, NULL);
    g_autofree char *two = pack_given(SYSTEM, 1800000000, keeps_all, NULL);
    setlocale(LC_ALL, "C");
    g_autoptr(GError) error = NULL;
    g_autoptr(GBytes) bytes = NULL;
    setlocale(LC_ALL, "C.UTF-8");
    bytes = make_archive(SYSTEM, 1);
    setlocale(LC_ALL, "C");
    g_autofree char *three = pack(bytes, g_bytes_get_size(bytes), keeps_all, &error);
    assert_string_equal(one, two);
    assert_string_equal(one, three);
}

static void layer_refuses_what_leads_outside(void **state)
{
    static const Given BAD[] = {{"../etc/passwd", AE_IFREG, 0644, "x"},
                                {"/etc/passwd", AE_IFREG, 0644, "x"},
                                {"a/../../b", AE_IFREG, 0644, "x"},
                                {"a\nb", AE_IFREG, 0644, "x"},
                                {"a", AE_IFREG, 0644, "../b", true},
                                {"a", AE_IFREG, 0644, "/etc/shadow", true}};
    for (size_t i = 0; i < G_N_ELEMENTS(BAD); i++) {
        g_autoptr(GError) error = NULL;
        const Given given[] = {BAD[i], {NULL}};
        assert_null(pack_given(given, 0, keeps_all, &error));
        assert_true(g_error_matches(error, ARCHIVE_ERROR, ARCHIVE_ERROR_ENTRY));
        assert_non_null(strstr(error->message, "expected one below its root"));
    }
}

static void layer_is_not_made_of_a_torn_archive(void **state)
{
    g_autoptr(GBytes) bytes = make_archive(SYSTEM, 0);
    for (size_t size = 700; size < 4000; size += 300) {
        g_autoptr(GError) error = NULL;
        g_autofree char *digest = pack(bytes, size, keeps_all, &error);
        if (!digest) /* cut between two entries it is not seen here, but by its writer's status */
            assert_true(g_error_matches(error, ARCHIVE_ERROR, ARCHIVE_ERROR_MALFORMED));
    }
    g_autoptr(GError) error = NULL;
    g_autoptr(GBytes) nonsense = g_bytes_new_static("nonsense", 8);
    assert_null(pack(nonsense, 8, keeps_all, &error));
    assert_true(g_error_matches(error, ARCHIVE_ERROR, ARCHIVE_ERROR_MALFORMED));
}

static void layer_stops_while_it_waits(void **state)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    Progress progress = {.stop = true};
    g_autoptr(GError) error = NULL;
    g_autoptr(LayerArchive) archive = layer_archive_new(layout, NULL);
    assert_false(layer_archive_copy(archive, ends[0], keeps_all, &progress, &error));
    assert_true(g_error_matches(error, G_IO_ERROR, G_IO_ERROR_CANCELLED));
    close(ends[0]);
    close(ends[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(layer_has_what_tar_lists, make_layout, remove_layout),
        cmocka_unit_test_setup_teardown(layer_has_the_same_bytes_for_ever, make_layout,
                                        remove_layout),
        cmocka_unit_test_setup_teardown(layer_refuses_what_leads_outside, make_layout,
                                        remove_layout),
        cmocka_unit_test_setup_teardown(layer_is_not_made_of_a_torn_archive, make_layout,
                                        remove_layout),
        cmocka_unit_test_setup_teardown(layer_stops_while_it_waits, make_layout, remove_layout)};
    setlocale(LC_ALL, "C.UTF-8");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
