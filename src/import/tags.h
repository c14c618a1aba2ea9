/* The tags of images in the registry that keeps them. The store says what a model's image is; a
 * worker that lost its lease may still put the tag of what it made, however late (the registry
 * knows of no lease). So tags are looked at again: by who finds that he lost a lease, and for a
 * while by everybody, where the model was worked on more than once. */
#pragma once

#include "import/service.h"
#include "store/models.h"

/* Has the tag name the image that this worker made, and reads that back. Another one that had the
 * work before may put its own in between: ours is put again, as long as the lease is ours. */
bool tag_put(Service *service, ImageRepository *images, const Image *image, const Model *model,
             GError **error);

/* Has the tag of the model name its newest image, where it names another. What fails is tried again
 * by tags_look. */
void tag_mend(Service *service, const char *model_id);

/* Looks at the tags of models that were worked on more than once, not long ago. False: *error, the
 * store could not be asked. */
bool tags_look(Service *service, GError **error);
