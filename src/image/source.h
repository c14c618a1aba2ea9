/* Where images are read from: a layout (layout.h), or a repository of a registry (registry.h).
 *
 * Both say what they lack in the same words, the domain IMAGE_ERROR; why a registry could not be
 * asked has the domain REGISTRY_ERROR. Nothing that is read is believed before it hashes to its
 * digest: `read` verifies by itself, who reads a blob through `open` verifies it. */
#pragma once

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define IMAGE_ERROR (image_error_quark())
GQuark image_error_quark(void);
typedef enum {
    IMAGE_ERROR_NO_LAYOUT, /* no such directory, or it is no layout */
    IMAGE_ERROR_NO_TAG,
    IMAGE_ERROR_NO_MANIFEST, /* no blob of the digest that a reference names */
    IMAGE_ERROR_NO_BLOB,     /* a blob is missing */
    IMAGE_ERROR_DAMAGED,     /* a blob's bytes are not its digest, or not its size */
    IMAGE_ERROR_MALFORMED,   /* JSON that is not what the image-spec says */
    IMAGE_ERROR_PLATFORM,    /* an index without our platform */
    IMAGE_ERROR_UNSUPPORTED  /* a media type that we cannot use */
} ImageError;

/* image-spec descriptor.md */
typedef struct {
    char *media_type, *digest;
    int64_t size;
} Descriptor;
void descriptor_free(Descriptor *descriptor);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Descriptor, descriptor_free)

#define IMAGE_MAX_JSON ((size_t)4 << 20) /* bytes of a manifest, an index or a config */

typedef struct BlobReader BlobReader;
struct BlobReader {
    /* Up to size bytes, at least one; 0 at the end, -1 with *error. */
    ssize_t (*read)(BlobReader *reader, void *data, size_t size, GError **error);
    void (*free)(BlobReader *reader);
};
void blob_reader_free(BlobReader *reader);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(BlobReader, blob_reader_free)

typedef struct ImageSource ImageSource;
struct ImageSource {
    const char *name; /* what messages call it; the implementation's */
    bool shared;      /* several threads may use it at once */
    /* A blob that the store has already is not read from here: reading costs a transfer, and who
     * asks may have what the store has. Else its bytes are the proof that it is here, too. */
    bool spares;
    /* Its tags, sorted; NULL-terminated. The caller frees them. */
    char **(*tags)(ImageSource *source, GError **error);
    /* The descriptor {mediaType, digest, size, …} of what a tag, or else a digest, names. A new
     * reference. IMAGE_ERROR_NO_TAG, IMAGE_ERROR_NO_MANIFEST. */
    json_t *(*resolve)(ImageSource *source, const char *tag, const char *digest, GError **error);
    /* A manifest, an index or (is_blob) a config: at most IMAGE_MAX_JSON, verified by its digest.
     */
    GBytes *(*read)(ImageSource *source, const Descriptor *descriptor, bool is_blob,
                    GError **error);
    /* What the bytes of that document hash to, whatever they are; NULL: it cannot be told. The
     * caller frees it. */
    char *(*rehash)(ImageSource *source, const Descriptor *descriptor);
    BlobReader *(*open)(ImageSource *source, const Descriptor *blob, GError **error);
};
