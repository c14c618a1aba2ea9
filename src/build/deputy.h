/* What a worker that is not root has done in a user namespace (userns.h), by the program begun
 * anew: everything that meets the owners of a layer's files. A deputy does one thing, by the very
 * function that calls it here where that is root's, and ends; it dies with its worker
 * (PR_SET_PDEATHSIG).
 *
 * Progress and its stop are shared with it while it works. What fails there fails here, with the
 * same domain and code; SANDBOX_ERROR_RUNTIME: there is no user namespace to be had;
 * SANDBOX_ERROR_CRASHED: it said nothing. */
#pragma once

#include "build/pack.h"

#define DEPUTY_WORD "sandbox-deputy"

/* unpack_layer, pack_upper and unpack_remove. */
bool deputy_unpack(Layout *layout, const char *digest, const char *into, Progress *progress,
                   GError **error);
bool deputy_pack(int upper, Layout *layout, Progress *progress, PackedLayer *layer, GError **error);
bool deputy_remove(const char *path, GError **error);

/* main() of a deputy: argv without the program and DEPUTY_WORD. Returns the exit status. */
int deputy_main(int argc, char **argv);
