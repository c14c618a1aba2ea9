/* A dynamic model (load_mode "dynamic"): its files are blobs beside the image, which the inference
 * service fetches when the container starts.
 *
 *   blobs        each file of the package, as it is; rows of origin "blob"
 *   the image    base, environment, what the build itself needs of the package (config.json, code,
 *                wheels), and /home/mind/dynamic.json, which lists the rest with their digests
 *   ModelPack    an artifact that refers to the image and lists the blobs (image/model_pack.h) */
#pragma once

#include "image/artifact.h"
#include "import/pipeline.h"

/* The files of the package that the image has all the same: a package that borrows them and its
 * source. */
Package *dynamic_packed(const Package *package);
void dynamic_packed_free(Package *packed); /* NULL allowed */

/* Keeps every file as a blob. Its layer of the listing is recorded, too. */
StageResult dynamic_copy(Import *import, GError **error);

/* Digests (of char *) of the files that an image of the model leaves out, each of them in the
 * layout then: they are fetched from `from` where a registry keeps them. */
GPtrArray *dynamic_bring(Service *service, ImageRepository *from, const char *model_id,
                         const char *image_digest, GError **error);

/* The ModelPack of the attempt's image; NULL with *error unset: the model is not dynamic. */
Artifact *dynamic_describe(Import *import, const Image *image, GError **error);
