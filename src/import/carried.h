/* What an image carries with it (stage_describe.c), read from wherever it lies, without our store.
 */
#pragma once

#include "base/signing.h"
#include "image/place.h"

typedef struct {
    char *digest;      /* of the image */
    char *signer;      /* keyid of the envelope; NULL: it is not signed, a description */
    bool verified;     /* by the key that was given */
    json_t *timeline;  /* {model, version, project, attempt, events} */
    json_t *statement; /* in-toto */
} Carried;
void carried_free(Carried *carried);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Carried, carried_free)

/* The newest of them. key (may be NULL): it must have signed it, SIGNING_ERROR_INVALID. NULL with
 * *error unset: the image carries none. */
Carried *carried_read(const ImagePlace *place, const Reference *reference, const SigningKey *key,
                      GError **error);
