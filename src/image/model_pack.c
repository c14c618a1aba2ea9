#include "image/model_pack.h"

#include <string.h>

#include "image/image_private.h"

#define MEDIA_CONFIG "application/vnd.cncf.model.config.v1+json"
#define FILE_PATH    "org.cncf.model.filepath"
#define TITLE        "org.opencontainers.image.title"

/* By what a file is for: weights, what configures them, code, words. */
static const char *media_type_of(const char *path)
{
    static const struct {
        const char *ending, *media_type;
    } ENDINGS[] = {{".py", "application/vnd.cncf.model.code.v1.raw"},
                   {".whl", "application/vnd.cncf.model.code.v1.raw"},
                   {".sh", "application/vnd.cncf.model.code.v1.raw"},
                   {".json", "application/vnd.cncf.model.weight.config.v1.raw"},
                   {".yaml", "application/vnd.cncf.model.weight.config.v1.raw"},
                   {".yml", "application/vnd.cncf.model.weight.config.v1.raw"},
                   {".toml", "application/vnd.cncf.model.weight.config.v1.raw"},
                   {".md", "application/vnd.cncf.model.doc.v1.raw"},
                   {".txt", "application/vnd.cncf.model.doc.v1.raw"},
                   {"LICENSE", "application/vnd.cncf.model.doc.v1.raw"}};
    for (size_t i = 0; i < G_N_ELEMENTS(ENDINGS); i++)
        if (g_str_has_suffix(path, ENDINGS[i].ending))
            return ENDINGS[i].media_type;
    return "application/vnd.cncf.model.weight.v1.raw";
}

static json_t *layers_of_files(const GPtrArray *files)
{
    json_t *layers = json_array();
    for (guint i = 0; i < files->len; i++) {
        const ModelPackFile *file = files->pdata[i];
        json_t *layer = image_descriptor(media_type_of(file->path), file->digest, file->size);
        json_object_set_new(layer, "annotations",
                            json_pack("{s:s, s:s}", FILE_PATH, file->path, TITLE, file->path));
        json_array_append_new(layers, layer);
    }
    return layers;
}

/* The format by the files' endings; NULL: none that is known. */
static const char *format_of(const GPtrArray *files)
{
    static const char *const FORMATS[][2] = {{".safetensors", "safetensors"},
                                             {".gguf", "gguf"},
                                             {".onnx", "onnx"},
                                             {".pt", "pt"},
                                             {".pth", "pt"}};
    for (size_t i = 0; i < G_N_ELEMENTS(FORMATS); i++)
        for (guint j = 0; j < files->len; j++)
            if (g_str_has_suffix(((const ModelPackFile *)files->pdata[j])->path, FORMATS[i][0]))
                return FORMATS[i][1];
    return NULL;
}

static json_t *config_of(const ModelPackSpec *spec)
{
    json_t *ids = json_array();
    for (guint i = 0; i < spec->files->len; i++)
        json_array_append_new(ids,
                              json_string(((const ModelPackFile *)spec->files->pdata[i])->digest));
    const char *description = *spec->description ? spec->description : NULL;
    return json_pack("{s:{s:s, s:s, s:s*, s:s*}, s:{s:s*}, s:{s:s, s:o}}", "descriptor", "name",
                     spec->name, "version", spec->version, "family", spec->model_type,
                     "description", description, "config", "format", format_of(spec->files),
                     "modelfs", "type", "layers", "diffIds", ids);
}

Artifact *model_pack_make(Layout *layout, const ModelPackSpec *spec, GError **error)
{
    json_auto_t *config = config_of(spec);
    json_t *described = image_put_document(layout, config, MEDIA_CONFIG, error);
    if (!described)
        return NULL;
    const Descriptor *subject = spec->subject;
    json_auto_t *manifest =
        json_pack("{s:i, s:s, s:s, s:o, s:o, s:o}", "schemaVersion", 2, "mediaType",
                  IMAGE_MEDIA_MANIFEST, "artifactType", MODEL_PACK_ARTIFACT, "config", described,
                  "layers", layers_of_files(spec->files), "subject",
                  image_descriptor(subject->media_type, subject->digest, subject->size));
    json_auto_t *descriptor = image_put_document(layout, manifest, IMAGE_MEDIA_MANIFEST, error);
    g_autoptr(Descriptor) own =
        descriptor ? image_json_descriptor(descriptor, "model pack", error) : NULL;
    return own ? artifact_read(layout_source(layout), own, error) : NULL;
}
