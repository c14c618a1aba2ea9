/* Sending blobs and manifests to a repository (distribution-spec 1.1, "Push").
 *
 * A blob streams: what libcurl has not taken yet waits in a window of 4 MiB, which also keeps what
 * was sent last. When the connection breaks, the registry is asked how far it came, and the upload
 * goes on from there: by itself where the window still has the bytes, else with
 * REGISTRY_ERROR_UPLOAD_TORN: whoever has them writes on from registry_upload_offset. A registry
 * that forgot the upload (docker-registry 2.8 forgets a torn one) is REGISTRY_ERROR_UPLOAD_LOST:
 * the blob begins again. */
#pragma once

#include "image/registry.h"

/* A second registry handle for another thread: the same repository and login. */
Registry *registry_clone(const Registry *registry, GError **error);

bool registry_has_blob(Registry *registry, const char *digest, bool *there, GError **error);
/* Takes a blob over from another repository of this registry, without sending it. *mounted false:
 * the registry does not know it, or does not want to. */
bool registry_mount(Registry *registry, const char *digest, const char *from_repository,
                    bool *mounted, GError **error);

typedef struct RegistryUpload RegistryUpload;
/* size: bytes that will come; -1: not known. */
RegistryUpload *registry_upload_new(Registry *registry, int64_t size, GError **error);
bool registry_upload_write(RegistryUpload *upload, const void *data, size_t size, GError **error);
/* After the last byte. */
bool registry_upload_commit(RegistryUpload *upload, const char *digest, GError **error);
/* The byte of the blob that registry_upload_write takes next. */
int64_t registry_upload_offset(const RegistryUpload *upload);
/* Bytes that went over the wire, those of torn connections included. */
int64_t registry_upload_sent(const RegistryUpload *upload);
/* Gives the upload up unless it was committed. */
void registry_upload_free(RegistryUpload *upload);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(RegistryUpload, registry_upload_free)

/* Deletes a manifest, which takes its tags away; one that is not there is deleted. *refused: the
 * registry does not let us (401, 403), or nobody (405; 400 of older ones). */
bool registry_delete_manifest(Registry *registry, const char *digest, bool *refused,
                              GError **error);
/* Puts a manifest under its digest or, when tag is not NULL, under that. *lists_subject (may be
 * NULL): the registry lists it among what refers to its subject. */
bool registry_put_manifest(Registry *registry, GBytes *content, const char *media_type,
                           const char *digest, const char *tag, bool *lists_subject,
                           GError **error);
