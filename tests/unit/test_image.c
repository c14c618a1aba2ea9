#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <gio/gio.h>

#include "base/digest.h"
#include "image/image.h"
#include "image_fixture.h"

#define OCI    "application/vnd.oci.image."
#define DOCKER "application/vnd.docker."
#define LAYER  "the bytes of a layer"

static char *directory;
static Layout *base, *store;
static ImageFault fault;

static int make_layouts(void **state)
{
    directory = fixture_directory();
    g_autofree char *base_directory = g_build_filename(directory, "base", NULL);
    g_autofree char *store_directory = g_build_filename(directory, "store", NULL);
    base = layout_create(base_directory, NULL);
    store = layout_create(store_directory, NULL);
    return base && store ? 0 : -1;
}

static int remove_layouts(void **state)
{
    image_fault_clear(&fault);
    layout_free(base);
    layout_free(store);
    fixture_remove(directory);
    g_clear_pointer(&directory, g_free);
    return 0;
}

/* Stores a text in the base and returns its descriptor. */
static json_t *put(const char *media_type, const char *text)
{
    g_autofree char *digest = layout_put(base, text, strlen(text), NULL);
    assert_non_null(digest);
    return json_pack("{s:s, s:s, s:I}", "mediaType", media_type, "digest", digest, "size",
                     (json_int_t)strlen(text));
}

/* Takes the document over. */
static json_t *put_json(const char *media_type, json_t *document)
{
    g_autofree char *text = json_dumps(document, JSON_COMPACT | JSON_SORT_KEYS);
    json_decref(document);
    return put(media_type, text);
}

static json_t *make_config(const char *architecture)
{
    g_autofree char *diff_id = digest_of(LAYER, strlen(LAYER));
    return json_pack("{s:s, s:s, s:s, s:{s:[s], s:{s:s}, s:s}, s:{s:s, s:[s]}, s:[{s:s}, "
                     "{s:s, s:b}]}",
                     "architecture", architecture, "os", "linux", "created", "2020-01-01T00:00:00Z",
                     "config", "Cmd", "serve", "Labels", "vendor", "somebody", "User", "ma-user",
                     "rootfs", "type", "layers", "diff_ids", diff_id, "history", "created_by",
                     "mmdebstrap", "created_by", "CMD serve", "empty_layer", 1);
}

static json_t *make_manifest(json_t *config)
{
    return json_pack("{s:i, s:s, s:o, s:[o]}", "schemaVersion", 2, "mediaType",
                     OCI "manifest.v1+json", "config", put_json(OCI "config.v1+json", config),
                     "layers", put(OCI "layer.v1.tar", LAYER));
}

static json_t *put_image(const char *architecture)
{
    return put_json(OCI "manifest.v1+json", make_manifest(make_config(architecture)));
}

static Image *read_image(json_t *descriptor, const char *platform)
{
    g_autoptr(GError) error = NULL;
    Image *image = image_read(layout_source(base), descriptor, platform, &fault, &error);
    if (!image)
        fail_msg("%s", error->message);
    return image;
}

/* Takes the descriptor over. */
static void assert_refused(json_t *descriptor, const char *platform, ImageError code,
                           const char *says)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(Image) image = image_read(layout_source(base), descriptor, platform, &fault, &error);
    json_decref(descriptor);
    assert_null(image);
    if (!g_error_matches(error, IMAGE_ERROR, (int)code) || !strstr(error->message, says))
        fail_msg("%d: \"%s\" is not %d: \"%s\"", error->code, error->message, code, says);
}

static char *blob_path(const Layout *layout, const char *digest)
{
    return g_build_filename(layout_directory(layout), "blobs", "sha256", digest_hex(digest), NULL);
}

static void overwrite(const char *digest, const char *content)
{
    g_autofree char *path = blob_path(base, digest);
    assert_true(g_file_set_contents(path, content, -1, NULL));
}

