/* What the files that implement image.h share. */
#pragma once

#include "image/image.h"
#include "image/image_json.h"

/* What a reading carries from function to function. */
typedef struct {
    ImageSource *source;
    const char *platform; /* wanted, or NULL */
    ImageFault *fault;    /* or NULL */
} ImageReading;

typedef enum { DOCUMENT_MANIFEST, DOCUMENT_INDEX, DOCUMENT_UNKNOWN } DocumentKind;
DocumentKind image_document_kind(const char *media_type);

/* A document, verified by digest and size; `where` names it. is_blob: it is a config. Sets the
 * fault. */
json_t *image_load_document(const ImageReading *reading, const Descriptor *descriptor, bool is_blob,
                            const char *where, GError **error);
/* What the image-spec asks of manifests and indexes alike. */
bool image_check_document(const json_t *document, const Descriptor *descriptor, const char *where,
                          GError **error);

/* A descriptor as JSON; a new reference. */
json_t *image_descriptor(const char *media_type, const char *digest, int64_t size);
/* Stores a document as jansson renders it, its members sorted, and returns its descriptor. */
json_t *image_put_document(Layout *layout, const json_t *document, const char *media_type,
                           GError **error);

/* The manifest that is meant by an index. */
Descriptor *image_search_index(const ImageReading *reading, const Descriptor *index,
                               GError **error);

/* The OCI name of a layer's media type, or NULL: we cannot use it. */
const char *image_layer_media_type(const char *media_type);

/* os/architecture[/variant] of a config or of an index's entry. */
char *image_platform_of(const json_t *object, const char *where, GError **error);
/* IMAGE_ERROR_PLATFORM. `platforms` (of char *) is what there is instead. */
void image_fail_platform(const ImageReading *reading, const char *where, const GPtrArray *platforms,
                         GError **error);

/* Replaces what the fault (or NULL) says of a blob. Takes `found` over. */
void image_fault_set(ImageFault *fault, const char *digest, char *found);
