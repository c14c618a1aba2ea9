/* An image as an OCI layout in one tar archive ("oci-archive"), as `podman load` and skopeo take
 * it. It is written as it is read: nothing is staged. */
#pragma once

#include "image/image.h"

/* Each blob is verified on its way; what is damaged is found when it has been written, so that the
 * archive is of no use then. tag: org.opencontainers.image.ref.name. fault may be NULL.
 * G_IO_ERROR_CANCELLED: progress->stop; IO_ERROR: the archive cannot be written. */
bool image_archive_write(ImageSource *from, const Image *image, const char *tag, int fd,
                         Progress *progress, ImageFault *fault, GError **error);