static const char *digest_in(json_t *descriptor)
{
    return json_string_value(json_object_get(descriptor, "digest"));
}

static void image_is_read_with_its_config(void **state)
{
    json_auto_t *descriptor = put_image("amd64");
    g_autoptr(Image) image = read_image(descriptor, "linux/amd64");
    assert_string_equal(image->platform, "linux/amd64");
    assert_int_equal(image->layers->len, 1);
    assert_int_equal(image->diff_ids->len, 1);
    assert_string_equal(image->manifest->digest, digest_in(descriptor));
    assert_int_equal(image->size,
                     image->manifest->size + image->config->size + (int64_t)strlen(LAYER));
}

static void docker_image_is_read(void **state)
{
    json_t *manifest = make_manifest(make_config("amd64"));
    json_object_set_new(manifest, "mediaType", json_string(DOCKER "distribution.manifest.v2+json"));
    json_object_set_new(json_object_get(manifest, "config"), "mediaType",
                        json_string(DOCKER "container.image.v1+json"));
    json_object_set_new(json_array_get(json_object_get(manifest, "layers"), 0), "mediaType",
                        json_string(DOCKER "image.rootfs.diff.tar.gzip"));
    json_auto_t *descriptor = put_json(DOCKER "distribution.manifest.v2+json", manifest);
    g_autoptr(Image) image = read_image(descriptor, NULL);
    assert_int_equal(image->layers->len, 1);
}

static json_t *with_platform(json_t *descriptor, const char *architecture, const char *variant)
{
    json_object_set_new(descriptor, "platform",
                        json_pack("{s:s, s:s, s:s*}", "os", "linux", "architecture", architecture,
                                  "variant", variant));
    return descriptor;
}

static json_t *put_index(json_t *first, json_t *second)
{
    return put_json(OCI "index.v1+json",
                    json_pack("{s:i, s:[o, o*]}", "schemaVersion", 2, "manifests", first, second));
}

static void index_offers_the_platform_that_is_wanted(void **state)
{
    json_t *arm = with_platform(put_image("arm64"), "arm64", "v8");
    g_autofree char *arm_digest = g_strdup(digest_in(arm));
    json_auto_t *flat = put_index(with_platform(put_image("amd64"), "amd64", NULL), arm);
    g_autoptr(Image) image = read_image(flat, "linux/arm64");
    assert_string_equal(image->manifest->digest, arm_digest);

    json_auto_t *nested = put_index(put_index(json_incref(flat), NULL), NULL);
    g_autoptr(Image) inner = read_image(nested, "linux/arm64/v8");
    assert_string_equal(inner->manifest->digest, arm_digest);
    assert_refused(put_index(put_index(json_incref(nested), NULL), NULL), "linux/arm64",
                   IMAGE_ERROR_MALFORMED, "more than 2 deep");
}

static void platform_that_is_not_there_is_told_with_those_that_are(void **state)
{
    json_t *attestation = with_platform(put_image("ppc64le"), "unknown", NULL);
    json_object_set_new(json_object_get(attestation, "platform"), "os", json_string("unknown"));
    assert_refused(put_index(attestation, with_platform(put_image("arm64"), "arm64", NULL)),
                   "linux/amd64", IMAGE_ERROR_PLATFORM, "is for linux/arm64, expected linux/amd64");
    assert_int_equal(g_strv_length(fault.platforms), 1);
    assert_string_equal(fault.platforms[0], "linux/arm64");

    assert_refused(put_image("s390x"), "linux/amd64", IMAGE_ERROR_PLATFORM, "is for linux/s390x");
    assert_string_equal(fault.platforms[0], "linux/s390x");
    /* The entry says nothing, the config does. */
    assert_refused(put_index(put_image("riscv64"), NULL), "linux/amd64", IMAGE_ERROR_PLATFORM,
                   "is for linux/riscv64");
}

