#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/digest.h"
#include "base/io.h"
#include "image_fixture.h"
#include "import/service.h"
#include "store/attempts.h"
#include "store/environments.h"
#include "store/models.h"
#include "store/uploads.h"
#include "store/usage.h"
#include "upkeep/backup.h"
#include "upkeep/gc_schedule.h"
#include "upkeep/kept.h"
#include "upkeep/space.h"

static char *directory;
static Settings *settings;
static Service *service;

static int make_service(void **state)
{
    directory = fixture_directory();
    settings = settings_load("/dev/null", NULL, NULL);
    service = service_open(directory, true, settings, NULL);
    return service ? 0 : -1;
}

static int remove_service(void **state)
{
    service_free(service);
    settings_free(settings);
    fixture_remove(directory);
    g_clear_pointer(&directory, g_free);
    return 0;
}

static Db *begin(void)
{
    assert_true(db_begin(service->db, NULL));
    return service->db;
}

static void add_model(const char *id)
{
    Db *db = begin();
    assert_true(model_insert(db, id, PROJECT_DEFAULT, id, "0.0.1", 1, NULL, "", "", NULL));
    assert_true(db_commit(db, NULL));
}

static char *digest_named(const char *id, int attempt, const char *what)
{
    g_autofree char *text = g_strdup_printf("%s %d %s", id, attempt, what);
    return digest_of(text, strlen(text));
}

/* A blob in the layout, whose bytes are its name. */
static char *put_named(const char *id, int attempt, const char *what)
{
    g_autofree char *text = g_strdup_printf("%s %d %s", id, attempt, what);
    return layout_put(service->images, text, strlen(text), NULL);
}

/* With a layer, an image and a config of its own, all of them there. */
static void add_attempt(const char *id, int attempt, const char *outcome)
{
    g_autofree char *layer = put_named(id, attempt, "layer");
    g_autofree char *image = put_named(id, attempt, "image");
    g_autofree char *config = put_named(id, attempt, "config");
    const LayerRow row = {.origin = (char *)"model",
                          .digest = layer,
                          .media_type = (char *)"application/vnd.oci.image.layer.v1.tar",
                          .diff_id = layer,
                          .size = layout_blob_size(service->images, layer)};
    Db *db = begin();
    assert_true(attempt_insert(db, id, attempt, "{}", NULL));
    assert_true(layer_insert(db, id, attempt, &row, NULL));
    assert_true(attempt_set_image(db, id, attempt, image,
                                  "application/vnd.oci.image.manifest.v1+json",
                                  layout_blob_size(service->images, image), config, 1, NULL));
    assert_true(strcmp(outcome, "running") == 0 || attempt_end(db, id, attempt, outcome, NULL));
    assert_true(db_commit(db, NULL));
}

static void delete_model(const char *id)
{
    Db *db = begin();
    assert_true(model_mark_deleted(db, id, "anna", NULL));
    assert_true(db_commit(db, NULL));
}

static void assert_kept(const char *id, int attempt, bool layer, bool image)
{
    g_autoptr(Kept) kept = kept_read(service->db, service->images, NULL);
    const struct {
        const char *what;
        bool wanted;
    } blobs[] = {{"layer", layer}, {"image", image}, {"config", image}};
    for (size_t i = 0; i < G_N_ELEMENTS(blobs); i++) {
        g_autofree char *digest = digest_named(id, attempt, blobs[i].what);
        if (kept_has(kept, digest) != blobs[i].wanted)
            fail_msg("the %s of attempt %d is%s kept", blobs[i].what, attempt,
                     blobs[i].wanted ? " not" : "");
    }
}

static void newest_attempt_and_newest_image_are_kept(void **state)
{
    add_model("m");
    add_attempt("m", 1, "imported");
    add_attempt("m", 2, "imported");
    add_attempt("m", 3, "failed");
    add_attempt("m", 4, "failed");
    assert_kept("m", 1, false, false);
    assert_kept("m", 2, true, true);
    assert_kept("m", 3, false, false);
    assert_kept("m", 4, true, false); /* a retry takes its layers over */
}

static void running_attempt_keeps_what_it_may_take_over(void **state)
{
    add_model("m");
    add_attempt("m", 1, "failed");
    add_attempt("m", 2, "failed");
    add_attempt("m", 3, "running");
    assert_kept("m", 1, false, false);
    assert_kept("m", 2, true, false);
    assert_kept("m", 3, true, true);
}

