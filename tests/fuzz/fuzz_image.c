/* What a foreign layout may hold: a manifest, an index, a config, index.json; and references as
 * people write them.
 *
 * The first byte of the input says which; the rest is its text. Invariants: reading ends with an
 * image or with an error that says why; what was read as an image has valid digests only. */
#include <fcntl.h>
#include <gio/gio.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "base/digest.h"
#include "base/io.h"
#include "image/image.h"
#include "image/reference.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char *directory;
static Layout *layout;

static void directory_remove(void)
{
    const char *argv[] = {"rm", "-rf", directory, NULL};
    layout_free(layout);
    g_spawn_sync(NULL, (char **)argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, NULL, NULL, NULL,
                 NULL);
    g_free(directory);
}

/* In memory where the machine has such a folder: each input is a file and an fsync. */
static void layout_once(void)
{
    if (layout)
        return;
    const char *memory = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : g_get_tmp_dir();
    directory = g_build_filename(memory, "waybill-fuzz-XXXXXX", NULL);
    g_assert(g_mkdtemp(directory));
    layout = layout_create(directory, NULL);
    g_assert(layout);
    atexit(directory_remove);
}

static void check_image(const Image *image)
{
    g_assert(digest_is_valid(image->manifest->digest) && digest_is_valid(image->config->digest));
    for (guint i = 0; i < image->layers->len; i++) {
        const Descriptor *layer = image->layers->pdata[i];
        g_assert(digest_is_valid(layer->digest) && layer->size >= 0);
    }
}

static void read_as(const char *media_type, const char *digest, size_t size)
{
    ImageFault fault = {0};
    g_autoptr(GError) error = NULL;
    json_t *descriptor = json_pack("{s:s, s:s, s:I}", "mediaType", media_type, "digest", digest,
                                   "size", (json_int_t)size);
    g_autoptr(Image) image =
        image_read(layout_source(layout), descriptor, "linux/amd64", &fault, &error);
    g_assert(!image == !!error);
    if (image)
        check_image(image);
    image_fault_clear(&fault);
    json_decref(descriptor);
}

static void read_blob(const char *media_type, const void *data, size_t size)
{
    g_autofree char *digest = layout_put(layout, data, size, NULL);
    g_assert(digest);
    read_as(media_type, digest, size);
    layout_remove_blob(layout, digest_hex(digest), NULL);
}

/* A manifest of ours around the config that is looked at. */
static void read_config(const void *data, size_t size)
{
    g_autofree char *config = layout_put(layout, data, size, NULL);
    g_autofree char *manifest = g_strdup_printf(
        "{\"schemaVersion\":2,\"mediaType\":\"application/"
        "vnd.oci.image.manifest.v1+json\",\"config\":{\"mediaType\":"
        "\"application/"
        "vnd.oci.image.config.v1+json\",\"digest\":\"%s\",\"size\":%zu},\"layers\":[]}",
        config, size);
    read_blob("application/vnd.oci.image.manifest.v1+json", manifest, strlen(manifest));
    layout_remove_blob(layout, digest_hex(config), NULL);
}

static void read_index_file(const void *data, size_t size)
{
    g_autofree char *path = g_build_filename(directory, "index.json", NULL);
    autofd fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    g_assert(fd >= 0 && io_write_all(fd, data, size, NULL));
    g_autoptr(GError) error = NULL;
    g_auto(GStrv) tags = layout_tags(layout, &error);
    g_assert(!tags == !!error);
    json_t *descriptor = layout_resolve(layout, "latest", NULL);
    json_decref(descriptor);
}

static void read_reference(const void *data, size_t size)
{
    g_autofree char *text = g_strndup(data, size);
    g_autoptr(GError) error = NULL;
    g_autoptr(Reference) reference = reference_parse(text, &error);
    g_assert(!reference == !!error);
    if (reference)
        g_assert(!reference->digest || digest_is_valid(reference->digest));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    layout_once();
    if (size < 1)
        return 0;
    const void *text = data + 1;
    switch (data[0]) {
    case 'm':
        read_blob("application/vnd.oci.image.manifest.v1+json", text, size - 1);
        break;
    case 'i':
        read_blob("application/vnd.oci.image.index.v1+json", text, size - 1);
        break;
    case 'c':
        read_config(text, size - 1);
        break;
    case 'x':
        read_index_file(text, size - 1);
        break;
    default:
        read_reference(text, size - 1);
    }
    return 0;
}
