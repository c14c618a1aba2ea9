#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/digest.h"
#include "base/io.h"
#include "image/layout.h"
#include "image_fixture.h"

#define ABSENT "sha256:0000000000000000000000000000000000000000000000000000000000000000"

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

static void assert_error(GError *error, ImageError code, const char *says)
{
    assert_non_null(error);
    if (!g_error_matches(error, IMAGE_ERROR, (int)code) || !strstr(error->message, says))
        fail_msg("%s %d: \"%s\" is not %d: \"%s\"", g_quark_to_string(error->domain), error->code,
                 error->message, code, says);
}

static void put_file(const char *name, const char *content)
{
    g_autofree char *path = g_build_filename(directory, name, NULL);
    assert_true(g_file_set_contents(path, content, -1, NULL));
}

static char *blob_path(const char *digest)
{
    return g_build_filename(directory, "blobs", "sha256", digest_hex(digest), NULL);
}

static char *put(const char *text)
{
    char *digest = layout_put(layout, text, strlen(text), NULL);
    assert_non_null(digest);
    return digest;
}

static void assert_no_layout(const char *path, const char *says)
{
    g_autoptr(GError) error = NULL;
    assert_null(layout_open(path, &error));
    assert_error(error, IMAGE_ERROR_NO_LAYOUT, says);
}

static void directory_that_is_no_layout_is_refused(void **state)
{
    g_autofree char *nowhere = g_build_filename(directory, "nowhere", NULL);
    assert_no_layout(nowhere, "no such directory");
    g_autofree char *file = g_build_filename(directory, "index.json", NULL);
    assert_no_layout(file, "is no directory");
    g_autofree char *blobs = g_build_filename(directory, "blobs", NULL);
    assert_no_layout(blobs, "has no oci-layout");

    put_file("oci-layout", "{\"imageLayoutVersion\":\"2.0.0\"}");
    g_autoptr(GError) error = NULL;
    assert_null(layout_open(directory, &error));
    assert_error(error, IMAGE_ERROR_MALFORMED, "\"2.0.0\", expected \"1.0.0\"");
    put_file("oci-layout", "{\"imageLayoutVersion\":\"1.0.0\"}");
}

static void layout_is_made_once(void **state)
{
    g_autofree char *digest = put("kept");
    g_autoptr(GError) error = NULL;
    g_autoptr(Layout) again = layout_create(directory, &error);
    assert_null(error);
    assert_true(layout_has_blob(again, digest, 4));
    g_auto(GStrv) tags = layout_tags(again, NULL);
    assert_int_equal(g_strv_length(tags), 0);
}

static void blob_is_stored_once_and_read_back(void **state)
{
    g_autofree char *digest = put("waybill");
    g_autofree char *again = put("waybill");
    assert_string_equal(digest, again);
    assert_int_equal(fixture_count(directory, "blobs/sha256"), 1);
    assert_int_equal(fixture_count(directory, "tmp"), 0);
    assert_true(layout_has_blob(layout, digest, 7));
    assert_true(layout_has_blob(layout, digest, -1));
    assert_false(layout_has_blob(layout, digest, 8));
    g_autoptr(GBytes) content = layout_read_blob(layout, digest, NULL);
    assert_int_equal(g_bytes_get_size(content), 7);
    assert_memory_equal(g_bytes_get_data(content, NULL), "waybill", 7);
}

static void torn_blob_is_replaced(void **state)
{
    g_autofree char *digest = digest_of("waybill", 7);
    g_autofree char *path = blob_path(digest);
    assert_true(g_file_set_contents(path, "way", -1, NULL));
    g_autofree char *stored = put("waybill");
    assert_string_equal(stored, digest);
    assert_true(layout_verify_blob(layout, digest, 7, NULL, NULL));
    assert_int_equal(fixture_count(directory, "tmp"), 0);
}

