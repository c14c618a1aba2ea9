/* Base images made from Debian's packages: `waybill runtime bootstrap`.
 *
 * mmdebstrap installs the packages in a directory of its own and writes them as a tar archive; that
 * archive becomes one layer as it comes (image/layer_archive.h), without what differs from run to
 * run: the same versions of the packages give the same digest on any machine. Above it lies a layer
 * with the inference service of runtime/python/, which this program carries. */
#pragma once

#include "import/service.h"
#include "store/runtimes.h"

/* Nothing was added: mmdebstrap is not there, cannot work here, or found no mirror. The message
 * says what to do. */
#define BOOTSTRAP_ERROR (bootstrap_error_quark())
GQuark bootstrap_error_quark(void);

/* The names that bootstrap_run knows; NULL-terminated. */
const char *const *bootstrap_names(void);
/* The image of a runtime that was made here is this and its recipe's name. */
#define BOOTSTRAP_PREFIX "bootstrap:"

/* Where the work is: progress->step counts from 1 to this. */
#define BOOTSTRAP_STEPS 7
const char *bootstrap_step_name(int step, bool zh);

/* Asked before a data directory is made. False: bootstrap_run would fail for the same reason. */
bool bootstrap_can_begin(const Settings *settings, const char *name, GError **error);
/* Makes the image and records it as a runtime of that name, for every engine, or for those that it
 * served before. *former: the digest that the runtime had, or NULL; the caller frees it.
 * G_IO_ERROR_CANCELLED: progress->stop was seen; mmdebstrap has ended. Whatever fails, no process
 * and no file is left. IMPORT_ERROR_USAGE: no such recipe, or a platform that is not the host's. */
Runtime *bootstrap_run(Service *service, const char *name, char **former, GError **error);

/* What keeps bootstrap_run from working here, without asking the network; NULL: nothing. *mend: how
 * to mend it; the caller frees both. */
char *bootstrap_obstacle(bool zh, char **mend);
/* Removes what killed ones left in this data directory. */
void bootstrap_sweep(const char *data);
/* Where the packages come from, for a person to read. The caller frees it. */
char *bootstrap_mirrors(const Settings *settings, GError **error);
