/* Platforms (image-spec, image-index.md), and the choice among those of an index. */
#include <string.h>

#include "image/image_private.h"

/* Foreign indexes may name each other, by the thousand. */
#define MAX_DEPTH   2  /* of indexes in an index */
#define MAX_INDEXES 64 /* read for one image */

const char *image_host_platform(void)
{
#if defined(__x86_64__)
    return "linux/amd64";
#elif defined(__aarch64__)
    return "linux/arm64";
#elif defined(__powerpc64__) && defined(__LITTLE_ENDIAN__)
    return "linux/ppc64le";
#elif defined(__s390x__)
    return "linux/s390x";
#elif defined(__riscv)
    return "linux/riscv64";
#elif defined(__loongarch64)
    return "linux/loong64";
#else
#error "which name has this architecture in the image-spec?"
#endif
}

/* Without the variants that an architecture means anyway. */
static char *normalise(const char *platform)
{
    static const char *const DEFAULTS[] = {"linux/amd64/v1", "linux/arm64/v8", "linux/arm/v7"};
    for (size_t i = 0; i < G_N_ELEMENTS(DEFAULTS); i++)
        if (strcmp(platform, DEFAULTS[i]) == 0)
            return g_path_get_dirname(platform);
    return g_strdup(platform);
}

char *image_platform_of(const json_t *object, const char *where, GError **error)
{
    const char *os = image_json_string(object, "os", where, error);
    const char *architecture = os ? image_json_string(object, "architecture", where, error) : NULL;
    if (!architecture)
        return NULL;
    const char *variant = json_string_value(json_object_get(object, "variant"));
    if (!variant || !*variant)
        return g_strdup_printf("%s/%s", os, architecture);
    g_autofree char *platform = g_strdup_printf("%s/%s/%s", os, architecture, variant);
    return normalise(platform);
}

bool image_platform_fits(const char *wanted, const char *platform)
{
    g_autofree char *normal = normalise(wanted);
    return strcmp(normal, platform) == 0;
}

static const char *wanted_platform(const ImageReading *reading)
{
    return reading->platform ? reading->platform : image_host_platform();
}

void image_fail_platform(const ImageReading *reading, const char *where, const GPtrArray *platforms,
                         GError **error)
{
    g_autoptr(GStrvBuilder) builder = g_strv_builder_new();
    for (guint i = 0; i < platforms->len; i++)
        g_strv_builder_add(builder, platforms->pdata[i]);
    g_auto(GStrv) list = g_strv_builder_end(builder);
    g_autofree char *joined = g_strjoinv(", ", list);
    g_set_error(error, IMAGE_ERROR, IMAGE_ERROR_PLATFORM, "%s is for %s, expected %s", where,
                *joined ? joined : "no platform", wanted_platform(reading));
    if (!reading->fault)
        return;
    image_fault_clear(reading->fault);
    reading->fault->platforms = g_steal_pointer(&list);
}

/* What a search has come to. */
typedef struct {
    Descriptor *fitting;  /* of the wanted platform */
    Descriptor *unsaid;   /* the first manifest whose entry names no platform: its config does */
    GPtrArray *platforms; /* of char *: what there is */
    int indexes;          /* read so far */
} Search;

/* Manifests of build attestations call themselves so. */
static bool is_no_platform(const char *platform)
{
    return g_str_has_prefix(platform, "unknown/");
}

/* Takes the descriptor over. */
static bool consider_manifest(const ImageReading *reading, Search *search, Descriptor *manifest,
                              const json_t *entry, const char *where, GError **error)
{
    g_autoptr(Descriptor) owned = manifest;
    const json_t *object = json_object_get(entry, "platform");
    if (!object) {
        if (!search->unsaid)
            search->unsaid = g_steal_pointer(&owned);
        return true;
    }
    g_autofree char *place = g_strdup_printf("%s.platform", where);
    g_autofree char *platform = image_platform_of(object, place, error);
    if (!platform)
        return false;
    if (image_platform_fits(wanted_platform(reading), platform))
        search->fitting = g_steal_pointer(&owned);
    else if (!is_no_platform(platform))
        g_ptr_array_add(search->platforms, g_steal_pointer(&platform));
    return true;
}

/* Until a manifest fits. */
static bool search_entries(const ImageReading *reading, Search *search, const Descriptor *index,
                           int depth, GError **error)
{
    g_autofree char *where = g_strdup_printf("index %s", index->digest);
    if (depth > MAX_DEPTH || ++search->indexes > MAX_INDEXES) {
        g_set_error(error, IMAGE_ERROR, IMAGE_ERROR_MALFORMED,
                    "%s: indexes in it lie more than %d deep, or are more than %d", where,
                    MAX_DEPTH, MAX_INDEXES);
        return false;
    }
    json_auto_t *document = image_load_document(reading, index, false, where, error);
    if (!document || !image_check_document(document, index, where, error))
        return false;
    const json_t *manifests = image_json_array(document, "manifests", where, error);
    if (!manifests)
        return false;

    for (size_t i = 0; i < json_array_size(manifests) && !search->fitting; i++) {
        const json_t *entry = json_array_get(manifests, i);
        g_autofree char *place = g_strdup_printf("%s: manifests[%zu]", where, i);
        g_autoptr(Descriptor) descriptor = image_json_descriptor(entry, place, error);
        if (!descriptor)
            return false;
        DocumentKind kind = image_document_kind(descriptor->media_type);
        if (kind == DOCUMENT_INDEX &&
            !search_entries(reading, search, descriptor, depth + 1, error))
            return false;
        if (kind == DOCUMENT_MANIFEST &&
            !consider_manifest(reading, search, g_steal_pointer(&descriptor), entry, place, error))
            return false;
    }
    return true;
}

Descriptor *image_search_index(const ImageReading *reading, const Descriptor *index, GError **error)
{
    g_autoptr(GPtrArray) platforms = g_ptr_array_new_with_free_func(g_free);
    Search search = {.platforms = platforms};
    bool done = search_entries(reading, &search, index, 0, error);
    g_autoptr(Descriptor) fitting = search.fitting;
    g_autoptr(Descriptor) unsaid = search.unsaid;
    if (!done)
        return NULL;
    if (fitting)
        return g_steal_pointer(&fitting);
    if (!unsaid) {
        g_autofree char *where = g_strdup_printf("index %s", index->digest);
        image_fail_platform(reading, where, platforms, error);
    }
    return g_steal_pointer(&unsaid);
}
