/* What the pipeline does with upload://ID. Nobody outside of import/ includes this. */
#pragma once

#include "import/pipeline.h"
#include "store/uploads.h"

/* Within the submitting transaction: kept until the attempt's job has ended. One that is gone is no
 * error here. */
bool upload_keep(Service *service, const ImportRequest *request, const char *model_id, int attempt,
                 GError **error);

/* Within the transaction that submits: only workers of the data directory that has it take the job.
 */
bool upload_bind(Service *service, const ImportRequest *request, int64_t job, GError **error);
/* Within the transaction that closes a stage: behind the copy nothing is read of the upload, and
 * any node can go on. */
bool upload_unbind(const Import *import, const char *stage, GError **error);
/* Within the transaction that ends the attempt as imported. *directory: what upload_clean_up takes
 * when it is committed; the caller frees it. */
bool upload_imported(Import *import, char **directory, GError **error);
/* What fails here, the next gc does. */
void upload_clean_up(const Service *service, const char *directory);