static void assert_damaged(const char *digest, int64_t expected, const char *hashes_to)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *found = NULL;
    assert_false(layout_verify_blob(layout, digest, expected, &found, &error));
    assert_error(error, IMAGE_ERROR_DAMAGED, digest);
    if (hashes_to)
        assert_string_equal(found, hashes_to);
    else
        assert_null(found);
}

static void damaged_blob_is_told_from_a_missing_one(void **state)
{
    g_autofree char *digest = put("waybill");
    g_autofree char *path = blob_path(digest);
    assert_true(g_file_set_contents(path, "Waybill", -1, NULL));
    g_autofree char *actual = digest_of("Waybill", 7);
    assert_damaged(digest, 7, actual);
    assert_damaged(digest, -1, actual);
    assert_damaged(digest, 8, actual);
    assert_damaged(digest, 6, NULL); /* larger than it may be: not read */
    g_autoptr(GError) error = NULL;
    assert_null(layout_read_blob(layout, digest, &error));
    assert_error(error, IMAGE_ERROR_DAMAGED, actual);

    g_clear_error(&error);
    assert_false(layout_verify_blob(layout, ABSENT, 7, NULL, &error));
    assert_error(error, IMAGE_ERROR_NO_BLOB, digest_hex(ABSENT));
    g_clear_error(&error);
    assert_int_equal(layout_open_blob(layout, "sha256:../../oci-layout", &error), -1);
    assert_error(error, IMAGE_ERROR_MALFORMED, "../../oci-layout");
}

static void blob_that_is_no_regular_file_is_never_opened(void **state)
{
    g_autofree char *path = blob_path(ABSENT);
    assert_int_equal(symlink("/etc/passwd", path), 0);
    g_autoptr(GError) error = NULL;
    assert_int_equal(layout_open_blob(layout, ABSENT, &error), -1);
    assert_error(error, IMAGE_ERROR_DAMAGED, "no regular file");
    g_clear_error(&error);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(layout_open_blob(layout, ABSENT, &error), -1);
    assert_error(error, IMAGE_ERROR_DAMAGED, "no regular file");
    assert_false(layout_has_blob(layout, ABSENT, -1));
}

static void blobs_folder_that_leads_outside_is_refused(void **state)
{
    g_autofree char *outside = fixture_directory();
    g_autofree char *other = g_build_filename(directory, "other", NULL);
    g_autofree char *link = g_build_filename(other, "blobs", NULL);
    assert_int_equal(mkdir(other, 0755), 0);
    put_file("other/oci-layout", "{\"imageLayoutVersion\":\"1.0.0\"}");
    assert_int_equal(symlink(outside, link), 0);
    g_autoptr(Layout) foreign = layout_open(other, NULL);
    assert_non_null(foreign);
    g_autoptr(GError) error = NULL;
    assert_int_equal(layout_open_blob(foreign, ABSENT, &error), -1);
    assert_error(error, IMAGE_ERROR_DAMAGED, digest_hex(ABSENT));
    fixture_remove(outside);
}

static void assert_index_refused(const char *content, ImageError code, const char *says)
{
    put_file("index.json", content);
    g_autoptr(GError) error = NULL;
    json_auto_t *descriptor = layout_resolve(layout, "a:1", &error);
    assert_null(descriptor);
    assert_error(error, code, says);
}

static void index_that_is_malformed_is_refused_with_its_place(void **state)
{
    assert_index_refused("{\"manifests\":\n [,]}", IMAGE_ERROR_MALFORMED,
                         "index.json, line 2, column 3");
    assert_index_refused("[]", IMAGE_ERROR_MALFORMED, "is [], expected an object");
    assert_index_refused("{}", IMAGE_ERROR_MALFORMED, "manifests is missing, expected an array");
    assert_index_refused("{\"manifests\":{}}", IMAGE_ERROR_MALFORMED, "manifests is {}");
    assert_index_refused("{\"manifests\":[]}", IMAGE_ERROR_NO_TAG, "no tag a:1 among its 0");
    assert_index_refused(
        "{\"manifests\":[1,{\"annotations\":{\"org.opencontainers.image.ref.name\":\"b\"}}]}",
        IMAGE_ERROR_NO_TAG, "among its 1");
    assert_index_refused(
        "{\"manifests\":[{\"digest\":\"x\",\"annotations\":{\"org.opencontainers.image.ref.name\":"
        "\"a:1\"}},{\"annotations\":{\"org.opencontainers.image.ref.name\":\"a:1\"}}]}",
        IMAGE_ERROR_MALFORMED, "two manifests a:1");
}