typedef struct {
    const char *key, *value, *says; /* member of the manifest, JSON */
    ImageError code;
} Wrong;

static void manifest_that_is_malformed_is_refused_with_its_place(void **state)
{
    static const char D[] = "sha256:"
                            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    static const char LAYER_TYPE[] = OCI "layer.v1.tar";
    g_autofree char *negative =
        g_strdup_printf("[{\"mediaType\":\"%s\",\"digest\":\"%s\",\"size\":-3}]", LAYER_TYPE, D);
    g_autofree char *real =
        g_strdup_printf("[{\"mediaType\":\"%s\",\"digest\":\"%s\",\"size\":1.5}]", LAYER_TYPE, D);
    g_autofree char *foreign =
        g_strdup_printf("[{\"mediaType\":\"" OCI
                        "layer.nondistributable.v1.tar\",\"digest\":\"%s\",\"size\":1}]",
                        D);
    g_autofree char *huge =
        g_strdup_printf("[{\"mediaType\":\"%s\",\"digest\":\"%s\",\"size\":9223372036854775807}]",
                        LAYER_TYPE, D);
    const Wrong wrongs[] = {
        {"schemaVersion", "1", "schemaVersion is 1, expected 2", IMAGE_ERROR_MALFORMED},
        {"mediaType", "\"x\"", "mediaType is \"x\", expected", IMAGE_ERROR_MALFORMED},
        {"config", "null", "config is null, expected an object", IMAGE_ERROR_MALFORMED},
        {"layers", "{}", "layers is {}, expected an array", IMAGE_ERROR_MALFORMED},
        {"layers", "[[]]", "layers[0] is [], expected a descriptor", IMAGE_ERROR_MALFORMED},
        {"layers", "[{}]", "layers[0]: mediaType is missing", IMAGE_ERROR_MALFORMED},
        {"layers", "[{\"mediaType\":\"a\",\"digest\":\"sha256:../x\"}]",
         "layers[0]: digest is \"sha256:../x\"", IMAGE_ERROR_MALFORMED},
        {"layers", negative, "layers[0]: size is -3", IMAGE_ERROR_MALFORMED},
        {"layers", real, "layers[0]: size is 1.5", IMAGE_ERROR_MALFORMED},
        {"layers", foreign, "layers[0] is of media type", IMAGE_ERROR_UNSUPPORTED},
        {"layers", huge, "add up to more than 2^63", IMAGE_ERROR_MALFORMED},
        {"layers", "[]", "diff_ids has 1 entries, expected 0", IMAGE_ERROR_MALFORMED},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(wrongs); i++) {
        json_t *manifest = make_manifest(make_config("amd64"));
        json_object_set_new(manifest, wrongs[i].key,
                            json_loads(wrongs[i].value, JSON_DECODE_ANY, NULL));
        assert_refused(put_json(OCI "manifest.v1+json", manifest), NULL, wrongs[i].code,
                       wrongs[i].says);
    }
    assert_refused(put(OCI "manifest.v1+json", "{"), NULL, IMAGE_ERROR_MALFORMED, "line 1");
    assert_refused(put(DOCKER "distribution.manifest.v1+prettyjws", "{}"), NULL,
                   IMAGE_ERROR_UNSUPPORTED, "prettyjws");
    assert_refused(json_string("x"), NULL, IMAGE_ERROR_MALFORMED, "expected a descriptor");
}

