#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <gio/gio.h>

#include "base/digest.h"
#include "base/io.h"
#include "image/layer.h"
#include "image_fixture.h"

#define MIB ((int64_t)1 << 20)

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

static Layer *write_all(Package *package)
{
    g_autoptr(GPtrArray) plans = layer_plan(package, 1);
    assert_int_equal(plans->len, 1);
    g_autoptr(GError) error = NULL;
    Event *finding = NULL;
    g_autoptr(BlobSink) sink = layout_sink(layout, NULL);
    Layer *layer = layer_write(plans->pdata[0], package, sink, NULL, &finding, &error);
    if (!layer)
        fail_msg("%s", error ? error->message : "a finding");
    assert_int_equal(layer->size, layer_plan_size(plans->pdata[0]));
    assert_true(layout_verify_blob(layout, layer->digest, layer->size, NULL, NULL));
    assert_int_equal(fixture_count(directory, "tmp"), 0);
    return layer;
}

static char *blob_path(const char *digest)
{
    return g_build_filename(directory, "blobs", "sha256", digest_hex(digest), NULL);
}

/* The digest was computed by a second implementation: Python's tarfile writes the same bytes. */
static void layer_has_the_same_bytes_for_ever(void **state)
{
    Package *package = fixture_package();
    fixture_add(package, "a-b", "first");
    fixture_add(package, "a/x", "");
    fixture_add(package, "a/y/z", "deep");
    fixture_add(package, "config.json", "{}\n");
    g_autoptr(Layer) layer = write_all(package);
    assert_false(layer->existed);
    assert_string_equal(layer->digest,
                        "sha256:1083aa44f3e515d0bdc535015fa65c96fe374142355d2831e2590749d3c81697");
    assert_int_equal(layer->digests->len, 4);
    g_autofree char *first = digest_of("first", 5);
    g_autofree char *nothing = digest_of("", 0);
    assert_string_equal(layer->digests->pdata[0], first);
    assert_string_equal(layer->digests->pdata[1], nothing);

    g_autoptr(Layer) again = write_all(package);
    assert_true(again->existed);
    assert_string_equal(again->digest, layer->digest);
    assert_int_equal(fixture_count(directory, "blobs/sha256"), 1);
    fixture_package_free(package);
}

static void layer_is_listed_by_tar_as_it_was_meant(void **state)
{
    Package *package = fixture_package();
    fixture_add(package, "a-b", "first");
    fixture_add(package, "a/x", "");
    g_autoptr(Layer) layer = write_all(package);
    g_autofree char *path = blob_path(layer->digest);
    const char *command[] = {"tar", "--numeric-owner", "--utc", "-tvf", path, NULL};
    g_autofree char *listing = fixture_run(command);
    assert_string_equal(listing,
                        "drwxr-xr-x 1000/100          0 1970-01-01 00:00 home/mind/model/\n"
                        "-rw-r--r-- 1000/100          5 1970-01-01 00:00 home/mind/model/a-b\n"
                        "drwxr-xr-x 1000/100          0 1970-01-01 00:00 home/mind/model/a/\n"
                        "-rw-r--r-- 1000/100          0 1970-01-01 00:00 home/mind/model/a/x\n");
    fixture_package_free(package);
}

/* Paths around each limit of ustar, with directories that need pax themselves. */
static void add_long_paths(Package *package)
{
    for (size_t length = 80; length <= 300; length++) {
        g_autoptr(GString) path = g_string_new(NULL);
        g_string_append_printf(path, "%03zu", length);
        for (size_t i = 3; i < length; i++)
            g_string_append_c(path, i % 60 == 59 && i + 1 < length ? '/' : 'n');
        fixture_add(package, path->str, path->str);
    }
    g_autofree char *name = g_strnfill(255, 'q');
    fixture_add(package, name, name);
    g_autofree char *below = g_strconcat(name, "r/模型/権重.bin", NULL);
    fixture_add(package, below, below);
    fixture_add(package, "模型/手写数字.pt", "模型/手写数字.pt");
}