static void index_without_bounds_is_not_read(void **state)
{
    g_autofree char *path = g_build_filename(directory, "index.json", NULL);
    assert_int_equal(truncate(path, (4 << 20) + 1), 0);
    g_autoptr(Layout) foreign = layout_open(directory, NULL);
    g_autoptr(GError) error = NULL;
    assert_null(layout_tags(foreign, &error));
    assert_error(error, IMAGE_ERROR_MALFORMED, "4194305 bytes, expected at most 4194304");
}

static GPtrArray *two_entries(gpointer data, GError **error)
{
    GPtrArray *entries = g_ptr_array_new_with_free_func((GDestroyNotify)layout_entry_free);
    for (int i = 0; i < 2; i++) {
        LayoutEntry *entry = g_new0(LayoutEntry, 1);
        entry->name = g_strdup(i == 0 ? "default/b:1.0.0" : "default/a:1.0.0");
        entry->media_type = g_strdup("application/vnd.oci.image.manifest.v1+json");
        entry->digest = g_strdup(data);
        entry->size = 5;
        g_ptr_array_add(entries, entry);
    }
    return entries;
}

static void index_lists_its_entries_in_order_and_is_not_written_twice(void **state)
{
    g_autoptr(GError) error = NULL;
    assert_true(layout_write_index(layout, two_entries, (gpointer)ABSENT, &error));
    g_auto(GStrv) tags = layout_tags(layout, NULL);
    assert_int_equal(g_strv_length(tags), 2);
    assert_string_equal(tags[0], "default/a:1.0.0");
    assert_string_equal(tags[1], "default/b:1.0.0");
    json_auto_t *descriptor = layout_resolve(layout, "default/a:1.0.0", NULL);
    assert_string_equal(json_string_value(json_object_get(descriptor, "digest")), ABSENT);
    assert_int_equal(json_integer_value(json_object_get(descriptor, "size")), 5);

    struct stat before, after;
    bool current = false;
    assert_true(layout_index_is_current(layout, two_entries, (gpointer)ABSENT, &current, &error));
    assert_true(current);
    assert_int_equal(fstatat(layout_fd(layout), "index.json", &before, 0), 0);
    assert_true(layout_write_index(layout, two_entries, (gpointer)ABSENT, &error));
    assert_int_equal(fstatat(layout_fd(layout), "index.json", &after, 0), 0);
    assert_int_equal(before.st_ino, after.st_ino);
    put_file("index.json", "{\"manifests\":[]}");
    assert_true(layout_index_is_current(layout, two_entries, (gpointer)ABSENT, &current, &error));
    assert_false(current);
}

static void digest_resolves_without_the_index(void **state)
{
    g_autofree char *digest = put("{\"schemaVersion\":2,\"layers\":[]}");
    json_auto_t *descriptor = layout_resolve_digest(layout, digest, NULL);
    assert_string_equal(json_string_value(json_object_get(descriptor, "mediaType")),
                        "application/vnd.oci.image.manifest.v1+json");
    assert_int_equal(json_integer_value(json_object_get(descriptor, "size")), 31);
    g_autoptr(GError) error = NULL;
    assert_null(layout_resolve_digest(layout, ABSENT, &error));
    assert_error(error, IMAGE_ERROR_NO_MANIFEST, digest_hex(ABSENT));
    g_clear_error(&error);
    g_autofree char *other = put("{}");
    assert_null(layout_resolve_digest(layout, other, &error));
    assert_error(error, IMAGE_ERROR_MALFORMED, other);
}

