#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/digest.h"
#include "base/io.h"
#include "image/image_json.h"
#include "image/layout_private.h"

#define LOCK_INDEX     ".index.lock"
#define LOCK_GC        ".gc.lock"
#define ANNOTATION_TAG "org.opencontainers.image.ref.name"

static int take_lock(Layout *layout, const char *name, int operation, GError **error)
{
    autofd fd = openat(layout->fd, name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
    int result = fd;
    while (fd >= 0 && (result = flock(fd, operation)) < 0 && errno == EINTR)
        continue;
    if (result < 0) {
        io_fail(error, errno, "%s/%s", layout->directory, name);
        return -1;
    }
    return io_steal_fd(&fd);
}

int layout_lock_index(Layout *layout, GError **error)
{
    return take_lock(layout, LOCK_INDEX, LOCK_EX, error);
}

int layout_lock(Layout *layout, bool exclusive, GError **error)
{
    return take_lock(layout, LOCK_GC, exclusive ? LOCK_EX : LOCK_SH, error);
}

int layout_try_lock(Layout *layout, GError **error)
{
    return take_lock(layout, LOCK_GC, LOCK_EX | LOCK_NB, error);
}

static GBytes *read_index(Layout *layout, GError **error)
{
    bool ours = layout->temporary >= 0;
    return layout_read_file(layout, LAYOUT_INDEX, ours ? LAYOUT_MAX_INDEX : LAYOUT_MAX_JSON,
                            IMAGE_ERROR_NO_LAYOUT, error);
}

/* index.json; *manifests is its array, borrowed from it. */
static json_t *load_index(Layout *layout, json_t **manifests, GError **error)
{
    g_autoptr(GBytes) content = read_index(layout, error);
    if (!content)
        return NULL;
    g_autofree char *where = g_strdup_printf("%s/" LAYOUT_INDEX, layout->directory);
    json_auto_t *index = image_json_load(where, content, error);
    if (!index)
        return NULL;
    *manifests = image_json_array(index, "manifests", where, error);
    return *manifests ? g_steal_pointer(&index) : NULL;
}

/* NULL: it has none. */
static const char *tag_of(const json_t *descriptor)
{
    const json_t *annotations = json_object_get(descriptor, "annotations");
    return json_string_value(json_object_get(annotations, ANNOTATION_TAG));
}

static gint compare_texts(gconstpointer a, gconstpointer b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

char **layout_tags(Layout *layout, GError **error)
{
    json_t *manifests;
    json_auto_t *index = load_index(layout, &manifests, error);
    if (!index)
        return NULL;
    g_autoptr(GPtrArray) tags = g_ptr_array_new();
    size_t i;
    json_t *descriptor;
    json_array_foreach (manifests, i, descriptor) {
        const char *tag = tag_of(descriptor);
        if (tag)
            g_ptr_array_add(tags, (gpointer)tag);
    }
    g_ptr_array_sort(tags, compare_texts);
    g_autoptr(GStrvBuilder) distinct = g_strv_builder_new();
    for (guint j = 0; j < tags->len; j++)
        if (j == 0 || strcmp(tags->pdata[j - 1], tags->pdata[j]) != 0)
            g_strv_builder_add(distinct, tags->pdata[j]);
    return g_strv_builder_end(distinct);
}

static bool same_digest(const json_t *a, const json_t *b)
{
    return json_equal(json_object_get(a, "digest"), json_object_get(b, "digest"));
}

json_t *layout_resolve(Layout *layout, const char *tag, GError **error)
{
    json_t *manifests;
    json_auto_t *index = load_index(layout, &manifests, error);
    if (!index)
        return NULL;
    json_t *found = NULL;
    size_t i, tags = 0;
    json_t *descriptor;
    json_array_foreach (manifests, i, descriptor) {
        const char *name = tag_of(descriptor);
        tags += name != NULL;
        if (g_strcmp0(name, tag) != 0)
            continue;
        if (found && !same_digest(found, descriptor)) {
            g_set_error(error, IMAGE_ERROR, IMAGE_ERROR_MALFORMED,
                        "%s/" LAYOUT_INDEX " names two manifests %s, expected one",
                        layout->directory, tag);
            return NULL;
        }
        found = descriptor;
    }
    if (!found) {
        g_set_error(error, IMAGE_ERROR, IMAGE_ERROR_NO_TAG, "%s has no tag %s among its %zu tags",
                    layout->directory, tag, tags);
        return NULL;
    }
    return json_incref(found);
}

/* The media type that a manifest or an index gives itself, or shows by its members. NULL: it is
 * neither. */
static const char *own_media_type(const json_t *document)
{
    const char *named = json_string_value(json_object_get(document, "mediaType"));
    if (named)
        return named;
    if (json_object_get(document, "manifests"))
        return IMAGE_MEDIA_INDEX;
    return json_object_get(document, "layers") ? IMAGE_MEDIA_MANIFEST : NULL;
}

json_t *layout_resolve_digest(Layout *layout, const char *digest, GError **error)
{
    g_autoptr(GError) fault = NULL;
    g_autoptr(GBytes) content = layout_read_blob(layout, digest, &fault);
    if (!content) {
        if (g_error_matches(fault, IMAGE_ERROR, IMAGE_ERROR_NO_BLOB))
            fault->code = IMAGE_ERROR_NO_MANIFEST;
        g_propagate_error(error, g_steal_pointer(&fault));
        return NULL;
    }
    g_autofree char *where = g_strdup_printf("manifest %s", digest);
    json_auto_t *document = image_json_load(where, content, error);
    if (!document)
        return NULL;
    const char *media_type = own_media_type(document);
    if (!media_type) {
        image_json_fail(error, json_object_get(document, "layers"), "an array", "%s: layers",
                        where);
        return NULL;
    }
    return json_pack("{s:s, s:s, s:I}", "mediaType", media_type, "digest", digest, "size",
                     (json_int_t)g_bytes_get_size(content));
}

void layout_entry_free(LayoutEntry *entry)
{
    if (!entry)
        return;
    g_free(entry->name);
    g_free(entry->media_type);
    g_free(entry->digest);
    g_free(entry);
}

static gint compare_entries(gconstpointer a, gconstpointer b)
{
    const LayoutEntry *left = *(const LayoutEntry *const *)a;
    const LayoutEntry *right = *(const LayoutEntry *const *)b;
    int order = g_strcmp0(left->name, right->name);
    return order != 0 ? order : strcmp(left->digest, right->digest);
}

static char *render_index(GPtrArray *entries)
{
    g_ptr_array_sort(entries, compare_entries);
    json_auto_t *manifests = json_array();
    for (guint i = 0; i < entries->len; i++) {
        const LayoutEntry *entry = entries->pdata[i];
        json_array_append_new(manifests,
                              json_pack("{s:s, s:s, s:I, s:{s:s}}", "mediaType", entry->media_type,
                                        "digest", entry->digest, "size", (json_int_t)entry->size,
                                        "annotations", ANNOTATION_TAG, entry->name));
    }
    json_auto_t *index = json_pack("{s:i, s:s, s:O}", "schemaVersion", 2, "mediaType",
                                   IMAGE_MEDIA_INDEX, "manifests", manifests);
    return json_dumps(index, JSON_SORT_KEYS | JSON_COMPACT);
}

char *layout_index_of_one(const Descriptor *manifest, const char *tag)
{
    g_autoptr(GPtrArray) entries = g_ptr_array_new();
    LayoutEntry entry = {.name = (char *)tag,
                         .media_type = manifest->media_type,
                         .digest = manifest->digest,
                         .size = manifest->size};
    g_ptr_array_add(entries, &entry);
    return render_index(entries);
}

/* index.json as it should be. Only under the lock, so that no writer comes in between. */
static char *wanted_index(Layout *layout, LayoutEntriesFunc list, gpointer data, bool *current,
                          GError **error)
{
    g_autoptr(GPtrArray) entries = list(data, error);
    if (!entries)
        return NULL;
    g_autofree char *text = render_index(entries);
    g_autoptr(GBytes) wanted = g_bytes_new_static(text, strlen(text));
    g_autoptr(GBytes) present = read_index(layout, NULL);
    *current = present && g_bytes_equal(present, wanted);
    return g_steal_pointer(&text);
}

bool layout_write_index(Layout *layout, LayoutEntriesFunc list, gpointer data, GError **error)
{
    autofd lock = layout_lock_index(layout, error);
    bool current;
    g_autofree char *text = lock >= 0 ? wanted_index(layout, list, data, &current, error) : NULL;
    return text &&
           (current || io_replace_file(layout->fd, LAYOUT_INDEX, text, strlen(text), 0644, error));
}

bool layout_add_tag(Layout *layout, const Descriptor *manifest, const char *tag, GError **error)
{
    json_t *manifests;
    autofd lock = layout_lock_index(layout, error);
    json_auto_t *index = lock >= 0 ? load_index(layout, &manifests, error) : NULL;
    if (!index)
        return false;
    for (size_t i = json_array_size(manifests); i-- > 0;)
        if (g_strcmp0(tag_of(json_array_get(manifests, i)), tag) == 0)
            json_array_remove(manifests, i);
    json_array_append_new(manifests,
                          json_pack("{s:s, s:s, s:I, s:{s:s}}", "mediaType", manifest->media_type,
                                    "digest", manifest->digest, "size", (json_int_t)manifest->size,
                                    "annotations", ANNOTATION_TAG, tag));
    g_autofree char *text = json_dumps(index, JSON_SORT_KEYS | JSON_COMPACT);
    return io_replace_file(layout->fd, LAYOUT_INDEX, text, strlen(text), 0644, error);
}

bool layout_index_is_current(Layout *layout, LayoutEntriesFunc list, gpointer data, bool *current,
                             GError **error)
{
    autofd lock = layout_lock_index(layout, error);
    g_autofree char *text = lock >= 0 ? wanted_index(layout, list, data, current, error) : NULL;
    return text != NULL;
}