static void config_that_is_malformed_is_refused_with_its_place(void **state)
{
    static const struct {
        const char *key, *value, *says;
    } WRONGS[] = {
        {"os", "null", "os is null, expected a string"},
        {"architecture", "5", "architecture is 5, expected a string"},
        {"rootfs", "[]", "rootfs is [], expected an object"},
        {"rootfs", "{\"diff_ids\":[7]}", "rootfs.diff_ids[0] is 7, expected sha256:"},
        {"rootfs", "{\"diff_ids\":[]}", "has 0 entries, expected 1"},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(WRONGS); i++) {
        json_t *config = make_config("amd64");
        json_object_set_new(config, WRONGS[i].key,
                            json_loads(WRONGS[i].value, JSON_DECODE_ANY, NULL));
        assert_refused(put_json(OCI "manifest.v1+json", make_manifest(config)), NULL,
                       IMAGE_ERROR_MALFORMED, WRONGS[i].says);
    }
    json_t *manifest = make_manifest(make_config("amd64"));
    json_object_set_new(json_object_get(manifest, "config"), "mediaType",
                        json_string("application/vnd.cncf.helm.config.v1+json"));
    assert_refused(put_json(OCI "manifest.v1+json", manifest), NULL, IMAGE_ERROR_UNSUPPORTED,
                   "helm.config");
}

static void damaged_or_missing_manifest_is_named(void **state)
{
    json_t *descriptor = put_image("amd64");
    g_autofree char *digest = g_strdup(digest_in(descriptor));
    overwrite(digest, "not what it was");
    g_autofree char *found = digest_of("not what it was", 15);
    assert_refused(json_incref(descriptor), NULL, IMAGE_ERROR_DAMAGED, digest);
    assert_string_equal(fault.bad_digest, digest);
    assert_string_equal(fault.found, found);

    assert_true(layout_remove_blob(base, digest, NULL));
    assert_refused(descriptor, NULL, IMAGE_ERROR_NO_BLOB, digest_hex(digest));
    assert_string_equal(fault.bad_digest, digest);
    assert_null(fault.found);

    descriptor = put_image("arm64");
    json_object_set_new(descriptor, "size", json_integer(7));
    assert_refused(descriptor, NULL, IMAGE_ERROR_DAMAGED, "expected 7");
}

static void image_is_copied_once(void **state)
{
    json_auto_t *descriptor = put_image("amd64");
    g_autoptr(Image) image = read_image(descriptor, NULL);
    Progress progress = {0};
    int64_t copied, reused;
    g_autoptr(GError) error = NULL;
    assert_true(
        image_copy(layout_source(base), image, store, &progress, &copied, &reused, &fault, &error));
    assert_int_equal(copied, image->size);
    assert_int_equal(reused, 0);
    assert_int_equal(progress.bytes_done, image->size);
    g_autoptr(Image) again = image_read(layout_source(store), descriptor, NULL, NULL, NULL);
    assert_non_null(again);
    assert_true(
        image_copy(layout_source(base), image, store, NULL, &copied, &reused, NULL, &error));
    assert_int_equal(copied, 0);
    assert_int_equal(reused, image->size);
    assert_int_equal(fixture_count(layout_directory(store), "tmp"), 0);
}

static void assert_not_copied(const Image *image, ImageError code, const char *found)
{
    int64_t copied, reused;
    g_autoptr(GError) error = NULL;
    assert_false(
        image_copy(layout_source(base), image, store, NULL, &copied, &reused, &fault, &error));
    assert_true(g_error_matches(error, IMAGE_ERROR, (int)code));
    const Descriptor *layer = image->layers->pdata[0];
    assert_non_null(strstr(error->message, digest_hex(layer->digest)));
    assert_string_equal(fault.bad_digest, layer->digest);
    if (found) {
        g_autofree char *digest = digest_of(found, strlen(found));
        assert_string_equal(fault.found, digest);
    } else {
        assert_null(fault.found);
    }
    assert_int_equal(fixture_count(layout_directory(store), "tmp"), 0);
}

