#include "import/carried.h"

#include <string.h>

#include "base/digest.h"
#include "event/event.h"
#include "image/image_json.h"
#include "image/referrers.h"
#include "import/provenance.h"

#define MOST_READ 64 /* of what is said of one image */

void carried_free(Carried *carried)
{
    if (!carried)
        return;
    g_free(carried->digest);
    g_free(carried->signer);
    json_decref(carried->timeline);
    json_decref(carried->statement);
    artifact_free(carried->artifact);
    g_free(carried);
}

/* It comes from outside, and goes to a terminal. A new reference. */
static json_t *clean(json_t *value)
{
    size_t i;
    const char *key;
    json_t *part, *copy;
    switch (json_typeof(value)) {
    case JSON_STRING: {
        g_autofree char *text = event_text(json_string_value(value));
        return json_string(text);
    }
    case JSON_ARRAY:
        copy = json_array();
        json_array_foreach (value, i, part)
            json_array_append_new(copy, clean(part));
        return copy;
    case JSON_OBJECT:
        copy = json_object();
        json_object_foreach (value, key, part) {
            g_autofree char *name = event_text(key);
            json_object_set_new(copy, name, clean(part));
        }
        return copy;
    default:
        return json_incref(value);
    }
}

static json_t *load_json(GBytes *content, const char *where, GError **error)
{
    json_auto_t *raw = content ? image_json_load(where, content, error) : NULL;
    return raw ? clean(raw) : NULL;
}

static bool is_event(const json_t *event)
{
    static const char *const TEXTS[] = {"event_type", "reason", "stage", "event_info",
                                        "event_info_cn"};
    for (size_t i = 0; i < G_N_ELEMENTS(TEXTS); i++)
        if (!json_is_string(json_object_get(event, TEXTS[i])))
            return false;
    return json_is_integer(json_object_get(event, "seq")) &&
           json_is_integer(json_object_get(event, "occur_time"));
}

/* What is none is left out. */
static void keep_events(json_t *timeline)
{
    json_t *events = json_object_get(timeline, "events");
    for (size_t i = json_array_size(events); i-- > 0;)
        if (!is_event(json_array_get(events, i)))
            json_array_remove(events, i);
}

/* The statement has to be about the image that it was found with. */
static bool check_subject(const Carried *carried, GError **error)
{
    const json_t *subject = json_array_get(json_object_get(carried->statement, "subject"), 0);
    const char *hex =
        json_string_value(json_object_get(json_object_get(subject, "digest"), "sha256"));
    if (hex && g_str_has_suffix(carried->digest, hex) && strlen(hex) == 64)
        return true;
    g_set_error(error, SIGNING_ERROR, SIGNING_ERROR_INVALID,
                "what was found with %s is said of another image", carried->digest);
    return false;
}

static bool check_timeline(const Carried *carried, GBytes *timeline, GError **error)
{
    gsize size, i;
    const void *data = g_bytes_get_data(timeline, &size);
    g_autofree char *digest = digest_of(data, size);
    const json_t *run =
        json_object_get(json_object_get(carried->statement, "predicate"), "runDetails");
    const json_t *product;
    json_array_foreach (json_object_get(run, "byproducts"), i, product) {
        const char *name = json_string_value(json_object_get(product, "name"));
        const char *hex =
            json_string_value(json_object_get(json_object_get(product, "digest"), "sha256"));
        if (g_strcmp0(name, PROVENANCE_BYPRODUCT) == 0 && g_strcmp0(hex, digest_hex(digest)) == 0)
            return true;
    }
    g_set_error(error, SIGNING_ERROR, SIGNING_ERROR_INVALID,
                "the timeline found with %s is not the one that its statement names",
                carried->digest);
    return false;
}

/* The envelope's payload, or the statement that stands by itself. */
static GBytes *read_statement(ImageSource *source, const Artifact *artifact, Carried *carried,
                              const SigningKey *key, GError **error)
{
    g_autoptr(GError) failure = NULL;
    g_autoptr(GBytes) sealed = artifact_document(source, artifact, PROVENANCE_ENVELOPE, &failure);
    json_auto_t *envelope = sealed ? load_json(sealed, "the envelope", &failure) : NULL;
    if (failure) {
        g_propagate_error(error, g_steal_pointer(&failure));
        return NULL;
    }
    if (envelope) {
        carried->signer = g_strdup(signing_signer(envelope));
        carried->verified = key != NULL;
        return signing_open(key, envelope, error);
    }
    if (!key)
        return artifact_document(source, artifact, PROVENANCE_STATEMENT, error);
    g_set_error(error, SIGNING_ERROR, SIGNING_ERROR_INVALID, "it is not signed");
    return NULL;
}

static Carried *read_artifact(ImageSource *source, const char *digest, const json_t *descriptor,
                              const SigningKey *key, GError **error)
{
    g_autoptr(Carried) carried = g_new0(Carried, 1);
    carried->digest = g_strdup(digest);
    g_autoptr(Descriptor) manifest = image_json_descriptor(descriptor, "referrers", error);
    carried->artifact = manifest ? artifact_read(source, manifest, error) : NULL;
    g_autoptr(GBytes) timeline =
        carried->artifact ? artifact_document(source, carried->artifact, PROVENANCE_TIMELINE, error)
                          : NULL;
    g_autoptr(GBytes) statement =
        timeline ? read_statement(source, carried->artifact, carried, key, error) : NULL;
    carried->timeline = statement ? load_json(timeline, "the timeline", error) : NULL;
    keep_events(carried->timeline);
    carried->statement = carried->timeline ? load_json(statement, "the statement", error) : NULL;
    return carried->statement && check_subject(carried, error) &&
                   check_timeline(carried, timeline, error)
               ? g_steal_pointer(&carried)
               : NULL;
}

/* ISO 8601 in UTC: later is larger. "": it does not say. */
static const char *end_of(const Carried *carried)
{
    const json_t *run =
        json_object_get(json_object_get(carried->statement, "predicate"), "runDetails");
    const char *end =
        json_string_value(json_object_get(json_object_get(run, "metadata"), "finishedOn"));
    return end ? end : "";
}

Carried *carried_find(Registry *registry, const char *digest, const SigningKey *key, GError **error)
{
    g_autoptr(GError) first = NULL;
    g_autoptr(Carried) newest = NULL;
    json_auto_t *list = referrers_list(registry, digest, PROVENANCE_ARTIFACT, error);
    for (size_t i = 0; i < MIN(json_array_size(list), MOST_READ); i++) {
        g_autoptr(GError) failure = NULL;
        g_autoptr(Carried) carried = read_artifact(registry_source(registry), digest,
                                                   json_array_get(list, i), key, &failure);
        if (!carried && !first)
            first = g_steal_pointer(&failure);
        if (!carried || (newest && strcmp(end_of(carried), end_of(newest)) < 0))
            continue;
        carried_free(newest);
        newest = g_steal_pointer(&carried);
    }
    if (!newest && first)
        g_propagate_error(error, g_steal_pointer(&first));
    return g_steal_pointer(&newest);
}

Carried *carried_read(const ImagePlace *place, const Reference *reference, const SigningKey *key,
                      GError **error)
{
    json_auto_t *image =
        place->source->resolve(place->source, reference->tag, reference->digest, error);
    const char *digest = json_string_value(json_object_get(image, "digest"));
    /* a layout has nothing that lists them */
    return digest && place->registry ? carried_find(place->registry, digest, key, error) : NULL;
}
