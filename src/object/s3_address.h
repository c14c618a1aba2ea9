/* Where a package lies in an object store:
 *
 *   s3://BUCKET[/DIR]   obs://BUCKET[/DIR]
 *   https://BUCKET.obs.REGION.DOMAIN[/DIR]   an OBS address, which names its service */
#pragma once

#include <glib.h>
#include <stdbool.h>

#define S3_ADDRESS_ERROR (s3_address_error_quark())
GQuark s3_address_error_quark(void);

typedef struct {
    char *bucket;
    char *prefix; /* DIR without slashes around it; "" for the bucket itself */
    char *host;   /* obs.REGION.DOMAIN of an OBS address; else NULL */
    char *region; /* of an OBS address; else NULL */
    char *text;   /* as it was written */
} S3Address;

/* Whether the text means an object store, sound or not. */
bool s3_address_is_meant(const char *text);
/* NULL: *error (S3_ADDRESS_ERROR, UTF-8) names what was found and what is expected. No part of DIR
 * is empty, "." or "..". */
S3Address *s3_address_parse(const char *text, GError **error);
void s3_address_free(S3Address *address);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(S3Address, s3_address_free)