static void *write_same_blobs(void *data)
{
    Layout *own = layout_create(directory, NULL);
    for (int i = 0; i < 50; i++) {
        g_autofree char *text = g_strdup_printf("blob %d", i);
        g_autofree char *digest = layout_put(own, text, strlen(text), NULL);
        g_autofree char *wanted = digest_of(text, strlen(text));
        if (!digest || strcmp(digest, wanted) != 0)
            return (gpointer) "a blob was not stored";
    }
    layout_free(own);
    return NULL;
}

static void writers_of_the_same_blobs_do_not_disturb_each_other(void **state)
{
    pthread_t threads[4];
    for (size_t i = 0; i < G_N_ELEMENTS(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, write_same_blobs, NULL), 0);
    int count, seen = 0;
    int64_t bytes;
    while (seen++ < 20) /* none of what it meets is a left-over */
        assert_true(layout_sweep_temporary(layout, false, &count, &bytes, NULL));
    for (size_t i = 0; i < G_N_ELEMENTS(threads); i++) {
        void *fault;
        pthread_join(threads[i], &fault);
        assert_null(fault);
    }
    assert_int_equal(fixture_count(directory, "blobs/sha256"), 50);
    assert_int_equal(fixture_count(directory, "tmp"), 0);
}

static void left_over_of_a_crash_is_swept_and_a_live_file_is_kept(void **state)
{
    pid_t child = fork();
    if (child == 0) {
        BlobWriter *writer = layout_begin_blob(layout, NULL);
        _exit(writer && blob_writer_write(writer, "torn", 4, NULL) ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    put_file("index.json.1.00000000.tmp", "{");
    BlobWriter *live = layout_begin_blob(layout, NULL);
    assert_true(blob_writer_write(live, "waybill", 7, NULL));
    assert_int_equal(fixture_count(directory, "tmp"), 2);

    int count;
    int64_t bytes;
    g_autoptr(GError) error = NULL;
    assert_true(layout_sweep_temporary(layout, true, &count, &bytes, &error));
    assert_int_equal(count, 2);
    assert_int_equal(fixture_count(directory, "tmp"), 2);
    assert_true(layout_sweep_temporary(layout, false, &count, &bytes, &error));
    assert_int_equal(count, 2);
    assert_int_equal(bytes, 5);
    g_autofree char *digest = digest_of("waybill", 7);
    bool existed;
    assert_true(blob_writer_commit(live, digest, &existed, NULL));
    assert_false(existed);
    assert_true(layout_verify_blob(layout, digest, 7, NULL, NULL));
    assert_int_equal(fixture_count(directory, "tmp"), 0);
}

static bool collect(const char *name, int64_t size, gpointer data, GError **error)
{
    g_ptr_array_add(data, g_strdup_printf("%s %d", name, (int)size));
    return true;
}

static void blobs_are_listed_and_removed_with_stray_files(void **state)
{
    g_autofree char *digest = put("waybill");
    put_file("blobs/sha256/stray", "x");
    g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
    assert_true(layout_each_blob(layout, collect, names, NULL));
    assert_int_equal(names->len, 2);
    g_autofree char *wanted = g_strdup_printf("%s 7", digest);
    assert_true(g_ptr_array_find_with_equal_func(names, wanted, g_str_equal, NULL));
    assert_true(g_ptr_array_find_with_equal_func(names, "stray 1", g_str_equal, NULL));

    assert_true(layout_remove_blob(layout, digest, NULL));
    assert_true(layout_remove_blob(layout, "stray", NULL));
    assert_true(layout_remove_blob(layout, "stray", NULL)); /* gone already */
    assert_false(layout_remove_blob(layout, "../../oci-layout", NULL));
    assert_int_equal(fixture_count(directory, "blobs/sha256"), 0);
}

static void gc_waits_for_those_who_publish(void **state)
{
    int first = layout_lock(layout, false, NULL);
    int second = layout_lock(layout, false, NULL);
    assert_true(first >= 0 && second >= 0);
    pid_t child = fork();
    if (child == 0) {
        alarm(1); /* ends it while it waits */
        _exit(layout_lock(layout, true, NULL) >= 0 ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    close(first);
    close(second);
    int exclusive = layout_lock(layout, true, NULL);
    assert_true(exclusive >= 0);
    close(exclusive);
}

/* -- blobs in parts -- */

static BlobWriter *resume(void)
{
    GError *error = NULL;
    BlobWriter *writer = layout_resume_blob(layout, "session", &error);
    if (!writer)
        fail_msg("%s", error->message);
    return writer;
}

static void blob_that_comes_in_parts_is_whole_at_the_end(void **state)
{
    bool existed;
    BlobWriter *writer = resume();
    assert_true(blob_writer_write(writer, "first ", 6, NULL));
    blob_writer_keep(writer);
    assert_int_equal(layout_partial_size(layout, "session"), 6);
    writer = resume();
    assert_int_equal(blob_writer_size(writer), 6);
    assert_true(blob_writer_write(writer, "second", 6, NULL));
    g_autofree char *digest = digest_of("first second", 12);
    g_autofree char *found = blob_writer_digest(writer, NULL);
    assert_string_equal(found, digest);
    assert_true(blob_writer_commit(writer, digest, &existed, NULL));
    assert_false(existed);
    assert_int_equal(layout_blob_size(layout, digest), 12);
    assert_int_equal(layout_partial_size(layout, "session"), 0);
}

static void part_has_one_writer_and_is_not_removed_under_it(void **state)
{
    int count = 0;
    int64_t bytes = 0;
    g_autoptr(GError) error = NULL;
    BlobWriter *writer = resume();
    assert_true(blob_writer_write(writer, "bytes", 5, NULL));
    assert_null(layout_resume_blob(layout, "session", &error));
    assert_true(g_error_matches(error, IO_ERROR, EBUSY));
    assert_true(layout_remove_partial(layout, "session", false, &count, &bytes, NULL));
    assert_int_equal(count, 0);
    blob_writer_keep(writer);
    g_autoptr(GPtrArray) names = layout_partial_names(layout, NULL);
    assert_int_equal(names->len, 1);
    assert_string_equal(names->pdata[0], "session");
    assert_true(layout_remove_partial(layout, "session", true, &count, &bytes, NULL));
    assert_int_equal(layout_partial_size(layout, "session"), 5);
    assert_true(layout_remove_partial(layout, "session", false, &count, &bytes, NULL));
    assert_int_equal(count, 2);
    assert_int_equal(bytes, 10);
    assert_true(layout_remove_partial(layout, "session", false, &count, &bytes, NULL));
    assert_int_equal(count, 2);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_layout, remove_layout)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(directory_that_is_no_layout_is_refused),
        TEST(layout_is_made_once),
        TEST(blob_is_stored_once_and_read_back),
        TEST(torn_blob_is_replaced),
        TEST(damaged_blob_is_told_from_a_missing_one),
        TEST(blob_that_is_no_regular_file_is_never_opened),
        TEST(blobs_folder_that_leads_outside_is_refused),
        TEST(index_that_is_malformed_is_refused_with_its_place),
        TEST(index_without_bounds_is_not_read),
        TEST(index_lists_its_entries_in_order_and_is_not_written_twice),
        TEST(digest_resolves_without_the_index),
        TEST(writers_of_the_same_blobs_do_not_disturb_each_other),
        TEST(left_over_of_a_crash_is_swept_and_a_live_file_is_kept),
        TEST(blobs_are_listed_and_removed_with_stray_files),
        TEST(gc_waits_for_those_who_publish),
        TEST(blob_that_comes_in_parts_is_whole_at_the_end),
        TEST(part_has_one_writer_and_is_not_removed_under_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