static void kept_blob_names_those_who_need_it(void **state)
{
    add_model("m");
    add_attempt("m", 1, "imported");
    add_attempt("m", 2, "failed");
    g_autoptr(Kept) kept = kept_read(service->db, service->images, NULL);
    assert_int_equal(kept->blobs->len, 4);
    for (guint i = 0; i < kept->blobs->len; i++) {
        const KeptBlob *blob = kept->blobs->pdata[i];
        assert_int_equal(blob->models->len, 1);
        assert_string_equal(((KeptModel *)blob->models->pdata[0])->label, "m:0.0.1");
    }
}

static void remember_file(const char *digest, const char *packed_as, int inode)
{
    Db *db = begin();
    assert_true(db_exec(db, NULL,
                        "INSERT INTO file_digests(machine, device, inode, packed_as, size, "
                        "mtime_ns, ctime_ns, digest) VALUES ('a', 1, $1, $2, 1, 1, 1, $3)",
                        "iss", (int64_t)inode, packed_as, digest));
    assert_true(db_commit(db, NULL));
}

static int64_t remembered(void)
{
    int64_t count = -1;
    assert_true(
        db_query_int(service->db, &count, 0, NULL, "SELECT count(*) FROM file_digests", ""));
    return count;
}

static void gc_removes_what_is_not_kept_and_forgets_its_files(void **state)
{
    add_model("kept");
    add_model("gone");
    add_attempt("kept", 1, "imported");
    add_attempt("gone", 1, "imported");
    delete_model("gone");
    g_autofree char *kept_layer = digest_named("kept", 1, "layer");
    g_autofree char *gone_layer = digest_named("gone", 1, "layer");
    remember_file(kept_layer, "model/a", 1);
    remember_file(gone_layer, "model/a", 2);
    remember_file(gone_layer, "", 3); /* a file's own digest: true whatever is kept */

    GcResult dry, result;
    assert_true(gc_run(service, true, &dry, NULL));
    assert_int_equal(fixture_count(directory, "images/blobs/sha256"), 6);
    assert_int_equal(remembered(), 3);
    assert_true(gc_run(service, false, &result, NULL));
    assert_memory_equal(&dry, &result, sizeof dry);
    assert_int_equal(result.blobs, 3);
    assert_int_equal(result.kept, 3);
    assert_int_equal(result.digests, 1);
    assert_int_equal(fixture_count(directory, "images/blobs/sha256"), 3);
    assert_int_equal(remembered(), 2);
}

static void gc_removes_nothing_while_a_runtime_cannot_be_read(void **state)
{
    g_autofree char *stray = put_named("stray", 1, "layer");
    g_autofree char *manifest = digest_named("runtime", 1, "image");
    const Runtime runtime = {.name = (char *)"base",
                             .image = (char *)"oci:x:y",
                             .platform = (char *)"linux/amd64",
                             .digest = manifest,
                             .media_type = (char *)"application/vnd.oci.image.manifest.v1+json",
                             .manifest_size = 10};
    Db *db = begin();
    assert_true(runtime_put(db, &runtime, NULL));
    assert_true(db_commit(db, NULL));
    GcResult result;
    g_autoptr(GError) error = NULL;
    assert_false(gc_run(service, false, &result, &error));
    assert_true(error->domain == IMAGE_ERROR);
    assert_non_null(strstr(error->message, "nothing was removed: runtime base: "));
    assert_true(layout_has_blob(service->images, stray, -1));
}

static void left_overs_go_while_somebody_works_in_the_images(void **state)
{
    g_autofree char *stray = put_named("stray", 1, "layer");
    g_autofree char *left = g_build_filename(directory, "images/tmp/0123456789abcdef", NULL);
    assert_true(g_file_set_contents(left, "half", -1, NULL));
    autofd lock = layout_lock(service->images, false, NULL);
    assert_true(lock >= 0);
    service->progress.stop = true; /* it does not wait for that one */
    GcResult result;
    assert_true(gc_try(service, GC_OF_BOTH, &result, NULL));
    assert_true(result.busy);
    assert_int_equal(result.blobs, 0);
    assert_true(layout_has_blob(service->images, stray, -1));
    assert_int_equal(result.temporary, 1);
    assert_int_equal(result.temporary_bytes, 4);
    assert_false(g_file_test(left, G_FILE_TEST_EXISTS));
}

/* Of a node: a model that was deleted a year ago is everybody's, a blob that nobody needs and an
 * upload's files without a row are its own. */
