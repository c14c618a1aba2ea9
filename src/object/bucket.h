/* A package in a bucket of an object store: what lies beneath a prefix, by its keys.
 *
 * Keys that are no path of a package (".." or nothing between slashes, control characters, no
 * UTF-8) become findings (29), as names in a folder do. Keys that end with a slash are what
 * consoles make of folders, and no files. What a .waybillignore at the prefix or in the model
 * directory leaves out is not there. Nothing is staged: an object is read as it is packed. */
#pragma once

#include "model/package.h"
#include "object/s3_write.h"

/* An object of a source that another S3 can copy on the service's side. */
typedef struct {
    char *key; /* the caller's */
    S3Original original;
} BucketOriginal;
/* False: the source is no bucket, or one of another service, or asked with other keys: its bytes
 * have to pass through here. */
bool bucket_source_original(PackageSource *source, const S3 *by, const char *child,
                            const PackageFile *file, BucketOriginal *original);

/* Takes the S3 over. prefix: S3Address.prefix. */
PackageSource *bucket_source_new(S3 *s3, const char *prefix);
