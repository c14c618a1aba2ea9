/* Strict reading of the JSON of images. Everything that is not what the image-spec says is
 * IMAGE_ERROR_MALFORMED, with a message that names the place, what was found and what was
 * expected. */
#pragma once

#include "image/image.h"

#define IMAGE_MEDIA_INDEX           "application/vnd.oci.image.index.v1+json"
#define IMAGE_MEDIA_MANIFEST        "application/vnd.oci.image.manifest.v1+json"
#define IMAGE_MEDIA_CONFIG          "application/vnd.oci.image.config.v1+json"
#define IMAGE_MEDIA_LAYER           "application/vnd.oci.image.layer.v1.tar"
#define IMAGE_MEDIA_DOCKER_LIST     "application/vnd.docker.distribution.manifest.list.v2+json"
#define IMAGE_MEDIA_DOCKER_MANIFEST "application/vnd.docker.distribution.manifest.v2+json"
#define IMAGE_MEDIA_DOCKER_CONFIG   "application/vnd.docker.container.image.v1+json"

/* An object at the root; `where` names the file. A new reference. */
json_t *image_json_load(const char *where, GBytes *content, GError **error);

/* "WHERE is FOUND, expected EXPECTED", or "WHERE is missing, …" when found is NULL. Always returns
 * false. */
bool image_json_fail(GError **error, const json_t *found, const char *expected,
                     const char *where_format, ...) G_GNUC_PRINTF(4, 5);

/* A member of an object that must be there and of that type, else NULL. Borrowed. */
json_t *image_json_object(const json_t *object, const char *key, const char *where, GError **error);
json_t *image_json_array(const json_t *object, const char *key, const char *where, GError **error);
const char *image_json_string(const json_t *object, const char *key, const char *where,
                              GError **error);

/* image-spec descriptor.md: mediaType, a sha256 digest, and a size of at least 0. */
Descriptor *image_json_descriptor(const json_t *json, const char *where, GError **error);