static void damaged_layer_is_never_copied(void **state)
{
    json_auto_t *descriptor = put_image("amd64");
    g_autoptr(Image) image = read_image(descriptor, NULL);
    const char *digest = ((const Descriptor *)image->layers->pdata[0])->digest;
    for (int round = 0; round < 2; round++) {
        overwrite(digest, "THE bytes of a layer");
        assert_not_copied(image, IMAGE_ERROR_DAMAGED, "THE bytes of a layer");
        overwrite(digest, "short");
        assert_not_copied(image, IMAGE_ERROR_DAMAGED, "short");
        overwrite(digest, LAYER " and more");
        assert_not_copied(image, IMAGE_ERROR_DAMAGED, NULL);
        assert_true(layout_remove_blob(base, digest, NULL));
        assert_not_copied(image, IMAGE_ERROR_NO_BLOB, NULL);
        assert_int_equal(fixture_count(layout_directory(store), "blobs/sha256"), round);
        /* In the second round the store has the layer, and the source is damaged all the same. */
        g_free(layout_put(store, LAYER, strlen(LAYER), NULL));
    }
}

static void stopped_copy_leaves_nothing(void **state)
{
    json_auto_t *descriptor = put_image("amd64");
    g_autoptr(Image) image = read_image(descriptor, NULL);
    Progress progress = {.stop = true};
    int64_t copied, reused;
    g_autoptr(GError) error = NULL;
    assert_false(
        image_copy(layout_source(base), image, store, &progress, &copied, &reused, &fault, &error));
    assert_true(g_error_matches(error, G_IO_ERROR, G_IO_ERROR_CANCELLED));
    assert_int_equal(fixture_count(layout_directory(store), "tmp"), 0);
    assert_int_equal(fixture_count(layout_directory(store), "blobs/sha256"), 0);
}

static const ImageLayer LARGE = {
    OCI "layer.v1.tar",
    "sha256:1111111111111111111111111111111111111111111111111111111111111111",
    "sha256:1111111111111111111111111111111111111111111111111111111111111111",
    67110400,
    "variables/权重.bin",
    1};
static const ImageLayer SHARED = {
    OCI "layer.v1.tar",
    "sha256:2222222222222222222222222222222222222222222222222222222222222222",
    "sha256:2222222222222222222222222222222222222222222222222222222222222222",
    4096,
    NULL,
    12};

static Image *make_image(const Image *from, const char *description, GError **error)
{
    g_autoptr(GPtrArray) layers = g_ptr_array_new();
    g_ptr_array_add(layers, (gpointer)&SHARED);
    g_ptr_array_add(layers, (gpointer)&LARGE);
    ImageSpec spec = {from, layers, "手写数字", "1.0.0", "PyTorch", description, 8080};
    return image_make(store, &spec, error);
}

/* The digests were computed by a second implementation, from the same content in Python. */
static void model_image_has_the_same_bytes_for_ever(void **state)
{
    json_auto_t *descriptor = put_image("amd64");
    g_autoptr(Image) from = read_image(descriptor, NULL);
    g_autoptr(Image) image = make_image(from, "digits", NULL);
    assert_non_null(image);
    assert_string_equal(image->config->digest,
                        "sha256:38dd101b5d4b7407e419a01ba7925afc150eeb6d9c8e1097e67842b712f999a1");
    assert_string_equal(image->manifest->digest,
                        "sha256:07ae000f24840f0b1e5c654e5ea6ba1aa30c2ebd1ef643f8a2c7984a96913920");
    g_autoptr(Image) again = make_image(from, "digits", NULL);
    assert_string_equal(again->manifest->digest, image->manifest->digest);
}

static json_t *at(const json_t *object, const char *a, const char *b)
{
    return json_object_get(json_object_get(object, a), b);
}

static void model_image_names_files_only_for_layers_of_one(void **state)
{
    json_auto_t *descriptor = put_image("amd64");
    g_autoptr(Image) from = read_image(descriptor, NULL);
    g_autoptr(Image) image = make_image(from, NULL, NULL);
    const json_t *layers = json_object_get(image->manifest_json, "layers");
    assert_int_equal(json_array_size(layers), 3);
    assert_null(json_object_get(json_array_get(layers, 0), "annotations"));
    const json_t *shared = json_array_get(layers, 1), *large = json_array_get(layers, 2);
    assert_string_equal(json_string_value(at(shared, "annotations", "io.waybill.files")), "12");
    assert_string_equal(json_string_value(at(large, "annotations", "io.waybill.file")),
                        "variables/权重.bin");
}

