/* What takes the room, as the API answers it and `waybill du` reads it. */
#include "upkeep/space.h"

static json_t *projects_json(const Space *space)
{
    json_t *rows = json_array();
    for (guint i = 0; i < space->projects->len; i++) {
        const SpaceProject *project = space->projects->pdata[i];
        json_t *row = json_pack("{s:s, s:i, s:I, s:I}", "project", project->project, "models",
                                project->models, "bytes", (json_int_t)project->bytes, "alone_bytes",
                                (json_int_t)project->alone);
        if (space->project_limit)
            json_object_set_new(row, "limit_bytes", json_integer(space->project_limit));
        json_array_append_new(rows, row);
    }
    return rows;
}

static json_t *models_json(const Space *space, int64_t limit)
{
    json_t *rows = json_array();
    for (guint i = 0; i < space->models->len && i < limit; i++) {
        const SpaceModel *model = space->models->pdata[i];
        json_array_append_new(rows, json_pack("{s:s, s:s, s:s, s:s, s:I, s:I}", "project",
                                              model->project, "model_id", model->id, "model_name",
                                              model->name, "model_version", model->version, "bytes",
                                              (json_int_t)model->bytes, "alone_bytes",
                                              (json_int_t)model->alone));
    }
    return rows;
}

static json_t *use_json(const SpaceUse *use)
{
    return json_pack("{s:i, s:I, s:I}", "blobs", use->count, "bytes", (json_int_t)use->bytes,
                     "alone_bytes", (json_int_t)use->alone);
}

static json_t *images_json(const Space *space)
{
    json_t *images =
        json_pack("{s:i, s:I, s:I}", "blobs", space->blobs, "bytes", (json_int_t)space->blob_bytes,
                  "kept_bytes", (json_int_t)space->kept_bytes);
    if (space->registry)
        json_object_set_new(images, "registry_bytes", json_integer(space->model_bytes));
    return images;
}

json_t *space_json(const Space *space, int64_t models, bool whole)
{
    json_t *answer =
        json_pack("{s:{s:I, s:I}, s:{s:i, s:I}, s:o, s:o}", "disk", "bytes",
                  (json_int_t)space->disk_bytes, "free_bytes", (json_int_t)space->free_bytes,
                  "uploads", "count", space->uploads, "bytes", (json_int_t)space->upload_bytes,
                  "projects", projects_json(space), "models", models_json(space, models));
    if (whole)
        json_object_update_new(answer,
                               json_pack("{s:I, s:o, s:o, s:o, s:o, s:I, s:I}", "store_bytes",
                                         (json_int_t)space->store_bytes, "images",
                                         images_json(space), "runtimes", use_json(&space->runtimes),
                                         "environments", use_json(&space->environments), "pushed",
                                         use_json(&space->pushed), "unpacked_bytes",
                                         (json_int_t)space->unpacked_bytes, "total_bytes",
                                         (json_int_t)space_total(space)));
    return answer;
}
