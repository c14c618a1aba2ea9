#include "image/image_json.h"

#include "base/digest.h"

#define MAX_SHOWN 100 /* bytes of what was found */

json_t *image_json_load(const char *where, GBytes *content, GError **error)
{
    gsize size;
    const char *data = g_bytes_get_data(content, &size);
    json_error_t fault;
    json_auto_t *root = json_loadb(data ? data : "", size, JSON_REJECT_DUPLICATES, &fault);
    if (!root) {
        g_autofree char *readable = g_utf8_make_valid(fault.text, -1);
        g_set_error(error, IMAGE_ERROR, IMAGE_ERROR_MALFORMED, "%s, line %d, column %d: %s", where,
                    fault.line, fault.column, readable);
        return NULL;
    }
    if (!json_is_object(root)) {
        image_json_fail(error, root, "an object", "%s", where);
        return NULL;
    }
    return g_steal_pointer(&root);
}

static char *show(const json_t *found)
{
    if (!found)
        return g_strdup("missing");
    char *text = json_dumps(found, JSON_ENCODE_ANY | JSON_COMPACT | JSON_ENSURE_ASCII);
    g_autofree char *shown = g_strdup_printf("%.*s", MAX_SHOWN, text ? text : "unreadable");
    free(text);
    return g_steal_pointer(&shown);
}

bool image_json_fail(GError **error, const json_t *found, const char *expected,
                     const char *where_format, ...)
{
    va_list arguments;
    va_start(arguments, where_format);
    g_autofree char *where = g_strdup_vprintf(where_format, arguments);
    va_end(arguments);
    g_autofree char *shown = show(found);
    g_set_error(error, IMAGE_ERROR, IMAGE_ERROR_MALFORMED, "%s is %s, expected %s", where, shown,
                expected);
    return false;
}

static json_t *member(const json_t *object, const char *key, json_type type, const char *expected,
                      const char *where, GError **error)
{
    json_t *value = json_object_get(object, key);
    if (value && json_typeof(value) == type)
        return value;
    image_json_fail(error, value, expected, "%s: %s", where, key);
    return NULL;
}

json_t *image_json_object(const json_t *object, const char *key, const char *where, GError **error)
{
    return member(object, key, JSON_OBJECT, "an object", where, error);
}

json_t *image_json_array(const json_t *object, const char *key, const char *where, GError **error)
{
    return member(object, key, JSON_ARRAY, "an array", where, error);
}

const char *image_json_string(const json_t *object, const char *key, const char *where,
                              GError **error)
{
    return json_string_value(member(object, key, JSON_STRING, "a string", where, error));
}

Descriptor *image_json_descriptor(const json_t *json, const char *where, GError **error)
{
    if (!json_is_object(json)) {
        image_json_fail(error, json, "a descriptor", "%s", where);
        return NULL;
    }
    const char *media_type = image_json_string(json, "mediaType", where, error);
    if (!media_type)
        return NULL;
    const json_t *digest = json_object_get(json, "digest");
    if (!digest_is_valid(json_string_value(digest))) {
        image_json_fail(error, digest, "sha256: and 64 lower-case hex digits", "%s: digest", where);
        return NULL;
    }
    const json_t *size = json_object_get(json, "size");
    if (!json_is_integer(size) || json_integer_value(size) < 0) {
        image_json_fail(error, size, "an integer of at least 0", "%s: size", where);
        return NULL;
    }
    Descriptor *descriptor = g_new0(Descriptor, 1);
    descriptor->media_type = g_strdup(media_type);
    descriptor->digest = g_strdup(json_string_value(digest));
    descriptor->size = json_integer_value(size);
    return descriptor;
}
