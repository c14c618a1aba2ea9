/* A template: what an import takes from a preset instead of from a config.json of its own.
 *
 * One file of JSON a template; its name without .json is the template's id. The engine, the
 * runtime, a skeleton of config.json and one or more input and output modes (the original's
 * "infer_format"), each the `apis` of the config:
 *
 *   {"name": "…", "description": {"en": "…", "zh": "…"}, "engine": "TensorFlow",
 *    "runtime": "tf2.15", "theme": "Classification",
 *    "config": {"model_algorithm": "image_classification", "dependencies": […]},
 *    "infer_formats": [{"infer_format": "image-in-json-out", "description": "…", "apis": […]}],
 *    "inputs": [{"input_id": "model_folder", "description": "…"}]}
 *
 * name and description are a text for both languages, or one for each. The first mode is the
 * default; one without apis is the original's "undefined mode": they are the request's. There is
 * one input: an import has one source, the model directory itself. Every rule of config.json holds
 * for the skeleton, and a field that nobody knows is a fault, but in the skeleton, whose further
 * fields are the inference code's. */
#pragma once

#include "event/catalog.h"
#include "event/finding.h"

#define TEMPLATE_SUFFIX ".json"
/* model_type of a request that names one. */
#define TEMPLATE_TYPE   "Template"

typedef struct {
    char *text[LANGUAGE_ZH + 1]; /* by Language; "" where there is none */
} TemplateText;

typedef struct {
    char *id;
    TemplateText description;
    json_t *apis; /* NULL: the request's */
} TemplateMode;

typedef struct {
    char *id;
    TemplateText name, description; /* name: the id where there is none */
    char *engine, *theme;
    char *runtime;    /* NULL: the request's, else the first that serves the engine */
    json_t *config;   /* an object: what the file says under "config" */
    GPtrArray *modes; /* of TemplateMode, the default first; never empty */
    char *input_id;
    TemplateText input_name, input_description;
} ModelTemplate;

/* NULL: the findings (8, of the file ID.json) say what is wrong, all of it. */
ModelTemplate *model_template_read(const char *id, const void *bytes, size_t size,
                                   Findings *findings);
void model_template_free(ModelTemplate *template);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ModelTemplate, model_template_free)

/* The mode of that id, NULL: the default one. NULL: there is none of it. Borrowed. */
const TemplateMode *model_template_mode(const ModelTemplate *template, const char *id);

/* The config.json of an import: the skeleton with engine, runtime and the mode's apis; algorithm
 * and apis of the request, where they are not NULL, stand for the template's. The caller frees it.
 */
char *model_template_config(const ModelTemplate *template, const TemplateMode *mode,
                            const char *algorithm, json_t *apis);
