/* A model as the CNCF's ModelPack specification has it (model-spec v0.0.7): a manifest whose layers
 * are the model's files as they are, so that other tools (oras, modctl) read it without Waybill. It
 * refers to the image that serves the model. */
#pragma once

#include "image/artifact.h"

#define MODEL_PACK_ARTIFACT "application/vnd.cncf.model.manifest.v1+json"

typedef struct {
    const char *path, *digest;
    int64_t size;
} ModelPackFile;

typedef struct {
    const char *name, *version;
    const char *description; /* may be empty */
    const char *model_type;  /* or NULL */
    const Descriptor *subject;
    const GPtrArray *files; /* of ModelPackFile, in the order of their paths */
} ModelPackSpec;

/* Writes its config and its manifest; the files are there. */
Artifact *model_pack_make(Layout *layout, const ModelPackSpec *spec, GError **error);
