/* What the store has kept of an attempt. */
#include <string.h>

#include "import/dependencies.h"
#include "import/difference_parts.h"
#include "import/environment.h"
#include "import/pipeline.h"

void side_clear(Side *side)
{
    attempt_free(side->attempt);
    import_request_free(side->request);
    g_free(side->config);
    json_decref(side->config_json);
    json_decref(side->installed);
    g_free(side->base);
    g_free(side->base_digest);
    g_free(side->source_image);
    g_free(side->source_digest);
}

static bool stage_is_closed(Db *db, const Attempt *attempt, const char *stage, bool *closed,
                            GError **error)
{
    g_autoptr(GError) failure = NULL;
    g_autofree char *result =
        stage_result(db, attempt->model_id, attempt->attempt, stage, &failure);
    *closed = result != NULL;
    if (failure)
        g_propagate_error(error, g_steal_pointer(&failure));
    return *closed || !*error;
}

/* A closed check without a config needed none. */
static void read_config(Side *side, bool checked)
{
    const char *text = side->attempt->config;
    if (!text)
        text = side->request->config_text;
    if (!text && checked)
        text = "";
    side->config = g_strdup(text);
    if (text && *text)
        side->config_json = json_loads(text, 0, NULL);
    else if (text)
        side->config_json = json_object();
    if (json_is_object(side->config_json) && side->request->dependencies)
        json_object_set_new(side->config_json, "dependencies",
                            dependencies_in_force(side->request, NULL));
}

static bool side_is_image(const Side *side)
{
    const char *type = json_string_value(json_object_get(side->config_json, "model_type"));
    if (!type)
        type = side->request->type;
    return import_request_is_reference(side->request) || g_strcmp0(type, "Image") == 0;
}

/* The size stage keeps the manifest's digest as the listing. */
static bool read_source_image(Side *side, Db *db, GError **error)
{
    const char *location = json_string_value(json_object_get(side->config_json, "swr_location"));
    side->source_image =
        g_strdup(import_request_is_reference(side->request) ? side->request->source : location);
    if (!stage_is_closed(db, side->attempt, "size", &side->base_known, error))
        return false;
    if (side->base_known)
        side->source_digest = g_strdup(side->attempt->listing);
    return true;
}

static bool read_installed(Side *side, Db *db, GError **error)
{
    GError *failure = NULL;
    const Attempt *attempt = side->attempt;
    json_auto_t *packages = environment_packages(db, attempt->model_id, attempt->attempt, &failure);
    size_t i;
    const json_t *package;
    side->installed = packages ? json_object() : NULL;
    json_array_foreach (packages, i, package)
        json_object_set(side->installed, json_string_value(json_object_get(package, "name")),
                        json_object_get(package, "version"));
    if (failure)
        g_propagate_error(error, failure);
    return !failure;
}

static bool read_base(Side *side, Db *db, GError **error)
{
    const Attempt *attempt = side->attempt;
    if (!read_installed(side, db, error) ||
        !image_build_base(db, attempt->model_id, attempt->attempt, &side->base, &side->base_digest,
                          error))
        return false;
    side->base_known = side->base_digest != NULL;
    return true;
}

bool side_read(Side *side, Db *db, const Model *model, int attempt, GError **error)
{
    bool checked;
    side->model = model;
    side->attempt = attempt_load(db, model->id, attempt, error);
    side->request = side->attempt ? import_request_from_json(side->attempt->request, error) : NULL;
    if (!side->request || !stage_is_closed(db, side->attempt, "check", &checked, error))
        return false;
    read_config(side, checked);
    side->files_known =
        checked || side->attempt->listing || import_request_is_reference(side->request);
    return side_is_image(side) ? read_source_image(side, db, error) : read_base(side, db, error);
}