static void each_part_of_gc_leaves_the_other_alone(void **state)
{
    GcResult result;
    g_autofree char *stray = put_named("stray", 1, "layer");
    g_autofree char *upload = g_build_filename(directory, "uploads/lost/files", NULL);
    assert_int_equal(g_mkdir_with_parents(upload, 0700), 0);
    add_model("gone");
    delete_model("gone");
    Db *db = begin();
    assert_true(db_exec(db, NULL, "UPDATE models SET deleted_at = 1", ""));
    assert_true(upload_insert(db, service->data, PROJECT_DEFAULT, "u", "me", NULL));
    assert_true(db_exec(db, NULL, "UPDATE uploads SET written_at = 1", ""));
    assert_true(db_commit(db, NULL));
    assert_true(gc_try(service, GC_OF_DIRECTORY, &result, NULL));
    assert_int_equal(result.models, 0);
    assert_int_equal(result.blobs, 1);
    assert_int_equal(result.uploads, 1);
    assert_false(g_file_test(upload, G_FILE_TEST_EXISTS));
    int64_t rows;
    assert_true(db_query_int(db, &rows, 0, NULL, "SELECT count(*) FROM uploads", ""));
    assert_int_equal(rows, 1); /* when it has expired is the store's to say */
    g_free(put_named("stray", 1, "layer"));
    assert_true(gc_try(service, GC_OF_STORE, &result, NULL));
    assert_int_equal(result.models, 1);
    assert_int_equal(result.blobs, 0);
    assert_true(layout_has_blob(service->images, stray, -1));
}

static void directory_opened_alone_excludes_everybody(void **state)
{
    g_autoptr(GError) error = NULL;
    assert_null(data_open_alone(directory, 100, &error));
    assert_true(g_error_matches(error, DB_ERROR, DB_ERROR_BUSY));
    g_clear_error(&error);
    g_clear_pointer(&service, service_free);
    g_autoptr(DataDirectory) alone = data_open_alone(directory, 100, &error);
    assert_non_null(alone);
    assert_null(data_open(directory, false, 100, &error));
    assert_true(g_error_matches(error, DB_ERROR, DB_ERROR_BUSY));
}

static void assert_no_backup(const char *content, const char *says)
{
    g_autofree char *source = fixture_directory();
    g_autofree char *file = g_build_filename(source, BACKUP_FILE, NULL);
    assert_true(g_file_set_contents(file, content, -1, NULL));
    g_autoptr(GError) error = NULL;
    assert_null(backup_restore(source, directory, settings, NULL, &error));
    assert_non_null(error);
    if (!strstr(error->message, says))
        fail_msg("\"%s\" does not say \"%s\"", error->message, says);
    fixture_remove(source);
}

static void backup_of_another_format_or_schema_is_refused_by_name(void **state)
{
    g_clear_pointer(&service, service_free);
    assert_no_backup("{", BACKUP_FILE);
    assert_no_backup("{}", "format");
    assert_no_backup("{\"format\": 2}", "its format is 2; this program knows 1");
    assert_no_backup("{\"format\": 1, \"schema\": 999, \"waybill\": \"9.1.0\", \"created_at\": 1, "
                     "\"models\": 1, \"runtimes\": 1, \"events\": 1, \"blobs\": 1, \"bytes\": 1, "
                     "\"database\": {\"digest\": \"\", \"size\": 1}}",
                     "has schema 999, written by waybill 9.1.0");
}

static void add_environment(const char *layer)
{
    const Environment environment = {.key = (char *)layer,
                                     .inputs = (char *)"{}",
                                     .base_digest = (char *)layer,
                                     .layer = (char *)layer,
                                     .layer_size = layout_blob_size(service->images, layer),
                                     .packages = (char *)"[]",
                                     .first_model = (char *)"m:0.0.1"};
    Db *db = begin();
    assert_true(environment_put(db, &environment, NULL));
    assert_true(db_commit(db, NULL));
}

static void space_says_what_deleting_frees(void **state)
{
    add_model("m");
    add_attempt("m", 1, "imported");
    g_autofree char *environment = put_named("env", 1, "layer");
    add_environment(environment);
    g_autoptr(Space) before = space_read(service, NULL, NULL);
    const SpaceModel *model = before->models->pdata[0];
    const SpaceProject *project = before->projects->pdata[0];
    assert_true(model->bytes > 0);
    assert_int_equal(model->alone, model->bytes);
    assert_int_equal(project->alone, project->bytes);
    assert_int_equal(before->environments.count, 1);
    assert_int_equal(before->environments.alone, layout_blob_size(service->images, environment));
    assert_int_equal(before->kept_bytes, before->blob_bytes);
    assert_int_equal(space_total(before), before->blob_bytes + before->store_bytes);

    /* gc keeps an environment's layer, so it is not the model's alone any more. */
    g_autofree char *layer = digest_named("m", 1, "layer");
    add_environment(layer);
    g_autoptr(Space) after = space_read(service, NULL, NULL);
    model = after->models->pdata[0];
    assert_int_equal(model->alone, model->bytes - layout_blob_size(service->images, layer));
    assert_int_equal(after->environments.count, 2);
    assert_int_equal(after->environments.alone, before->environments.alone);
    assert_int_equal(after->kept_bytes, before->kept_bytes);
}

