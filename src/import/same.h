/* Whether a package that is given again is what a version was imported from.
 *
 * Decided from truth: the files by their digests, which are computed where the store does not know
 * them for sure (import/file_digests.h), never by names, sizes and times alone; then the config,
 * the model type, the runtime and its base image, the description; of a custom image its digest. */
#pragma once

#include "import/import.h"

/* Reads what it must, counting in service->progress; false with G_IO_ERROR_CANCELLED:
 * progress.stop was seen. differences (of char *): a line for each thing that differs, of files the
 * first few and how many more; none: the content is equal. The version is an imported one. */
bool import_differences(Service *service, const Model *model, const ImportRequest *request,
                        GPtrArray *differences, GError **error);
