/* The sandbox: an OCI runtime (runc, crun) over overlayfs, in namespaces that end with us.
 *
 *   sandbox_open  -> the helper process (sandbox_helper.h) mounts layers and a disk of limited size
 *   sandbox_run   -> one command after the other in the same root file system
 *   sandbox_upper -> what the commands changed, still readable after they have ended
 *
 * What a command may: no new privileges, a seccomp filter, the few capabilities that installing
 * needs (none, when it is not root's command); no network but what SandboxNetwork says; memory,
 * swap, processors and processes by cgroup; disk by the size of its file system; time by a
 * deadline. No shell is involved.
 *
 * Who is not root is root of a user namespace in it (userns.h). Cgroups are then not his:
 * processes are limited by the namespace, memory by setrlimit(2), for each process; processors are
 * not limited. The disk is memory (tmpfs), of the same size.
 *
 * One scratch directory each, DATA/sandbox/XXXXXX, locked while it is in use. Not for several
 * threads at once, each has its own. */
#pragma once

#include <gio/gio.h>
#include <jansson.h>
#include <stdbool.h>

#include "base/progress.h"
#include "build/sandbox_wire.h"

#define SANDBOX_ERROR (sandbox_error_quark())
GQuark sandbox_error_quark(void);
typedef enum {
    SANDBOX_ERROR_RUNTIME, /* there is none that works, or it refuses */
    SANDBOX_ERROR_ROOT,    /* the root file system cannot be mounted */
    SANDBOX_ERROR_CRASHED, /* the helper died */
} SandboxErrorCode;

typedef struct {
    const char *directory;   /* DATA/sandbox, absolute */
    const char *lower_root;  /* DATA/unpacked */
    const GPtrArray *lowers; /* names beneath it, topmost first (of char *) */
    const char *runtime;     /* path of the program */
    SandboxNetwork network;
    int memory_mib, cpus, pids, disk_mib;
} SandboxSpec;

typedef struct Sandbox Sandbox;
/* Makes it ready. */
Sandbox *sandbox_open(const SandboxSpec *spec, GError **error);
/* Ends everything that runs in it and removes its files. */
void sandbox_free(Sandbox *sandbox);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Sandbox, sandbox_free)

/* Read-only for the commands, at an absolute path beneath /run: a file or directory of ours. */
void sandbox_bind(Sandbox *sandbox, const char *source, const char *target);
/* A directory of the sandbox's own on the host, for such files: scratch/NAME. The caller frees
 * it. */
char *sandbox_directory(Sandbox *sandbox, const char *name, GError **error);
/* "ext4" or "tmpfs"; SANDBOX_DISK_PLAIN. */
const char *sandbox_disk(const Sandbox *sandbox);
/* A directory that everything written lies in, as overlayfs writes it. The sandbox's own. */
int sandbox_upper(const Sandbox *sandbox);
/* The socket that the sandbox's 127.0.0.1:SANDBOX_PROXY_PORT listens on; -1 without a proxy. The
 * sandbox's own. */
int sandbox_listener(const Sandbox *sandbox);

typedef struct {
    const char *const *argv, *const *environment; /* NULL-terminated */
    const char *directory;                        /* NULL: / */
    unsigned uid, gid;                            /* 0: with what installing needs */
    int64_t deadline;                             /* clock_monotonic_ms; 0: none */
    Progress *progress;                           /* its stop ends the command; may be NULL */
    /* Each line of output, without its end, at most 8 KiB of it; bytes as they come. */
    void (*line)(gpointer data, const char *stream, const char *text);
    /* After lines, when none came for 100 ms, and at least that often. May be NULL. */
    void (*pause)(gpointer data);
    gpointer data;
} SandboxCommand;

typedef enum { SANDBOX_EXITED, SANDBOX_TIMEOUT, SANDBOX_STOPPED } SandboxOutcome;
typedef struct {
    SandboxOutcome outcome;
    int exit_status; /* 128 + N after signal N */
    int signal;      /* 0: none */
    bool out_of_memory;
    int64_t memory_peak; /* bytes, without a cgroup of its largest process; -1: not known */
    int64_t cpu_ms;      /* -1: not known */
    int64_t wall_ms;
} SandboxEnd;

/* Runs a command to its end. After SANDBOX_TIMEOUT and SANDBOX_STOPPED every process of the sandbox
 * has ended, and it is of no further use but for its upper directory. False: SANDBOX_ERROR. */
bool sandbox_run(Sandbox *sandbox, const SandboxCommand *command, SandboxEnd *end, GError **error);
/* The same in three steps, for a command that is talked to while it runs: sandbox_turn reads its
 * output for at most `ms`; *ended is set when the command has. */
bool sandbox_start(Sandbox *sandbox, const SandboxCommand *command, GError **error);
bool sandbox_turn(Sandbox *sandbox, int ms, bool *ended, SandboxEnd *end, GError **error);
/* A TCP socket, not connected, whose loopback is the sandbox's; -1 with errno. */
int sandbox_socket(Sandbox *sandbox);

/* Removes what processes that were killed left in DATA/sandbox, and their cgroups. */
void sandbox_sweep(const char *directory);

/* The OCI runtime that works here: the setting's (a path or a name), or of runc and crun the first
 * that is fit, which is tried once a process. scratch: as SandboxSpec's directory; NULL: none is
 * tried. The caller frees it. */
char *sandbox_runtime(const char *setting, const char *scratch, GError **error);
/* Whether a command can be run in a sandbox with this runtime, by running one. scratch: as
 * SandboxSpec's directory. *disk, where not NULL: as sandbox_disk; the caller frees it. */
bool sandbox_probe(const char *runtime, const char *scratch, char **disk, GError **error);
