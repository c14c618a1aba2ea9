/* An image that is sent to a repository: what is there is not sent, what another repository of the
 * registry has is mounted, the rest streams from its source, several layers at once, each verified
 * on its way. The manifest goes last, and is read back. */
#pragma once

#include "image/image.h"
#include "image/registry.h"

typedef struct {
    ImageSource *from;
    const Image *image;
    Registry *to;
    const char *tag;        /* NULL: the manifest is put under its digest */
    const char *mount_from; /* another repository of that registry, or NULL */
    int parallel;           /* layers at once, 1 or more */
    Progress *progress;     /* counts the image's bytes; may be NULL */
    ImageFault *fault;      /* what is wrong at the source; may be NULL */
} ImagePush;

/* Bytes. */
typedef struct {
    int64_t sent, mounted, present;
    int64_t wire;       /* what went over the wire, torn connections included */
    bool source_failed; /* of an error: it is the source's */
} ImagePushed;

/* G_IO_ERROR_CANCELLED: progress->stop. *pushed says whose an error is; the target's is
 * registry_failure of `to`. */
bool image_push(const ImagePush *push, ImagePushed *pushed, GError **error);
