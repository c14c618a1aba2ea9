/* What the server adds to a model's item or details, since it depends on who asks and how. */
#pragma once

#include "server/http.h"

/* failure.url, where its events are. With compat.terraform_reason=true, to Terraform's provider,
 * which shows of a failed model nothing but its status: the status says why. */
void model_answer_complete(const HttpRequest *request, json_t *model);
