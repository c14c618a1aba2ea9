/* What a training job left in a bucket, asked for by the job: training://ID[/DIR].
 *
 * [training] maps ids to places in an object store. {job_id} and {version} stand for the request's
 * source_job_id and source_job_version, {project} for the project that asks:
 *
 *   [training]
 *   resnet   = s3://training/{project}/resnet/{job_id}/output/{version}
 *   job-7c1f = obs://archive/runs/7c1f
 *
 * Where an id has no {job_id} in its place, it is the job's. The place is looked up once, when it
 * is asked for, and is then the request's source as if it had been written: sources.allow bounds it
 * (sources.h). Only buckets are places: a preset says nothing of the server's disk. */
#pragma once

#include "base/settings.h"
#include "import/request.h"

/* False: a preset is none (SETTINGS_ERROR; the message says where it stands). */
bool training_check(const Settings *settings, GError **error);

/* The source becomes the place that it means, `training` what was written, source_job_id the job
 * where the request has none. Of other sources nothing. faults: of RequestFault; the ids that it
 * names are those that the project may import from. */
void training_resolve(const Settings *settings, ImportRequest *request, GPtrArray *faults);
/* The request gets another source: what the former one set of it does not count any more. */
void training_forget(ImportRequest *request);