static int64_t usage(const char *but)
{
    int64_t bytes = -1;
    assert_true(usage_of_project(service->db, PROJECT_DEFAULT, but, &bytes, NULL));
    return bytes;
}

static void usage_is_of_what_is_kept_each_blob_once(void **state)
{
    assert_int_equal(usage(""), 0);
    add_model("m");
    add_attempt("m", 1, "imported");
    const int64_t one = usage("");
    assert_true(one > 0);
    add_attempt("m", 2, "failed");
    assert_true(usage("") > one); /* its layer, which a retry takes over */
    add_attempt("m", 3, "imported");
    assert_int_equal(usage(""), one);
    assert_int_equal(usage("m"), 0);
    add_model("n");
    Db *db = begin();
    assert_true(attempt_insert(db, "n", 1, "{}", NULL));
    assert_true(db_exec(db, NULL,
                        "INSERT INTO layers SELECT 'n', 1, origin, position, digest, size, "
                        "media_type, diff_id, files, file, recipe FROM layers WHERE model_id = 'm' "
                        "AND attempt = 3",
                        ""));
    assert_true(db_commit(db, NULL));
    assert_int_equal(usage(""), one); /* shared */
    assert_true(usage("m") > 0);      /* n needs it, too */
    delete_model("m");
    delete_model("n");
    assert_int_equal(usage(""), 0);
}

/* -- gc by itself -- */

static gpointer look(gpointer data)
{
    int ran = 0;
    g_autoptr(Service) own = service_open(directory, false, settings, NULL);
    for (int i = 0; i < 20; i++) {
        g_autoptr(GcRun) run = NULL;
        g_autoptr(GError) error = NULL;
        if (!gc_schedule_look(own, GC_OF_STORE, &run, &error) &&
            !g_error_matches(error, DB_ERROR, DB_ERROR_BUSY))
            g_atomic_int_inc((int *)data);
        ran += run != NULL;
    }
    return GINT_TO_POINTER(ran);
}

/* Of four that look at the same moment, in connections of their own. */
static void one_of_several_takes_the_turn(void **state)
{
    GThread *threads[4];
    int faults = 0, ran = 0;
    g_autoptr(GcRun) first = NULL;
    assert_true(gc_schedule_look(service, GC_OF_STORE, &first, NULL));
    assert_null(first); /* it waits a day from now on */
    Db *db = begin();
    assert_true(db_exec(db, NULL, "UPDATE gc_runs SET began_at = began_at - 86400000", ""));
    assert_true(db_commit(db, NULL));
    for (size_t i = 0; i < G_N_ELEMENTS(threads); i++)
        threads[i] = g_thread_new("look", look, &faults);
    for (size_t i = 0; i < G_N_ELEMENTS(threads); i++)
        ran += GPOINTER_TO_INT(g_thread_join(threads[i]));
    assert_int_equal(faults, 0);
    assert_int_equal(ran, 1);
    g_autoptr(GcRun) run = gc_run_load(service->db, NULL);
    assert_string_equal(run->outcome, GC_RUN_DONE);
    assert_string_equal(run->result, "removed nothing");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_service, remove_service)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(newest_attempt_and_newest_image_are_kept),
        TEST(usage_is_of_what_is_kept_each_blob_once),
        TEST(space_says_what_deleting_frees),
        TEST(one_of_several_takes_the_turn),
        TEST(running_attempt_keeps_what_it_may_take_over),
        TEST(kept_blob_names_those_who_need_it),
        TEST(gc_removes_what_is_not_kept_and_forgets_its_files),
        TEST(gc_removes_nothing_while_a_runtime_cannot_be_read),
        TEST(each_part_of_gc_leaves_the_other_alone),
        TEST(left_overs_go_while_somebody_works_in_the_images),
        TEST(directory_opened_alone_excludes_everybody),
        TEST(backup_of_another_format_or_schema_is_refused_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
