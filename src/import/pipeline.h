/* Inside of the pipeline: what the stages share. Nobody outside of import/ includes this.
 *
 * A stage does its work without a transaction, then records its result, its events and that it is
 * closed in one. A stage that fails appends the abnormal event that fits; ImportFailed names it as
 * its cause, in the same transaction (attempt_fail). */
#pragma once

#include "image/image.h"
#include "import/import.h"
#include "model/config.h"

typedef enum {
    STAGE_CLOSED,
    STAGE_FAILED,  /* the attempt has ended */
    STAGE_PARKED,  /* it waits for a build */
    STAGE_STOPPED, /* progress.stop was seen */
    STAGE_ERROR    /* *error: becomes event 40 */
} StageResult;

typedef struct Import {
    Service *service;
    Job *job;
    Model *model;
    ImportRequest *request;
    Config *config;          /* after `check`, NULL where there is none */
    Package *package;        /* after `check`, NULL of an image reference */
    char *runtime;           /* its name, after `check`; NULL of an image */
    ImageRepository *images; /* import_images', once it was asked for */
    int64_t began;           /* of the stage, clock_monotonic_ms */
    bool unwritten;          /* import_fail could not write the end: the attempt stays open */
} Import;

typedef StageResult (*StageFunc)(Import *import, GError **error);

/* The stages, in their files. */
StageResult stage_check(Import *import, GError **error);
StageResult stage_copy(Import *import, GError **error);
StageResult stage_environment(Import *import, GError **error);
StageResult stage_build(Import *import, GError **error);
StageResult stage_source_size(Import *import, GError **error);
StageResult stage_source(Import *import, GError **error);
StageResult stage_verify(Import *import, GError **error);
/* Whether the request or the setting build.verify asks for it. */
bool verify_is_wanted(const Import *import);
/* Where the model's images lie; the import's. */
ImageRepository *import_images(Import *import, GError **error);
StageResult stage_describe(Import *import, GError **error);
StageResult stage_share(Import *import, GError **error);
/* Whether image.share_to names anybody. */
bool share_is_wanted(const Import *import);
/* The image that this attempt has built. */
Image *import_image(Import *import, GError **error);
StageResult stage_finish(Import *import, GError **error);

/* A build that is handed over to a job of its own. */
typedef struct {
    const char *stage;
    JobKind kind;
    const char *cache_key; /* of an env-build: an open job of the same key is joined */
    const Event *event;    /* 36 or 37 */
    /* What else is appended in the transaction; NULL: nothing. joins: somebody else's build. */
    bool (*also)(Import *import, int64_t build, bool joins, gpointer data, GError **error);
    gpointer data;
} BuildRequest;
StageResult build_request(Import *import, const BuildRequest *request, GError **error);
/* The evidence of 36 and 37. Returns the event. */
Event *event_requested(Import *import, Event *event, const Image *base, const char *reference);
/* Base image of the import's runtime; what is wrong with it ends the attempt in this stage. */
StageResult import_base(Import *import, const char *stage, Image **base, char **reference,
                        GError **error);

/* What a build job does; the import that waits for it is woken, or its attempt ended, by the
 * build's last transaction. */
StageResult image_build_run(Service *service, Job *job, GError **error);
/* What an attempt's build says it began with: reference and digest of the base. Both NULL: it began
 * none. The runtime may have another base by now. */
bool image_build_base(Db *db, const char *model_id, int attempt, char **base, char **digest,
                      GError **error);
StageResult env_build_run(Service *service, Job *job, GError **error);
/* A parked import that was cancelled while somebody else builds its environment: ends it. */
bool env_build_leave(Service *service, const Job *import, GError **error);
/* 31, of a SANDBOX_ERROR. */
Event *event_no_sandbox(const Service *service, const GError *failure);
/* 30, when the job's workers were lost too often; NULL: they were not. */
Event *event_lease_lost(Service *service, const Job *job, const char *step);

/* Whether the request or the config makes it a custom image. */
bool import_is_image(const Import *import);
/* Looks at source and config again where a resumed or parked import needs them: findings there are
 * fatal. */
StageResult import_look(Import *import, const char *stage, GError **error);

/* What keeps a new import from beginning is added: the disk, its project's storage. */
bool import_find_room(const Import *import, Findings *findings, GError **error);

/* Appends events (of Event, taken over), closes the stage with its result (taken over), commits.
 * The last event gets duration_ms. */
StageResult import_close(Import *import, const char *stage, json_t *result, GPtrArray *events,
                         GError **error);