static void layer_keeps_long_and_foreign_paths_in_tarfile_and_tar(void **state)
{
    static const char PROGRAM[] =
        "import sys, tarfile\n"
        "t = tarfile.open(sys.argv[1], 'r:', errors='strict')\n"
        "names = [m.name + ('/' if m.isdir() else '') for m in t]\n"
        "assert names == sorted(names, key=lambda n: n.encode()), 'order'\n"
        "assert len(set(names)) == len(names), 'twice'\n"
        "for m in t:\n"
        "    assert (m.uid, m.gid, m.mtime, m.uname, m.gname) == (1000, 100, 0, '', ''), m.name\n"
        "    assert m.mode == (0o755 if m.isdir() else 0o644), m.name\n"
        "    if m.isfile():\n"
        "        print(t.extractfile(m).read().decode() == m.name[len('home/mind/model/'):])\n";
    Package *package = fixture_package();
    add_long_paths(package);
    g_autoptr(Layer) layer = write_all(package);
    g_autofree char *path = blob_path(layer->digest);

    const char *python[] = {"python3", "-X", "utf8", "-c", PROGRAM, path, NULL};
    g_autofree char *answers = fixture_run(python);
    g_auto(GStrv) lines = g_strsplit(g_strchomp(answers), "\n", -1);
    assert_int_equal(g_strv_length(lines), package->files->len);
    for (char **line = lines; *line; line++)
        assert_string_equal(*line, "True");

    const char *tar[] = {"tar", "--quoting-style=literal", "-tf", path, NULL};
    g_autofree char *listing = fixture_run(tar);
    for (guint i = 0; i < package->files->len; i++) {
        const PackageFile *file = package->files->pdata[i];
        g_autofree char *wanted = g_strconcat("home/mind/model/", file->path, "\n", NULL);
        assert_non_null(strstr(listing, wanted));
    }
    fixture_package_free(package);
}

static void layer_of_more_than_8_gib_says_so_in_pax(void **state)
{
    Package *package = fixture_package();
    int64_t limit = INT64_C(8) << 30;
    fixture_add_zeros(package, "fits", limit - 1, 0);
    fixture_add_zeros(package, "large", limit, 0);
    g_autoptr(GPtrArray) plans = layer_plan(package, 10);
    assert_int_equal(plans->len, 2);
    /* directory, file, its content, end; and of the large one the pax header and its record */
    assert_int_equal(layer_plan_size(plans->pdata[0]), limit + 4 * 512);
    assert_int_equal(layer_plan_size(plans->pdata[1]), limit + 6 * 512);

    g_autoptr(GByteArray) headers = g_byte_array_new();
    layer_plan_headers(plans->pdata[0], 0, headers);
    assert_memory_equal(headers->data + 512 + 124, "77777777777", 12);
    g_byte_array_set_size(headers, 0);
    layer_plan_headers(plans->pdata[1], 0, headers);
    assert_int_equal(headers->len, 4 * 512);
    assert_memory_equal(headers->data + 512, "././@PaxHeader", 15);
    assert_string_equal((const char *)headers->data + 1024, "19 size=8589934592\n");
    assert_memory_equal(headers->data + 1536 + 124, "00000000000", 12);
    fixture_package_free(package);
}

static void plan_gives_large_files_a_layer_and_shares_the_others(void **state)
{
    Package *package = fixture_package();
    fixture_add_zeros(package, "a", 64 * MIB, 0);
    fixture_add_zeros(package, "b", 64 * MIB - 1, 0);
    fixture_add_zeros(package, "c", 63 * MIB, 0);
    fixture_add_zeros(package, "d", 63 * MIB, 0);
    fixture_add_zeros(package, "e", 63 * MIB, 0);
    fixture_add_zeros(package, "f", 4 * MIB, 0);
    fixture_add_zeros(package, "g", 100 * MIB, 0);
    g_autoptr(GPtrArray) plans = layer_plan(package, 4);
    assert_int_equal(plans->len, 4);
    static const guint FILES[] = {4, 1, 1, 1};
    static const char *const FIRST[] = {"b", "f", "a", "g"};
    for (guint i = 0; i < 4; i++) {
        const LayerPlan *plan = plans->pdata[i];
        assert_int_equal(plan->files->len, FILES[i]);
        assert_string_equal(((const PackageFile *)plan->files->pdata[0])->path, FIRST[i]);
        assert_int_equal(layer_plan_is_single(plan), i >= 2);
    }
    fixture_package_free(package);
}

static void plan_holds_all_files_in_as_few_layers_as_are_allowed(void **state)
{
    Package *package = fixture_package();
    for (int i = 0; i < 1000; i++) {
        g_autofree char *path = g_strdup_printf("shard-%04d", i);
        fixture_add_zeros(package, path, (i == 500 ? 9000 : 100) * MIB, 0);
    }
    for (int most = 1; most <= 1200; most = most * 3 + 1) {
        g_autoptr(GPtrArray) plans = layer_plan(package, most);
        assert_in_range(plans->len, 1, (guint)most);
        int64_t bytes = 0;
        guint files = 0;
        bool largest_alone = false;
        for (guint i = 0; i < plans->len; i++) {
            const LayerPlan *plan = plans->pdata[i];
            files += plan->files->len;
            bytes += plan->bytes;
            largest_alone |= plan->files->len == 1 && plan->bytes == 9000 * MIB;
        }
        assert_int_equal(files, 1000);
        assert_int_equal(bytes, package->bytes);
        assert_true(largest_alone || most < 13);
    }
    fixture_package_free(package);
}

static void plan_of_an_empty_package_is_empty(void **state)
{
    Package *package = fixture_package();
    g_autoptr(GPtrArray) plans = layer_plan(package, 100);
    assert_int_equal(plans->len, 0);
    fixture_package_free(package);
}

