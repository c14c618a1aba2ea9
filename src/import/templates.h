/* The templates of templates.dir, and what a request takes from one.
 *
 * A template is resolved once, when it is asked for: the request then has a config of its own, as
 * if it had come with --config, and a retry imports by that one whatever became of the file. A file
 * is opened beneath the directory and never outside of it. */
#pragma once

#include "base/settings.h"
#include "import/request.h"
#include "model/model_template.h"

/* What the files of the directory are named, without .json, in order; also names that are no id.
 * Empty where templates.dir is not set. NULL: *error. */
GPtrArray *templates_list(const Settings *settings, GError **error);
/* NULL: faults (of char *) say why, each with the file and the place in it; the directory is not
 * told. */
ModelTemplate *templates_read(const Settings *settings, const char *id, GPtrArray *faults);

/* What its template brings becomes the request's: config, type, and the source itself as the model
 * directory. Without a template nothing. faults: of RequestFault. */
void templates_apply(const Settings *settings, ImportRequest *request, GPtrArray *faults);

/* As GET …/models/template lists it. */
json_t *template_json(const ModelTemplate *template);
