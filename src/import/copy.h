/* A model's image, copied to somewhere else: `waybill copy`. Nothing is recorded. */
#pragma once

#include "image/artifact.h"
#include "image/image_push.h"
#include "image/place.h"
#include "import/service.h"
#include "store/models.h"

typedef enum { COPY_REGISTRY, COPY_LAYOUT, COPY_ARCHIVE } CopyKind;

typedef struct {
    CopyKind kind;
    Reference *reference; /* of a registry or a layout */
    char *file, *tag;     /* of an archive; file "-": standard output */
} CopyTarget;
void copy_target_clear(CopyTarget *target);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(CopyTarget, copy_target_clear)

/* [registry+http://]HOST[:PORT]/REPOSITORY[:TAG], oci:DIR[:TAG], oci-archive:FILE[:TAG], or a FILE
 * that ends in .tar. Without TAG the model's version; of an archive, which is loaded by that name,
 * REPOSITORY:VERSION. REFERENCE_ERROR: it is none of these. */
bool copy_target_read(CopyTarget *target, const char *text, const Model *model, GError **error);

typedef struct {
    ImagePushed pushed; /* to a registry, else what was written (sent) and was there (present) */
    bool described;     /* what is said of the image is there, too */
    char *why;          /* not, although there is something; or NULL. The caller frees it */
} CopiedBytes;

typedef struct {
    char *digest;
    int64_t size;
    CopiedBytes bytes;
} Copied;
void copied_clear(Copied *copied);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Copied, copied_clear)

/* The image that the model has now. IMPORT_ERROR_USAGE: it has none; IMAGE_ERROR: it is damaged;
 * REGISTRY_ERROR, REGISTRY_LOGIN_ERROR; IO_ERROR; G_IO_ERROR_CANCELLED. */
bool copy_model(Service *service, const Model *model, const CopyTarget *target, Copied *copied,
                GError **error);
/* The same of an image in a registry, such as a server's. login: there, taken over. */
bool copy_from_registry(Service *service, const Reference *from, RegistryLogin *login,
                        const CopyTarget *target, Copied *copied, GError **error);

/* -- for who shares -- */

typedef struct {
    ImageSource *from; /* borrowed, as is the image */
    const Image *image;
    const Registry *registry; /* that `from` is of; NULL: of a layout */
    Artifact *artifact;       /* what is said of it, in the same source; NULL: nothing */
    char *why;                /* that cannot be read; or NULL */
    Artifact
        *pack; /* the files of a dynamic model, in the same source; NULL: they are in the image */
} CopySource;
/* An image of our own store. False: *error, it is not known what belongs to it. */
bool copy_source_of_model(CopySource *source, Service *service, ImageRepository *images,
                          const char *model_id, const Image *image, GError **error);
void copy_source_clear(CopySource *source);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(CopySource, copy_source_clear)

/* One image to a repository; what is there, or can be mounted from the repository mount_from of the
 * same registry (NULL: the source's own, where it is of that registry), is not sent. login: taken
 * over. *registry is set, also on failure, for what it has to tell. */
bool copy_to_registry(Service *service, const CopySource *source, RegistryLogin *login,
                      const Reference *to, const char *mount_from, Registry **registry,
                      CopiedBytes *copied, GError **error);