/* More than all buffers together, so that they go round. */
static void layer_of_a_large_file_has_only_its_own_digest(void **state)
{
    Package *package = fixture_package();
    fixture_add_zeros(package, "weights", 64 * MIB + 1, 64 * MIB + 1);
    g_autoptr(Layer) layer = write_all(package);
    assert_int_equal(layer->digests->len, 1);
    assert_null(layer->digests->pdata[0]);
    fixture_package_free(package);
}

static void small_files_across_buffers_have_their_own_digests(void **state)
{
    Package *package = fixture_package();
    for (int i = 0; i < 30; i++) {
        g_autofree char *path = g_strdup_printf("part-%02d", i);
        fixture_add_zeros(package, path, MIB - 15000 + 1024 * i, MIB - 15000 + 1024 * i);
    }
    g_autoptr(Layer) layer = write_all(package);
    assert_int_equal(layer->digests->len, 30);
    g_autofree char *zeros = g_malloc0((gsize)(2 * MIB));
    for (guint i = 0; i < 30; i++) {
        const PackageFile *file = package->files->pdata[i];
        g_autofree char *wanted = digest_of(zeros, (size_t)file->identity.size);
        assert_string_equal(layer->digests->pdata[i], wanted);
    }
    fixture_package_free(package);
}

static void assert_changed(int64_t listed, int64_t real)
{
    Package *package = fixture_package();
    fixture_add(package, "before", "sound");
    fixture_add_zeros(package, "changed", listed, real);
    g_autoptr(GPtrArray) plans = layer_plan(package, 1);
    g_autoptr(GError) error = NULL;
    Event *finding = NULL;
    BlobSink *sink = layout_sink(layout, NULL);
    assert_null(layer_write(plans->pdata[0], package, sink, NULL, &finding, &error));
    blob_sink_free(sink);
    assert_ptr_equal(finding, &fixture_finding);
    assert_null(error);
    assert_int_equal(fixture_count(directory, "tmp"), 0);
    assert_int_equal(fixture_count(directory, "blobs/sha256"), 0);
    fixture_package_free(package);
}

static void file_that_changes_its_size_is_a_finding_and_leaves_nothing(void **state)
{
    assert_changed(10 * MIB, 10 * MIB - 1);
    assert_changed(10 * MIB, 10 * MIB + 1);
    assert_changed(0, 1);
    assert_changed(1, 0);
}

static void stop_leaves_no_temporary_file(void **state)
{
    Package *package = fixture_package();
    fixture_add_zeros(package, "weights", 20 * MIB, 20 * MIB);
    g_autoptr(GPtrArray) plans = layer_plan(package, 1);
    Progress progress = {.stop = true};
    g_autoptr(GError) error = NULL;
    Event *finding = NULL;
    BlobSink *sink = layout_sink(layout, NULL);
    assert_null(layer_write(plans->pdata[0], package, sink, &progress, &finding, &error));
    blob_sink_free(sink);
    assert_true(g_error_matches(error, G_IO_ERROR, G_IO_ERROR_CANCELLED));
    assert_null(finding);
    assert_int_equal(fixture_count(directory, "tmp"), 0);
    assert_int_equal(fixture_count(directory, "blobs/sha256"), 0);
    fixture_package_free(package);
}

static void progress_counts_the_bytes_of_content(void **state)
{
    Package *package = fixture_package();
    fixture_add(package, "a", "12345");
    fixture_add_zeros(package, "b", 3 * MIB, 3 * MIB);
    g_autoptr(GPtrArray) plans = layer_plan(package, 1);
    Progress progress = {0};
    Event *finding = NULL;
    g_autoptr(BlobSink) sink = layout_sink(layout, NULL);
    g_autoptr(Layer) layer = layer_write(plans->pdata[0], package, sink, &progress, &finding, NULL);
    assert_non_null(layer);
    assert_int_equal(progress.bytes_done, 5 + 3 * MIB);
    fixture_package_free(package);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_layout, remove_layout)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(layer_has_the_same_bytes_for_ever),
        TEST(layer_is_listed_by_tar_as_it_was_meant),
        TEST(layer_keeps_long_and_foreign_paths_in_tarfile_and_tar),
        TEST(layer_of_more_than_8_gib_says_so_in_pax),
        TEST(plan_gives_large_files_a_layer_and_shares_the_others),
        TEST(plan_holds_all_files_in_as_few_layers_as_are_allowed),
        TEST(plan_of_an_empty_package_is_empty),
        TEST(layer_of_a_large_file_has_only_its_own_digest),
        TEST(small_files_across_buffers_have_their_own_digests),
        TEST(file_that_changes_its_size_is_a_finding_and_leaves_nothing),
        TEST(stop_leaves_no_temporary_file),
        TEST(progress_counts_the_bytes_of_content),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
