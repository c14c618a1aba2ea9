/* What somebody asks to be imported.
 *
 * Faults in the request itself (a name, a version, a description, an option that breaks its rule)
 * are answered at once and nothing is recorded; what lies in the package is found by the import and
 * becomes events (specification, "Faults in the request itself"). */
#pragma once

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>

#include "event/event.h"
#include "object/s3_sign.h"

typedef struct {
    char *source;      /* as it was written: what events name */
    char *source_path; /* a folder's absolute path; NULL of an image reference; of an upload what
                          import_request_resolve found, never kept */
    /* As import_request_resolve found it: another node has the upload's files. upload_worker: who
     * was seen there last, HOST/PID, or NULL; upload_unseen_ms: how long ago. */
    bool upload_elsewhere;
    char *upload_worker;
    int64_t upload_unseen_ms;
    char *child; /* "model" */
    char *project, *name;
    char *version;        /* NULL: the newest if it failed, else the next one */
    char *type, *runtime; /* NULL: as config.json says */
    char *platform;       /* os/architecture[/variant]; NULL: as the setting image.platform says */
    char *description;
    char *config_text;  /* the text given with --config; NULL: the package's config.json counts */
    char *config_file;  /* its name */
    char *dependencies; /* JSON, an array: they win over config.json's; NULL: those count */
    char *dependencies_file; /* their name, as config_file */
    char *attributes; /* JSON: what a program sent along and is given back as it was; or NULL */
    char *template;   /* JSON, {template_id, infer_format, input_id}; or NULL. Its input is the
                         source; what it brings is in config_text, type and child once it was
                         applied (templates.h) */
    char *training;   /* training://… as it was written, whose place the source is; or NULL */
    char *actor;
    char *asked_over; /* HTTP, on a loopback address or a network: then sources.h bounds what it and
                         its package name; NULL: this machine's own command line */
    char *from;    /* a stage: what earlier attempts did in it and the later ones does not count; of
                      this attempt only, a further retry forgets it */
    bool rebuild;  /* what the last attempt packed is built anew: the package is not looked at */
    bool no_cache; /* its environment is built, whether there is one or not */
    bool verify;   /* the image is run before it counts; else as build.verify says */
    bool dynamic;  /* the model's files are no part of the image: they are loaded at start */
    bool dereference; /* links that leave the package are followed: asked for on this machine's own
                         command line only */
    bool of_server;   /* it may name an upload; not kept */
    S3Credentials *keys; /* the project's for its bucket: import_request_resolve's; not kept */
} ImportRequest;

ImportRequest *import_request_new(void);
void import_request_free(ImportRequest *request);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ImportRequest, import_request_free)

typedef struct {
    char *field;   /* "version", "source"; each face has its own words for them */
    char *message; /* the value, what was expected */
} RequestFault;
/* Adds one to faults. */
void request_fault_say(GPtrArray *faults, const char *field, const char *format, ...)
    G_GNUC_PRINTF(3, 4);
/* "VALUE"; expected RULE */
void request_fault_add(GPtrArray *faults, const char *field, const char *value, const char *rule);
void request_fault_free(RequestFault *fault);

/* Of RequestFault. */
GPtrArray *request_faults_new(void);

/* Fills in what follows from the rest (name from the source, child) and adds every fault. */
void import_request_check(ImportRequest *request, GPtrArray *faults);

/* Kept with the attempt, so that another process can go on with it. */
char *import_request_to_json(const ImportRequest *request);
ImportRequest *import_request_from_json(const char *text, GError **error);

/* Where a layout lies that the request names, or its package: there a relative path is the
 * package's. The caller frees it. */
char *import_request_directory(const ImportRequest *request, const char *directory);
/* Whether a finding that ends an import is of what the request itself brings, its config or its
 * dependencies: it is then refused at once. That no runtime serves it is not its fault. */
bool import_request_brought(const ImportRequest *request, const Event *finding);
#define UPLOAD_SCHEME "upload://"
/* The id of upload://ID, a pointer into the source; NULL: the source is none. */
const char *import_request_upload(const ImportRequest *request);

/* One of the attributes that is a text; the caller frees it. NULL: it is none, and unset. */
char *import_request_attribute(const ImportRequest *request, const char *key);
void import_request_set_attribute(ImportRequest *request, const char *key, const char *value);
#define ATTRIBUTE_JOB         "source_job_id"
#define ATTRIBUTE_JOB_VERSION "source_job_version"

#define TRAINING_SCHEME "training://"
/* What a training job left, where it was not looked up yet (training.h). */
bool import_request_is_training(const ImportRequest *request);
/* A package in an object store (object/s3_address.h). */
bool import_request_is_bucket(const ImportRequest *request);
/* An image reference instead of a package. */
bool import_request_is_reference(const ImportRequest *request);