/* A list of events; takes them over. Ended by NULL. */
GPtrArray *events_new(Event *first, ...) G_GNUC_NULL_TERMINATED;

/* Ends the attempt: the events, then ImportFailed with its causes; outcome and jobs in the same
 * transaction. Takes the events over. */
StageResult import_fail(Import *import, const char *stage, GPtrArray *events, GError **error);
/* The same within the caller's transaction, for any attempt. build_status, when not NULL, is what
 * became of its image build (6). */
bool attempt_fail(Service *service, const char *model_id, int attempt, const char *stage,
                  const GPtrArray *events, const char *build_status, GError **error);
/* Ends it as cancelled: ImportCancelled, then as above. */
bool attempt_cancel(Service *service, const char *model_id, int attempt, const char *stage,
                    const char *actor, const char *build_status, GError **error);

/* The event that a failure of the system deserves: 2 or 22 of the registry that keeps the images
 * (store_events.h), else 40 with its kind, its evidence and an incident, which is logged. */
Event *event_of_error(Service *service, const GError *error, int64_t needed);
bool error_is_full_disk(const GError *error);

/* Files of the package that are not what an earlier attempt's check saw: how many, and the first
 * one's path in the source (NULL: none). */
bool import_changed_files(Import *import, int attempt, int64_t *count, char **first,
                          GError **error);

/* The newest attempt before this one whose check was closed: what a retry goes on from. */
typedef struct {
    int attempt;            /* 0: there is none */
    bool same;              /* it saw the same package, config and runtime */
    bool same_dependencies; /* and was to install the same */
    bool same_base;         /* and the runtime's base image is the same still */
    bool copied, built;     /* the registry that keeps the images has the layers still that `copy`
                               and `environment` made; not said of a layout */
} Former;
bool former_find(Import *import, const char *listing, Former *former, GError **error);
/* Takes over, within the caller's transaction and under the layout's lock, what it did in the
 * stages between `check` and the one that the request wants to begin at. */
bool former_inherit(Import *import, const Former *former, GError **error);
/* What a stage's result notes for that. A new reference. */
json_t *former_note(Import *import, GError **error);
/* The digest of the file's own layer (of that size), when an earlier attempt packed this very file,
 * by its identity. NULL with *error unset: none did. */
char *former_layer(Import *import, const PackageFile *file, int64_t size, GError **error);

/* Whether every layer that the attempt's stage `copy` made is still there: gc keeps those of the
 * newest attempts only. No registry is asked. */
bool former_layers_kept(Service *service, const char *model_id, int attempt, bool *kept,
                        GError **error);

/* Makes an attempt, with its import job, within the caller's transaction. A rebuild takes over what
 * its origin packed; where nothing of that is kept it becomes an import. */
bool submit_attempt(Service *service, const char *model_id, int attempt, ImportRequest *request,
                    Submission *submission, GError **error);
/* The last step of a submission: from here on nobody takes the attempt for an interrupted one. */
bool submission_commit(Service *service, Submission *submission, GError **error);

/* The attempt that a rebuild begins with: the newest that checked and packed the package, as long
 * as its layers are kept. *origin 0: there is none. */
bool rebuild_origin(Service *service, const char *model_id, int *origin, GError **error);
/* The attempt's package, stages and layers become those of its origin. */
bool rebuild_take_over(Service *service, const char *model_id, int origin, int attempt,
                       GError **error);
/* import_look where the source is not looked at: config and runtime as the attempt has them (of a
 * rebuild its origin), the dependencies as they are now. */
StageResult rebuild_look(Import *import, const char *stage, GError **error);

/* The base image of a runtime. at_hand: its blobs lie in service->images, to where they are fetched
 * from a registry that keeps the images. NULL with *events set: event 2, base_unusable, after what
 * it follows from; or *error. */
Image *base_image(Service *service, const char *runtime, bool at_hand, char **reference,
                  GPtrArray **events, GError **error);

/* The digest of the manifest that a custom image's source has at the moment. Takes of the import
 * its service, request and config. */
char *source_image_digest(Import *import, GError **error);

/* Has the import's timeline say that it waits for the end of maintenance, once in each window. */
bool import_hold(Service *service, int64_t import, GError **error);
/* Whether it was told so, and has to wait still. */
bool import_is_held(Service *service, int64_t import, bool *held, GError **error);

/* Records that the attempt's image is this one, with its base layers, while every blob of it is
 * there. */
bool image_record(Service *service, const Job *job, const Image *image, guint base_layers,
                  GError **error);