static void model_image_says_nothing_of_the_base_as_its_own(void **state)
{
    json_t *config = make_config("amd64");
    json_object_set_new(at(config, "config", "Labels"), "org.opencontainers.image.description",
                        json_string("a base"));
    json_array_append_new(json_object_get(config, "history"), json_object()); /* one too many */
    json_auto_t *descriptor = put_json(OCI "manifest.v1+json", make_manifest(config));
    g_autoptr(Image) from = read_image(descriptor, NULL);
    g_autoptr(Image) image = make_image(from, NULL, NULL);
    assert_null(json_object_get(image->config_json, "created"));
    assert_null(json_object_get(image->config_json, "history"));
    const json_t *labels = at(image->config_json, "config", "Labels");
    assert_null(json_object_get(labels, "org.opencontainers.image.description"));
    assert_string_equal(json_string_value(json_object_get(labels, "vendor")), "somebody");
}

static void docker_base_becomes_an_oci_image(void **state)
{
    json_t *config = make_config("amd64");
    json_object_set_new(json_object_get(config, "config"), "Labels", json_null());
    json_object_set_new(config, "container", json_string("abc"));
    json_t *manifest = make_manifest(config);
    json_object_set_new(json_array_get(json_object_get(manifest, "layers"), 0), "mediaType",
                        json_string(DOCKER "image.rootfs.diff.tar.gzip"));
    json_auto_t *descriptor = put_json(OCI "manifest.v1+json", manifest);
    g_autoptr(Image) from = read_image(descriptor, NULL);
    g_autoptr(Image) image = make_image(from, NULL, NULL);
    assert_non_null(image);
    assert_string_equal(((const Descriptor *)image->layers->pdata[0])->media_type,
                        OCI "layer.v1.tar+gzip");
    assert_null(json_object_get(image->config_json, "container"));
}

static void base_without_diff_ids_is_refused(void **state)
{
    json_t *config = make_config("amd64");
    json_object_del(config, "rootfs");
    json_auto_t *descriptor = put_json(OCI "manifest.v1+json", make_manifest(config));
    g_autoptr(Image) from = read_image(descriptor, NULL);
    g_autoptr(GError) error = NULL;
    assert_null(make_image(from, NULL, &error));
    assert_true(g_error_matches(error, IMAGE_ERROR, IMAGE_ERROR_MALFORMED));
    g_clear_error(&error);
    json_auto_t *sound = put_image("amd64");
    g_autoptr(Image) other = read_image(sound, NULL);
    assert_null(make_image(other, "\xff", &error));
    assert_true(g_error_matches(error, IMAGE_ERROR, IMAGE_ERROR_MALFORMED));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_layouts, remove_layouts)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(image_is_read_with_its_config),
        TEST(docker_image_is_read),
        TEST(index_offers_the_platform_that_is_wanted),
        TEST(platform_that_is_not_there_is_told_with_those_that_are),
        TEST(manifest_that_is_malformed_is_refused_with_its_place),
        TEST(config_that_is_malformed_is_refused_with_its_place),
        TEST(damaged_or_missing_manifest_is_named),
        TEST(image_is_copied_once),
        TEST(damaged_layer_is_never_copied),
        TEST(stopped_copy_leaves_nothing),
        TEST(model_image_has_the_same_bytes_for_ever),
        TEST(model_image_names_files_only_for_layers_of_one),
        TEST(model_image_says_nothing_of_the_base_as_its_own),
        TEST(docker_base_becomes_an_oci_image),
        TEST(base_without_diff_ids_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
