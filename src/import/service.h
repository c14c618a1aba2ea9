/* What everybody who works on a data directory holds: the directory, a connection to its store, its
 * images, the settings. */
#pragma once

#include <stdatomic.h>

#include "base/progress.h"
#include "base/seal.h"
#include "base/settings.h"
#include "image/store.h"
#include "store/heartbeats.h"

typedef struct {
    DataDirectory *data;
    Db *db;
    ImageStore *store;        /* images.url */
    Layout *images;           /* it, or where a registry's images are made (image/store.h) */
    const Settings *settings; /* borrowed */
    char *worker;             /* who works: HOST/PID */
    Progress progress;
    /* What maintenance holds, or somebody else works on, is left; else import_work waits for it. */
    bool leaves;
    /* Works on nothing but what lies in this data directory alone, and leaves the rest to others:
     * of a server without workers, which takes uploads. */
    bool home_only;
    bool held;              /* import_work waits for it at the moment */
    atomic_bool lost;       /* the lease, which is why progress.stop was set */
    Pulse *pulse;           /* says what it does while it works; NULL: nobody is told */
    bool serves;            /* what it submits is for the server's workers */
    SealKey *key;           /* service_key's, once it was asked for */
    const char *asked_over; /* ImportRequest's, of what it submits; static */
    /* Called after every commit that appended events, in the worker's thread. May be NULL. */
    void (*committed)(gpointer data);
    gpointer committed_data;
    /* What stands in the audit list beside who asks; NULL: the command line asks. */
    char *credential, *request_id;
} Service;

Service *service_open(const char *directory, bool create, const Settings *settings, GError **error);
/* A store in memory and nothing else: no data directory, no images. What only shows what somebody
 * else tells works on it. */
Service *service_open_memory(const Settings *settings, GError **error);
void service_free(Service *service);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Service, service_free)

void service_committed(Service *service);

/* The key that secrets are sealed with; the service's. `create`: something is to be sealed. */
const SealKey *service_key(Service *service, bool create, GError **error);
/* Whether security.secret_key, where it is set, is one: asked at the start, not with the first
 * secret.
 */
bool service_check_key(Service *service, GError **error);
/* A row of the audit list, that it was done: within the transaction that does it, where one is
 * open. project and object may be NULL (store/audit.h). */
bool service_audit(Service *service, const char *actor, const char *project, const char *action,
                   const char *object, GError **error);

/* A transaction of the pipeline, whose work is done and only to be recorded. A store that others
 * keep busy is waited for, several times store.busy_timeout_ms, until progress.stop; then
 * DB_ERROR_BUSY: nothing is wrong with the import, it stays open and is resumed. */
DbTransaction *service_transaction(Service *service, GError **error);
/* The same for what belongs to one model (db_begin_of). */
DbTransaction *service_transaction_of(Service *service, const char *model_id, GError **error);

/* Asked before blobs are written. False (IO_ERROR, ENOSPC): the disk is so full that the reserve is
 * spent, and what it was given up for needs the rest. */
bool service_has_room(Service *service, GError **error);

/* index.json of the layout, from the store: every image that a model has now, the runtimes' base
 * images, and what was pushed under a tag. Nothing, where a registry is the store. */
bool service_write_index(Service *service, GError **error);
/* The same of a layout and a store that are nobody's data directory, such as a backup's. */
bool images_write_index(Layout *images, Db *db, GError **error);
bool images_index_is_current(Layout *images, Db *db, bool *current, GError **error);
/* Where the images of that model lie. */
ImageRepository *service_repository(Service *service, const char *project, const char *name,
                                    GError **error);

/* Has all of an image lie in service->images, to be run: from the registry that keeps it, what is
 * not there yet. Of a layout nothing. */
bool images_bring(Service *service, ImageRepository *from, const Image *image, GError **error);

/* HOST[:PORT]/NAMESPACE/PROJECT/REPOSITORY:VERSION; of a layout PROJECT/REPOSITORY:VERSION. The
 * caller frees it. */
char *service_image_name(const Service *service, const char *project, const char *name,
                         const char *version);
/* The same; of a layout with oci:DIR: in front of it, but of a server, which shows nobody its disk.
 */
char *service_image_address(const Service *service, const char *project, const char *name,
                            const char *version);
