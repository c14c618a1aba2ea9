/* The data directory of the embedded mode:
 *
 *   waybill.db (-wal, -shm)   the store
 *   images/                   an OCI image layout
 *   leases                    byte N is locked while job N is worked on (leases.h)
 *   run/                      what each worker does now (heartbeats.h)
 *   gc.json                   when gc last ran here, where several share a store (gc_runs.h)
 *   lock                      held while the store is opened and migrated; exclusively by `restore`
 *   reserve                   1 MiB, given up when the disk is full, so that the store can be
 *                             opened and the event that says so be written
 *   secret.key                what secrets in the store are sealed with (base/seal.h), 0600
 *   waybill.db.restoring      the store that `restore` is about to put in place
 *   waybill.db.before-restore the one that it replaced
 *
 * Several processes use one data directory at once. File locks do not hold on network file systems:
 * those are refused. */
#pragma once

#include <pthread.h>

#include "store/db.h"

#define DATA_RESERVE_BYTES  (1 << 20)
#define DATA_ROOM_BYTES     (256 << 10) /* what opening the store and a transaction may need */
#define DATA_LEASE_MS       60000
#define DATA_STORE          "waybill.db"
#define DATA_RESTORING      "waybill.db.restoring"
#define DATA_BEFORE_RESTORE "waybill.db.before-restore"

typedef struct {
    char *path; /* absolute */
    char *home; /* data_home's */
    int fd;
    int store_lock; /* shared while the directory is in use */
    int busy_timeout_ms;
    bool store_was_opened;
    char *store_url;              /* of a store elsewhere; NULL: DATA_STORE */
    int connections;              /* to it, of all of the process's threads */
    int64_t lease_ms;             /* of leases there (leases.h) */
    pthread_mutex_t held_lock;    /* of the two that follow */
    int64_t held_job, held_token; /* the lease that is held there; 0: none */
} DataDirectory;

/* Opens it; makes it when `create`. */
DataDirectory *data_open(const char *path, bool create, int busy_timeout_ms, GError **error);
/* The same for `restore`, made when it is not there: DB_ERROR_BUSY while anybody else has it open,
 * and nobody else can open it before data_free. */
DataDirectory *data_open_alone(const char *path, int busy_timeout_ms, GError **error);
void data_free(DataDirectory *data);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(DataDirectory, data_free)

/* Its store is elsewhere (store.url); "": in the directory. False: *error, the address is none. */
bool data_use(DataDirectory *data, const char *url, GError **error);
/* Its store, migrated. Each thread opens its own. */
Db *data_open_store(DataDirectory *data, GError **error);
/* For a moment, by whoever reads and writes gc.json: of processes and of threads one has it.
 * Returns a file descriptor that holds it until it is closed. */
int data_lock_gc(const DataDirectory *data, GError **error);
/* MACHINE:PATH: of all data directories this one. */
const char *data_home(const DataDirectory *data);
char *data_path(const DataDirectory *data, const char *name);

/* NULL, or the name of the file system when file locks do not hold on it ("nfs", "smb"). */
const char *data_network_file_system(int fd);

/* Gives the reserve up so that small writes succeed on a full disk. Every transaction of a store
 * that data_open_store opened does so by itself when less than DATA_ROOM_BYTES are free. */
void data_release_reserve(DataDirectory *data);
void data_make_room(DataDirectory *data);
/* Makes it again when there is room. False: it is not there. What writes blobs asks first, so that
 * the reserve is not spent on them. */
bool data_make_reserve(DataDirectory *data);
int64_t data_free_bytes(const DataDirectory *data);
/* Of the whole file system; 0: it does not say. */
int64_t data_disk_bytes(const DataDirectory *data);
