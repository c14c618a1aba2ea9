/* What refers to an image in a registry (distribution-spec 1.1, "Listing Referrers", "Pushing
 * Manifests with Subject"). A registry without that API keeps an index under the fallback tag
 * sha256-HEX; docker-registry 2.8 is one. */
#pragma once

#include "image/artifact.h"
#include "image/registry.h"

/* Descriptors (image-spec) of the artifacts of that type, an array; a new reference. */
json_t *referrers_list(Registry *registry, const char *digest, const char *artifact_type,
                       GError **error);
/* Sends an artifact that refers to `subject`, and lists it where the registry does not do so by
 * itself. */
bool referrers_push(Registry *registry, ImageSource *from, const Artifact *artifact,
                    const Descriptor *subject, GError **error);
