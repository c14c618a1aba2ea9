/* Root of a user namespace, for who is not root of the machine.
 *
 * A layer has files of many owners, and overlayfs and the OCI runtime want root. Who is not root
 * has both in a user namespace (user_namespaces(7)): root in it is the caller, ids from 1 on are
 * the range that /etc/subuid and /etc/subgid give the caller, and newuidmap and newgidmap, which
 * are set-user-ID, write that down. Only a process of one thread can go there, so those that do are
 * the program begun anew: the sandbox's helper (sandbox_helper.h), deputies (deputy.h), and what
 * runs another program there (userns_run.h). */
#pragma once

#include <gio/gio.h>
#include <stdbool.h>
#include <stdint.h>

/* Whether this process is not root, of the machine or of a user namespace. */
bool userns_needed(void);

/* What keeps userns_enter from working, as far as it can be seen without trying; NULL: nothing, or
 * it is not needed. *mend: how to mend it. The caller frees both. */
char *userns_obstacle(bool zh, char **mend);
/* What the kernel must have against it where no obstacle was seen and it is refused all the same;
 * as above, but never NULL. */
char *userns_refusal(bool zh, char **mend);

/* Puts this process into a new user namespace, as its root. It has one thread and none of a user
 * namespace's capabilities yet. False: SANDBOX_ERROR_RUNTIME. */
bool userns_enter(GError **error);

/* Puts this process, the root of one, into another one below, of the same ids, in which altogether
 * so many processes and threads can be. False: SANDBOX_ERROR_RUNTIME, IO_ERROR. */
bool userns_limit(int processes, GError **error);

/* Ids of users and groups that this process's user namespace has, from 0 on. */
int64_t userns_ids(void);
/* Whether this process is in another one than the machine's. */
bool userns_inside(void);
/* By what overlayfs knows that a directory replaces the one below: in a user namespace it is
 * mounted with userxattr. Static. */
const char *userns_opaque(void);

/* A file name for what is kept with the ids of a user namespace as the caller would enter it; NULL:
 * it is root's, and the ids are true. The caller frees it. */
char *userns_name(void);
